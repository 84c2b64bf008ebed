//! What the world said: raw samples, the facts derived from two of them, and the words they are said in.
//! Pure: no IO, no clock, no other layer.

pub mod address;
pub mod alerting;
pub mod audit;
pub mod capacity;
pub mod cost;
pub mod counter;
pub mod dashboard;
pub mod demand;
pub mod facts;
pub mod foreign;
pub mod history;
pub mod host;
pub mod journal;
pub mod kind;
pub(crate) mod kinds;
pub mod kpi;
pub mod mask;
pub mod named;
pub mod objective;
pub mod origin;
pub mod postgres;
pub mod prometheus;
pub mod promql;
pub mod redis;
pub mod sample;
pub mod seen;
pub mod server;
pub mod service;
pub mod shell;
pub mod source;
pub mod states;
pub mod subject;
pub mod trend;
pub mod unit;
