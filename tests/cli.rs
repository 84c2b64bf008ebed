//! The command line and bad input: exit codes of the contract, errors that name the place and the way out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn perftop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perftop")).args(args).output().unwrap()
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("perftop-cli-{}-{name}", std::process::id()))
}

#[test]
fn wrong_usage_is_64_and_never_2() {
    for args in [
        &["check", "--for", "1s"][..],
        &["check", "--format", "xml"],
        &["--nonsense"],
        &["check", "--for", "soon"],
        &["check", "--only", "host.cpu.contentoin"],
        &["explain", "host.cpu.contentoin"],
        &["replay", "--speed", "fast", "x"],
        &["record", "--every", "1ms", "x"],
        &["check", "--procfs-root", "/nowhere"],
    ] {
        let out = perftop(args);
        assert_eq!(out.status.code(), Some(64), "{args:?}: {}", stderr(&out));
        assert!(!stderr(&out).is_empty(), "{args:?}");
    }
    assert!(stderr(&perftop(&["check", "--only", "host.cpu.contentoin"])).contains("did you mean `host.cpu.contention`?"));
    assert!(stderr(&perftop(&["explain", "host.disk.ful"])).contains("did you mean `host.disk.full`?"));
    assert!(!stderr(&perftop(&["explain", "nonsense"])).contains("did you mean"));
    assert_eq!(perftop(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_missing_recording_is_74() {
    let out = perftop(&["replay", "--json", "/nowhere/x.perftop"]);
    assert_eq!(out.status.code(), Some(74), "{}", stderr(&out));
}

#[test]
fn a_wrong_configuration_names_file_line_key_and_the_nearest_name() {
    let file = temporary("bad.toml");
    fs::write(&file, "thme = \"dark\"\n[rules.\"host.cpu.contention\"]\nlost = \"much\"\nlots = 3\n").unwrap();
    let out = perftop(&["check", "--config", file.to_str().unwrap()]);
    let text = stderr(&out);
    assert_eq!(out.status.code(), Some(64));
    for part in [
        "bad.toml:1",
        "`thme`",
        "did you mean `theme`?",
        "bad.toml:3",
        "a number is needed",
        "bad.toml:4",
        "did you mean `lost`?",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    fs::remove_file(file).unwrap();
}

#[test]
fn config_print_shows_values_and_origins() {
    let file = temporary("good.toml");
    fs::write(&file, "\ntheme = \"light\"\n").unwrap();
    let text = stdout(&perftop(&["config", "print", "--ascii", "--config", file.to_str().unwrap()]));
    assert!(text.lines().any(|l| l.starts_with("theme = \"light\"") && l.ends_with("good.toml:2")), "{text}");
    assert!(text.lines().any(|l| l.starts_with("ascii = true") && l.ends_with("--ascii")), "{text}");
    assert!(text.lines().any(|l| l.starts_with("record.every") && l.ends_with("default")), "{text}");
    fs::remove_file(file).unwrap();
}

#[test]
fn explain_has_a_page_for_every_finding() {
    for line in stdout(&perftop(&["explain"])).lines().take_while(|l| !l.is_empty()) {
        let id = line.split(' ').next().unwrap();
        let page = stdout(&perftop(&["explain", id]));
        assert!(page.starts_with(id) && page.contains("Figures:"), "{id}");
    }
}

/// A /proc of files: this machine's own, as far as perftop reads it, with `change` applied to each.
fn copied_proc(name: &str, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> PathBuf {
    let root = temporary(name);
    let copy = |from: &str| {
        let Ok(bytes) = fs::read(Path::new("/proc").join(from)) else { return };
        let to = root.join(from);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, change(from, bytes)).unwrap();
    };
    let global = [
        "stat",
        "loadavg",
        "meminfo",
        "vmstat",
        "diskstats",
        "pressure/cpu",
        "pressure/memory",
        "pressure/io",
        "sys/fs/file-nr",
        "sys/kernel/hostname",
        "sys/kernel/osrelease",
    ];
    global.iter().for_each(|f| copy(f));
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
    for pid in pids.filter(|p| p.parse::<u32>().is_ok()) {
        ["stat", "schedstat", "cgroup", "cmdline"].iter().for_each(|f| copy(&format!("{pid}/{f}")));
    }
    for file in ["dev", "snmp", "netstat", "tcp", "tcp6", "unix"] {
        copy(&format!("1/net/{file}"));
    }
    copy("1/mountinfo");
    root
}

fn check_root(root: &Path) -> serde_json::Value {
    let out = perftop(&["check", "--for", "3s", "--format", "json", "--procfs-root", root.to_str().unwrap()]);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(&out)))
}

#[test]
fn garbage_in_any_one_file_makes_that_one_thing_unknown() {
    let healthy = copied_proc("fine", |_, bytes| bytes);
    let all = check_root(&healthy);
    fs::remove_dir_all(&healthy).unwrap();
    for bad in [
        "stat",
        "meminfo",
        "vmstat",
        "diskstats",
        "pressure/cpu",
        "pressure/io",
        "loadavg",
        "1/net/snmp",
        "1/net/dev",
        "1/stat",
        "1/cmdline",
    ] {
        let root = copied_proc("garbage", |name, bytes| {
            if name == bad { b"\x1b]52;c;AAAA\x07 -5 \xff\xfe\n99999999999999999999999 -1\n".to_vec() } else { bytes }
        });
        let document = check_root(&root);
        fs::remove_dir_all(&root).unwrap();
        let text = document.to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{bad}");
        let ids = |list: &str, d: &serde_json::Value| -> Vec<String> {
            d[list].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
        };
        let seen = [ids("cleared", &document), ids("findings", &document)].concat();
        let file = bad.rsplit('/').next().unwrap();
        for id in ids("cleared", &all).iter().filter(|id| !seen.contains(id)) {
            // What is not judged any more must say that it was because that very file is missing.
            let rows = document["unknown"].as_array().unwrap();
            let because = rows.iter().find(|r| r["id"] == id.as_str()).map(|r| r["because"].as_str().unwrap());
            // A busy machine may leave time for one sample only, whatever the file.
            if because.is_some_and(|b| b.contains("needs a second sample")) {
                continue;
            }
            let names = because.is_some_and(|b| b.contains(file) || file == "vmstat" && b.contains("psw"));
            assert!(names, "{bad} hides {id}: {because:?}");
        }
    }
}

#[test]
fn control_characters_in_a_name_and_an_endless_command_line_are_tamed() {
    let root = copied_proc("hostile", |name, bytes| match name {
        "sys/kernel/hostname" => b"evil\x1b]0;x\x07\n".to_vec(),
        "1/cmdline" => b"x\0".repeat(2_000_000),
        "1/stat" => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let rest = text.rsplit(") ").next().unwrap().to_owned();
            format!("1 (a\x1b[31m) {rest}").into_bytes()
        }
        _ => bytes,
    });
    let document = check_root(&root);
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(document["host"]["name"], "evil\\x1b]0;x\\x07");
}

#[test]
fn a_password_in_a_url_is_refused_wherever_it_stands_and_never_shown() {
    let file = temporary("secret.toml");
    for url in
        ["postgres://app:s3cret@db/shop", "postgres://db/shop?password=s3cret", "postgres://app@db/shop?sslpassword=s3cret"]
    {
        fs::write(&file, format!("[postgres.main]\nurl = \"{url}\"\n")).unwrap();
        for command in ["check", "doctor", "config"] {
            let file = file.to_str().unwrap();
            for args in [vec![command, "--no-config", "--postgres", url], vec![command, "--config", file]] {
                let out = perftop(&args);
                let said = stdout(&out) + &stderr(&out);
                assert_eq!(out.status.code(), Some(64), "{args:?}: {said}");
                assert!(said.contains("PGPASSWORD") && !said.contains("s3cret"), "{args:?}: {said}");
            }
        }
    }
    fs::remove_file(file).unwrap();
}

#[test]
fn a_password_file_that_others_can_read_is_refused_with_what_to_type() {
    use std::os::unix::fs::PermissionsExt;
    let (file, config) = (temporary("password"), temporary("password.toml"));
    fs::write(&file, "s3cret\n").unwrap();
    let url = "postgres://app@127.0.0.1:1/shop?sslmode=disable";
    fs::write(&config, format!("[postgres.main]\nurl = \"{url}\"\npassword_file = \"{}\"\n", file.display())).unwrap();
    for (mode, refused) in [(0o644, true), (0o620, true), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let out = perftop(&["check", "--for", "3s", "--no-discover", "--config", config.to_str().unwrap()]);
        let said = stdout(&out) + &stderr(&out);
        assert_eq!(out.status.code() == Some(64), refused, "{mode:o}: {said}");
        assert_eq!(said.contains(&format!("type: chmod 600 {}", file.display())), refused, "{said}");
        assert!(!said.contains("s3cret"));
    }
    fs::remove_file(file).unwrap();
    fs::remove_file(config).unwrap();
}

/// What never ends, and what never begins.
#[test]
fn files_that_are_no_files_are_refused_at_once() {
    let fifo = temporary("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.to_str().unwrap();
    let config = temporary("fifo.toml");
    fs::write(&config, format!("[postgres.main]\nurl = \"postgres://db/\"\npassword_file = \"{fifo}\"\n")).unwrap();
    let config = config.to_str().unwrap();
    let start = std::time::Instant::now();
    for args in [
        &["config", "check", "--config", "/dev/zero"][..],
        &["config", "check", "--config", fifo],
        &["config", "check", "--config", "/tmp"],
        &["config", "check", "--no-config", "--theme", "/dev/zero"],
        &["config", "check", "--no-config", "--theme", fifo],
        &["check", "--config", config],
    ] {
        let out = perftop(args);
        assert_eq!(out.status.code(), Some(64), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("is not a regular file"), "{args:?}: {}", stderr(&out));
    }
    // One that the library would find by itself.
    let out = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--for", "3s", "--no-config", "--no-discover", "--postgres", "postgres://app@127.0.0.1:1/shop"])
        .env("PGPASSFILE", fifo)
        .env_remove("PGPASSWORD")
        .output()
        .unwrap();
    assert!(stdout(&out).contains("postgres:1"), "{}", stderr(&out));
    assert!(start.elapsed() < std::time::Duration::from_secs(30));
    fs::remove_file(fifo).unwrap();
    fs::remove_file(config).unwrap();
}

#[test]
fn what_cannot_be_written_is_an_error_everywhere() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["explain"],
        &["config", "example"],
        &["man"],
        &["doctor", "--audit"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_perftop")).args(args).stdout(full).output().unwrap();
        assert_eq!(out.status.code(), Some(74), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("standard output"), "{args:?}: {}", stderr(&out));
    }
}

/// What `check` would refuse, `config check` refuses, and names the line of it.
#[test]
fn a_password_that_others_can_read_is_refused_by_config_check_at_its_line() {
    use std::os::unix::fs::PermissionsExt;
    let (secret, config) = (temporary("open.password"), temporary("open.toml"));
    fs::write(&secret, "x\n").unwrap();
    let text = format!("[postgres.main]\nurl = \"postgres://u@127.0.0.1/x\"\npassword_file = {:?}\n", secret.to_str().unwrap());
    fs::write(&config, text).unwrap();
    let check = |mode: u32| {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        perftop(&["--config", config.to_str().unwrap(), "config", "check"])
    };
    let refused = check(0o644);
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("open.toml:3: password_file") && stderr(&refused).contains("chmod 600"),
        "{}",
        stderr(&refused)
    );
    assert!(check(0o600).status.success());
    _ = (fs::remove_file(&secret), fs::remove_file(&config));
}

#[test]
fn signals_end_every_command_with_128_and_their_number() {
    let file = temporary("signals.perftop");
    for (args, signal) in [
        (vec!["check", "--for", "60s"], rustix::process::Signal::TERM),
        (vec!["check", "--for", "60s"], rustix::process::Signal::QUIT),
        (vec!["check", "--for", "60s"], rustix::process::Signal::HUP),
        (vec!["record", file.to_str().unwrap()], rustix::process::Signal::TERM),
        (vec!["record", file.to_str().unwrap()], rustix::process::Signal::INT),
    ] {
        // As a shell starts it, whatever this test was started by: what is ignored above it (nohup, a job in the background) stays so.
        let mut child =
            Command::new("env").args(["--default-signal", env!("CARGO_BIN_EXE_perftop")]).args(&args).spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let start = std::time::Instant::now();
        let caught = || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (signal.as_raw() - 1) != 0
        };
        // A recording has its first sample.
        let begun = || args[0] != "record" || fs::metadata(&file).is_ok_and(|m| m.len() > 1_000);
        while !caught() || !begun() {
            assert!(start.elapsed() < std::time::Duration::from_secs(20), "{args:?} does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(128 + signal.as_raw()), "{args:?}");
        // A recording is sealed all the same.
        if args[0] == "record" {
            assert!(perftop(&["replay", "--json", file.to_str().unwrap()]).status.success());
            fs::remove_file(&file).unwrap();
        }
    }
}
