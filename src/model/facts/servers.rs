//! Facts of servers: a list a kind, by the rows of `model::kinds`.

use std::sync::Arc;

use crate::model::kind::{Here, HostOf, Moment, ServerKind};
use crate::model::kinds::kinds;
use crate::model::sample::Snapshot;

use super::process::ProcFacts;

macro_rules! facts {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// Facts of servers.
        #[derive(Debug, Clone, Default)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct ServerFacts {
            $(pub $folder: Vec<<crate::model::$folder::$Kind as ServerKind>::Facts>,)*
        }

        impl ServerFacts {
            /// Of the newest snapshot of `window`, oldest first.
            #[must_use]
            pub fn derive(window: &[Arc<Snapshot>], processes: &[ProcFacts]) -> Self {
                let host = HostOf::newest(window, processes);
                Self {
                    $($folder: {
                        let moments: Vec<_> =
                            window.iter().map(|s| Moment { at: s.at, servers: &s.servers.$folder }).collect();
                        <crate::model::$folder::$Kind as ServerKind>::facts(&moments, &host)
                    },)*
                }
            }

            /// Those that run on this host.
            pub fn here(&self) -> impl Iterator<Item = Here<'_>> {
                std::iter::empty()$(.chain(self.$folder.iter().filter_map(<crate::model::$folder::$Kind as ServerKind>::here)))*
            }
        }
    };
}

kinds!(facts);

impl<'a> HostOf<'a> {
    fn newest(window: &[Arc<Snapshot>], processes: &'a [ProcFacts]) -> Self {
        let sweep = window.last().and_then(|s| s.sweep.as_ref().ok());
        Self {
            processes,
            ticks_per_s: window.iter().rev().find_map(|s| s.identity.as_ref()).map_or(100.0, |i| i.ticks_per_s as f64),
            // What a start in ticks is counted from.
            boot_us: sweep.map(|sweep| sweep.at.wall_ms as f64 * 1e3 - sweep.at.boot_ns as f64 / 1e3),
        }
    }
}
