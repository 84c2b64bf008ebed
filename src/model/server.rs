//! Servers by kind: what they said, what they are asked. One field or variant a kind, by the rows of `model::kinds`; a recording names the
//! kind as its folder does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kind::ServerKind;
use super::kinds::kinds;

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

            /// These and what was said at the next tick, as one tick's.
            #[must_use]
            pub fn join(mut self, later: Self) -> Self {
                $(
                    for (id, said) in later.$folder {
                        let both = match self.$folder.remove(&id) {
                            Some(earlier) => super::$folder::$Kind::join(earlier, said),
                            None => said,
                        };
                        self.$folder.insert(id, both);
                    }
                )*
                self
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
