//! Servers by kind: what they said, what is known of them, what they are asked. One field or variant a kind, by the rows of
//! `model::kinds`; a recording names the kind as its folder does.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::demand::{Answer, Demand, Detail};
use super::facts::ProcFacts;
use super::kinds::kinds;
use super::sample::{Sample, Snapshot};
use super::seen::Lack;

/// What a kind of server is to the model.
pub trait ServerKind {
    /// What one server said at one tick; what was not due is left out.
    type Sample: Default;
    /// The newest of everything that one server said.
    type State: Default;
    /// What follows from the states of a window.
    type Facts;
    /// What can be asked beside what is read anyway; [`Nothing`] where there is nothing.
    type Ask;
    /// What answers that.
    type Detail;

    /// Folds one tick over what was known. `now_ns` is the tick's CLOCK_MONOTONIC.
    fn fold(before: &Self::State, fresh: &Self::Sample, answers: &[Answered<'_, Self>], now_ns: u64) -> Self::State
    where
        Self: Sized;

    /// The facts of all servers of the newest snapshot, in the order of their ids.
    fn facts(window: &[Arc<Snapshot>], processes: &[ProcFacts]) -> Vec<Self::Facts>;
}

/// What a server was asked, and its answer.
pub type Answered<'a, K> = (&'a <K as ServerKind>::Ask, Result<&'a <K as ServerKind>::Detail, &'a Lack>);

/// What cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Nothing {}

macro_rules! servers {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// What servers said at one tick, by source id.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct Samples {
            $(
                #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
                pub $folder: BTreeMap<String, <super::$folder::$Kind as ServerKind>::Sample>,
            )*
        }

        /// What one server said.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "a kind each")]
        pub enum ServerSample {
            $($Kind(Box<<super::$folder::$Kind as ServerKind>::Sample>),)*
        }

        impl Samples {
            /// Adds what a server said, by its source id.
            pub fn put(&mut self, id: String, said: ServerSample) {
                match said {
                    $(ServerSample::$Kind(sample) => _ = self.$folder.insert(id, *sample),)*
                }
            }
        }

        /// What is known of servers, by source id.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct States {
            $(
                #[serde(default)]
                pub $folder: BTreeMap<String, Arc<<super::$folder::$Kind as ServerKind>::State>>,
            )*
        }

        impl States {
            /// The servers after this sample; one that is no source any more is forgotten.
            #[must_use]
            pub fn fold(&self, sample: &Sample) -> Self {
                Self {
                    $(
                        $folder: fold::<super::$folder::$Kind>(&self.$folder, &sample.servers.$folder, sample, &|answer| {
                            let Demand::Server { source, ask: ServerAsk::$Kind(ask) } = &answer.demand else { return None };
                            match &answer.detail {
                                Ok(Detail::Server(ServerDetail::$Kind(detail))) => Some((source, (ask, Ok(detail)))),
                                Ok(_) => None,
                                Err(lack) => Some((source, (ask, Err(lack)))),
                            }
                        }),
                    )*
                }
            }
        }

        /// Facts of servers.
        #[derive(Debug, Clone, Default)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct ServerFacts {
            $(pub $folder: Vec<<super::$folder::$Kind as ServerKind>::Facts>,)*
        }

        impl ServerFacts {
            /// Of the newest snapshot of `window`, oldest first.
            #[must_use]
            pub fn derive(window: &[Arc<Snapshot>], processes: &[ProcFacts]) -> Self {
                Self { $($folder: <super::$folder::$Kind as ServerKind>::facts(window, processes),)* }
            }
        }

        /// What a server is asked, by its kind.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "a kind each")]
        pub enum ServerAsk {
            $($Kind(<super::$folder::$Kind as ServerKind>::Ask),)*
        }

        /// What it answers.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "a kind each")]
        pub enum ServerDetail {
            $($Kind(<super::$folder::$Kind as ServerKind>::Detail),)*
        }
    };
}

kinds!(servers);

/// An answer to a server of that kind, with its source id.
type Find<'s, K> = dyn Fn(&'s Answer) -> Option<(&'s String, Answered<'s, K>)>;

fn fold<'s, K: ServerKind>(
    before: &BTreeMap<String, Arc<K::State>>,
    fresh: &BTreeMap<String, K::Sample>,
    sample: &'s Sample,
    find: &Find<'s, K>,
) -> BTreeMap<String, Arc<K::State>> {
    let gone = |id: &String| sample.sources.as_ref().is_some_and(|s| !s.iter().any(|s| s.id == *id));
    let answers: Vec<_> = sample.answers.iter().filter_map(find).collect();
    let (nothing, unknown) = (K::Sample::default(), Arc::default());
    let mut after = BTreeMap::new();
    for id in before.keys().chain(fresh.keys()).filter(|id| !gone(id)) {
        after.entry(id.clone()).or_insert_with(|| {
            let own: Vec<Answered<'_, K>> = answers.iter().filter(|(source, _)| *source == id).map(|(_, a)| *a).collect();
            let (before, fresh) = (before.get(id).unwrap_or(&unknown), fresh.get(id).unwrap_or(&nothing));
            Arc::new(K::fold(before, fresh, &own, sample.at.mono_ns))
        });
    }
    after
}
