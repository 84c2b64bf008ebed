//! Building blocks of fixes: quoting for the shell, guards that name one process for ever, ready-made fixes that
//! several rules suggest. There is no code path that runs one.

use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;

use super::finding::{Fix, Horizon, Language, Phase, Preflight};

/// Quotes bytes for a POSIX shell (or bash, where bytes must be escaped): printable text only.
#[must_use]
pub fn shell(raw: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-:=@%+,".contains(b);
    if !raw.is_empty() && raw.iter().all(plain) {
        return String::from_utf8_lossy(raw).into_owned();
    }
    if raw.iter().all(|b| (0x20..0x7f).contains(b)) {
        return format!("'{}'", String::from_utf8_lossy(raw).replace('\'', r"'\''"));
    }
    let mut out = String::from("$'");
    for b in raw {
        match b {
            b'\'' => out.push_str("\\'"),
            b'\\' => out.push_str("\\\\"),
            0x20..0x7f => out.push(char::from(*b)),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out.push('\'');
    out
}

/// A condition that holds only while that very process lives: a reused pid starts later.
#[must_use]
pub fn same_process(id: ProcId) -> String {
    format!("[ \"$(sed 's/.*) //' /proc/{}/stat 2>/dev/null | cut -d' ' -f20)\" = {} ]", id.pid, id.start)
}

/// A shell fix on this host with nothing optional filled in.
#[must_use]
pub fn shell_fix(phase: Phase, horizon: Horizon, title: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix {
        phase,
        horizon,
        title: title.into(),
        language: Language::Shell,
        target: "this host".into(),
        command: command.into(),
        undo: None,
        risk: String::new(),
        needs: "root, or the owner of the process".into(),
        takes_s: Some(1.0),
        needs_bytes: None,
        preflight: Vec::new(),
        verify: "perftop check --for 5s".into(),
    }
}

/// At most so many pids in one command.
const PIDS: usize = 32;

fn pids(members: &[&ProcFacts]) -> String {
    let list: Vec<String> = members.iter().take(PIDS).map(|p| p.id.pid.to_string()).collect();
    list.join(" ")
}

/// Gives a program's processes the lowest CPU priority.
#[must_use]
pub fn renice(root: ProcId, members: &[&ProcFacts], autogroup: bool) -> Fix {
    let old = members.first().map_or(0, |p| p.nice);
    let list = pids(members);
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Give it the lowest CPU priority; it goes on when nobody else wants the CPU",
        format!("{} && renice -n 19 -p {list}", same_process(root)),
    );
    fix.undo = Some(format!("renice -n {old} -p {list}"));
    fix.risk = "what waits for this program gets slower".into();
    fix.preflight = vec![Preflight { ok: members.len() <= PIDS, what: format!("{} processes at nice {old}", members.len()) }];
    if autogroup {
        let what = "sched_autogroup_enabled is 1: nice acts only against processes of the same session";
        fix.preflight.push(Preflight { ok: false, what: what.into() });
    }
    fix.verify = format!("ps -o pid,ni,comm -p {}; perftop check --for 5s", list.replace(' ', ","));
    fix
}

/// Stops a program's processes where they stand.
#[must_use]
pub fn pause(root: ProcId, members: &[&ProcFacts]) -> Fix {
    let list = pids(members);
    let serves = members.iter().any(|p| !p.listens.is_empty());
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Pause it, look, and let it go on later",
        format!("{} && kill -STOP {list}", same_process(root)),
    );
    fix.undo = Some(format!("kill -CONT {list}"));
    fix.risk = "whoever waits for it waits until it goes on; its connections may time out".into();
    let what = if serves { "it listens on a port: others may be its clients" } else { "it listens on no port" };
    fix.preflight = vec![Preflight { ok: !serves, what: what.into() }];
    fix
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn quoting_is_readable_where_it_can_be() {
        assert_eq!(shell(b"/sys/fs/cgroup/a-b.slice"), "/sys/fs/cgroup/a-b.slice");
        assert_eq!(shell(b"it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell(b"a\x1b]52;\n"), r"$'a\x1b]52;\x0a'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn bash_reads_back_the_very_bytes(raw in proptest::collection::vec(1u8..=255, 1..40)) {
            let script = format!("printf %s {}", shell(&raw));
            prop_assert!(script.bytes().all(|b| (0x20..0x7f).contains(&b)));
            let out = Command::new("bash").arg("-c").arg(&script).env("LC_ALL", "C").output().unwrap();
            prop_assert_eq!(out.stdout, raw);
        }
    }
}
