//! Targets of the environment, as libpq's own tools take them: `DATABASE_URL`, or `PGHOST` with `PGPORT`, several of them by commas.

use std::path::Path;

use crate::model::foreign::Private;

use super::target::Target;

/// The servers that the environment names.
///
/// # Errors
/// Which variable is wrong, and why. The `DATABASE_URL` of another kind of database is not ours.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Target>, String> {
    let set = |name: &str| variable(name).filter(|v| !v.is_empty());
    let mut targets = Vec::new();
    if let Some(url) = set("DATABASE_URL").filter(|url| url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        targets.push(Target::parse(&url).map_err(|why| format!("DATABASE_URL: {why}"))?);
    }
    let Some(hosts) = set("PGHOST") else { return Ok(targets) };
    let ports = set("PGPORT").unwrap_or_default();
    let ports: Vec<&str> = ports.split(',').map(str::trim).collect();
    for (at, host) in hosts.split(',').map(str::trim).enumerate() {
        // One port for all of them, or one each.
        let port = ports.get(at).or(ports.first().filter(|_| ports.len() == 1)).copied().unwrap_or_default();
        let port = match port {
            "" => 5432,
            text => text.parse().map_err(|_| format!("PGPORT: {text:?} is no port: a number from 1 to 65535"))?,
        };
        let mut target = match host {
            "" => return Err("PGHOST: one of the hosts is empty".into()),
            dir if dir.starts_with('/') => Target::socket(Path::new(dir), port),
            // A bare IPv6 address stands in brackets in a URL.
            host if host.contains(':') => {
                Target::parse(&format!("postgres://[{host}]:{port}/")).map_err(|why| format!("PGHOST: {why}"))?
            }
            host => Target::parse(&format!("postgres://{host}:{port}/")).map_err(|why| format!("PGHOST: {why}"))?,
        };
        target.discovered = false;
        if let Some(database) = set("PGDATABASE") {
            target.database = database;
        }
        target.password = set("PGPASSWORD").map(Private::new);
        targets.push(target);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variable = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Ok(from_environment(variable)?.iter().map(|t| format!("{} {}", t.shown(), t.database)).collect())
    }

    #[test]
    fn as_libpq_takes_it() {
        assert_eq!(of(&[]).unwrap(), [""; 0]);
        assert_eq!(of(&[("PGHOST", "db1"), ("PGDATABASE", "shop")]).unwrap(), ["db1:5432 shop"]);
        assert_eq!(of(&[("PGHOST", "::1"), ("PGPORT", "5433")]).unwrap(), ["[::1]:5433 postgres"]);
        assert_eq!(of(&[("PGHOST", "a,b"), ("PGPORT", "1,2")]).unwrap(), ["a:1 postgres", "b:2 postgres"]);
        assert_eq!(of(&[("PGHOST", "a,/run/pg"), ("PGPORT", "6000")]).unwrap(), ["a:6000 postgres", "/run/pg:6000 postgres"]);
        assert_eq!(of(&[("DATABASE_URL", "mysql://x")]).unwrap(), [""; 0], "not ours");
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        assert!(of(&[("DATABASE_URL", "postgres://u@h:99999999/x")]).unwrap_err().starts_with("DATABASE_URL: "));
        assert!(of(&[("PGHOST", "a"), ("PGPORT", "many")]).unwrap_err().starts_with("PGPORT: \"many\""));
        assert!(of(&[("PGHOST", "a,,b")]).unwrap_err().starts_with("PGHOST: "));
        let secret = of(&[("DATABASE_URL", "postgres://u:hunter2@h:port/x")]).unwrap_err();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
