//! Judgement: rules over facts, the ledger of foreground time, causes, ranking, fixes. Pure.
//! What never lives here: IO, clocks, configuration files, drawing.

pub mod advice;
mod backends;
pub mod causes;
pub mod command;
mod conditions;
pub mod diagnosis;
mod edges;
pub mod finding;
pub mod fix;
pub mod headline;
pub mod health;
pub mod judge;
pub mod ledger;
pub mod loss;
pub mod memory;
pub mod params;
mod pools;
pub mod queries;
mod query_limits;
mod queues;
pub mod rank;
pub mod rules;
pub mod series;
pub mod servers;
mod settle;
mod stands;
pub mod tables;
mod throttled;
pub mod touch;
pub mod usual;
pub mod verdict;
mod victims;
mod waits;
