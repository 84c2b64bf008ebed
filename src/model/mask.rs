//! Masks secrets in command lines before a sample exists. Pure; knows words, not secrets.
//! What never lives here: SQL literals (they come with the PostgreSQL source).

/// What stands in place of a secret.
pub const MASK: &str = "***";

const SECRET_WORDS: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api-key", "api_key", "credential", "auth"];

/// Masks one command line given as NUL-separated arguments, as `/proc/PID/cmdline` gives it, and joins the
/// arguments by spaces. Masked are: the value of an option or variable whose name holds a secret word
/// (`--db-password=x`, `--token x`, `API_KEY=x`), the user part of a URL (`scheme://user:pass@`), and the
/// value that is glued to the `-p` of MySQL's and the `-a` of Redis' clients.
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
        if hide_next && !arg.starts_with(b"-") {
            out.extend_from_slice(MASK.as_bytes());
            hide_next = false;
            continue;
        }
        hide_next = index > 0 && takes_secret_next(program, arg);
        out.extend_from_slice(&argument(program, arg));
    }
    out
}

fn takes_secret_next(program: &[u8], arg: &[u8]) -> bool {
    let redis_client = program.ends_with(b"redis-cli") && (arg == b"-a" || arg == b"--pass");
    redis_client || (arg.starts_with(b"-") && !arg.contains(&b'=') && has_secret_word(arg))
}

fn has_secret_word(name: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

fn argument(program: &[u8], arg: &[u8]) -> Vec<u8> {
    if let Some(eq) = arg.iter().position(|b| *b == b'=')
        && has_secret_word(&arg[..eq])
    {
        return [&arg[..=eq], MASK.as_bytes()].concat();
    }
    let mysql = program.windows(5).any(|w| w == b"mysql" || w == b"maria");
    if mysql && arg.len() > 2 && arg.starts_with(b"-p") {
        return [b"-p", MASK.as_bytes()].concat();
    }
    url_password(arg)
}

/// `scheme://user:password@host` becomes `scheme://user:***@host`, wherever it stands in the argument.
fn url_password(arg: &[u8]) -> Vec<u8> {
    let Some(start) = arg.windows(3).position(|w| w == b"://").map(|i| i + 3) else { return arg.to_vec() };
    let authority = arg[start..].split(|b| matches!(b, b'/' | b'?' | b' ')).next().unwrap_or_default();
    let Some(at) = authority.iter().rposition(|b| *b == b'@') else { return arg.to_vec() };
    let Some(colon) = authority[..at].iter().position(|b| *b == b':') else { return arg.to_vec() };
    [&arg[..=start + colon], MASK.as_bytes(), &arg[start + at..]].concat()
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
        assert_eq!(masked(&["stress-ng", "--cpu", "4"]), "stress-ng --cpu 4");
    }
}
