//! What holds for single series and columns of a panel: by name, by a pattern of names, by query.

use regex::Regex;

/// Which series or columns it is of.
#[derive(Debug, Clone)]
pub enum Which {
    /// Of that name.
    Name(String),
    /// Of a query, by its letter.
    Letter(String),
    /// Whose name fits.
    Pattern(Regex),
}

impl PartialEq for Which {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) | (Self::Letter(a), Self::Letter(b)) => a == b,
            (Self::Pattern(a), Self::Pattern(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// What holds for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Of which.
    pub which: Which,
    /// Another unit.
    pub unit: Option<String>,
    /// Another name.
    pub name: Option<String>,
    /// Not shown.
    pub hidden: bool,
    /// Drawn below the axis.
    pub below: bool,
    /// Not stacked with the others.
    pub apart: bool,
}

impl Override {
    /// Nothing but which.
    #[must_use]
    pub const fn of(which: Which) -> Self {
        Self { which, unit: None, name: None, hidden: false, below: false, apart: false }
    }

    /// It holds for one of that name, of the query with that letter.
    #[must_use]
    pub fn fits(&self, name: &str, letter: &str) -> bool {
        match &self.which {
            Which::Name(own) => own == name,
            Which::Letter(own) => own == letter,
            Which::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// A pattern as it is written for a browser: `/pattern/i`, or the pattern alone. `None`: it cannot be read here.
#[must_use]
pub fn pattern(written: &str) -> Option<Regex> {
    const LONGEST: usize = 1_000;
    let (body, flags) = match written.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
        Some((body, flags)) => (body, flags),
        None => (written, ""),
    };
    if body.len() > LONGEST {
        return None;
    }
    // A browser's escaped slash is a slash.
    let body = body.replace("\\/", "/");
    Regex::new(&if flags.contains('i') { format!("(?i){body}") } else { body }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_browser() {
        let fits = |written: &str, name: &str| pattern(written).unwrap().is_match(name);
        assert!(fits("/ read| written/", "vda written") && !fits("/ read| written/", "vda io time"));
        assert!(fits("/.*tx.*/i", "eth0 Tx") && !fits("/.*tx.*/", "eth0 Tx"));
        assert!(fits("a\\/b", "a/b") && fits("/a\\/b/", "a/b"));
        assert!(pattern("/(?=ahead)/").is_none() && pattern("(").is_none());
    }
}
