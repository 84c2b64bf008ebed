//! All kinds of servers that are read, one row a kind: what they tell, and how their rules are judged.

use std::collections::BTreeMap;

use crate::model::facts::Facts as World;
use crate::model::kinds::kinds;

use super::asked::Asked;
use super::kind::{self, Kind};
use super::ledger::Told;
use super::memory::RuleMemory;
use super::params::{ParamOverrides, Params};
use super::rule::{Judge, Rule};
use super::verdict::{Facts, Judged, Prev};

macro_rules! judged {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All kinds.
        pub const KINDS: &[Kind] = &[$(super::$folder::KIND),*];

        /// What is worked out of servers and shown beside their facts.
        #[derive(Debug, Clone, Default)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct Shown {
            $(pub $folder: super::$folder::Shown,)*
        }

        /// The servers, with what is worked out once for all rules.
        pub struct Servers<'a> {
            $($folder: Vec<super::$folder::Prepared<'a>>,)*
        }

        impl<'a> Servers<'a> {
            /// Of one evaluation.
            #[must_use]
            pub fn of(facts: &Facts<'a>, overrides: &ParamOverrides, rules: &BTreeMap<String, RuleMemory>) -> Self {
                Self { $($folder: super::$folder::prepare(facts, overrides, rules),)* }
            }

            /// What the screen shows of them.
            #[must_use]
            pub fn shown(&self) -> Shown {
                Shown { $($folder: super::$folder::shown(&self.$folder),)* }
            }

            /// Judges by a rule wherever it judges but for the rest; `prev` is what it found before at that source.
            pub fn judge<'m>(
                &'a self,
                rule: &Rule,
                facts: &Facts<'a>,
                params: &Params<'_>,
                prev: impl Fn(&str) -> Option<&'m Prev>,
                mut each: impl FnMut(Asked<'a>, Judged),
            ) {
                match rule.judge {
                    Judge::Host(judge) => each(Asked::host(rule.origins, facts.world), judge(facts, params, prev("host"))),
                    Judge::Rest(_) => {}
                    $(
                        Judge::$Kind(judge) => {
                            for server in &self.$folder {
                                each(server.asked(rule.origins), judge(&server.view(*facts), params, prev(server.id())));
                            }
                        }
                    )*
                }
            }
        }
    };
}

kinds!(judged);

/// What all servers tell of their sessions.
#[must_use]
pub fn told(world: &World) -> Told {
    let mut told = Told::default();
    for kind in KINDS {
        (kind.tell)(world, &mut told);
    }
    told
}

/// Clients are turned away by what that rule finds.
#[must_use]
pub fn refuses(rule: &str) -> bool {
    KINDS.iter().any(|kind| kind.refuses.contains(&rule))
}

/// Clients suffer, by what that rule finds.
#[must_use]
pub fn suffers(rule: &str) -> bool {
    KINDS.iter().any(|kind| kind.suffers.contains(&rule))
}

/// What a server does for its clients, per second: whether those who were to gain from a fix still work.
#[must_use]
pub fn throughput(world: &World, source: &str) -> Option<f64> {
    (kind::of(KINDS, source)?.throughput)(world, source)
}

/// A command of an origin as it is typed for that source.
#[must_use]
pub fn by_hand(world: &World, source: &str, command: &str) -> String {
    kind::of(KINDS, source).map_or_else(|| command.to_owned(), |kind| (kind.by_hand)(world, source, command))
}

/// A server is not seen whole.
#[must_use]
pub fn any_partly_seen(world: &World) -> bool {
    KINDS.iter().any(|kind| (kind.servers)(world).into_iter().any(|id| (kind.partly_seen)(world, id).is_some()))
}

/// Where a rule judges: the host, or each server of its kind.
#[must_use]
pub fn places<'a>(rule: &Rule, world: &'a World) -> Vec<&'a str> {
    let own = rule.judge.kind();
    KINDS.iter().find(|kind| kind.kind == own).map_or_else(|| vec!["host"], |kind| (kind.servers)(world))
}
