//! A lexer for SQL as PostgreSQL writes it: enough to mask literals, to count statements, to find parameters and to lay a
//! statement out. It never fails: what it does not know is one token. Pure.

use std::borrow::Cow;

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by what they are")]
pub enum Kind {
    Word,
    Quoted,
    Literal,
    Number,
    Parameter,
    Comment,
    Space,
    Sign,
}

/// One piece: its kind, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// The very text.
    pub text: &'a str,
}

/// Splits a text; joined again the tokens are the text.
#[must_use]
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let (kind, len) = next(rest);
        let len = len.clamp(1, rest.len());
        // Never within a character.
        let len = (len..=rest.len()).find(|n| rest.is_char_boundary(*n)).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(len);
        out.push(Token { kind, text });
        rest = tail;
    }
    out
}

fn next(sql: &str) -> (Kind, usize) {
    let bytes = sql.as_bytes();
    let second = bytes.get(1).copied().unwrap_or(0);
    match bytes[0] {
        b if b.is_ascii_whitespace() => (Kind::Space, run(bytes, |b| b.is_ascii_whitespace())),
        b'-' if second == b'-' => (Kind::Comment, sql.find('\n').unwrap_or(sql.len())),
        b'/' if second == b'*' => (Kind::Comment, block_comment(bytes)),
        b'\'' => (Kind::Literal, string(bytes, 0, false)),
        b'e' | b'E' if second == b'\'' => (Kind::Literal, string(bytes, 1, true)),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if second == b'\'' => (Kind::Literal, string(bytes, 1, false)),
        b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'\'') => (Kind::Literal, string(bytes, 2, false)),
        b'u' | b'U' if second == b'&' && bytes.get(2) == Some(&b'"') => (Kind::Quoted, quoted(bytes, 2)),
        b'"' => (Kind::Quoted, quoted(bytes, 0)),
        b'$' if second.is_ascii_digit() => (Kind::Parameter, 1 + run(&bytes[1..], |b| b.is_ascii_digit())),
        b'$' => match dollar(sql) {
            Some(len) => (Kind::Literal, len),
            None => (Kind::Sign, 1),
        },
        b if b.is_ascii_digit() || (b == b'.' && second.is_ascii_digit()) => (Kind::Number, number(bytes)),
        b if is_word(b) => (Kind::Word, run(bytes, |b| is_word(b) || b.is_ascii_digit() || b == b'$')),
        _ => (Kind::Sign, 1),
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn run(bytes: &[u8], holds: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|b| holds(**b)).count()
}

fn number(bytes: &[u8]) -> usize {
    let mut len = run(bytes, |b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    // 1e-5: the sign belongs to it.
    if len > 0 && matches!(bytes[len - 1], b'e' | b'E') && matches!(bytes.get(len), Some(b'+' | b'-')) {
        len += 1 + run(&bytes[len + 1..], |b| b.is_ascii_digit());
    }
    len
}

/// The length of a string that begins at `open`; to the end where it is not closed. A backslash before a quote may or may not
/// end it (`standard_conforming_strings` is not known here): all that follows is taken, for masking must not guess.
fn string(bytes: &[u8], open: usize, escapes: bool) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\\' if bytes.get(at + 1) == Some(&b'\'') => return bytes.len(),
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn quoted(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => (at, depth) = (at + 2, depth + 1),
            (b'*', Some(b'/')) => {
                (at, depth) = (at + 2, depth - 1);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$tag$ … $tag$`; `None` when the dollar opens no string.
fn dollar(sql: &str) -> Option<usize> {
    let tag_len = 2 + run(&sql.as_bytes()[1..], |b| is_word(b) || b.is_ascii_digit());
    let tag = sql.get(..tag_len).filter(|tag| tag.ends_with('$'))?;
    Some(sql[tag_len..].find(tag).map_or(sql.len(), |at| tag_len + at + tag_len))
}

/// The statement with every literal and number replaced by `?`, comments dropped, white space as one blank. Parameters stay.
/// Numbers directly behind a word character are not numbers. What is cut within a literal is masked to its end.
#[must_use]
pub fn mask(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len().min(4096));
    let mut blank = false;
    let mut list = false;
    for token in tokens(sql) {
        let text = match token.kind {
            Kind::Space | Kind::Comment => {
                blank = true;
                continue;
            }
            Kind::Literal | Kind::Number => Cow::Borrowed("?"),
            _ => Cow::Borrowed(token.text),
        };
        // A list of literals is one: `IN (?, ?, ?)` says nothing that `IN (?)` does not.
        let before = out.trim_end().strip_suffix(',').map(str::trim_end).filter(|b| b.ends_with('?')).map(str::len);
        if let Some(len) = before.filter(|_| text == "?" && list) {
            out.truncate(len);
            blank = false;
            continue;
        }
        list = text == "?" || (list && text == ",");
        if blank && !out.is_empty() {
            out.push(' ');
        }
        blank = false;
        out.push_str(&text);
    }
    out
}

/// How many statements the text holds: pieces between semicolons that are more than space and comments.
#[must_use]
pub fn statements(sql: &str) -> usize {
    let (mut count, mut open) = (0, false);
    for token in tokens(sql) {
        match token.kind {
            Kind::Space | Kind::Comment => {}
            Kind::Sign if token.text == ";" => open = false,
            _ if !open => (count, open) = (count + 1, true),
            _ => {}
        }
    }
    count
}

/// The first word that is no comment, in capitals: SELECT, WITH, UPDATE …
#[must_use]
pub fn verb(sql: &str) -> String {
    let first = tokens(sql).into_iter().find(|t| !matches!(t.kind, Kind::Space | Kind::Comment) && t.text != "(");
    first.filter(|t| t.kind == Kind::Word).map_or_else(String::new, |t| t.text.to_ascii_uppercase())
}

/// The highest parameter: 3 in `a = $1 AND b = $3`.
#[must_use]
pub fn parameters(sql: &str) -> usize {
    let number = |t: &Token<'_>| t.text[1..].parse::<usize>().ok();
    tokens(sql).iter().filter(|t| t.kind == Kind::Parameter).filter_map(number).max().unwrap_or(0)
}

/// `interval $1` and `date $1`, which normalising makes of `interval '1 day'` and which is no SQL any more, as `$1::interval`.
#[must_use]
pub fn repaired(sql: &str) -> String {
    const TYPES: [&str; 6] = ["interval", "date", "time", "timestamp", "timestamptz", "numeric"];
    let all = tokens(sql);
    let mut out = String::with_capacity(sql.len() + 16);
    let mut at = 0;
    while at < all.len() {
        let token = all[at];
        let typed = token.kind == Kind::Word && TYPES.iter().any(|t| token.text.eq_ignore_ascii_case(t));
        let gap = all.get(at + 1).is_some_and(|t| t.kind == Kind::Space);
        match all.get(at + 2) {
            Some(parameter) if typed && gap && parameter.kind == Kind::Parameter => {
                out.push_str(parameter.text);
                out.push_str("::");
                out.push_str(token.text);
                at += 3;
            }
            _ => {
                out.push_str(token.text);
                at += 1;
            }
        }
    }
    out
}

/// Words that begin a line when a statement is laid out.
const CLAUSES: [&str; 19] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "SET",
    "VALUES",
    "RETURNING",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "CROSS",
];
/// Words that begin an indented line.
const PARTS: [&str; 3] = ["AND", "OR", "ON"];

/// The statement in lines: each clause begins one, brackets and strings are left alone. Lines hold tokens, so that they can be
/// coloured.
#[must_use]
pub fn lines(sql: &str) -> Vec<Vec<Token<'_>>> {
    let mut lines: Vec<Vec<Token<'_>>> = vec![Vec::new()];
    let mut depth = 0_usize;
    let mut before = String::new();
    for token in tokens(sql) {
        if token.kind == Kind::Space || token.kind == Kind::Comment {
            if let Some(line) = lines.last_mut().filter(|l| !l.is_empty()) {
                line.push(Token { kind: Kind::Space, text: " " });
            }
            continue;
        }
        let word = token.text.to_ascii_uppercase();
        let is = |list: &[&str]| token.kind == Kind::Word && list.contains(&word.as_str());
        // LEFT JOIN is one; so is GROUP BY's BY, which begins no line.
        let joined = word == "JOIN" && ["LEFT", "RIGHT", "INNER", "CROSS", "OUTER", "FULL"].contains(&before.as_str());
        let (clause, part) = (depth == 0 && is(&CLAUSES) && !joined, depth == 0 && is(&PARTS));
        if (clause || part) && lines.last().is_some_and(|l| !l.is_empty()) {
            lines.push(if part { vec![Token { kind: Kind::Space, text: "  " }] } else { Vec::new() });
        }
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = word;
        if let Some(line) = lines.last_mut() {
            line.push(token);
        }
    }
    lines.retain(|l| !l.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_literal_is_masked() {
        for (sql, masked) in [
            ("SELECT * FROM t WHERE a = 'it''s' AND b=42", "SELECT * FROM t WHERE a = ? AND b=?"),
            (r"SELECT E'a\'b', U&'d\0061', B'101', x'ff', N'q'", "SELECT ?"),
            ("SELECT $$body 'x'$$, $fn$ $$ $fn$ , $1", "SELECT ? , $1"),
            ("ALTER ROLE a PASSWORD 'hunter2", "ALTER ROLE a PASSWORD ?"),
            ("SELECT 'a\\' , 'secret' , 1", "SELECT ?"),
            ("select 1.5e-7, .5, 0x1F, t1.c2 /* 'x' /* n */ */ -- y\n from t1", "select ?, t1.c2 from t1"),
            ("SELECT \"a'b\" FROM \"T 1\" WHERE x IN (1, 2,3 ,4)", "SELECT \"a'b\" FROM \"T 1\" WHERE x IN (?)"),
            ("INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (?),(?)"),
            ("SELECT größe FROM t WHERE ä='ö'", "SELECT größe FROM t WHERE ä=?"),
        ] {
            assert_eq!(mask(sql), masked);
        }
    }

    #[test]
    fn statements_are_counted_and_their_verbs_known() {
        assert_eq!(statements("select 1; delete from t"), 2);
        assert_eq!(statements("select ';' ; -- ;\n"), 1);
        assert_eq!(statements(" /* ; */ "), 0);
        assert_eq!(verb("/* app */ (select 1)"), "SELECT");
        assert_eq!(verb("with a as (select 1) select 2"), "WITH");
        assert_eq!((parameters("a=$1 and b=$12 or c='$99'"), parameters("x")), (12, 0));
        assert_eq!(repaired("now() - interval $1 > date $2"), "now() - $1::interval > $2::date");
    }

    #[test]
    fn a_statement_is_laid_out_by_its_clauses() {
        let text = |sql: &str| {
            let line = |l: &Vec<Token<'_>>| l.iter().map(|t| t.text).collect::<String>().trim_end().to_owned();
            lines(sql).iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(
            text("SELECT a, (SELECT 1 FROM x) FROM t LEFT JOIN u ON u.id = t.id WHERE a = $1 AND b = $2 ORDER BY c LIMIT $3"),
            [
                "SELECT a, (SELECT 1 FROM x)",
                "FROM t",
                "LEFT JOIN u",
                "  ON u.id = t.id",
                "WHERE a = $1",
                "  AND b = $2",
                "ORDER BY c",
                "LIMIT $3"
            ]
        );
    }

    proptest! {
        #[test]
        fn tokens_are_the_text(sql in "\\PC{0,200}") {
            let joined: String = tokens(&sql).iter().map(|t| t.text).collect();
            prop_assert_eq!(joined, sql);
        }

        #[test]
        fn no_quoted_secret_survives(before in "[a-z =,(]{0,20}[ =(,]", secret in "[A-Z]{6,12}", after in "[a-z ,)]{0,20}") {
            let hides = |open: &str, close: &str| !mask(&[&before, open, &secret, close, &after].concat()).contains(&secret);
            prop_assert!(hides("'", "'") && hides("E'\\'", "'") && hides("$a$", "$a$") && hides("'", ""));
        }
    }
}
