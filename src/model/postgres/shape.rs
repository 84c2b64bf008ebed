//! What statements have in common that differ only in how long their lists are: `IN ($1, $2)` and `IN ($1, $2, $3)`, one row of VALUES and a
//! hundred, one OR or ten. To PostgreSQL before 18 each length is a statement of its own. Pure.

use super::lexer::{Kind, tokens};

/// Brackets within brackets that are told apart; what is deeper is taken as it stands.
const DEEP: usize = 40;
/// What lists are joined by, from the loosest on.
const JOINS: [&str; 3] = ["union", "or", ","];

/// Words behind which a bracket opens a list and not the arguments of a function.
const BEFORE_LISTS: [&str; 16] =
    ["in", "values", "array", "any", "all", "some", "row", "where", "and", "or", "on", "not", "select", "from", "as", "when"];

/// One level of brackets: its words, those of closed brackets within it as one.
type Level = Vec<String>;

/// The statement with each constant as `?`, words in small letters, and of equal members of a list one. Of a text that was cut (`cut`) as much as
/// is whole: the shape of the whole text begins with it, unless the cut is in the middle of a list.
#[must_use]
pub fn shape(sql: &str, cut: bool) -> String {
    let mut levels: Vec<(&str, Level)> = vec![("", Level::new())];
    for token in tokens(sql) {
        let word = match token.kind {
            Kind::Space | Kind::Comment => continue,
            Kind::Literal | Kind::Number | Kind::Parameter => "?".to_owned(),
            Kind::Word => token.text.to_ascii_lowercase(),
            Kind::Quoted | Kind::Sign => token.text.to_owned(),
        };
        match word.as_str() {
            "(" | "[" if levels.len() < DEEP => levels.push((if word == "(" { "(" } else { "[" }, Level::new())),
            ")" | "]" if levels.len() > 1 => close(&mut levels, &word),
            _ => levels.last_mut().into_iter().for_each(|(_, level)| level.push(word.clone())),
        }
    }
    // Of what is not closed the beginning is the same however it goes on, but for the last member.
    let mut whole = String::new();
    let last = levels.len() - 1;
    for (at, (open, mut level)) in levels.into_iter().enumerate() {
        if cut && at == last {
            level.truncate(level.iter().rposition(|w| w == ",").unwrap_or(if at == 0 {
                level.len().saturating_sub(1)
            } else {
                0
            }));
        }
        if at > 0 && !whole.is_empty() && !whole.ends_with(['(', '[']) {
            whole.push(' ');
        }
        whole.push_str(open);
        whole.push_str(&members(&level, &JOINS));
    }
    whole
}

fn close(levels: &mut Vec<(&str, Level)>, with: &str) {
    let Some((open, level)) = levels.pop() else { return };
    if let Some((_, outer)) = levels.last_mut() {
        // What stands behind a name are arguments: one more is another function.
        let name = |w: &String| {
            w.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"') && !BEFORE_LISTS.contains(&w.as_str())
        };
        let joins = if outer.last().is_some_and(name) { &JOINS[..2] } else { &JOINS[..] };
        outer.push(format!("{open}{}{with}", members(&level, joins)));
    }
}

/// The members of a level, each once where it follows its like: the first of a list may stand behind what begins it, as in `VALUES (?)`.
fn members(level: &[String], joins: &[&str]) -> String {
    let Some((join, tighter)) = joins.split_first() else { return level.join(" ") };
    let mut all: Vec<String> = level.split(|w| w == join).map(|member| members(member, tighter)).collect();
    all.dedup_by(|next, before| {
        before.strip_suffix(next.as_str()).is_some_and(|rest| rest.is_empty() || first(rest, next, join))
    });
    all.join(&format!(" {join} "))
}

/// What stands before the first member of a list that goes on with its like: rows behind VALUES, a condition behind WHERE.
fn first(before: &str, member: &str, join: &str) -> bool {
    let begins = |word: &str| before.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '));
    match join {
        "," => member.starts_with('(') && begins("values "),
        "or" => begins("where "),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(sql: &str) -> String {
        shape(sql, false)
    }

    #[test]
    fn lists_of_any_length_are_one() {
        let alike = [
            ["SELECT a, b FROM t WHERE id IN ($1)", "select a, b  from t where id in ($1, $2,$3 /* x */)"],
            ["INSERT INTO t (a, b) VALUES ($1, $2)", "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6)"],
            ["SELECT 1 FROM t WHERE a = ANY (ARRAY[$1::int, $2::int])", "SELECT 1 FROM t WHERE a = ANY (ARRAY[$1::int])"],
            [
                "SELECT a FROM t WHERE k AND (a = $1 AND b = $2 OR a = $3 AND b = $4)",
                "SELECT a FROM t WHERE k AND (a = $1 AND b = $2)",
            ],
            [
                "SELECT a, b FROM t WHERE c = $1 UNION ALL SELECT a, b FROM t WHERE c = $2 UNION ALL SELECT a, b FROM t WHERE c = $3",
                "SELECT a, b FROM t WHERE c = $1 UNION ALL SELECT a, b FROM t WHERE c = $2",
            ],
            ["DELETE FROM t WHERE (a, b) IN (($1, $2), ($3, $4))", "DELETE FROM t WHERE (a, b) IN (($1, $2))"],
        ];
        for [one, other] in alike {
            assert_eq!(whole(one), whole(other));
        }
    }

    #[test]
    fn what_does_something_else_is_another() {
        let other = [
            ["SELECT a FROM t WHERE id IN ($1)", "SELECT a FROM u WHERE id IN ($1)"],
            ["SELECT a FROM t WHERE id IN ($1)", "SELECT a FROM t WHERE id NOT IN ($1)"],
            ["SELECT a FROM t WHERE id IN ($1)", "SELECT a, b FROM t WHERE id IN ($1)"],
            ["SELECT a FROM t WHERE \"Id\" IN ($1)", "SELECT a FROM t WHERE id IN ($1)"],
            ["SELECT a FROM t WHERE a = $1 OR b = $2", "SELECT a FROM t WHERE a = $1"],
            ["SELECT a FROM t WHERE a = $1 AND b = $2 OR b = $3", "SELECT a FROM t WHERE a = $1 AND b = $2"],
            ["SELECT t.a, a, b FROM t", "SELECT t.a, b FROM t"],
            ["SELECT f($1)", "SELECT f($1, $2)"],
            ["SELECT a FROM t WHERE id IN ($1) LIMIT $2", "SELECT a FROM t WHERE id IN ($1)"],
        ];
        for [one, other] in other {
            assert_ne!(whole(one), whole(other));
        }
    }

    #[test]
    fn a_text_that_was_cut_is_where_it_begins_like_the_whole() {
        let long: Vec<String> = (1..500).map(|n| format!("${n}")).collect();
        let sql = format!("SELECT a, b FROM t WHERE id IN ({}) ORDER BY a", long.join(", "));
        let full = whole("SELECT a, b FROM t WHERE id IN ($1, $2) ORDER BY a");
        for at in [60, 61, 62, 63, 900] {
            let part = shape(&sql[..at], true);
            assert!(full.starts_with(&part) && part.contains("in"), "{part}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_shape(sql in "[ a-z$0-9(),\\[\\]'or]{0,200}", deep in 0_usize..200) {
            let sql = format!("{}{sql}{}", "(".repeat(deep), "]".repeat(deep));
            let at = sql.len() / 2;
            prop_assert!(shape(&sql, false).len() <= 2 * sql.len() + 8);
            prop_assert!(shape(&sql[..at], true).len() <= 2 * sql.len() + 8);
        }

        #[test]
        fn a_list_has_no_length(n in 1_usize..60, m in 1_usize..60) {
            let list = |n: usize| format!("SELECT a FROM t WHERE b IN ({}) AND c > ?", vec!["$1"; n].join(","));
            prop_assert_eq!(whole(&list(n)), whole(&list(m)));
        }
    }
}
