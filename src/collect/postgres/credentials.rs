//! Passwords of password and service files. They supply credentials for a target that is known, never targets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::collect::bounded;
use crate::model::foreign::Private;

/// The text of a file in the home directory, or where that variable says; empty when there is none, or others may read it.
fn private(variable: &str, name: &str) -> String {
    place(variable, name).and_then(|path| bounded::secret(&path).ok()).unwrap_or_default()
}

fn place(variable: &str, name: &str) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(name));
    std::env::var_os(variable).map(PathBuf::from).or_else(home)
}

/// Why the password or service file is left alone: others may read it, or it is not a file. A missing one is not a reason.
#[must_use]
pub fn left_alone() -> Option<String> {
    let files = [("PGPASSFILE", ".pgpass"), ("PGSERVICEFILE", ".pg_service.conf")];
    files.iter().find_map(|(variable, name)| {
        let path = place(variable, name).filter(|path| path.exists())?;
        bounded::secret(&path).err().map(|refused| refused.to_string())
    })
}

/// Passwords of the password file and of services.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    entries: Vec<[Private<String>; 5]>,
}

impl Credentials {
    /// Reads `PGPASSFILE` or `~/.pgpass`, then `PGSERVICEFILE` or `~/.pg_service.conf`; one that others may read is left alone,
    /// as libpq does with the first.
    #[must_use]
    pub fn read() -> Self {
        let mut all = Self::parse(&private("PGPASSFILE", ".pgpass"));
        all.entries.extend(Self::services(&private("PGSERVICEFILE", ".pg_service.conf")).entries);
        all
    }

    /// Sections of a service file: the password of a role on a host. One that names neither is for whomever, and left out.
    #[must_use]
    pub fn services(text: &str) -> Self {
        let mut sections: Vec<BTreeMap<&str, &str>> = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            match line.split_once('=') {
                _ if line.starts_with('[') => sections.push(BTreeMap::new()),
                Some((key, value)) => {
                    if let Some(section) = sections.last_mut() {
                        section.insert(key.trim(), value.trim());
                    }
                }
                None => {}
            }
        }
        let entry = |s: &BTreeMap<&str, &str>| {
            let host = s.get("host").or_else(|| s.get("hostaddr"))?;
            let any = |key: &str, other: &'static str| (*s.get(key).unwrap_or(&other)).to_owned();
            let parts = [
                (*host).to_owned(),
                any("port", "5432"),
                any("dbname", "*"),
                (*s.get("user")?).to_owned(),
                (*s.get("password")?).to_owned(),
            ];
            Some(parts.map(Private::new))
        };
        Self { entries: sections.iter().filter_map(entry).collect() }
    }

    /// Lines `host:port:database:user:password`; `\:` and `\\` are escaped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let mut parts = vec![String::new()];
            let mut chars = line.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => parts.last_mut()?.extend(chars.next()),
                    ':' if parts.len() < 5 => parts.push(String::new()),
                    c => parts.last_mut()?.push(c),
                }
            }
            let parts: [String; 5] = parts.try_into().ok()?;
            Some(parts.map(Private::new))
        };
        let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        Self { entries: lines.filter_map(entry).collect() }
    }

    /// The password for that server, database and role, if there is one.
    #[must_use]
    pub fn password(&self, host: &str, port: u16, database: &str, role: &str) -> Option<String> {
        let fits = |pattern: &Private<String>, value: &str| pattern.reveal() == "*" || pattern.reveal() == value;
        let port = port.to_string();
        let found =
            self.entries.iter().find(|[h, p, d, u, _]| fits(h, host) && fits(p, &port) && fits(d, database) && fits(u, role));
        found.map(|[.., password]| password.reveal().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_password_file_supplies_the_first_line_that_fits() {
        let c = Credentials::parse("# comment\nh:1:*:u:a\\:b\n*:*:*:*:c\nbroken\n");
        assert_eq!(c.password("h", 1, "d", "u").as_deref(), Some("a:b"));
        assert_eq!(c.password("h", 2, "d", "u").as_deref(), Some("c"));
        assert_eq!(Credentials::parse("h:1:d:u:p").password("x", 1, "d", "u"), None);
    }

    #[test]
    fn a_service_supplies_the_password_of_its_role_on_its_host() {
        let text = "[shop]\nhost = db1\nport=6000\nuser=app\npassword= x=y\n# [off]\n[half]\npassword=z\nuser=app\n[two]\nhost=db2\nuser=u\npassword=p";
        let c = Credentials::services(text);
        assert_eq!(c.password("db1", 6000, "any", "app").as_deref(), Some("x=y"));
        assert_eq!((c.password("db1", 5432, "any", "app"), c.password("db3", 5432, "any", "app")), (None, None));
        assert_eq!(c.password("db2", 5432, "d", "u").as_deref(), Some("p"));
    }

    proptest! {
        #[test]
        fn no_service_file_panics(text in "[\\[\\]a-z=# \n]{0,80}") {
            _ = Credentials::services(&text);
            _ = Credentials::parse(&text);
        }
    }
}
