//! Which process stands in which group. Pure.

use crate::model::facts::{CgroupFacts, ProcFacts};
use crate::model::foreign::Foreign;
use crate::model::host::Controller;

/// True when the process stands in that group or below it.
#[must_use]
pub fn inside(p: &ProcFacts, group: &CgroupFacts) -> bool {
    let below = |path: &Foreign| {
        let (path, group) = (path.raw(), group.path.raw());
        path.starts_with(group) && path.get(group.len()).is_none_or(|b| *b == b'/')
    };
    let same = |c: Controller| c == group.controller;
    // The root group is that of a container: all that is seen from inside stands in it.
    group.path.raw() == b"/" || p.cgroups.iter().any(|g| same(g.controller) && below(&g.path))
}
