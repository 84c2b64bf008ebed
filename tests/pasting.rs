//! What is copied can be pasted as root: whatever a mount point, a group or an interface is called, every POSIX shell sees exactly
//! that name as one argument, and nothing of it runs.
//!
//! `PERFTOP_NAMES=1000000 cargo test --test pasting` tries that many names (docs/security.md has the counts).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use perftop::detect::command::Command as Paste;
use perftop::detect::command::Language;
use perftop::engine::Engine;
use perftop::model::sample::Sample;
use perftop::model::shell::{Word, redis_word};
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::record::tame::Token;
use perftop::view::widgets::pasteable::broken;

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

/// Names of random bytes, most of them of characters that mean something to some shell.
struct Names(u64);

impl Names {
    fn number(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn name(&mut self) -> Vec<u8> {
        const SHARP: &[u8] = b"'\"\\`$!%\n\t -#;&|<>()*?[]{}~=:/0179xub\x1b\x81\x88\xff";
        let length = 1 + self.number(24);
        let byte = |names: &mut Self| match names.number(4) {
            0 => 1 + names.number(255) as u8,
            1 => b'a' + names.number(26) as u8,
            _ => SHARP[names.number(SHARP.len() as u64) as usize],
        };
        (0..length).map(|_| byte(self)).collect()
    }
}

fn how_many() -> usize {
    std::env::var("PERFTOP_NAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(6_000)
}

fn run(shell: &[&str], script: &[u8]) -> Vec<u8> {
    run_with(Command::new(shell[0]).args(&shell[1..]).arg("-s"), script)
}

/// What it prints, given its input.
fn run_with(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; tests/run installs it"));
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || _ = pipe.write_all(&input));
    let out = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    out
}

#[test]
fn every_shell_sees_one_argument_to_the_byte() {
    let mut names = Names(0x9e37_79b9_7f4a_7c15);
    let mut left = how_many();
    let mut unsaid = 0;
    while left > 0 {
        let batch: Vec<Vec<u8>> = (0..left.min(2_000)).map(|_| names.name()).collect();
        left -= batch.len();
        let said: Vec<(&[u8], Word)> = batch.iter().filter_map(|raw| Some((&**raw, Word::quoted(raw)?))).collect();
        // Only what a substitution would cut is left unsaid.
        assert!(batch.iter().all(|raw| Word::quoted(raw).is_some() || raw.ends_with(b"\n")));
        unsaid += batch.len() - said.len();
        let mut script = b"seen() { printf '%s\\0' \"$#\" \"$@\"; }\n".to_vec();
        for (_, word) in &said {
            let line = format!("seen {word}\n");
            assert!(line.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)), "printable: {line:?}");
            script.extend_from_slice(line.as_bytes());
        }
        for shell in SHELLS {
            let out = run(shell, &script);
            let mut seen = out.split(|b| *b == 0);
            for (raw, word) in &said {
                assert_eq!(seen.next().unwrap(), b"1", "{shell:?} sees several arguments in {word}");
                assert_eq!(seen.next().unwrap(), *raw, "{shell:?} reads {word}");
            }
        }
    }
    assert!(unsaid < how_many() / 10, "{unsaid} names have no word");
}

/// At a prompt `!` means the history, and a paste comes to a prompt.
#[test]
fn an_interactive_bash_expands_nothing() {
    let raw = b"a!!b!ls '!x' \x07";
    let script = format!("set -o history -o histexpand\necho before\nprintf '<%s>' {}\n", Word::quoted(raw).unwrap());
    let out = run_with(Command::new("bash").args(["--norc", "--noprofile", "-i"]), script.as_bytes());
    let expected = [b"<".as_slice(), raw, b">"].concat();
    assert!(out.windows(expected.len()).any(|w| w == expected), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn redis_cli_sees_one_argument_to_the_byte() {
    let mut names = Names(7);
    let names: Vec<Vec<u8>> = (0..400).map(|_| names.name()).collect();
    let server = Redis::start();
    let mut script = String::new();
    for (at, raw) in names.iter().enumerate() {
        script.push_str(&format!("SET {at} {}\n", redis_word(raw)));
    }
    _ = server.cli(script.as_bytes());
    for (at, raw) in names.iter().enumerate() {
        let mut out = server.cli(format!("GET {at}\n").as_bytes());
        assert_eq!(out.pop(), Some(b'\n'));
        assert_eq!(out, *raw, "{}", redis_word(raw));
    }
}

/// A server of this test's own, behind a socket.
struct Redis {
    child: std::process::Child,
    dir: PathBuf,
}

impl Redis {
    fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("perftop-redis-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(dir.join("s"))
            .current_dir(&dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server; tests/run installs it");
        let server = Self { child, dir };
        let start = std::time::Instant::now();
        while server.cli(b"PING\n") != b"PONG\n" {
            assert!(start.elapsed() < std::time::Duration::from_secs(20));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        server
    }

    fn cli(&self, input: &[u8]) -> Vec<u8> {
        run_with(Command::new("redis-cli").arg("-s").arg(self.dir.join("s")), input)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = fs::remove_dir_all(&self.dir);
    }
}

/// What a name must not do, in each of the ways in which a shell could be made to: with a newline, and without anything that needs an escape.
const HOSTILE: [&[u8]; 2] = [
    b" \n'; touch PWNED #\"$(touch PWNED)`touch PWNED`\n&& touch PWNED\\",
    b" $(touch PWNED) `touch PWNED` ; touch PWNED & 'touch PWNED' \"|touch PWNED",
];

/// A sample as if its mounts, groups, disks and interfaces were called that; the suffix of a unit stays.
fn renamed(sample: &Sample, hostile: &[u8], in_unit: bool) -> Sample {
    const NAMES: [&[u8]; 5] = [b"mount", b"source", b"directory", b"path", b"name"];
    let bytes = rmp_serde::to_vec_named(sample).unwrap();
    let (mut out, mut at, mut field) = (Vec::new(), 0, Vec::new());
    while let Some(token) = Token::at(&bytes, at) {
        let whole = &bytes[at..at + token.head + token.body];
        let inner = &whole[token.head..];
        at += whole.len();
        if token.bytes && NAMES.contains(&&field[..]) && !inner.is_empty() {
            let kept = if inner.ends_with(b".service") { 8 } else { 0 };
            let (begin, end) = inner.split_at(inner.len() - kept);
            // As if each group were a unit's.
            let end = if in_unit && field == b"path" && kept == 0 { b".service" } else { end };
            let name = [begin, hostile, end].concat();
            out.push(0xc6);
            out.extend_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
            out.extend_from_slice(&name);
        } else {
            out.extend_from_slice(whole);
        }
        field = if token.text { inner.to_vec() } else { Vec::new() };
    }
    rmp_serde::from_slice(&out).unwrap()
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    found.sort();
    found
}

/// Each command of each fix that the case's findings offer, once.
fn commands(case: &Path, change: impl Fn(&Sample) -> Sample) -> Vec<Paste> {
    let mut engine = Engine::default();
    let mut found: Vec<Paste> = Vec::new();
    for record in Recording::open(case).unwrap() {
        let Record::Sample(sample) = record else { continue };
        let diagnosis = engine.fold(&change(&sample)).evaluation.diagnosis;
        for fix in diagnosis.findings.into_iter().flat_map(|f| f.fixes) {
            for command in [fix.command, fix.verify].into_iter().chain(fix.undo) {
                if !found.contains(&command) {
                    found.push(command);
                }
            }
        }
    }
    found
}

/// What is broken into lines for the hand is the same to bash, which prints a function as it has read it.
fn broken_as_it_is(command: &str) {
    let read = |text: &str| {
        let script = format!("f() {{\n{text}\n}}\ndeclare -f f\n");
        String::from_utf8_lossy(&run(&["bash", "-s"], script.as_bytes())).into_owned()
    };
    let whole = read(command);
    for width in [40, 80] {
        let lines = broken(command, Language::Shell, width).join("\n");
        // A literal that was longer than the screen is two literals side by side.
        let said = read(&lines).replace("''", "");
        assert_eq!(said, whole.replace("''", ""), "{lines}");
    }
}

#[test]
fn nothing_in_a_name_runs_when_the_fixes_of_the_cases_are_pasted() {
    let dir = std::env::temp_dir().join(format!("perftop-pasting-{}", std::process::id()));
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    // Only `touch` is real: no command of a fix reaches this machine.
    std::os::unix::fs::symlink("/usr/bin/touch", bin.join("touch")).unwrap();
    let mut pasted = 0;
    let (mut named, mut units) = (0, 0);
    for (at, case) in cases().into_iter().enumerate() {
        // Each case in two of the four ways.
        let each = [(HOSTILE[at % 2], false), (HOSTILE[(at + 1) % 2], true)];
        let all = each.into_iter().flat_map(|(hostile, unit)| commands(&case, |s| renamed(s, hostile, unit)));
        for command in all {
            assert!(!command.chars().any(char::is_control), "one line: {command}");
            if command.language() == Language::Sql {
                continue;
            }
            pasted += 1;
            named += usize::from(command.contains("PWNED"));
            units += usize::from(command.starts_with("systemctl set-property"));
            if command.language() == Language::Shell && at % 5 == 0 {
                broken_as_it_is(&command);
            }
            let script = format!("kill() {{ :; }}\ncd {}\n{command}\n", dir.display());
            for shell in SHELLS {
                let program = fs::canonicalize(format!("/usr/bin/{}", shell[0])).unwrap();
                let mut paste = Command::new(program);
                paste.args(&shell[1..]).arg("-s").current_dir(&dir).env_clear().env("PATH", &bin);
                _ = run_with(&mut paste, script.as_bytes());
                assert!(!dir.join("PWNED").exists(), "{}: {shell:?} ran a name: {command}", case.display());
            }
        }
    }
    _ = fs::remove_dir_all(&dir);
    assert!(pasted > 200 && named > 40 && units > 0, "{pasted} commands, {named} of them with a name, {units} of a unit");
}

/// Text and style of a mount point in the flesh: full, and called like an attack.
#[test]
fn a_full_mount_with_a_hostile_name_is_looked_at_by_that_name() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: mounting needs root");
        return;
    }
    let dir = std::env::temp_dir().join(format!("perftop-mount-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let script = r#"
        set -e
        mkdir "$NAME"
        mount -t tmpfs -o size=1M none "$NAME"
        dd if=/dev/zero of="$NAME/fill" bs=1k count=2000 2>/dev/null || true
        "$PERFTOP" check --for 3s --only 'host.disk.*' --format json --no-discover > check.json || true
        python3 - check.json <<'PY' > fixes
import json, sys
found = json.load(open(sys.argv[1]))["findings"]
assert found, "the full mount is found"
for f in found[0]["fixes"]:
    if f["language"] == "shell": print(f["command"])
    if f["verify_language"] == "shell": print(f["verify"])
PY
        dash fixes > said 2>&1 || true
        umount "$NAME"
    "#;
    let run = Command::new("unshare")
        .args(["-m", "bash", "-c", script])
        .current_dir(&dir)
        .env("NAME", "a\n'; touch PWNED #")
        .env("PERFTOP", env!("CARGO_BIN_EXE_perftop"))
        .output()
        .unwrap();
    let said = fs::read_to_string(dir.join("said")).unwrap_or_default();
    let fixes = fs::read_to_string(dir.join("fixes")).unwrap_or_default();
    let pwned = dir.join("PWNED").exists();
    _ = fs::remove_dir_all(&dir);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(!pwned, "{fixes}");
    assert!(fixes.contains("du -xh --max-depth=3") && said.contains("1.0M\t"), "{fixes}\n{said}");
}
