//! The list of rules. One file per finding, one row here.

mod app;
mod crowd;
mod host;
pub mod postgres;
pub mod prometheus;
pub mod redis;
mod source;
pub mod support;
mod without;

use crate::model::kinds::kinds;

use super::rule::{Rule, brief};

pub use app::{service_stalled, unexplained};
pub use host::disk_errors;

/// All rules, in the order of the catalogue: one list a folder.
pub const RULES: &[&Rule] = &ALL;

macro_rules! lists {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        const LISTS: &[&[&Rule]] = &[host::RULES, $($folder::RULES,)* app::RULES, source::RULES];
    };
}

kinds!(lists);

const ALL: [&Rule; count()] = joined();

const fn count() -> usize {
    let (mut all, mut list) = (0, 0);
    while list < LISTS.len() {
        all += LISTS[list].len();
        list += 1;
    }
    all
}

const fn joined() -> [&'static Rule; count()] {
    let mut all = [LISTS[0][0]; count()];
    let (mut at, mut list) = (0, 0);
    while list < LISTS.len() {
        let mut row = 0;
        while row < LISTS[list].len() {
            all[at] = LISTS[list][row];
            (at, row) = (at + 1, row + 1);
        }
        list += 1;
    }
    all
}

/// The rule of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id || brief(rule.id) == id)
}
