//! Where a server that runs here listens: its socket's directory and port, by the file that it keeps in its data directory, else by
//! the kernel's table of sockets.

use std::path::{Path, PathBuf};

use crate::collect::root::{Reader, Roots, fields, lines};

/// What the name of a socket begins with.
const NAME: &str = ".s.PGSQL.";

/// Directory and port of the server whose first process this is; `tcp` is a port that it listens on, where that is known.
#[must_use]
pub fn socket(roots: &Roots, pid: i32, tcp: Option<u16>) -> Option<(PathBuf, u16)> {
    let mut reader = Reader::default();
    let own = reader.read(&roots.proc.join(pid.to_string()).join("cwd/postmaster.pid")).ok().and_then(|text| by_file(text, pid));
    let there = |(dir, port): &(PathBuf, u16)| dir.join(format!("{NAME}{port}")).exists();
    if let Some(found) = own.filter(there) {
        return Some(found);
    }
    let text = reader.read(&roots.net("unix")).ok()?;
    let all = by_table(text);
    let chosen = match tcp {
        Some(port) => all.iter().find(|(_, p)| *p == port),
        // With one server there is no doubt.
        None => Some(&all).filter(|a| a.len() == 1).and_then(|a| a.first()),
    };
    chosen.cloned().filter(there)
}

/// `postmaster.pid`: pid, data directory, start, port, directory of the socket, address.
fn by_file(text: &[u8], pid: i32) -> Option<(PathBuf, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    // In a namespace of its own it knows another pid.
    let same = lines.next()?.trim().parse::<i32>().ok()? == pid;
    let port = lines.nth(2)?.trim().parse().ok()?;
    let dir = lines.next()?.trim();
    (same && dir.starts_with('/')).then(|| (PathBuf::from(dir), port))
}

/// Every socket of PostgreSQL in the table, without repetition.
fn by_table(text: &[u8]) -> Vec<(PathBuf, u16)> {
    let one = |line: &[u8]| {
        // One that begins with `@` is in no directory: the guard of a perftop.
        let path = std::str::from_utf8(fields(line).nth(7)?).ok().filter(|path| path.starts_with('/'))?;
        let path = Path::new(path);
        let port = path.file_name()?.to_str()?.strip_prefix(NAME)?.parse().ok()?;
        Some((path.parent()?.to_owned(), port))
    };
    let mut all: Vec<(PathBuf, u16)> = lines(text).filter_map(one).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_the_file_and_by_the_table() {
        let text = b"4711\n/var/lib/postgresql/15/main\n1763751234\n5433\n/var/run/postgresql\nlocalhost\n  1234 5678\nready\n";
        assert_eq!(by_file(text, 4711), Some(("/var/run/postgresql".into(), 5433)));
        assert_eq!((by_file(text, 1), by_file(b"x", 1)), (None, None));
        let table = b"Num RefCount Protocol Flags Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1234 /tmp/.s.PGSQL.5432\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 1235 /tmp/.s.PGSQL.5432\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 1236\n";
        assert_eq!(by_table(table), [(PathBuf::from("/tmp"), 5432)]);
    }
}
