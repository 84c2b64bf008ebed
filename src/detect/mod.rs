//! Judgement: rules over facts, the ledger of foreground time, causes, ranking, fixes. Pure.
//! What never lives here: IO, clocks, configuration files, drawing.

pub mod asked;
mod before;
#[cfg(test)]
pub(crate) mod bench;
pub mod candidate;
pub mod capacity;
pub mod causes;
pub mod changes;
mod clock_set;
pub mod command;
pub mod diagnosis;
mod edges;
pub mod finding;
pub mod fix;
pub mod headline;
pub mod health;
pub mod judge;
pub mod kind;
pub mod kinds;
pub mod kpi;
pub mod learned;
pub mod ledger;
pub mod memory;
pub mod nothing;
pub mod onset;
pub mod params;
pub mod places;
pub mod postgres;
pub mod prometheus;
mod queues;
mod rank;
pub mod redis;
pub mod rule;
pub mod rules;
pub mod series;
mod settle;
pub mod stands;
mod suspect;
pub mod touch;
pub mod trails;
pub mod usual;
pub mod verdict;
mod victims;
