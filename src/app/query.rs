//! The filter of the process table: plain words, and terms such as `cpu>0.5`, `mem>1G`, `state=D`, `group~web`. All must
//! hold.

use crate::model::facts::ProcFacts;

/// Fields that a term may name, and what they are.
pub const FIELDS: &[(&str, &str)] = &[
    ("pid", "process id"),
    ("ppid", "parent"),
    ("uid", "owner"),
    ("cpu", "cores used"),
    ("runq", "s/s waiting for a CPU"),
    ("io", "s/s waiting for IO"),
    ("read", "bytes per second"),
    ("write", "bytes per second"),
    ("mem", "resident bytes"),
    ("thr", "threads"),
    ("nice", "nice value"),
    ("fg", "foreground weight"),
    ("port", "a port it listens on"),
    ("state", "state letter"),
    ("name", "program"),
    ("cmd", "arguments"),
    ("group", "control group or unit"),
];

/// A filter, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query(Vec<Term>);

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Word(String),
    Text { field: &'static str, not: bool, exact: bool, value: String },
    Number { field: &'static str, op: Op, value: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// Longer operators first.
const OPS: &[(&str, Op)] = &[
    (">=", Op::GreaterOrEqual),
    ("<=", Op::LessOrEqual),
    ("!=", Op::NotEqual),
    (">", Op::Greater),
    ("<", Op::Less),
    ("=", Op::Equal),
];

const TEXTS: [&str; 4] = ["state", "name", "cmd", "group"];

impl Query {
    /// Parses a filter. A word without an operator is searched in the name, the arguments and the pid.
    ///
    /// # Errors
    /// What is wrong with a term, and the way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(term).collect::<Result<_, _>>().map(Self)
    }

    /// True when every term holds; what is unknown of a process holds no comparison.
    #[must_use]
    pub fn holds(&self, p: &ProcFacts) -> bool {
        self.0.iter().all(|term| match term {
            Term::Word(word) => {
                let command = p.command.as_ref().map_or("", |c| c.shown());
                p.name.shown().to_lowercase().contains(word)
                    || command.to_lowercase().contains(word)
                    || p.id.pid.to_string() == *word
            }
            Term::Text { field, not, exact, value } => texts(p, field).iter().any(|t| is(t, *exact, value)) != *not,
            Term::Number { field, op, value } => numbers(p, field).iter().any(|n| compare(*n, *op, *value)),
        })
    }
}

fn term(text: &str) -> Result<Term, String> {
    let operator = text.find(['<', '>', '=', '!', '~']);
    let Some((name, rest)) = operator.filter(|at| *at > 0).map(|at| text.split_at(at)) else {
        return Ok(Term::Word(text.to_lowercase()));
    };
    let name = name.to_lowercase();
    let Some(field) = FIELDS.iter().map(|(known, _)| *known).find(|known| *known == name) else {
        let near = crate::config::nearest(&name, FIELDS.iter().map(|f| f.0));
        let known: Vec<&str> = FIELDS.iter().map(|f| f.0).collect();
        return Err(format!("unknown field `{name}`{near}; fields are {}", known.join(" ")));
    };
    if TEXTS.contains(&field) {
        let forms = [("!=", true, true), ("!~", true, false), ("~", false, false), ("=", false, true)];
        let form = forms.iter().find_map(|(op, not, exact)| Some((rest.strip_prefix(op)?, *not, *exact)));
        let Some((value, not, exact)) = form.filter(|(value, _, _)| !value.is_empty()) else {
            return Err(format!("`{text}`: {field} takes = != ~ !~ and text"));
        };
        return Ok(Term::Text { field, not, exact, value: value.to_lowercase() });
    }
    let op = OPS.iter().find_map(|(op, meaning)| Some((rest.strip_prefix(op)?, *meaning)));
    let number = op.and_then(|(value, op)| Some((quantity(value)?, op)));
    let (value, op) = number.ok_or_else(|| format!("`{text}`: {field} takes = != < <= > >= and a number such as 0.5 or 200M"))?;
    Ok(Term::Number { field, op, value })
}

/// A number with an optional K, M, G or T (1024).
fn quantity(text: &str) -> Option<f64> {
    let upper = text.to_ascii_uppercase();
    let upper = upper.trim_end_matches('B').trim_end_matches('I');
    let powers = [('K', 1), ('M', 2), ('G', 3), ('T', 4)];
    let (number, power) = match powers.iter().find(|(letter, _)| upper.ends_with(*letter)) {
        Some((letter, power)) => (upper.trim_end_matches(*letter), *power),
        None => (upper, 0),
    };
    number.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n * 1024_f64.powi(power))
}

fn texts(p: &ProcFacts, field: &str) -> Vec<String> {
    match field {
        "state" => vec![p.state.to_lowercase().to_string()],
        "name" => vec![p.name.shown().to_lowercase()],
        "cmd" => vec![p.command.as_ref().map_or_else(String::new, |c| c.shown().to_lowercase())],
        _ => p.cgroups.iter().map(|g| g.path.shown().to_lowercase()).collect(),
    }
}

fn is(text: &str, exact: bool, value: &str) -> bool {
    // A unit's name is the last part of its group's path.
    if exact { text == value || text.rsplit('/').next() == Some(value) } else { text.contains(value) }
}

fn numbers(p: &ProcFacts, field: &str) -> Vec<f64> {
    let one = match field {
        "pid" => Some(f64::from(p.id.pid)),
        "ppid" => Some(f64::from(p.ppid)),
        "uid" => p.uid.map(f64::from),
        "cpu" => p.cpu,
        "runq" => p.runnable,
        "io" => p.io_wait,
        "read" => p.read_bytes_per_s,
        "write" => p.write_bytes_per_s,
        "mem" => Some(p.rss_bytes as f64),
        "thr" => Some(f64::from(p.threads)),
        "nice" => Some(f64::from(p.nice)),
        "fg" => Some(p.weight.value),
        _ => return p.listens.iter().map(|port| f64::from(*port)).collect(),
    };
    one.into_iter().collect()
}

fn compare(a: f64, op: Op, b: f64) -> bool {
    match op {
        Op::Less => a < b,
        Op::LessOrEqual => a <= b,
        Op::Equal => (a - b).abs() < 1e-9,
        Op::NotEqual => (a - b).abs() >= 1e-9,
        Op::GreaterOrEqual => a >= b,
        Op::Greater => a > b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_and_what_is_wrong_is_said() {
        assert_eq!(Query::parse("nginx").unwrap(), Query(vec![Term::Word("nginx".into())]));
        let two = Query::parse("cpu>=0.5 mem>200M").unwrap();
        assert_eq!(two.0[0], Term::Number { field: "cpu", op: Op::GreaterOrEqual, value: 0.5 });
        assert_eq!(two.0[1], Term::Number { field: "mem", op: Op::Greater, value: 200.0 * 1_048_576.0 });
        assert_eq!(
            Query::parse("group!~user").unwrap().0[0],
            Term::Text { field: "group", not: true, exact: false, value: "user".into() }
        );
        assert!(Query::parse("cpv>1").unwrap_err().contains("did you mean `cpu`?"));
        assert!(Query::parse("cpu~1").unwrap_err().contains("a number"));
        assert!(Query::parse("state>D").unwrap_err().contains("text"));
        assert_eq!(quantity("1.5GiB"), Some(1.5 * 1024.0 * 1024.0 * 1024.0));
        assert_eq!(quantity("much"), None);
    }
}
