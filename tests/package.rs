//! The package: what is in it runs, and its unit is one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(program: &str, args: &[&str]) -> Option<Output> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(program).args(args).current_dir(root).output().ok()
}

/// The binary without what only a debugger reads: a tenth of it.
fn stripped(into: &str) -> String {
    let done = run("strip", &["-o", into, env!("CARGO_BIN_EXE_perftop")]).is_some_and(|o| o.status.success());
    if done { into.to_owned() } else { env!("CARGO_BIN_EXE_perftop").to_owned() }
}

/// A package of it, by one of the scripts.
fn packed(script: &str, binary: &str, out: &str) -> String {
    let made = run(script, &[binary, out]).unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// What is published holds what it takes to build it, and none of the recordings.
#[test]
fn the_crate_is_small() {
    let list = run(env!("CARGO"), &["package", "--list", "--allow-dirty", "--offline"]).unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let list = String::from_utf8(list.stdout).unwrap();
    for file in [
        "src/main.rs",
        "src/demo/index.perftop",
        "tests/fixtures/diagnosis.json",
        "themes/dark.toml",
        "config.example.toml",
        "LICENSE",
    ] {
        assert!(list.lines().any(|l| l == file), "{file} is missing");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bytes: u64 = list.lines().filter_map(|l| std::fs::metadata(root.join(l)).ok()).map(|m| m.len()).sum();
    assert!(bytes < 5 << 20, "{bytes} bytes before they are packed: {list}");
}

#[test]
fn the_package_for_fedora_unpacks_and_runs() {
    if run("rpmbuild", &["--version"]).is_none() || run("cpio", &["--version"]).is_none() {
        eprintln!("no rpmbuild and cpio here: packages of that kind are made where they are");
        return;
    }
    let dir = std::env::temp_dir().join(format!("perftop-package-rpm-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("root")).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let package = packed("packaging/rpm", &stripped(&path("perftop")), &path("out"));
    let unpack = format!("cd '{}' && rpm2cpio '{package}' | cpio -id --quiet", path("root"));
    assert!(run("sh", &["-c", &unpack]).unwrap().status.success());
    let root = PathBuf::from(path("root"));
    let version = Command::new(root.join("usr/bin/perftop")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    for file in [
        "usr/share/zsh/site-functions/_perftop",
        "usr/share/man/man1/perftop.1.gz",
        "usr/lib/systemd/system/perftop-record.service",
    ] {
        assert!(std::fs::metadata(root.join(file)).unwrap().len() > 100, "{file}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_package_unpacks_and_runs() {
    if run("dpkg-deb", &["--version"]).is_none() {
        eprintln!("no dpkg-deb here: packages are made on Debian and its kin");
        return;
    }
    let dir = std::env::temp_dir().join(format!("perftop-package-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let package = packed("packaging/deb", &stripped(&path("perftop")), &path("out"));
    let unpacked = run("dpkg-deb", &["-x", &package, &path("root")]).unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    let root = PathBuf::from(path("root"));
    let version = Command::new(root.join("usr/bin/perftop")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    for file in [
        "usr/share/bash-completion/completions/perftop",
        "usr/share/zsh/vendor-completions/_perftop",
        "usr/share/fish/vendor_completions.d/perftop.fish",
        "usr/share/man/man1/perftop.1.gz",
        "usr/share/doc/perftop/config.example.toml",
        "usr/share/perftop/themes/dark.toml",
    ] {
        assert!(std::fs::metadata(root.join(file)).unwrap().len() > 100, "{file}");
    }
    let unit = std::fs::read_to_string(root.join("usr/lib/systemd/system/perftop-record.service")).unwrap();
    // The options of its command are those of this binary.
    let command = unit.lines().find_map(|l| l.strip_prefix("ExecStart=")).unwrap();
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/perftop"));
    let started = Command::new(root.join("usr/bin/perftop"))
        .args(words.map(|word| word.replace("/var/lib/perftop", dir.to_str().unwrap())))
        .args(["--for", "3s", "--no-config", "--no-discover"])
        .env("XDG_STATE_HOME", &dir)
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    if run("systemd-analyze", &["--version"]).is_some() {
        // Of a unit whose command is there, and without the manual page, which is not installed.
        let local = unit.replace("/usr/bin/perftop", &root.join("usr/bin/perftop").display().to_string());
        let local = local.lines().filter(|l| !l.starts_with("Documentation=")).collect::<Vec<_>>().join("\n");
        std::fs::write(path("perftop-record.service"), local).unwrap();
        let out = run("systemd-analyze", &["verify", &path("perftop-record.service")]).unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.lines().any(|l| l.contains("perftop-record.service")), "{said}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// The image is built by the recipe as it stands, holds nothing else, and runs without any file of a system.
#[test]
fn the_image_runs_alone() {
    let root = run("id", &["-u"]).is_some_and(|o| o.stdout == b"0\n");
    if !root || run("buildah", &["--version"]).is_none() {
        eprintln!("no buildah here, or not as root: images are built where they are");
        return;
    }
    let dir = std::env::temp_dir().join(format!("perftop-image-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    stripped(&path("perftop"));
    let buildah = |args: &[&str]| {
        let store = ["--storage-driver".into(), "vfs".into(), "--root".into(), path("store"), "--runroot".into(), path("run")];
        let words: Vec<String> = store.into_iter().chain(args.iter().map(|a| (*a).to_owned())).collect();
        let done = run("buildah", &words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        (done.status.success(), format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
    };
    let built = buildah(&["bud", "--isolation", "chroot", "-f", "packaging/Containerfile", "-t", "perftop", &path("")]);
    assert!(built.0, "{}", built.1);
    assert!(buildah(&["from", "--name", "alone", "perftop"]).0);
    let said = buildah(&[
        "run",
        "--isolation",
        "chroot",
        "alone",
        "--",
        "/usr/bin/perftop",
        "check",
        "--no-discover",
        "--for",
        "3s",
        "-v",
    ]);
    assert!(said.0 && said.1.contains("of foreground time"), "{}", said.1);
    assert!(buildah(&["rm", "alone"]).0);
    std::fs::remove_dir_all(dir).unwrap();
}
