//! Reads the conditions that EXPLAIN prints: which columns of a table are compared, and how. What it does not understand it leaves out. Pure.

use crate::model::postgres::lexer::{self, Kind, Token};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `=`, `= ANY`, `IS NULL`.
    Equal,
    /// `<`, `<=`, `>`, `>=`.
    Range,
}

/// One column compared with something that is not a column of the same table.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column's own name.
    pub column: String,
    /// A function around it that an index can hold.
    pub function: Option<String>,
    /// The type that the column is cast to: an index on the column serves it only where the cast changes nothing.
    pub cast: Option<String>,
    /// How.
    pub compare: Compare,
    /// `IS NULL`: as many rows as have none.
    pub is_null: bool,
    /// Values that it may equal: 1, or a guess for `ANY`.
    pub members: f64,
}

/// Functions that never change their answer and that an index may hold.
const FUNCTIONS: [&str; 2] = ["lower", "upper"];
/// Values in a list whose length is not known.
const LIST: f64 = 10.0;

/// The conditions of a scan with that alias: those that must all hold.
#[must_use]
pub fn parse(text: &str, alias: &str) -> Vec<Condition> {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    conjuncts(&all).into_iter().filter_map(|part| one(part, alias)).collect()
}

/// How many conditions there are, understood or not.
#[must_use]
pub fn count(text: &str) -> usize {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    conjuncts(&all).len()
}

/// The conditions of which one must hold, for each OR that is understood as a whole: no column of the table is left out.
#[must_use]
pub fn either(text: &str, alias: &str) -> Vec<Vec<Condition>> {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    let each = |part: &&[Token<'_>]| {
        let sides = split(part, "OR");
        // Each may be several that must all hold: the first that is understood serves it.
        let one = |side: &&[Token<'_>]| conjuncts(side).into_iter().find_map(|part| one(part, alias));
        (sides.len() > 1).then(|| sides.iter().map(one).collect::<Option<Vec<_>>>()).flatten()
    };
    conjuncts(&all).iter().filter_map(each).collect()
}

/// The columns of the table with that alias in the equalities of a join.
#[must_use]
pub fn join(text: &str, alias: &str) -> Vec<String> {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    let mut names = Vec::new();
    for part in conjuncts(&all) {
        let part = bare(part);
        let Some(at) = operator(part).filter(|at| part[*at].text == "=" && !next_is_sign(part, *at)) else { continue };
        let sides = [column(&part[..at], alias), column(&part[at + 1..], alias)];
        // One side is ours, the other is not.
        if let [Some(Side { name, function: None, cast: None }), None] | [None, Some(Side { name, function: None, cast: None })] =
            sides
        {
            names.push(name);
        }
    }
    names
}

/// A sort key: its column and whether it descends.
#[must_use]
pub fn sort_key(text: &str, alias: &str) -> Option<(String, bool)> {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    let is = |t: &Token<'_>, word: &str| t.kind == Kind::Word && t.text.eq_ignore_ascii_case(word);
    // NULLS FIRST and LAST other than by default need their own index.
    if all.iter().any(|t| is(t, "NULLS") || is(t, "COLLATE") || is(t, "USING")) {
        return None;
    }
    let descending = all.last().is_some_and(|t| is(t, "DESC"));
    let body = if descending { &all[..all.len() - 1] } else { &all[..] };
    let side = column(body, alias)?;
    (side.function.is_none() && side.cast.is_none()).then_some((side.name, descending))
}

/// Takes brackets that enclose all of it away.
pub(super) fn bare<'a, 'b>(mut part: &'a [Token<'b>]) -> &'a [Token<'b>] {
    while part.len() >= 2 && part[0].text == "(" && closing(part, 0) == Some(part.len() - 1) {
        part = &part[1..part.len() - 1];
    }
    part
}

fn closing(part: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in part.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at AND outside of brackets; a part with an OR stays whole (and is not understood).
pub(super) fn conjuncts<'a, 'b>(all: &'a [Token<'b>]) -> Vec<&'a [Token<'b>]> {
    let parts = split(all, "AND");
    if parts.len() > 1 { parts.into_iter().flat_map(|p| conjuncts(p)).collect() } else { parts }
}

/// Splits at a word outside of brackets.
fn split<'a, 'b>(all: &'a [Token<'b>], at_word: &str) -> Vec<&'a [Token<'b>]> {
    let all = bare(all);
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, token) in all.iter().enumerate() {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            word if depth == 0 && token.kind == Kind::Word && word.eq_ignore_ascii_case(at_word) => {
                parts.push(&all[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&all[start..]);
    parts
}

/// The first comparing sign outside of brackets.
pub(super) fn operator(part: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in part.iter().enumerate() {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "=" | "<" | ">" if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn next_is_sign(part: &[Token<'_>], at: usize) -> bool {
    part.get(at + 1).is_some_and(|t| matches!(t.text, "=" | ">" | "<" | "~" | "@" | "!" | "#"))
}

fn one(part: &[Token<'_>], alias: &str) -> Option<Condition> {
    let part = bare(part);
    let is = |at: usize, word: &str| part.get(at).is_some_and(|t| t.kind == Kind::Word && t.text.eq_ignore_ascii_case(word));
    let n = part.len();
    // `x IS NULL`; not `IS NOT NULL`, which is nearly always nearly all.
    if n >= 3 && is(n - 1, "NULL") && is(n - 2, "IS") {
        let side = column(&part[..n - 2], alias)?;
        return Some(Condition { is_null: true, ..side.compared(Compare::Equal, 1.0) });
    }
    let at = operator(part)?;
    let mut end = at + 1;
    let compare = match (part[at].text, part.get(at + 1).map(|t| t.text)) {
        ("<", Some(">")) | ("=", Some(">")) | ("<" | ">", Some("<" | "@" | "~" | "#")) => return None,
        ("<" | ">", Some("=")) => {
            end += 1;
            Compare::Range
        }
        ("<" | ">", _) => Compare::Range,
        _ => Compare::Equal,
    };
    // Signs such as ~~=, @= or != are none of ours.
    if at.checked_sub(1).is_some_and(|b| matches!(part[b].text, "!" | "~" | "@" | "*" | "#" | "&" | "|"))
        || (end == at + 1 && next_is_sign(part, at))
    {
        return None;
    }
    let (left, right) = (&part[..at], &part[end..]);
    let any = right.first().is_some_and(|t| t.kind == Kind::Word && t.text.eq_ignore_ascii_case("ANY"));
    let members = if any { LIST } else { 1.0 };
    match (column(left, alias), column(right, alias)) {
        (Some(side), None) if !mentions(right, alias) => Some(side.compared(compare, members)),
        (None, Some(side)) if !mentions(left, alias) => Some(side.compared(compare, 1.0)),
        _ => None,
    }
}

/// True when a side speaks of the table itself.
fn mentions(side: &[Token<'_>], alias: &str) -> bool {
    side.windows(2).any(|w| name(&w[0]).is_some_and(|n| n == alias) && w[1].text == ".")
}

/// A word or a quoted name as it is.
pub(super) fn name(token: &Token<'_>) -> Option<String> {
    match token.kind {
        Kind::Word => Some(token.text.to_owned()),
        Kind::Quoted => Some(token.text.trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    }
}

/// A side that is nothing but a column of that table.
struct Side {
    name: String,
    function: Option<String>,
    cast: Option<String>,
}

impl Side {
    fn compared(self, compare: Compare, members: f64) -> Condition {
        Condition { column: self.name, function: self.function, cast: self.cast, compare, members, is_null: false }
    }
}

/// `a.x`, `(a.x)::text`, `lower(a.x)`, `lower((a.x)::text)`; or a bare `x` (plans of one table name no alias unless they are verbose).
fn column(side: &[Token<'_>], alias: &str) -> Option<Side> {
    let (side, outer) = uncast(bare(side));
    let (side, inner) = uncast(bare(side));
    let side = bare(side);
    // Two casts in a row are none of ours.
    let cast = match (outer, inner) {
        (Some(_), Some(_)) => return None,
        (outer, inner) => outer.or(inner),
    };
    match side {
        [column] if column.kind == Kind::Word || column.kind == Kind::Quoted => {
            let name = name(column)?;
            let constant =
                ["true", "false", "null", "current_user", "current_date", "now"].contains(&name.to_ascii_lowercase().as_str());
            (!constant).then_some(Side { name, function: None, cast })
        }
        [table, dot, column] if dot.text == "." && name(table).as_deref() == Some(alias) => {
            Some(Side { name: name(column)?, function: None, cast })
        }
        [function, open, .., close] if function.kind == Kind::Word && open.text == "(" && close.text == ")" => {
            let known = FUNCTIONS.iter().find(|f| f.eq_ignore_ascii_case(function.text))?;
            let inner = column(&side[2..side.len() - 1], alias)?;
            (inner.function.is_none() && cast.is_none()).then(|| Side { function: Some((*known).to_owned()), ..inner })
        }
        _ => None,
    }
}

/// Takes a cast at the end away and names its type, when what is cast is in brackets or one word.
pub(super) fn uncast<'a, 'b>(side: &'a [Token<'b>]) -> (&'a [Token<'b>], Option<String>) {
    let mut depth = 0;
    for (at, pair) in side.windows(2).enumerate() {
        match pair[0].text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            ":" if depth == 0 && pair[1].text == ":" => {
                let kind: Vec<&str> = side[at + 2..].iter().map(|t| t.text).collect();
                return (&side[..at], Some(kind.join(" ")));
            }
            _ => {}
        }
    }
    (side, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, alias: &str) -> Vec<(String, Option<String>, Compare)> {
        parse(text, alias).into_iter().map(|c| (c.column, c.function, c.compare)).collect()
    }

    #[test]
    fn conditions_of_plans_are_understood() {
        use Compare::{Equal, Range};
        let plain = |n: &str, c| (n.to_owned(), None, c);
        assert_eq!(read("(orders.customer_id = $1)", "orders"), [plain("customer_id", Equal)]);
        assert_eq!(read("((o.status)::text = ($1)::text)", "o"), [plain("status", Equal)]);
        assert_eq!(
            read("((o.created_at >= $1) AND (o.created_at < $2) AND ((o.kind = ANY ($3)) AND (o.gone IS NULL)))", "o"),
            [plain("created_at", Range), plain("created_at", Range), plain("kind", Equal), plain("gone", Equal)]
        );
        assert_eq!(read("(lower((u.email)::text) = $1)", "u"), [("email".to_owned(), Some("lower".to_owned()), Equal)]);
        assert_eq!(read("(\"T 1\".\"a.b\"\"c\" = (SubPlan 1))", "T 1"), [plain("a.b\"c", Equal)]);
        assert_eq!(read("($1 = o.id)", "o"), [plain("id", Equal)]);
        assert_eq!(read("(o.customer_id = c.id)", "o"), [plain("customer_id", Equal)]);
    }

    #[test]
    fn a_cast_and_a_null_are_told() {
        let cast = |text: &str| parse(text, "o").first().map(|c| (c.cast.clone(), c.is_null));
        assert_eq!(cast("((o.created_at)::date = $1)"), Some((Some("date".into()), false)));
        assert_eq!(cast("((o.status)::text = ($1)::text)"), Some((Some("text".into()), false)));
        assert_eq!(cast("(o.gone IS NULL)"), Some((None, true)));
        assert_eq!(join("((l.id)::text = o.code)", "l"), [""; 0]);
    }

    #[test]
    fn what_no_index_serves_is_left_out() {
        for text in [
            "((o.a = $1) OR (o.b = $2))",
            "(o.a <> $1)",
            "((o.a)::text ~~ $1)",
            "((o.a + 1) = $1)",
            "(o.a = o.b)",
            "(o.a IS NOT NULL)",
            "(NOT o.done)",
            "(random() < $1)",
            "(o.tags @> $1)",
            "(md5(o.a) = $1)",
        ] {
            assert_eq!(read(text, "o"), [], "{text}");
        }
    }

    #[test]
    fn each_side_of_an_or_is_told() {
        let sides = |text: &str| -> Vec<Vec<String>> {
            either(text, "o").into_iter().map(|all| all.into_iter().map(|c| c.column).collect()).collect()
        };
        assert_eq!(sides("((o.a = $1) OR (lower(o.b) = $2))"), [["a", "b"]]);
        assert_eq!(sides("((o.x = $1) AND ((o.a = $2) OR ((o.b = $3) AND (o.c <> $4)) OR (o.d IS NULL)))"), [["a", "b", "d"]]);
        assert_eq!(sides("((o.a = $1) OR ((o.b)::text ~~ $2))"), [[""; 0]; 0]);
        assert_eq!(sides("(o.a = $1)"), [[""; 0]; 0]);
    }

    #[test]
    fn joins_and_orders_are_understood() {
        assert_eq!(join("((l.order_id = o.id) AND (l.part = p.id))", "l"), ["order_id", "part"]);
        assert_eq!(join("(l.order_id = o.id)", "o"), ["id"]);
        assert_eq!(sort_key("o.created_at DESC", "o"), Some(("created_at".into(), true)));
        assert_eq!((sort_key("(lower(o.a))", "o"), sort_key("o.a NULLS FIRST", "o")), (None, None));
    }

    proptest! {
        #[test]
        fn no_condition_panics(text in "[a-z0-9 .$:=<>()\\[\\]'\"ANDORIS]{0,80}") {
            _ = parse(&text, "a");
            _ = join(&text, "a");
            _ = sort_key(&text, "a");
            _ = either(&text, "a");
        }
    }
}
