//! Names and strings as SQL writes them, from their raw bytes. Pure.

use crate::model::foreign::Foreign;

/// A name as SQL writes it, from its raw bytes: bare where that is the same, else quoted, else (control characters, marks that do not
/// show) `U&"…"`. `None` when the name is not UTF-8: then no text can address it.
#[must_use]
pub fn identifier(name: &Foreign) -> Option<String> {
    // No name is empty.
    let text = std::str::from_utf8(name.raw()).ok().filter(|text| !text.is_empty())?;
    let bare = text.bytes().enumerate().all(|(at, b)| b.is_ascii_lowercase() || b == b'_' || (at > 0 && (b.is_ascii_digit())));
    if bare && !RESERVED.contains(&text) {
        return Some(text.to_owned());
    }
    // What is shown differs from what is there: only escapes can be read and pasted.
    if name.shown() != text || text.contains('\\') {
        let mut out = String::from("U&\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\"\""),
                '\\' => out.push_str("\\\\"),
                c if (' '..='~').contains(&c) => out.push(c),
                c => out.push_str(&format!("\\+{:06x}", u32::from(c))),
            }
        }
        out.push('"');
        return Some(out);
    }
    Some(format!("\"{}\"", text.replace('"', "\"\"")))
}

/// `schema.name` as SQL writes it.
#[must_use]
pub fn qualified(schema: &Foreign, name: &Foreign) -> Option<String> {
    Some(format!("{}.{}", identifier(schema)?, identifier(name)?))
}

/// A string as SQL writes it, printable text only; `None` when it is not UTF-8.
#[must_use]
pub fn literal(text: &Foreign) -> Option<String> {
    let raw = std::str::from_utf8(text.raw()).ok()?;
    if text.shown() == raw {
        return Some(format!("'{}'", raw.replace('\'', "''")));
    }
    let mut out = String::from("E'");
    for c in raw.chars() {
        match c {
            // `\'` is refused under some encodings.
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            c if (' '..='~').contains(&c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('\'');
    Some(out)
}

/// The definition of an index as the server gives it, as one statement that can be read and pasted: names and strings in it that hold what does not
/// show are written by escapes. `None` for one that is not UTF-8, that holds such characters outside of quotes, or that is anything else.
#[must_use]
pub fn index_definition(text: &Foreign) -> Option<String> {
    let text = std::str::from_utf8(text.raw()).ok()?;
    if !(text.starts_with("CREATE INDEX ") || text.starts_with("CREATE UNIQUE INDEX ")) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(at);
        if ends_it(before) {
            return None;
        }
        let quote = if quoted.starts_with('"') { '"' } else { '\'' };
        let escapes = quote == '\'' && before.ends_with(['E', 'e']);
        let (inner, length) = unquoted(quoted, quote, escapes)?;
        let inner = Foreign::from(inner.as_str());
        if inner.shown().as_bytes() == inner.raw() {
            out.push_str(before);
            out.push_str(&quoted[..length]);
        } else {
            out.push_str(if escapes { &before[..before.len() - 1] } else { before });
            out.push_str(&if quote == '"' { identifier(&inner)? } else { literal(&inner)? });
        }
        rest = &quoted[length..];
    }
    if ends_it(rest) {
        return None;
    }
    out.push_str(rest);
    // What is left is shown as it is, or there is no such statement.
    let clear = |c: char| Foreign::from(c.to_string().as_str()).shown().starts_with(c);
    out.chars().all(clear).then_some(out + ";")
}

/// Outside of quotes: what would end the statement, begin a comment or another kind of string, or be a command of psql's own.
fn ends_it(text: &str) -> bool {
    text.contains([';', '\\', '$', '`']) || text.contains("--") || text.contains("/*")
}

/// What stands between quotes at the beginning of a text, and how long it is with them. `None` without an end.
fn unquoted(text: &str, quote: char, escapes: bool) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            // The server writes no other escape than a doubled backslash.
            '\\' if escapes => inner.push(chars.next()?.1),
            c if c == quote && chars.peek().is_some_and(|(_, next)| *next == quote) => {
                _ = chars.next();
                inner.push(quote);
            }
            c if c == quote => return Some((inner, at + 1)),
            c => inner.push(c),
        }
    }
    None
}

/// Words that are not names unless they are quoted: PostgreSQL's reserved key words.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "between",
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "coalesce",
    "dec",
    "decimal",
    "exists",
    "extract",
    "float",
    "greatest",
    "grouping",
    "inout",
    "int",
    "integer",
    "interval",
    "least",
    "national",
    "nchar",
    "none",
    "normalize",
    "nullif",
    "numeric",
    "out",
    "overlay",
    "position",
    "precision",
    "real",
    "row",
    "setof",
    "smallint",
    "substring",
    "time",
    "timestamp",
    "treat",
    "trim",
    "values",
    "varchar",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_of_an_index_is_one_statement_of_printable_text() {
        let defined = |text: &str| index_definition(&Foreign::from(text));
        let plain = r#"CREATE INDEX i ON public.t USING btree (a, "B c") WHERE (s = 'it''s'::text)"#;
        assert_eq!(defined(plain).unwrap(), format!("{plain};"));
        assert_eq!(
            defined("CREATE UNIQUE INDEX \"a\u{202e}\"\"b\" ON public.\"t\\\n\" USING btree (x) WHERE (y = E'q\\\\\n'::text)")
                .unwrap(),
            r#"CREATE UNIQUE INDEX U&"a\+00202e""b" ON public.U&"t\\\+00000a" USING btree (x) WHERE (y = E'q\\\u000a'::text);"#
        );
        for forged in [
            "CREATE INDEX i ON t (a) \\! touch PWNED",
            "CREATE INDEX i ON t (a) /* ' */",
            "CREATE INDEX i ON t ($$)",
            "CREATE INDEX i ON t (a) -- '",
            "DROP TABLE t",
            "CREATE INDEX i ON t (a); DROP TABLE t",
            "CREATE INDEX i ON t (a\u{7})",
            "CREATE INDEX \"open",
        ] {
            assert_eq!(defined(forged), None, "{forged}");
        }
    }
}
