//! What the judgement knows of each kind of server that is read: one row a kind, and how its rules are judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::facts::Facts as World;
use crate::model::host::ProcId;
use crate::model::kinds::kinds;
use crate::model::seen::Lack;
use crate::model::source::{SourceKind, SourceStatus};

use super::finding::Fix;
use super::ledger::{Actor, State, Told};
use super::memory::{Learned, RuleMemory};
use super::params::{ParamOverrides, Params};
use super::verdict::{Facts, Judged, Left, Prev, Rule, Verdict};

/// A session of a server.
#[derive(Debug, Clone)]
pub struct SessionOf<'a> {
    /// Its server, by source id.
    pub source: &'a str,
    /// Whose it is, in words.
    pub label: String,
    /// How to see what it waits for.
    pub look: Fix,
}

/// A figure by its name; `None` where it is not known.
pub type Count = (&'static str, Option<f64>);

/// One kind of server.
pub struct Kind {
    /// Which.
    pub kind: SourceKind,
    /// What its servers tell of their sessions.
    pub tell: fn(&World, &mut Told),
    /// What a server does for its clients, per second, by its id; `None` where it is not known.
    pub throughput: fn(&World, &str) -> Option<f64>,
    /// What was learned is written into the facts before they are judged.
    pub recall: fn(&mut World, &Learned),
    /// Why a server is only partly visible, by its id; `None` when all of it is.
    pub partly_seen: fn(&World, &str) -> Option<Lack>,
    /// The ids of its servers.
    pub servers: fn(&World) -> Vec<&str>,
    /// Its first process, where it runs here.
    pub root: fn(&World, &str) -> Option<ProcId>,
    /// The port that it listens on here, as it says itself.
    pub port: fn(&World, &str) -> Option<u16>,
    /// How it is seen whole, where parts are missing.
    pub see_whole: fn(&World, &SourceStatus) -> Option<Fix>,
    /// The session that an actor is, and how to see what it waits for.
    pub session: for<'a> fn(&'a World, &Actor, State) -> Option<SessionOf<'a>>,
    /// The findings by which clients are turned away.
    pub refuses: &'static [&'static str],
    /// What is kept of a server over time: always the same figures in the same order; `None` is a gap.
    pub counts: fn(&World, &str) -> Vec<Count>,
}

macro_rules! judged {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All kinds.
        pub const KINDS: &[Kind] = &[$(super::$folder::KIND),*];

        /// How a rule judges, by what it is given.
        #[derive(Debug, Clone, Copy)]
        pub enum Judge {
            /// The host, and all that is seen from it; once.
            Host(fn(&Facts<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            /// What no cause claims; once, after all others.
            Rest(fn(&Facts<'_>, &Left<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            $(
                #[doc = concat!("Each server of ", $name, ".")]
                $Kind(fn(&super::$folder::View<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            )*
        }

        impl Judge {
            /// Whom it judges.
            #[must_use]
            pub const fn kind(self) -> SourceKind {
                match self {
                    Self::Host(_) | Self::Rest(_) => SourceKind::Host,
                    $(Self::$Kind(_) => SourceKind::$Kind,)*
                }
            }
        }

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
                    Judge::Host(judge) => each(Asked::host(rule, facts.world), judge(facts, params, prev("host"))),
                    Judge::Rest(_) => {}
                    $(
                        Judge::$Kind(judge) => {
                            for server in &self.$folder {
                                each(server.asked(rule), judge(&server.view(*facts), params, prev(server.id())));
                            }
                        }
                    )*
                }
            }
        }
    };
}

kinds!(judged);

impl Kind {
    /// A kind whose servers have no sessions, do nothing that is counted, and are seen whole or not at all.
    #[must_use]
    pub const fn plain(kind: SourceKind, servers: fn(&World) -> Vec<&str>) -> Self {
        Self {
            kind,
            tell: |_, _| {},
            throughput: |_, _| None,
            recall: |_, _| {},
            partly_seen: |_, _| None,
            servers,
            root: |_, _| None,
            port: |_, _| None,
            see_whole: |_, _| None,
            session: |_, _, _| None,
            refuses: &[],
            counts: |_, _| Vec::new(),
        }
    }
}

/// A server for which nothing is worked out before its rules are asked: they are given its facts and those of the host.
pub struct Plain<'a, F> {
    /// The host and what was learned.
    pub facts: Facts<'a>,
    /// Its source id.
    pub id: &'a str,
    /// Its own facts.
    pub server: &'a F,
}

impl<'a, F> Plain<'a, F> {
    /// Its source id.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// What its rules are given.
    #[must_use]
    pub const fn view(&self, facts: Facts<'a>) -> Self {
        Self { facts, id: self.id, server: self.server }
    }

    /// It, as any rule can check it.
    #[must_use]
    pub fn asked(&self, _rule: &Rule) -> Asked<'a> {
        Asked { source: self.id, ..Asked::default() }
    }
}

/// What is shown of servers beside their facts where nothing is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShowsNothing;

/// Nothing.
pub const fn shows_nothing<T>(_servers: &[T]) -> ShowsNothing {
    ShowsNothing
}

/// What is learned of servers of which nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnsNothing {}

impl LearnsNothing {
    /// Learns nothing.
    pub const fn learn(&mut self, _facts: &World) {}
}

/// Who was judged.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// Its id.
    pub source: &'a str,
    /// Why a rule can clear nothing there: what it needs is hidden or was refused.
    pub lacking: Option<Lack>,
    /// It takes no writes.
    pub standby: bool,
}

impl Asked<'_> {
    /// The host, as `rule` can check it.
    #[must_use]
    pub fn host(rule: &Rule, world: &World) -> Self {
        let lacking = rule.origins.iter().find_map(|origin| world.host.missing(origin));
        Self { source: "host", lacking, standby: false }
    }
}

impl Asked<'_> {
    /// The verdict, as far as it can be told: where something is lacking nothing is clear.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> Verdict {
        match (verdict, &self.lacking) {
            (Verdict::Clear(_) | Verdict::Unknown { .. }, Some(lack)) => {
                Verdict::Unknown { because: lack.to_string(), lift: lack.lift.clone() }
            }
            (verdict, _) => verdict,
        }
    }
}

/// The first processes of all servers that run here.
pub fn roots(world: &World) -> impl Iterator<Item = ProcId> {
    KINDS.iter().flat_map(|kind| (kind.servers)(world).into_iter().filter_map(|id| (kind.root)(world, id)))
}

/// The kind of a source.
#[must_use]
pub fn of(source: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| source.split(':').next() == Some(kind.kind.word()))
}

/// The session that an actor is.
#[must_use]
pub fn session_of<'a>(world: &'a World, actor: &Actor, state: State) -> Option<SessionOf<'a>> {
    KINDS.iter().find_map(|kind| (kind.session)(world, actor, state))
}

/// Clients are turned away by what that rule finds.
#[must_use]
pub fn refuses(rule: &str) -> bool {
    KINDS.iter().any(|kind| kind.refuses.contains(&rule))
}

/// What a server does for its clients, per second: whether those who were to gain from a fix still work.
#[must_use]
pub fn throughput(world: &World, source: &str) -> Option<f64> {
    (of(source)?.throughput)(world, source)
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
