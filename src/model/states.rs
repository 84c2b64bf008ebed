//! What is known of servers: one tick folded over what was known before.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::demand::{Answer, Demand, Detail};
use super::kind::{Answered, ServerKind};
use super::kinds::kinds;
use super::server::{Samples, ServerAsk, ServerDetail};
use super::source::SourceStatus;

/// What came with a sample of servers.
pub struct Beside<'a> {
    /// Answers to demands.
    pub answers: &'a [Answer],
    /// The sources, where they were told.
    pub sources: Option<&'a [SourceStatus]>,
    /// CLOCK_MONOTONIC.
    pub now_ns: u64,
}

macro_rules! states {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
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
            /// The servers after what was said at one tick; one that is no source any more is forgotten.
            #[must_use]
            pub fn fold(&self, fresh: &Samples, beside: &Beside<'_>) -> Self {
                Self {
                    $(
                        $folder: fold::<super::$folder::$Kind>(&self.$folder, &fresh.$folder, beside, &|answer| {
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
    };
}

kinds!(states);

/// An answer to a server of that kind, with its source id.
type Find<'s, K> = dyn Fn(&'s Answer) -> Option<(&'s String, Answered<'s, K>)>;

fn fold<'s, K: ServerKind>(
    before: &BTreeMap<String, Arc<K::State>>,
    fresh: &BTreeMap<String, K::Sample>,
    beside: &Beside<'s>,
    find: &Find<'s, K>,
) -> BTreeMap<String, Arc<K::State>> {
    let gone = |id: &String| beside.sources.is_some_and(|s| !s.iter().any(|s| s.id == *id));
    let answers: Vec<_> = beside.answers.iter().filter_map(find).collect();
    let (nothing, unknown) = (K::Sample::default(), Arc::default());
    let mut after = BTreeMap::new();
    for id in before.keys().chain(fresh.keys()).filter(|id| !gone(id)) {
        after.entry(id.clone()).or_insert_with(|| {
            let own: Vec<Answered<'_, K>> = answers.iter().filter(|(source, _)| *source == id).map(|(_, a)| *a).collect();
            let (before, fresh) = (before.get(id).unwrap_or(&unknown), fresh.get(id).unwrap_or(&nothing));
            Arc::new(K::fold(before, fresh, &own, beside.now_ns))
        });
    }
    after
}
