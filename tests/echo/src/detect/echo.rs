//! Echo servers as they are judged: nothing is worked out before, nothing is learned.

use std::collections::BTreeMap;

use crate::model::echo::EchoFacts;
use crate::model::source::SourceKind;

use super::asked::Plain;
use super::kind::Kind;
use super::memory::RuleMemory;
use super::params::ParamOverrides;
use super::verdict::Facts;

pub use super::nothing::{LearnsNothing as Learning, ShowsNothing as Shown, shows_nothing as shown};

/// Its row.
pub const KIND: Kind =
    Kind::plain(SourceKind::Echo, |world| world.servers.echo.iter().map(|server| server.id.as_str()).collect());

/// What a rule is given.
pub type View<'a> = Plain<'a, EchoFacts>;
/// The same, before it is asked.
pub type Prepared<'a> = Plain<'a, EchoFacts>;

/// All servers.
#[must_use]
pub fn prepare<'a>(facts: &Facts<'a>, _: &ParamOverrides, _: &BTreeMap<String, RuleMemory>) -> Vec<Prepared<'a>> {
    facts.world.servers.echo.iter().map(|server| Plain { facts: *facts, id: &server.id, server }).collect()
}
