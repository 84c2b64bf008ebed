//! The plan: the fixes of all causes by horizon, with effort and expected gain; and what to watch. Pure.

use crate::detect::finding::{Fix, Horizon, Phase};
use crate::model::unit::seconds;

use super::story::{Story, Told};

/// One step of the plan.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// For which cause.
    pub cause: &'a Told,
    /// Its place among the causes, from 1.
    pub number: usize,
    /// What to do.
    pub fix: &'a Fix,
}

/// The horizons and how they are headed.
pub const HORIZONS: [(Horizon, &str); 3] =
    [(Horizon::Immediate, "Immediate"), (Horizon::ShortTerm, "Short term"), (Horizon::LongTerm, "Long term")];

/// What is to be done at a horizon, in the order of the causes.
#[must_use]
pub fn at(story: &Story, horizon: Horizon) -> Vec<Item<'_>> {
    let causes = story.causes().into_iter().enumerate();
    causes
        .flat_map(|(n, cause)| {
            cause.finding.fixes.iter().filter(move |f| f.horizon == horizon).map(move |fix| Item { cause, number: n + 1, fix })
        })
        .collect()
}

impl Item<'_> {
    /// How much work it is: a statement to paste, or somebody's change.
    #[must_use]
    pub fn effort(&self) -> String {
        use crate::detect::command::Language;
        let takes = self.fix.takes_s.map_or_else(String::new, |s| format!(", runs {}", seconds(s)));
        match (self.fix.command.language(), self.fix.phase) {
            (Language::Config, _) => "a change elsewhere".to_owned(),
            (_, Phase::Relief) => format!("one command{takes}"),
            (_, Phase::Cure) => format!("one command, to be checked{takes}"),
        }
    }

    /// What it gives back, s/s; a cure and a relief of one cause give the same back once, and what only looks gives nothing.
    #[must_use]
    pub fn gain(&self) -> Option<f64> {
        self.cause.finding.impact.benefit_s_per_s.filter(|s| *s > 0.0 && !self.fix.only_looks())
    }
}

/// What to watch: how to see, for each cause, that it is gone.
#[must_use]
pub fn watch(story: &Story) -> Vec<(usize, &Told, &Fix)> {
    let causes = story.causes().into_iter().enumerate();
    causes.filter_map(|(n, cause)| Some((n + 1, cause, cause.finding.fixes.first().filter(|f| !f.verify.is_empty())?))).collect()
}
