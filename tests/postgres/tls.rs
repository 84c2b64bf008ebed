//! TLS to a real server: what each sslmode believes, and what is said where it does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{Server, installed, root};
use super::source;

fn openssl(dir: &Path, args: &[&str]) {
    let out = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl; tests/run installs it");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// An authority, a server's certificate of it for `localhost`, and another authority that nobody knows.
fn certificates() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("perftop-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for (authority, name) in [("ca", "/CN=here"), ("other", "/CN=elsewhere")] {
        let (key, certificate) = (format!("{authority}.key"), format!("{authority}.crt"));
        openssl(
            &dir,
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                name,
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
        );
    }
    openssl(
        &dir,
        &["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
    );
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        &dir,
        &[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "server.crt",
        ],
    );
    if root() {
        assert!(Command::new("chown").args(["-R", "postgres"]).arg(&dir).status().unwrap().success());
    }
    dir
}

#[test]
fn each_sslmode_believes_whom_libpq_would() {
    // The packages of other versions are built without.
    let Some(bin) = installed().into_iter().find(|bin| bin.starts_with("/usr/lib/postgresql")) else { return };
    let dir = certificates();
    let file = |name: &str| dir.join(name).display().to_string();
    let (crt, key) = (format!("ssl_cert_file = '{}'", file("server.crt")), format!("ssl_key_file = '{}'", file("server.key")));
    let server = Server::start(&bin, &["ssl = on", &crt, &key]);
    let port = server.port;
    let cases = [
        ("localhost", "sslmode=disable".to_owned(), None),
        ("localhost", "sslmode=prefer".to_owned(), None),
        ("localhost", "sslmode=require".to_owned(), None),
        ("localhost", format!("sslmode=verify-full&sslrootcert={}", file("ca.crt")), None),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={}", file("ca.crt")), None),
        // Its certificate is for another name.
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={}", file("ca.crt")), Some("not valid for")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={}", file("other.crt")), Some("certificate")),
        ("localhost", format!("sslmode=require&sslrootcert={}", file("other.crt")), Some("certificate")),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere".to_owned(), Some("/nowhere")),
    ];
    let wire = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE application_name = 'perftop' AND ssl";
    std::thread::scope(|scope| {
        for few in cases.chunks(3) {
            let checks: Vec<_> = few
                .iter()
                .map(|(host, query, refused)| {
                    let url = format!("postgres://postgres@{host}:{port}/postgres?{query}");
                    let server = &server;
                    scope.spawn(move || (url.clone(), refused, server.check(&url, 4)))
                })
                .collect();
            for check in checks {
                let (url, refused, said) = check.join().unwrap();
                let row = source(&said);
                match refused {
                    None => assert!(["ok", "degraded"].contains(&row["state"].as_str().unwrap()), "{url}: {row:#}"),
                    Some(why) => {
                        assert_eq!(row["state"], "unreachable", "{url}: {row:#}");
                        assert!(row["why"].as_str().unwrap().contains(why), "{url}: {row:#}");
                    }
                }
            }
        }
        // And it is spoken where it is asked for.
        let url = format!("postgres://postgres@localhost:{port}/postgres?sslmode=require");
        let server = &server;
        let check = scope.spawn(move || server.check(&url, 6));
        let start = std::time::Instant::now();
        while server.sql("postgres", wire) == "0" {
            assert!(start.elapsed() < std::time::Duration::from_secs(20), "no session of perftop speaks TLS");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        check.join().unwrap();
    });
    _ = std::fs::remove_dir_all(&dir);
}
