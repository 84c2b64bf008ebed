//! What a kind of server is to the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Stamp;
use super::facts::process::ProcFacts;
use super::host::ProcId;
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

    /// Two ticks that follow each other as one: what was read in either, the later one where in both; what is counted since the tick
    /// before is added up.
    fn join(earlier: Self::Sample, later: Self::Sample) -> Self::Sample;

    /// The facts of all servers of the newest moment of `window`, oldest first, in the order of their ids.
    fn facts(window: &[Moment<'_, Self::State>], host: &HostOf<'_>) -> Vec<Self::Facts>;

    /// Where a server stands on this host; `None` where it does not, or nobody knows.
    fn here(_: &Self::Facts) -> Option<Here<'_>> {
        None
    }
}

/// The servers of one kind at one tick, by source id.
#[derive(Debug)]
pub struct Moment<'a, S> {
    /// The tick's stamp.
    pub at: Stamp,
    /// What was known of them.
    pub servers: &'a BTreeMap<String, Arc<S>>,
}

/// What is known of the host at the newest moment.
#[derive(Debug)]
pub struct HostOf<'a> {
    /// Its processes.
    pub processes: &'a [ProcFacts],
    /// Ticks of its clock, in which starts are counted.
    pub ticks_per_s: f64,
    /// Wall clock of its boot, microseconds; `None` where it was not read.
    pub boot_us: Option<f64>,
}

/// A server as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here<'a> {
    /// Its source id.
    pub id: &'a str,
    /// Its first process, where it runs here.
    pub root: Option<ProcId>,
    /// The port that it listens on here, as it says itself.
    pub port: Option<u16>,
}

/// What a server was asked, and its answer.
pub type Answered<'a, K> = (&'a <K as ServerKind>::Ask, Result<&'a <K as ServerKind>::Detail, &'a Lack>);

/// What cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Nothing {}
