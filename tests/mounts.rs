//! No mount is left out in silence: real mounts in a namespace of their own, more of them than anybody would look at, and the full one last.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::process::Command;

use serde_json::Value;

/// What `check` says beside so many mounts in memory, the last of them full.
fn check(mounts: u32) -> Option<Value> {
    if !Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: no mount namespaces here");
        return None;
    }
    let dir = std::env::temp_dir().join(format!("perftop-mounts-{mounts}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let script = r#"
        set -e
        for n in $(seq "$MOUNTS"); do mkdir "m$n"; mount -t tmpfs -o size=1M none "m$n"; done
        dd if=/dev/zero of="m$MOUNTS/fill" bs=1k count=2000 2>/dev/null || true
        "$PERFTOP" check --for 3s --only 'host.disk.*' --format json --no-discover --no-config || true
    "#;
    let run = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .current_dir(&dir)
        .env("MOUNTS", mounts.to_string())
        .env("PERFTOP", env!("CARGO_BIN_EXE_perftop"))
        .output()
        .unwrap();
    _ = std::fs::remove_dir_all(&dir);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(serde_json::from_slice(&run.stdout).unwrap())
}

#[test]
fn the_full_mount_is_found_behind_seventy_others() {
    let Some(d) = check(70) else { return };
    let found = d["findings"].as_array().unwrap().iter().find(|f| f["id"] == "host.disk.full");
    assert!(found.is_some_and(|f| f["subject"]["key"].as_str().unwrap().ends_with("/m70")), "{:#}", d["findings"]);
    // On a machine that is busy one of them may take its time: then it is said to, and not cleared.
    let Some(hung) = d["cleared"].as_array().unwrap().iter().find(|c| c["id"] == "host.disk.mount_hung") else {
        assert!(d["findings"].as_array().unwrap().iter().any(|f| f["id"] == "host.disk.mount_hung"), "{d:#}");
        return;
    };
    let answered: u32 = hung["because"].as_str().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    assert!(answered >= 70, "{hung}");
}

#[test]
fn mounts_that_nobody_asked_are_said_and_not_cleared() {
    let Some(d) = check(600) else { return };
    for id in ["host.disk.mount_hung", "host.disk.full", "host.disk.inodes_exhausted"] {
        let rows: Vec<_> = d["unknown"].as_array().unwrap().iter().filter(|u| u["id"] == id).collect();
        let because = rows.first().map_or("", |row| row["because"].as_str().unwrap());
        assert!(rows.len() == 1 && because.contains("mounts were not checked: 512 of "), "{id}: {rows:#?}");
    }
    let clears = |id: &str| d["cleared"].as_array().unwrap().iter().any(|c| c["id"] == id);
    assert!(!clears("host.disk.mount_hung"));
}
