//! TLS to a real server: what each sslmode believes, and what is said where it does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{Server, installed, root};
use super::source;

fn openssl(dir: &Path, line: &str) {
    let out = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().expect("openssl; tests/run installs it");
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
}

/// An authority, a server's certificate of it for `localhost`, and another authority that nobody knows.
fn certificates(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("perftop-tls-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let new = "-newkey rsa:2048 -nodes";
    for (authority, name) in [("ca", "/CN=here"), ("other", "/CN=elsewhere")] {
        openssl(&dir, &format!("req -x509 {new} -days 2 -subj {name} -keyout {authority}.key -out {authority}.crt"));
    }
    openssl(&dir, &format!("req {new} -subj /CN=localhost -keyout server.key -out server.csr"));
    let signed = "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2";
    openssl(&dir, &format!("{signed} -extfile names -out server.crt"));
    // By PostgreSQL's own recipe: no extensions, so version 1. And one that signs itself.
    openssl(&dir, &format!("{signed} -out old.crt"));
    let own = "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout self.key -out self.crt";
    openssl(&dir, &format!("req -x509 {new} -days 2 {own}"));
    // The same, and it ended yesterday.
    std::fs::write(dir.join("own"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:TRUE\n").unwrap();
    openssl(&dir, "x509 -req -in server.csr -signkey server.key -days -1 -extfile own -out gone.crt");
    if root() {
        assert!(Command::new("chown").args(["-R", "postgres"]).arg(&dir).status().unwrap().success());
    }
    dir
}

#[test]
fn each_sslmode_believes_whom_libpq_would() {
    // The packages of other versions are built without.
    let Some(bin) = installed().into_iter().find(|bin| bin.starts_with("/usr/lib/postgresql")) else { return };
    let dir = certificates("modes");
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

/// Certificates that libpq takes: of version 1 where nobody is asked to vouch, and one that is its own authority.
#[test]
fn certificates_of_old_and_of_their_own_are_taken_where_libpq_takes_them() {
    let Some(bin) = installed().into_iter().find(|bin| bin.starts_with("/usr/lib/postgresql")) else { return };
    let dir = certificates("old");
    let file = |name: &str| dir.join(name).display().to_string();
    for (certificate, key, query, fine) in [
        ("old.crt", "server.key", "sslmode=require".to_owned(), true),
        ("self.crt", "self.key", format!("sslmode=verify-full&sslrootcert={}", file("self.crt")), true),
        ("self.crt", "self.key", format!("sslmode=verify-full&sslrootcert={}", file("ca.crt")), false),
        ("gone.crt", "server.key", format!("sslmode=verify-full&sslrootcert={}", file("gone.crt")), false),
    ] {
        let (crt, key) = (format!("ssl_cert_file = '{}'", file(certificate)), format!("ssl_key_file = '{}'", file(key)));
        let server = Server::start(&bin, &["ssl = on", &crt, &key]);
        let d = server.check(&format!("postgres://postgres@localhost:{}/postgres?{query}", server.port), 4);
        assert_eq!(source(&d)["state"] != "unreachable", fine, "{certificate} {query}: {:#}", source(&d));
    }
    let url = "postgres://u@127.0.0.1:1/d?sslmode=require&sslrootcert=system";
    let out = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["check", "--no-config", "--postgres", url]).output().unwrap();
    assert_eq!(out.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&out.stderr).contains("verify-full"));
    _ = std::fs::remove_dir_all(&dir);
}
