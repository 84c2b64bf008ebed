//! Names and strings as SQL writes them, from their raw bytes. Pure.

use crate::model::foreign::Foreign;

/// A name as SQL writes it, from its raw bytes: bare where that is the same, else quoted, else (control characters, marks that do not
/// show) `U&"…"`. `None` when the name is no UTF-8: then no text can address it.
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

/// A string as SQL writes it, printable text only; `None` when it is no UTF-8.
#[must_use]
pub fn literal(text: &Foreign) -> Option<String> {
    let raw = std::str::from_utf8(text.raw()).ok()?;
    if text.shown() == raw {
        return Some(format!("'{}'", raw.replace('\'', "''")));
    }
    let mut out = String::from("E'");
    for c in raw.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            c if (' '..='~').contains(&c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('\'');
    Some(out)
}

/// Words that are no names unless they are quoted: PostgreSQL's reserved key words.
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
