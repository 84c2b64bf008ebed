//! Questions: how far back and how finely, and how their queries are written.

use std::time::Duration;

use crate::model::objective::promql_duration;

/// What is asked often must be quick; what reaches far may take longer.
pub const QUICK: Duration = Duration::from_secs(3);
/// For what reaches far.
pub const FAR: Duration = Duration::from_secs(10);

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub query: String,
    /// Start, end and step, seconds since 1970; `None`: now.
    pub range: Option<(i64, i64, u64)>,
    /// For how long it may be worked on.
    pub patience: Duration,
}

/// One width: how far back, how finely, how often.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    /// Seconds back from now.
    pub span_s: u64,
    /// Between two readings; 0: each sample as it was scraped.
    pub step_s: u64,
    /// Between two questions.
    pub every: Duration,
}

impl Width {
    /// So coarse that the server sums what its counters grew by within each step: a target may live for less than that.
    #[must_use]
    pub const fn summed(&self) -> bool {
        self.step_s >= 1_800
    }
}

/// A question about raw samples that ends now: with coarse steps a round end would leave out what happens now.
pub fn over(selector: &str, width: Width, end_s: i64) -> Question {
    let span = i64::try_from(width.span_s).unwrap_or(3_600);
    if width.step_s == 0 {
        let query = format!("{selector}[{}]", promql_duration(width.span_s));
        return Question { query, range: None, patience: QUICK };
    }
    let step = i64::try_from(width.step_s).unwrap_or(60);
    let range = Some((end_s - span + step, end_s, width.step_s));
    if width.summed() {
        // Over days targets come and go: what each grew by within a step only the server knows.
        return Question { query: format!("sum(increase({selector}[{}]))", promql_duration(width.step_s)), range, patience: FAR };
    }
    Question { query: selector.to_owned(), range: Some((end_s - span, end_s, width.step_s)), patience: FAR }
}

/// A range whose points are multiples of its step: the same ones each time.
pub fn aligned(end_s: i64, span_s: u64, step_s: u64) -> (i64, i64, u64) {
    let step = i64::try_from(step_s).unwrap_or(60).max(1);
    let end = end_s - end_s.rem_euclid(step);
    (end - i64::try_from(span_s).unwrap_or(3_600), end, step_s)
}

/// The query with the window in the place that is kept for it.
pub fn with_window(query: &str, seconds: u64) -> String {
    let window = promql_duration(seconds);
    ["{{.window}}", "{{ .window }}", "{{.Window}}"].iter().fold(query.to_owned(), |q, place| q.replace(place, &window))
}

/// A part of a histogram: `name{labels}` becomes `name_bucket{labels,more}`.
pub fn part(histogram: &str, suffix: &str, more: &str) -> String {
    let (name, labels) = histogram.split_once('{').map_or((histogram, ""), |(name, rest)| (name, rest));
    let labels = labels.trim().trim_end_matches('}').trim().trim_end_matches(',');
    let all = [labels, more].into_iter().filter(|l| !l.is_empty()).collect::<Vec<_>>().join(",");
    format!("{}{suffix}{{{all}}}", name.trim())
}

/// One of these texts, as a regular expression.
pub fn alternatives(texts: &[String]) -> String {
    texts.iter().map(|t| t.replace('.', "\\.").replace('+', "\\+")).collect::<Vec<_>>().join("|")
}
