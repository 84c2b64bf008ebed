//! Masks secrets in command lines before a sample exists. Pure; knows words, not secrets.
//! What never lives here: SQL literals (they come with the PostgreSQL source).

/// What stands in place of a secret.
pub const MASK: &str = "***";

const SECRET_WORDS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "auth",
    "pwd",
    "pass",
    "private_key",
];

/// Options whose value is a secret though their name does not say so: program, option.
const SECRET_OPTIONS: [(&str, &str); 6] =
    [("redis-cli", "-a"), ("curl", "-u"), ("curl", "--user"), ("sshpass", "-p"), ("wget", "--http-user"), ("ldapsearch", "-w")];

/// Masks one command line given as NUL-separated arguments, as `/proc/PID/cmdline` gives it, and joins the
/// arguments by spaces. Masked are, wherever they stand in an argument: the value behind `=` or `:` of a word that holds
/// a secret word (`--db-password=x`, `PGPASSWORD=x`, `Authorization: Bearer x`, `?password=x`), the value of such an
/// option in the next argument, the password of a URL, and what is glued to the `-p` of MySQL's clients.
#[must_use]
pub fn command_line(raw: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut hide_next = false;
    let raw = raw.strip_suffix(&[0]).unwrap_or(raw);
    let program = raw.split(|b| *b == 0).next().unwrap_or_default();
    for (index, arg) in raw.split(|b| *b == 0).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        if hide_next && (!arg.starts_with(b"-") || arg.len() > 12) {
            out.extend_from_slice(MASK.as_bytes());
            hide_next = false;
            continue;
        }
        hide_next = index > 0 && takes_secret_next(program, arg);
        out.extend_from_slice(&argument(program, arg));
    }
    // A server that writes its state there leaves blanks behind it.
    out.truncate(out.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1));
    out
}

fn takes_secret_next(program: &[u8], arg: &[u8]) -> bool {
    let listed = SECRET_OPTIONS.iter().any(|(p, o)| program.ends_with(p.as_bytes()) && arg == o.as_bytes());
    listed || (arg.starts_with(b"-") && !arg.iter().any(|b| b"=: ".contains(b)) && has_secret_word(arg))
}

fn has_secret_word(name: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

fn argument(program: &[u8], arg: &[u8]) -> Vec<u8> {
    let mysql = program.windows(5).any(|w| w == b"mysql" || w == b"maria");
    if mysql && arg.len() > 2 && arg.starts_with(b"-p") {
        return [b"-p", MASK.as_bytes()].concat();
    }
    assignments(&url_passwords(arg))
}

/// Masks the value of every `name=value` and `name: value` whose name holds a secret word.
fn assignments(arg: &[u8]) -> Vec<u8> {
    const ENDS: &[u8] = b" &;'\"|\n\t";
    let mut out = Vec::with_capacity(arg.len());
    let mut rest = arg;
    while let Some(at) = rest.iter().position(|b| b"=:".contains(b)) {
        let word_start = rest[..at].iter().rposition(|b| b" &;?'\"|\n\t,/".contains(b)).map_or(0, |i| i + 1);
        let secret = has_secret_word(&rest[word_start..at]) && !rest[at..].starts_with(b"://");
        out.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 1..];
        if !secret {
            continue;
        }
        let spaces = rest.iter().take_while(|b| **b == b' ').count();
        out.extend_from_slice(&rest[..spaces]);
        rest = &rest[spaces..];
        for scheme in [&b"Bearer "[..], b"Basic "] {
            if rest.starts_with(scheme) {
                out.extend_from_slice(scheme);
                rest = &rest[scheme.len()..];
            }
        }
        let end = rest.iter().position(|b| ENDS.contains(b)).unwrap_or(rest.len());
        if end > 0 {
            out.extend_from_slice(MASK.as_bytes());
        }
        rest = &rest[end..];
    }
    out.extend_from_slice(rest);
    out
}

/// `scheme://user:password@host` becomes `scheme://user:***@host`, each time.
fn url_passwords(arg: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(arg.len());
    let mut rest = arg;
    while let Some(start) = rest.windows(3).position(|w| w == b"://").map(|i| i + 3) {
        let (before, tail) = rest.split_at(start);
        out.extend_from_slice(before);
        let authority = tail.iter().position(|b| b"/? '\"".contains(b)).map_or(tail, |end| &tail[..end]);
        let at = authority.iter().rposition(|b| *b == b'@');
        let colon = at.and_then(|at| authority[..at].iter().position(|b| *b == b':'));
        rest = match (colon, at) {
            (Some(colon), Some(at)) => {
                out.extend_from_slice(&authority[..=colon]);
                out.extend_from_slice(MASK.as_bytes());
                &tail[at..]
            }
            _ => tail,
        };
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(args: &[&str]) -> String {
        String::from_utf8(command_line(args.join("\0").as_bytes())).unwrap()
    }

    #[test]
    fn secrets_in_arguments_are_masked() {
        assert_eq!(masked(&["app", "--db-password=hunter2", "-v"]), "app --db-password=*** -v");
        assert_eq!(masked(&["app", "--token", "abc", "x"]), "app --token *** x");
        assert_eq!(masked(&["env", "API_KEY=abc", "run"]), "env API_KEY=*** run");
        assert_eq!(masked(&["psql", "postgres://u:s3:cr@t@db/x"]), "psql postgres://u:***@db/x");
        assert_eq!(masked(&["mysql", "-psecret", "-uroot"]), "mysql -p*** -uroot");
        assert_eq!(masked(&["redis-cli", "-a", "pw", "ping"]), "redis-cli -a *** ping");
        assert_eq!(
            masked(&["java", "-Durl=jdbc:postgresql://h/db?user=a&password=x&y=1"]),
            "java -Durl=jdbc:postgresql://h/db?user=a&password=***&y=1"
        );
        assert_eq!(masked(&["sh", "-c", "DEBUG=1 PGPASSWORD=hunter2 pg_dump x"]), "sh -c DEBUG=1 PGPASSWORD=*** pg_dump x");
        assert_eq!(masked(&["sh", "-c", "a http://u:p@x; b http://v:q@y"]), "sh -c a http://u:***@x; b http://v:***@y");
        assert_eq!(masked(&["curl", "-H", "Authorization: Bearer abc", "x"]), "curl -H Authorization: Bearer *** x");
        assert_eq!(masked(&["curl", "-u", "a:b", "x"]), "curl -u *** x");
        assert_eq!(masked(&["redis-server", "--requirepass", "x"]), "redis-server --requirepass ***");
        assert_eq!(masked(&["sshpass", "-p", "x", "ssh", "h"]), "sshpass -p *** ssh h");
        assert_eq!(masked(&["stress-ng", "--cpu", "4"]), "stress-ng --cpu 4");
    }
}
