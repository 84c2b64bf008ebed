//! What `perftop doctor --audit` promises, against strace of the dashboard, a check and the doctor on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use perftop::model::audit::{ABOVE, TOUCHED, Use, matches};

/// Calls with a path, and how they use it; `open*` is told by its flags.
const CALLS: &[(&str, Use)] = &[
    ("readlink", Use::Look),
    ("readlinkat", Use::Look),
    ("stat", Use::Look),
    ("lstat", Use::Look),
    ("statx", Use::Look),
    ("newfstatat", Use::Look),
    ("access", Use::Look),
    ("faccessat", Use::Look),
    ("faccessat2", Use::Look),
    ("statfs", Use::Statfs),
    ("execve", Use::Run),
];

/// What one line of strace says was touched: how and what.
fn touched(line: &str) -> Option<(Use, String)> {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let (name, rest) = call.split_once('(')?;
    let quoted = || rest.split('"').nth(1).map(str::to_owned);
    match name {
        "open" | "openat" | "openat2" | "creat" => {
            let how = if ["O_WRONLY", "O_CREAT", "O_TRUNC"].iter().any(|flag| rest.contains(flag)) {
                Use::Write
            } else if rest.contains("O_DIRECTORY") {
                Use::Look
            } else {
                Use::Read
            };
            Some((how, quoted()?))
        }
        "socket" | "socketpair" => Some((Use::Ask, rest.split(',').next()?.to_owned())),
        // A socket by its path; anything else as it stands.
        "connect" if rest.contains("sun_path=\"") => Some((Use::Ask, format!("connect {}", quoted()?))),
        "connect" => Some((Use::Ask, format!("connect {rest}"))),
        _ => {
            let how = CALLS.iter().find(|(call, _)| *call == name)?.1;
            quoted().filter(|path| !path.is_empty()).map(|path| (how, path))
        }
    }
}

fn promised(how: Use, what: &str) -> bool {
    // Where HOME lies here, see `traced`.
    let sessions =
        std::env::temp_dir().join(format!("perftop-audit-{}-screen/.local/state/perftop/sessions", std::process::id()));
    if how == Use::Look && sessions.ancestors().skip(1).take(4).any(|above| above == Path::new(what)) {
        return TOUCHED.iter().any(|t| t.what == ABOVE);
    }
    // To read a file is to look at it too.
    TOUCHED.iter().any(|t| (t.how == how || how == Use::Look && t.how == Use::Read) && matches(t.what, what))
}

fn traced(name: &str, arguments: &[&str], on_screen: bool) -> Vec<(Use, String)> {
    let dir = std::env::temp_dir().join(format!("perftop-audit-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let log = dir.join("strace");
    let perftop = env!("CARGO_BIN_EXE_perftop");
    let trace = ["-f", "-qq", "-s", "512", "-e", "trace=%file,%network,process", "-o", log.to_str().unwrap(), perftop];
    let mut command = if on_screen {
        // `script` gives it a terminal.
        let line = ["strace"].iter().chain(&trace).chain(arguments).copied().collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]);
        command
    } else {
        let mut command = Command::new("strace");
        command.args(trace).args(arguments);
        command
    };
    command
        .env("HOME", &dir)
        .env("TERM", "xterm-256color")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("TMUX");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    if on_screen {
        std::thread::sleep(Duration::from_secs(6));
        let mut keys = child.stdin.take().unwrap();
        keys.write_all(b"2q").unwrap();
        std::thread::sleep(Duration::from_millis(500));
        _ = keys.write_all(b"q");
        _ = keys.flush();
    }
    child.wait().unwrap();
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    _ = std::fs::remove_dir_all(&dir);
    text.lines().filter_map(touched).filter(|(how, what)| !(*how == Use::Run && what == perftop)).collect()
}

#[test]
fn a_live_run_touches_nothing_that_is_not_listed() {
    // A sandbox may have strace and forbid to trace.
    let works = |argv: &[&str]| Command::new(argv[0]).args(&argv[1..]).output().is_ok_and(|o| o.status.success());
    for tool in ["strace", "script"] {
        if !works(&[tool, "--version"]) {
            assert!(std::env::var_os("CI").is_none(), "no {tool} here, and CI must have one: tests/run installs it");
            return eprintln!("SKIPPED: no {tool} here");
        }
    }
    if !works(&["strace", "-f", "-o", "/dev/null", "true"]) {
        return eprintln!("SKIPPED: this machine lets nobody trace a process");
    }
    for (name, arguments, on_screen) in
        [("screen", &[][..], true), ("check", &["check", "--for", "3s"], false), ("doctor", &["doctor"], false)]
    {
        let seen = traced(name, arguments, on_screen);
        assert!(seen.len() > 50, "{name}: only {} calls were traced", seen.len());
        assert!(seen.iter().any(|(how, what)| *how == Use::Ask && what == "AF_NETLINK"), "{name} asks for sockets");
        let mut strange: Vec<String> = seen
            .into_iter()
            .filter(|(how, what)| !promised(*how, what))
            .map(|(how, what)| format!("{} {what}", how.word()))
            .collect();
        strange.sort();
        strange.dedup();
        assert!(strange.is_empty(), "{name}: not in the audit:\n{}", strange.join("\n"));
    }
}

#[test]
fn the_comparison_can_fail() {
    assert_eq!(touched(r#"12 openat(AT_FDCWD, "/etc/shadow", O_RDONLY|O_CLOEXEC) = 3"#), Some((Use::Read, "/etc/shadow".into())));
    assert!(
        !promised(Use::Read, "/etc/shadow")
            && !promised(Use::Write, "/etc/perftop/config.toml")
            && !promised(Use::Run, "/bin/sh")
    );
    assert!(!promised(Use::Ask, "AF_INET") && !promised(Use::Ask, "connect 3, {sa_family=AF_INET"));
    assert_eq!(touched("7 <... openat resumed>) = 3"), None);
}
