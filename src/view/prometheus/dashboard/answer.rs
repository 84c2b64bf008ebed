//! What a panel's queries gave.

use crate::app::DashboardView;
use crate::diagnose::Picture;
use crate::model::dashboard::{Interval, Panel, expand};
use crate::model::foreign::tamed;
use crate::model::prometheus::Lines;
use crate::model::seen::Lack;

/// The series of a query, the pattern of their names, and its letter.
pub type Answer<'p> = (&'p Lines, &'p str, &'p str);

/// How many series there are, and how many have room: the last row says how many are left, where not all have.
pub fn room(answers: &[Answer<'_>], drawn: usize, rows: usize) -> (usize, Option<usize>) {
    let all = answers.iter().map(|(l, ..)| l.found).sum::<usize>().max(drawn);
    if all <= rows && drawn == all {
        return (drawn, None);
    }
    let shown = drawn.min(rows.saturating_sub(1));
    (shown, Some(all - shown).filter(|left| *left > 0 && rows > 1))
}

/// The title, with what is chosen in the place of its variables: values of labels, which come from outside.
pub fn title(view: &DashboardView, panel: &Panel) -> String {
    let interval = Interval::of(view.span_s, 1, 0, 15);
    tamed(&expand(&panel.title, &view.dashboard, &panel.chosen(&view.chosen), &interval))
}

/// The queries of a panel that were asked and have no answer: their letters, and why.
pub fn failed<'p>(view: &DashboardView, picture: &'p Picture, source: &str, panel: &'p Panel) -> Vec<(&'p str, Lack)> {
    let lack = |at: usize| view.lines(picture, source, panel, at)?.err();
    panel.targets.iter().enumerate().filter_map(|(at, t)| Some((t.id.as_str(), lack(at)?))).collect()
}
