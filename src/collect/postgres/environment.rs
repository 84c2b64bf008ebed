//! Targets of the environment, as libpq's own tools take them: `DATABASE_URL`, or `PGHOST` with `PGPORT`, several of them by commas.

use std::path::Path;

use crate::model::foreign::Private;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::target::Target;

/// The servers named by environment variables; and the variables with an invalid address, as sources with the reason. The
/// `DATABASE_URL` of another kind of database is not ours.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> (Vec<Target>, Vec<SourceStatus>) {
    let set = |name: &str| variable(name).filter(|v| !v.is_empty());
    let (mut targets, mut wrong) = (Vec::new(), Vec::new());
    if let Some(url) = set("DATABASE_URL").filter(|url| url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        match Target::parse(&url) {
            Ok(target) => targets.push(target),
            Err(why) => wrong.push(unusable("DATABASE_URL", why)),
        }
    }
    let Some(hosts) = set("PGHOST") else { return (targets, wrong) };
    let ports = set("PGPORT").unwrap_or_else(|| "5432".into());
    let ports: Vec<&str> = ports.split(',').map(str::trim).collect();
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
    if ports.len() > 1 && ports.len() != hosts.len() {
        wrong.push(unusable("PGPORT", format!("{} ports for {} hosts", ports.len(), hosts.len())));
        return (targets, wrong);
    }
    for (at, host) in hosts.into_iter().enumerate() {
        match server(host, ports.get(at).or(ports.first()).copied().unwrap_or_default()) {
            Ok(mut target) => {
                target.discovered = false;
                target.database = set("PGDATABASE").unwrap_or(target.database);
                target.password = set("PGPASSWORD").map(Private::new);
                targets.push(target);
            }
            Err((name, why)) => wrong.push(unusable(name, why)),
        }
    }
    (targets, wrong)
}

/// One host and its port; or which variable is wrong.
fn server(host: &str, port: &str) -> Result<Target, (&'static str, String)> {
    let number: u16 = match port {
        "" => 5432,
        text => text.parse().map_err(|_| ("PGPORT", format!("{text:?} is not a port: give a number from 1 to 65535")))?,
    };
    let parsed = match host {
        "" => Err("one of the hosts is empty".into()),
        dir if dir.starts_with('/') => Ok(Target::socket(Path::new(dir), number)),
        // A bare IPv6 address stands in brackets in a URL.
        host if host.contains(':') => Target::parse(&format!("postgres://[{host}]:{number}/")),
        host => Target::parse(&format!("postgres://{host}:{number}/")),
    };
    parsed.map_err(|why| ("PGHOST", why))
}

fn unusable(variable: &str, why: String) -> SourceStatus {
    SourceStatus {
        id: format!("postgres:{variable}"),
        kind: SourceKind::Postgres,
        state: SourceState::NotWatched,
        place: Place::Unknown,
        role: None,
        version: None,
        reader: None,
        why: Some(format!("the variable {variable}: {why}")),
        way_in: Some(format!("correct {variable}, or unset it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let variable = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let (targets, wrong) = from_environment(variable);
        let shown = targets.iter().map(|t| format!("{} {}", t.shown(), t.database)).collect();
        (shown, wrong.into_iter().filter_map(|s| s.why).collect())
    }

    #[test]
    fn as_libpq_takes_it() {
        let good = |set: &[(&str, &str)]| {
            let (targets, wrong) = of(set);
            assert!(wrong.is_empty(), "{wrong:?}");
            targets
        };
        assert_eq!(good(&[]), [""; 0]);
        assert_eq!(good(&[("PGHOST", "db1"), ("PGDATABASE", "shop")]), ["db1:5432 shop"]);
        assert_eq!(good(&[("PGHOST", "::1"), ("PGPORT", "5433")]), ["[::1]:5433 postgres"]);
        assert_eq!(good(&[("PGHOST", "a,b"), ("PGPORT", "1,2")]), ["a:1 postgres", "b:2 postgres"]);
        assert_eq!(good(&[("PGHOST", "a,/run/pg"), ("PGPORT", "6000")]), ["a:6000 postgres", "/run/pg:6000 postgres"]);
        assert_eq!(good(&[("DATABASE_URL", "mysql://x")]), [""; 0], "not ours");
    }

    #[test]
    fn what_is_wrong_names_its_variable_and_stops_nothing() {
        let wrong = |set: &[(&str, &str)]| of(set).1.join("; ");
        assert!(wrong(&[("DATABASE_URL", "postgres://u@h:99999999/x")]).starts_with("the variable DATABASE_URL: "));
        assert!(wrong(&[("PGHOST", "a"), ("PGPORT", "many")]).starts_with("the variable PGPORT: \"many\""));
        assert!(wrong(&[("PGHOST", "a,b,c"), ("PGPORT", "1,2")]).contains("2 ports for 3 hosts"));
        let (targets, why) = of(&[("PGHOST", "a,,b")]);
        assert_eq!((targets.len(), why.len()), (2, 1));
        let secret = wrong(&[("DATABASE_URL", "postgres://u:hunter2@h:port/x")]);
        assert!(!secret.is_empty() && !secret.contains("hunter2"), "{secret}");
    }
}
