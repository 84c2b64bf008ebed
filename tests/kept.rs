//! Sessions that are kept: they survive whatever ends them, two at once, and are found by the moment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use perftop::engine::{Engine, to_json};
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::kept;
use perftop::record::reader::{Recording, segments};
use perftop::record::writer::{SAMPLES, Writer};

const DAY_MS: i64 = 86_400_000;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("perftop-kept-{}-{name}", std::process::id()));
        _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// Where the state directory `self` has its sessions.
    fn sessions(&self) -> PathBuf {
        self.0.join("perftop/sessions")
    }

    fn perftop(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
        command.arg("--no-config").args(arguments).env("XDG_STATE_HOME", &self.0);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.perftop(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn recorded(case: &str) -> Vec<Sample> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{case}.perftop"));
    Recording::open(&path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None }).collect()
}

/// Writes what was recorded, so much later.
fn write(writer: &mut Writer, samples: &[Sample], later_ms: i64) {
    let mut engine = Engine::default();
    for (n, sample) in samples.iter().enumerate() {
        let mut sample = sample.clone();
        sample.at.wall_ms += later_ms;
        let state = (n as u64).is_multiple_of(SAMPLES).then(|| engine.state());
        let said = to_json(&engine.fold(&sample).evaluation.diagnosis);
        writer.write(state, sample, said).unwrap();
    }
}

fn stamp(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).unwrap().to_string()
}

#[test]
fn a_session_that_was_killed_is_found_by_its_moments_and_told() {
    let (dir, samples) = (Dir::new("killed"), recorded("cpu_hog"));
    let (first, last) = (samples[0].at.wall_ms, samples[samples.len() - 1].at.wall_ms);
    let mut writer = kept::begin(&dir.sessions(), last).unwrap();
    write(&mut writer, &samples, 0);
    // Nobody seals it.
    std::mem::forget(writer);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.sessions()), 0o700);
    let all = kept::sessions(&dir.sessions());
    assert_eq!(all.iter().map(|s| s.span_ms).collect::<Vec<_>>(), [(first, last)]);
    assert_eq!(mode(&all[0].path), 0o600);
    let middle = (first + last) / 2;
    assert_eq!(kept::saw(&all, middle), Some(&all[0]));
    assert_eq!(kept::saw(&all, first - 60_000), None);
    let incidents = dir.said(&["incidents"]);
    assert!(incidents.contains("host.cpu.contention") && incidents.contains("stress-ng"), "{incidents}");
    let at = stamp(middle);
    let lines = dir.said(&["replay", "--json", "--at", &at]);
    assert!(lines.lines().count() > 5 && lines.lines().count() < samples.len(), "{lines}");
    let report = dir.said(&["report", "--from", &at]);
    assert!(report.contains("# Performance report"), "{report}");
    let of_kept = |from: i64, to: i64| format!("@{}..{}", stamp(from), stamp(to));
    let difference = dir.said(&["diff", &of_kept(first, middle), &of_kept(middle, last)]);
    assert!(difference.contains("foreground"), "{difference}");
    let nowhere = dir.perftop(&["replay", "--json", "--at", "2020-01-01T00:00:00Z"]);
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(nowhere.status.code() == Some(64) && said.contains("nothing was kept at 2020-01-01T00:00:00Z; there is "), "{said}");
    // What was said then was judged by more than what is kept.
    let verified = dir.perftop(&["replay", "--verify", "--at", &at]);
    assert_eq!(verified.status.code(), Some(64), "{verified:?}");
}

#[test]
fn where_nothing_was_kept_that_is_said_with_a_way_out() {
    let dir = Dir::new("none");
    for arguments in
        [&["incidents"][..], &["report"], &["replay", "--json", "--at", "02:10:00"], &["diff", "@02:00..03:00", "@03:00..04:00"]]
    {
        let output = dir.perftop(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(64) && said.contains("no session is kept in "), "{arguments:?}: {said}");
    }
    assert!(!dir.sessions().exists(), "who only looks makes no directory");
}

/// Two at once have a file each; what runs, what is newest, and what is not ours is never removed.
#[test]
fn what_runs_what_is_newest_and_what_is_foreign_stays() {
    let (dir, samples) = (Dir::new("two"), recorded("control_fast_disk"));
    let now_ms = samples[0].at.wall_ms;
    let spans = || kept::sessions(&dir.sessions()).iter().map(|s| s.span_ms.0).collect::<Vec<_>>();
    let mut old = kept::begin(&dir.sessions(), now_ms).unwrap();
    write(&mut old, &samples, 0);
    let foreign = dir.sessions().join("night.perftop");
    std::fs::copy(old.file().unwrap(), &foreign).unwrap();
    // Three days later: the old one still runs.
    let mut two = kept::begin(&dir.sessions(), now_ms + 3 * DAY_MS).unwrap();
    assert_ne!(old.file(), two.file());
    write(&mut two, &samples, 3 * DAY_MS);
    assert_eq!(spans().len(), 2);
    old.finish().unwrap();
    two.finish().unwrap();
    // Now it is over and too old; of the others one is the newest, however old.
    let mut three = kept::begin(&dir.sessions(), now_ms + 6 * DAY_MS).unwrap();
    assert_eq!(spans(), [now_ms + 3 * DAY_MS]);
    write(&mut three, &samples, 6 * DAY_MS);
    three.finish().unwrap();
    let four = kept::begin(&dir.sessions(), now_ms + 6 * DAY_MS + 60_000).unwrap();
    assert_eq!(spans(), [now_ms + 6 * DAY_MS]);
    four.finish().unwrap();
    assert!(foreign.exists(), "what others put there is theirs");
}

#[test]
fn a_session_that_grows_too_large_loses_its_oldest_part() {
    const MOST: u64 = 400_000;
    let (dir, samples) = (Dir::new("large"), recorded("control_fast_disk"));
    let mut writer = kept::begin(&dir.sessions(), samples[0].at.wall_ms).unwrap();
    writer.may_weigh = Some(Box::new(|_| Ok(MOST)));
    let path = writer.file().unwrap().to_path_buf();
    let rounds = 40;
    for round in 0..rounds {
        write(&mut writer, &samples, round * 60_000);
    }
    writer.finish().unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    let all = segments(&mut std::fs::File::open(&path).unwrap()).unwrap();
    let newest = samples[samples.len() - 1].at.wall_ms + (rounds - 1) * 60_000;
    assert_eq!(all.last().unwrap().1.last_ms, newest);
    assert!(all[0].1.first_ms > samples[0].at.wall_ms, "the oldest is gone");
    // One segment is written beyond it before the next one begins.
    assert!((MOST / 2..MOST * 3 / 2).contains(&len), "{len}");
    let whole = Recording::open(&path).unwrap().filter(|r| matches!(r, Record::Sample(_))).count();
    assert_eq!(whole as u64, all.iter().map(|(_, entry)| entry.samples).sum::<u64>());
}

/// Nothing of root's is left in the home of whoever called `sudo`.
#[test]
fn another_users_directory_is_left_alone() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can give a directory away");
    }
    let dir = Dir::new("foreign");
    std::os::unix::fs::chown(&dir.0, Some(65_534), None).unwrap();
    let refused = kept::begin(&dir.sessions(), 0).unwrap_err().to_string();
    assert!(refused.contains("it belongs to user 65534"), "{refused}");
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}

/// What `perftop record` writes is found by its moments too, and a link that leads nowhere is passed over.
#[test]
fn a_recording_that_lies_elsewhere_is_found() {
    let dir = Dir::new("link");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cpu_hog.perftop");
    let gone = dir.0.join("gone.perftop");
    std::fs::write(&gone, "").unwrap();
    let first = recorded("cpu_hog")[0].at.wall_ms;
    kept::point_at(&dir.sessions(), &file, first).unwrap();
    kept::point_at(&dir.sessions(), &file, first + 1000).unwrap();
    kept::point_at(&dir.sessions(), &gone, first + 2000).unwrap();
    std::fs::remove_file(&gone).unwrap();
    assert_eq!(kept::sessions(&dir.sessions()).len(), 1, "once");
    assert!(dir.said(&["incidents"]).contains("host.cpu.contention"));
    // The link goes when it is old and no longer the newest; the recording never does.
    let links = || std::fs::read_dir(dir.sessions()).unwrap().filter(|e| e.as_ref().unwrap().path().is_symlink()).count();
    let mut newer = kept::begin(&dir.sessions(), first + DAY_MS / 2).unwrap();
    write(&mut newer, &recorded("cpu_hog"), DAY_MS / 2);
    newer.finish().unwrap();
    assert_eq!(links(), 2, "one leads nowhere, and may be a moment old");
    kept::begin(&dir.sessions(), first + 9 * DAY_MS).unwrap().finish().unwrap();
    assert!(links() == 1 && file.exists(), "{}", links());
}

/// A recording that was continued two days later, or after the clock was set back, is two times: what others saw between them is told.
#[test]
fn a_recording_with_a_hole_hides_nobody_who_ran_in_it() {
    let (dir, samples) = (Dir::new("hole"), recorded("control_fast_disk"));
    let first = samples[0].at.wall_ms;
    let mut writer = kept::begin(&dir.sessions(), first).unwrap();
    write(&mut writer, &samples, 0);
    write(&mut writer, &samples, DAY_MS / 2);
    writer.finish().unwrap();
    let mut between = kept::begin(&dir.sessions(), first + DAY_MS / 4).unwrap();
    write(&mut between, &recorded("cpu_hog"), first + DAY_MS / 4 - recorded("cpu_hog")[0].at.wall_ms);
    between.finish().unwrap();
    let all = kept::sessions(&dir.sessions());
    assert_eq!(all.iter().map(|s| s.part).collect::<Vec<_>>(), [true, false, true]);
    let (from, to) = (stamp(first - 1000), stamp(first + DAY_MS));
    let report = dir.said(&["report", "--from", &from, "--to", &to]);
    assert!(report.contains("stress-ng"), "{report}");
    let dir = Dir::new("set-back");
    let mut back = kept::begin(&dir.sessions(), first).unwrap();
    write(&mut back, &samples, 5 * DAY_MS);
    write(&mut back, &samples, 4 * DAY_MS);
    back.finish().unwrap();
    let set_back = kept::sessions(&dir.sessions());
    assert!(
        kept::saw(&set_back, first + 4 * DAY_MS + 2_000).is_some() && kept::saw(&set_back, first + 5 * DAY_MS + 2_000).is_some()
    );
}

/// Whoever comes to help does not wait for a pipe, and sweeps up what a killed one left.
#[test]
fn a_pipe_and_leftovers_hold_nobody_up() {
    let dir = Dir::new("pipe");
    kept::begin(&dir.sessions(), 0).unwrap().finish().unwrap();
    let pipe = dir.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink(&pipe, dir.sessions().join("20261120T000000Z-7.perftop")).unwrap();
    let left = dir.sessions().join("20261120T000000Z-8.perftop-tmp");
    std::fs::write(&left, "x").unwrap();
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    std::fs::File::options().write(true).open(&left).unwrap().set_modified(hours_ago).unwrap();
    kept::begin(&dir.sessions(), 0).unwrap().finish().unwrap();
    assert!(!left.exists());
    assert!(kept::sessions(&dir.sessions()).is_empty());
}

/// Five looks as one: nothing that was read in any of them is lost, and what is counted since the look before is added up.
#[test]
fn looks_that_are_joined_lose_nothing() {
    let samples = recorded("pg_missing_index");
    let mut all = samples.clone().into_iter();
    let mut joined = all.next().unwrap();
    all.for_each(|next| joined = std::mem::take(&mut joined).join(next));
    let last = samples.last().unwrap();
    assert_eq!((joined.at, joined.host.sweep.as_ref().map(|s| s.at)), (last.at, last.host.sweep.as_ref().map(|s| s.at)));
    let (id, pg) = joined.servers.postgres.iter().next().unwrap();
    let each = || samples.iter().filter_map(|s| s.servers.postgres.get(id));
    let rounds: u32 = each().filter_map(|s| s.activity.as_ref()?.as_ref().ok()).map(|a| a.rounds).sum();
    assert_eq!(pg.activity.as_ref().unwrap().as_ref().unwrap().rounds, rounds);
    let hits = |a: &perftop::model::postgres::Activity| a.hits.iter().map(|h| h.count).sum::<u32>();
    let seen: u32 = each().filter_map(|s| s.activity.as_ref()?.as_ref().ok()).map(hits).sum();
    assert_eq!(hits(pg.activity.as_ref().unwrap().as_ref().unwrap()), seen);
    let calls: u64 = each().filter_map(|s| s.statements.as_ref()?.as_ref().ok()).map(|s| s.all.calls).sum();
    assert!(calls > 0 && pg.statements.as_ref().unwrap().as_ref().unwrap().all.calls == calls);
    let rows = |s: &perftop::model::postgres::Statements| s.rows.iter().map(|r| r.grown.calls).sum::<u64>();
    let of_rows: u64 = each().filter_map(|s| s.statements.as_ref()?.as_ref().ok()).map(rows).sum();
    assert_eq!(rows(pg.statements.as_ref().unwrap().as_ref().unwrap()), of_rows);
    assert_eq!(pg.texts.len(), each().map(|s| s.texts.len()).sum::<usize>());
    assert!(pg.server.is_some() && pg.cluster.is_some() && !pg.catalogs.is_empty(), "what was read once is there");
}

/// Rates and means over joined looks are those over the looks themselves: sockets, sessions, states, statements.
#[test]
fn rates_over_joined_looks_are_the_same() {
    for case in ["slow_upstream", "listen_overflow", "lossy_upstream", "pg_narrow_link", "syn_loss", "redis_keys"] {
        let samples = recorded(case);
        assert!(samples.len() > 24, "{case}");
        let (mut each, mut joined) = (Engine::default(), Engine::default());
        let mut compared = 0;
        for five in samples.chunks_exact(5) {
            let mut newest = None;
            five.iter().for_each(|sample| newest = Some(each.fold(sample).evaluation.facts));
            let facts = newest.unwrap();
            let one = five.iter().cloned().reduce(Sample::join).unwrap();
            let same = joined.fold(&one).evaluation.facts;
            // The window of looks is five seconds and a quarter: the same five, where looks are a second apart.
            let (Ok(a), Ok(b)) = (&facts.host.sockets, &same.host.sockets) else { continue };
            if a.rounds != b.rounds {
                continue;
            }
            compared += 1;
            let near = |x: f64, y: f64| (x - y).abs() <= 1e-3 + 0.02 * x.abs().max(y.abs());
            for listener in &a.listeners {
                let now = b.listeners.iter().find(|l| (l.namespace, l.at) == (listener.namespace, listener.at)).unwrap();
                let pairs = [
                    (listener.in_flight, now.in_flight),
                    (listener.queued, now.queued),
                    (listener.requests_per_s, now.requests_per_s),
                    (listener.answers_per_s, now.answers_per_s),
                ];
                assert!(pairs.iter().all(|(x, y)| near(*x, *y)), "{case}: {listener:?} {now:?}");
                assert_eq!(listener.ages, now.ages, "{case}");
            }
            for peer in &a.peers {
                let now = b.peers.iter().find(|p| (p.owner, p.peer) == (peer.owner, peer.peer)).unwrap();
                assert!(
                    near(peer.waiting, now.waiting) && near(peer.segments_per_s, now.segments_per_s),
                    "{case}: {peer:?} {now:?}"
                );
                assert_eq!(peer.sockets, now.sockets, "{case}");
            }
            for path in &a.paths {
                let now = b.paths.iter().find(|p| p.ip == path.ip).unwrap();
                assert!(near(path.retransmits_per_s, now.retransmits_per_s) && near(path.timed_out, now.timed_out), "{case}");
            }
        }
        assert!(compared > 0, "{case}: no two windows were the same");
    }
}
