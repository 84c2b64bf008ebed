//! `perftop doctor`: what is seen, what is hidden, and the exact way in.

use std::fmt::Write as _;

use crate::cli::Doctor;
use crate::collect::deadline::Deadline;
use crate::collect::host::inotify::Watches;
use crate::collect::host::{filesystem, identity, serving, sweep::Sweeper};
use crate::config::Settings;
use crate::model::audit::TOUCHED;
use crate::model::dashboard::{Dashboard, Drawn};
use crate::model::host::HostSweep;

use crate::model::seen::Lack;

use crate::collect::schedule::Plan;
use crate::detect::params::ParamOverrides;
use crate::engine::{LiveOptions, live};
use crate::model::source::{SourceKind, SourceStatus};
use std::time::Duration;

use super::failure::{Failure, print, runtime};
use super::setup::plan;

/// Runs the command.
///
/// # Errors
/// When nothing can be read at all.
pub fn run(options: &Doctor, settings: &Settings) -> Result<u8, Failure> {
    if options.audit {
        return audit();
    }
    let plan = plan(settings, std::time::Duration::from_millis(500), true)?;
    let roots = plan.roots.clone();
    let identity = identity::read(&roots);
    let mut sweeper = Sweeper::new(roots.clone());
    let first = sweeper.sweep(1.0);
    let serving = serving::scan(&roots, &[], &mut Watches::default()).map(|scan| scan.serving);
    let mounts = runtime()?.block_on(async { filesystem::Filesystems::default().read(&roots, &Deadline::default()).await });
    let mut out = String::new();
    let inside = identity.inside.as_ref().map_or_else(String::new, |i| format!(", inside a {i}"));
    _ = writeln!(
        out,
        "{}: {}, Linux {}, {} CPUs, as {}{inside}\n",
        identity.name,
        identity.os,
        identity.kernel,
        identity.cpus,
        if identity.root { "root" } else { "an ordinary user" }
    );
    host_rows(&mut out, &first);
    processes(&mut out, &first, identity.root);
    match &serving {
        Ok(s) if s.unreadable.is_empty() => row(&mut out, "sockets of processes", Ok("all")),
        Ok(s) => row(
            &mut out,
            "sockets of processes",
            Err(&format!("{} cannot be seen and count as foreground -> sudo perftop", s.unreadable.len())),
        ),
        Err(lack) => lacking(&mut out, "sockets of processes", lack),
    }
    match &mounts {
        Ok(mounts) => {
            for fs in mounts {
                match &fs.space {
                    Ok(_) => {}
                    Err(lack) => lacking(&mut out, &format!("mount {}", fs.mount), lack),
                }
            }
            row(&mut out, "file systems", Ok(&format!("{} that can fill up", mounts.len())));
        }
        Err(lack) => lacking(&mut out, "file systems", lack),
    }
    out.push('\n');
    for source in sources(plan)? {
        let why = source.why.map_or_else(String::new, |w| format!(": {w}"));
        let version =
            source.version.filter(|_| source.kind != SourceKind::Host).map_or_else(String::new, |v| format!(", version {v}"));
        let reader = source.reader.filter(|_| source.kind != SourceKind::Host).map_or_else(String::new, |r| format!(", as {r}"));
        let role = source.role.map_or_else(String::new, |r| format!(", {r}"));
        _ = writeln!(out, "{:<16} {}{version}{role}{reader}{why}", source.id, source.state.word());
        if let Some(way_in) = source.way_in {
            _ = writeln!(out, "{:<16}   how to connect: {way_in}", "");
        }
    }
    for dashboard in super::screen::dashboards(settings)?.0 {
        board(&mut out, &dashboard);
    }
    print(&out)?;
    Ok(0)
}

/// What became of each panel of a dashboard.
fn board(out: &mut String, dashboard: &Dashboard) {
    let (whole, degraded, left) = dashboard.tally();
    _ = writeln!(
        out,
        "\ndashboard {}: {whole} panels whole, {degraded} with something missing, {left} left out",
        dashboard.title
    );
    for note in dashboard.notes.iter().filter(|n| !n.because.is_empty()) {
        let word = if note.drawn == Drawn::LeftOut { "left out" } else { "partly" };
        _ = writeln!(out, "  {word:<9} {} ({}): {}", note.panel, note.kind, note.because.join("; "));
    }
}

/// Every source after a few seconds: time enough for one attempt at each server.
fn sources(plan: Plan) -> Result<Vec<SourceStatus>, Failure> {
    const LOOK: Duration = Duration::from_millis(4500);
    let options =
        LiveOptions { plan, params: ParamOverrides::default(), only: Vec::new(), record: None, keep: None, ticks: None };
    let mut handle = live(options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))?;
    runtime()?.block_on(async {
        let mut sources = Vec::new();
        let look = async {
            while handle.pictures.changed().await.is_ok() {
                if let Some(picture) = handle.pictures.borrow_and_update().as_ref() {
                    sources.clone_from(&picture.diagnosis.sources);
                }
            }
        };
        _ = tokio::time::timeout(LOOK, look).await;
        Ok(sources)
    })
}

fn row(out: &mut String, what: &str, seen: Result<&str, &str>) {
    _ = match seen {
        Ok(text) => writeln!(out, "✓ {what:<24} {text}"),
        Err(text) => writeln!(out, "? {what:<24} {text}"),
    };
}

fn lacking(out: &mut String, what: &str, lack: &Lack) {
    let lift = lack.lift.as_ref().map_or_else(String::new, |l| format!(" -> {l}"));
    row(out, what, Err(&format!("{lack}{lift}")));
}

fn host_rows(out: &mut String, s: &HostSweep) {
    let rows = [
        ("CPU", s.cpu.as_ref().err()),
        ("load", s.load.as_ref().err()),
        ("pressure cpu", s.psi.cpu.as_ref().err()),
        ("pressure memory", s.psi.memory.as_ref().err()),
        ("pressure io", s.psi.io.as_ref().err()),
        ("memory", s.memory.as_ref().err()),
        ("vmstat", s.vmstat.as_ref().err()),
        ("disks", s.disks.as_ref().err()),
        ("network interfaces", s.interfaces.as_ref().err()),
        ("TCP", s.tcp.as_ref().err()),
        ("open files", s.files.as_ref().err()),
        ("control groups", s.cgroups.as_ref().err()),
    ];
    for (what, lack) in rows {
        match lack {
            None => row(out, what, Ok("readable")),
            Some(lack) => lacking(out, what, lack),
        }
    }
}

fn processes(out: &mut String, s: &HostSweep, root: bool) {
    let table = match &s.processes {
        Ok(table) => table,
        Err(lack) => return lacking(out, "processes", lack),
    };
    row(out, "processes", Ok(&format!("{}", table.rows.len())));
    let users = || table.rows.iter().filter(|r| !r.kernel);
    let no_io = users().filter(|r| r.io.is_none()).count();
    let way = if root { "" } else { " -> sudo perftop" };
    match no_io {
        0 => row(out, "IO of processes", Ok("all")),
        n => row(out, "IO of processes", Err(&format!("{n} of {} denied{way}", users().count()))),
    }
    let no_sched = users().filter(|r| r.sched.is_none()).count();
    match no_sched {
        0 => row(out, "run delay of processes", Ok("all")),
        n => row(out, "run delay of processes", Err(&format!("{n} without schedstat: the kernel lacks CONFIG_SCHED_INFO"))),
    }
}

const AUDIT: &str = "\
Everything that perftop can touch, and nothing else: * matches anything without a slash, ** anything. It changes nothing on the
system and writes only what you ask for. A test compares a live run under strace with this list.

";

fn audit() -> Result<u8, Failure> {
    let mut out = String::from(AUDIT);
    for t in TOUCHED {
        _ = writeln!(out, "{:<7} {:<34} {}", t.how.word(), t.what, t.why);
    }
    print(&out)?;
    Ok(0)
}
