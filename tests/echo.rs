//! A kind of server is added by its own folder and one row: CONTRIBUTING.md, "A kind of server", is followed word by word with an echo
//! server (`tests/echo`), and the perftop that comes out is used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        match entry.file_type().unwrap().is_dir() {
            true if ["target", ".git", "screenshots", "snapshots", "cases", "results"].iter().any(|left| name == **left) => {}
            true => copy(&path, &to.join(name)),
            false => _ = fs::copy(&path, to.join(name)).unwrap(),
        }
    }
}

/// The first line that `finds` is followed by the same with another word.
fn beside(file: &Path, line: &str, word: &str, other: &str) -> bool {
    let Ok(text) = fs::read_to_string(file) else { return false };
    let Some(found) = text.lines().find(|l| l.trim_start_matches("pub ").trim_start_matches("pub(crate) ").starts_with(line))
    else {
        return false;
    };
    let twin = found.replace(word, other);
    fs::write(file, text.replacen(found, &format!("{found}\n{twin}"), 1)).unwrap();
    true
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// A copy of the house with the kind in it.
fn with_echo(house: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(root, house);
    // The folder …
    copy(&root.join("tests/echo/src"), &house.join("src"));
    let mut modules = 0;
    for file in files(&root.join("tests/echo/src")) {
        let own = file.strip_prefix(root.join("tests/echo/src")).unwrap();
        let folder = own.iter().any(|part| part == "echo");
        let parent = if folder { own.parent().unwrap().parent().unwrap() } else { own.parent().unwrap() };
        let module = house.join("src").join(parent).join("mod.rs");
        if !fs::read_to_string(&module).unwrap().contains("mod echo;") {
            // … with the line by which the compiler finds it …
            assert!(beside(&module, "mod postgres;", "postgres", "echo"), "{}", module.display());
            modules += 1;
        }
    }
    assert_eq!(modules, 8, "a line for each layer");
    // … and one row.
    let table = house.join("src/model/kinds.rs");
    let text = fs::read_to_string(&table).unwrap();
    let row = "            Postgres postgres \"PostgreSQL\",\n";
    assert!(text.contains(row));
    fs::write(&table, text.replace(row, &format!("{row}            Echo echo \"Echo\",\n"))).unwrap();
    // Beside the other program of that name.
    let manifest = house.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(manifest, text.replace("[[bin]]\nname = \"perftop\"", "[[bin]]\nname = \"perftop-echo\"")).unwrap();
}

/// Gone at the end, whatever comes.
struct House(PathBuf);

impl Drop for House {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn cargo(house: &Path, target: &Path, args: &[&str]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(house).env("CARGO_TARGET_DIR", target).env("PERFTOP_BLESS", "1").arg("--offline").args(args);
    let done = cargo.output().unwrap();
    assert!(
        done.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    done
}

/// Answers each line after a while.
fn slow_echo(pause: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut line = String::new();
                _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
                std::thread::sleep(pause);
                _ = stream.write_all(line.as_bytes());
            });
        }
    });
    port
}

#[test]
fn a_kind_of_server_is_a_folder_and_a_row() {
    // Not below this house, whose `.cargo` would be read a second time.
    let house = House(std::env::temp_dir().join(format!("perftop-echo-{}", std::process::id())));
    with_echo(&house.0);
    // What is compiled already is taken from where this test was compiled.
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors().filter(|dir| dir.join("CACHEDIR.TAG").exists()).last().unwrap();
    cargo(&house.0, target, &["test", "--test", "tidy", "--", "--quiet"]);
    cargo(&house.0, target, &["build", "--bin", "perftop-echo"]);
    let built = Path::new(env!("CARGO_BIN_EXE_perftop")).with_file_name("perftop-echo");
    let perftop = |args: &[&str]| Command::new(&built).args(args).output().unwrap();
    let text = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();

    assert!(text(&perftop(&["--help"])).contains("--echo <URL>"));
    assert!(text(&perftop(&["explain", "echo.slow"])).contains("a line takes long to come back"));
    let wrong = perftop(&["check", "--no-config", "--no-discover", "--echo", "echo://nowhere"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("write echo://HOST:PORT"));

    let url = format!("echo://127.0.0.1:{}", slow_echo(Duration::from_millis(150)));
    let judged = perftop(&["check", "--no-config", "--no-discover", "--for", "5s", "--format", "json", "--echo", &url]);
    let judged: Value = serde_json::from_slice(&judged.stdout).unwrap();
    let sources = judged["sources"].as_array().unwrap();
    assert!(sources.iter().any(|s| s["kind"] == "echo" && s["state"] == "ok"), "{judged}");
    let found = judged["findings"].as_array().unwrap().iter().find(|f| f["id"] == "echo.slow").unwrap();
    assert!(found["evidence"][0]["value"].as_f64().unwrap() >= 150.0, "{found}");
    assert_eq!(found["severity"], "info");
    _ = fs::remove_file(built);
}
