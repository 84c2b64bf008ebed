//! What queries cost, and which rule a costly one belongs to: one each, the narrowest that holds. Made once a server and evaluation. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::model::demand::Demand;
use crate::model::facts::{Activities, Facts as World, PgFacts};
use crate::model::postgres::plan::Plan;
use crate::model::postgres::{PgAsk, StatementRow, WaitClass, lexer};
use crate::model::seen::Seen;

use super::advice::{self, Advice, Call};
use super::backends::{actor_id, auxiliary, state_of};
use super::case::{Case, Kind};
use super::limits::Limits;
use crate::detect::ledger::{Actor, Ledger, State};
use crate::detect::verdict::Facts;

/// A query that costs, with its time by state.
#[derive(Debug, Clone)]
pub struct Costly<'a> {
    /// Its growth.
    pub row: &'a StatementRow,
    /// What it loses, by state.
    pub losses: Vec<(State, f64)>,
    /// The sum.
    pub lost: f64,
    /// Half width of the 95 % interval of the sum.
    pub ci: f64,
    /// Seconds on a CPU for each second that its clients wait for one: several processes may work on a statement.
    pub thick: f64,
    /// Where it belongs.
    pub kind: Option<Kind>,
}

/// Sessions that a query must keep busy before anyone asks why.
pub const LEAST: f64 = 0.1;
/// Statements that write.
const WRITES: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"];
/// Queries examined closely.
const MOST: usize = 6;
/// Of a query this cheap, milliseconds a call, much is outside of its clock.
pub const CHEAP_MS: f64 = 2.0;
/// Of what the kernel counts, samples must see this much to be believed.
const MISSED: f64 = 0.5;
/// Standard errors within which samples agree with a clock.
const AGREES: f64 = 3.0;

/// What the queries of one server cost.
#[derive(Debug, Clone, Default)]
pub struct Queries<'a> {
    /// Those that cost most, each with its kind.
    pub costly: Vec<Costly<'a>>,
    /// The plans that would tell more.
    pub demands: Vec<Demand>,
    /// Sessions busy with statements that write, on average.
    pub writing: f64,
    /// The indexes that would help, of all statements that have a plan.
    pub advised: Advised,
}

/// Indexes that would help, by database and query id.
pub type Advised = BTreeMap<(String, i64), Advice>;

/// Which rule a query belongs to.
pub type Sort = fn(&Case<'_>) -> Option<Kind>;

impl<'a> Queries<'a> {
    /// Of one server.
    #[must_use]
    pub fn of(facts: &Facts<'_>, pg: &'a PgFacts, limits: &Limits<'_>, sort: Sort) -> Self {
        let (world, advised) = (facts.world, advised(pg));
        let Some(time) = Time::of(world, facts.ledger, pg) else { return Self { advised, ..Self::default() } };
        let mut seen = BTreeSet::new();
        let cost = |row: &'a StatementRow| {
            let (losses, ci) = time.of_query(row);
            Costly { row, lost: losses.iter().map(|(_, s)| s).sum(), ci, thick: time.thick(row.key.query), losses, kind: None }
        };
        let mut all: Vec<Costly<'_>> = pg.rows().map(cost).filter(|c| c.lost > 0.0).collect();
        // One entry for each query, the busiest: the same text of two roles shares its sessions.
        all.sort_by(|a, b| {
            let busier = b.row.grown.exec_ms.total_cmp(&a.row.grown.exec_ms);
            b.lost.total_cmp(&a.lost).then(busier).then(a.row.key.cmp(&b.row.key))
        });
        all.retain(|c| seen.insert(c.row.key.query));
        let verb = |c: &Costly<'_>| lexer::verb(pg.text(c.row.key.query));
        let writing = all.iter().filter(|c| WRITES.contains(&verb(c).as_str())).map(|c| c.lost).sum();
        all.retain(|c| c.lost >= LEAST * 0.5);
        all.truncate(MOST);
        let mut demands = Vec::new();
        for costly in &mut all {
            let plan = pg.plan(costly.row);
            let advice = advised.get(&(costly.row.database.shown().to_owned(), costly.row.key.query));
            costly.kind = Case::of(facts.learned, pg, (costly.row, costly.lost, time.planning_ms(costly.row)), advice, limits)
                .and_then(|case| sort(&case));
            // One that became slow is likely to have another plan by now: an index is gone, or the statistics changed. So has one that touches
            // far less than its plan: an index was built.
            let fresh_ns = match &costly.kind {
                Some(Kind::Regressed(_)) => advice::FRESH_OF_SLOWER_NS,
                Some(Kind::MissingIndex(advice)) if outlived(costly.row, plan, advice.table) => advice::FRESH_OF_SLOWER_NS,
                _ => advice::FRESH_NS,
            };
            let old = plan.is_none_or(|(at_ns, _)| world.at.mono_ns.saturating_sub(*at_ns) > fresh_ns);
            if old && costly.lost >= LEAST && explainable(&verb(costly)) {
                demands.push(demand(pg, costly.row));
            }
        }
        demands.truncate(2);
        Self { costly: all, demands, writing, advised }
    }
}

/// What a query takes of the foreground's time, by state.
#[must_use]
pub fn time_of(world: &World, ledger: &Ledger, pg: &PgFacts, row: &StatementRow) -> Vec<(State, f64)> {
    Time::of(world, ledger, pg).map_or_else(Vec::new, |time| time.of_query(row).0)
}

/// The advice of each plan, by the busiest entry of its statement.
fn advised(pg: &PgFacts) -> Advised {
    let planned: HashSet<i64> = pg.plans.queries().collect();
    if planned.is_empty() {
        return Advised::new();
    }
    let mut rows: Vec<&StatementRow> = pg.rows().filter(|row| planned.contains(&row.key.query)).collect();
    rows.sort_by(|a, b| b.grown.exec_ms.total_cmp(&a.grown.exec_ms).then(a.key.cmp(&b.key)));
    let (mut all, mut seen) = (Advised::new(), BTreeSet::new());
    for row in rows {
        let key = (row.database.shown().to_owned(), row.key.query);
        let Some((_, Ok(plan))) = pg.plan(row).filter(|_| seen.insert(key.clone())) else { continue };
        all.extend(advice::best(plan, Call::of(&row.grown, pg.text(row.key.query))).map(|advice| (key, advice)));
    }
    all
}

/// Its calls touch less than a tenth of the pages of the table that its plan scans.
fn outlived(row: &StatementRow, plan: Option<&(u64, Seen<Plan>)>, table: usize) -> bool {
    let scanned = plan.and_then(|(_, plan)| Some(plan.as_ref().ok()?.tables.get(table)?.pages as f64));
    let blocks = (row.grown.hit_blocks + row.grown.read_blocks) as f64 / row.grown.calls.max(1) as f64;
    scanned.is_some_and(|pages| blocks * 10.0 < pages)
}

fn explainable(verb: &str) -> bool {
    ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT", "MERGE"].contains(&verb)
}

/// The wish for the plan of a statement.
#[must_use]
pub fn demand(pg: &PgFacts, row: &StatementRow) -> Demand {
    PgAsk::Plan { query: row.key.query, database: row.database.clone(), role: row.role.clone() }.of(&pg.id)
}

/// How the time of sessions becomes time of queries.
struct Time<'a> {
    pg: &'a PgFacts,
    activity: &'a Activities,
    /// Of the processes of its sessions here: on a CPU, and ready for one.
    working: f64,
    runnable: f64,
    /// CPUs that are busy.
    busy: f64,
    /// Sessions that each query kept busy by its statements' own clocks: milliseconds of execution / milliseconds between the two
    /// newest readings.
    clocks: BTreeMap<i64, f64>,
    /// On a CPU by the ledger, by the query that each session was seen in then; and the same by its processes.
    measured: BTreeMap<i64, (f64, f64)>,
    /// Their sum, made once: there are thousands.
    clocked: f64,
    /// Samples see less than half of what the kernel counts: sessions that wait for a CPU between two short statements call
    /// themselves idle.
    missed: bool,
}

/// What sessions used by the ledger, by the query that each was seen in on a CPU or ready for one.
fn measured(ledger: &Ledger, activity: &Activities) -> BTreeMap<i64, (f64, f64)> {
    let mut all: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    let used: HashMap<_, f64> = ledger.actors.iter().map(|a| (a.id, a.in_state(State::Working))).collect();
    for session in &activity.sessions {
        // What it was seen in without a query is nobody's.
        let (Some(used), seen) = (used.get(&actor_id(session)), session.class(WaitClass::Cpu)) else { continue };
        for (query, share) in session.cpu_by_query.iter().filter(|_| seen > 0.0) {
            let (clients, processes) = all.entry(*query).or_default();
            *clients += used * share / seen;
            *processes += used * share / seen / session.team.max(1e-9);
        }
    }
    all
}

/// Of a cheap statement much of the time is parsing, planning and the way to its client, which no clock counts.
fn cheap(row: &StatementRow) -> bool {
    row.grown.mean_ms().is_none_or(|ms| ms < CHEAP_MS)
}

/// Waits that are not the query's: for locks, the server's own among them, for its client, for a standby.
const fn of_others(class: WaitClass) -> bool {
    matches!(class, WaitClass::Lock | WaitClass::LwLock | WaitClass::Client | WaitClass::SyncReplica | WaitClass::Idle)
}

impl<'a> Time<'a> {
    fn of(world: &World, ledger: &Ledger, pg: &'a PgFacts) -> Option<Self> {
        let activity = pg.activity.as_ref().ok()?;
        // All that work for clients of this server, those too that no sample caught active.
        let postmaster = pg.server.as_ref().and_then(|s| s.postmaster).map(|id| id.pid);
        let workers = world.processes().iter().filter(|p| Some(p.ppid) == postmaster && !auxiliary(p)).map(|p| p.id);
        let ids: HashSet<_> = activity.sessions.iter().map(actor_id).chain(workers).collect();
        let sum = |part: fn(&Actor) -> f64| ledger.sum(|a| ids.contains(&a.id), part);
        let (working, runnable) = (sum(|a| a.in_state(State::Working)), sum(|a| a.in_state(State::CpuRunnable)));
        let busy = world.host.cpu.as_ref().map_or(working, |c| c.busy * world.cpus());
        // In one order, so that a replay adds up to the last digit alike.
        let mut clocks: BTreeMap<i64, f64> = BTreeMap::new();
        // A clock does not know that a session counts less than others, or nothing.
        let light = activity.sessions.iter().filter(|s| s.weight < s.team).flat_map(|s| &s.queries);
        let light: HashSet<i64> = light.copied().collect();
        // What is called from within a function is its caller's in the sessions.
        for row in pg.rows().filter(|row| row.key.top && !light.contains(&row.key.query)) {
            *clocks.entry(row.key.query).or_default() +=
                pg.interval_s().map_or(0.0, |s| (row.grown.exec_ms + row.grown.plan_ms) / 1000.0 / s);
        }
        let measured = measured(ledger, activity);
        let missed = activity.class(WaitClass::Cpu) < MISSED * (working + runnable);
        Some(Self {
            pg,
            activity,
            working,
            runnable,
            busy: busy.max(1e-9),
            clocked: clocks.values().sum(),
            clocks,
            measured,
            missed,
        })
    }

    /// Sessions that a query keeps busy, and the half width of the 95 % interval of that. A sample is coarse, the clock of
    /// a statement is exact and up to ten seconds old: the clock counts for as long as the samples agree with it (within three
    /// standard errors).
    fn busy(&self, row: &StatementRow, looked: f64) -> (f64, f64) {
        let looks = f64::from(self.activity.rounds.max(1));
        let sampled = (looked, 1.96 * (looked / looks).sqrt());
        let Some(clock) = self.clocks.get(&row.key.query).copied().filter(|c| *c > 0.0) else { return sampled };
        if self.missed && clock > looked {
            return (clock, 1.96 * clock / (row.grown.calls.max(1) as f64).sqrt());
        }
        let cheap = cheap(row);
        // Of three hits that were to be expected one would have come.
        let missed = looked <= 0.0 && clock * looks >= 3.0;
        if cheap || missed || (looked - clock).abs() > AGREES * (clock.max(1.0 / looks) / looks).sqrt() {
            return sampled;
        }
        (clock, 1.96 * clock / (row.grown.calls.max(1) as f64).sqrt())
    }

    /// Milliseconds of a call that are planning: the server's own figure where it counts it; else what the planner took when perftop asked
    /// it, and no more than what its sessions here are on a CPU beyond the clocks of all statements, per call, where nearly all of them are in
    /// this one.
    fn planning_ms(&self, row: &StatementRow) -> Option<f64> {
        const NEARLY_ALL: f64 = 0.7;
        /// Logins a second.
        const CHURNS: f64 = 5.0;
        let statements = self.pg.statements.as_ref().ok()?;
        if statements.all.plan_ms > 0.0 {
            return Some(row.grown.plan_ms / row.grown.calls.max(1) as f64);
        }
        let cpu = |id: i64| self.activity.by_query.get(&id).and_then(|c| c.get(&WaitClass::Cpu)).copied().unwrap_or(0.0);
        let share = cpu(row.key.query) / self.activity.class(WaitClass::Cpu).max(1e-9);
        let same = self.pg.rows().filter(|r| r.key.top && r.key.query == row.key.query);
        let per_s = same.map(|r| r.grown.calls as f64).sum::<f64>() / self.pg.interval_s()?;
        let asked = self.pg.plan(row).and_then(|(_, plan)| plan.as_ref().ok()?.planning_ms)?;
        // A new connection has to read the catalogue before it can plan.
        let churns = self.pg.databases_rate(|d| d.sessions).is_some_and(|opened| opened >= CHURNS);
        if !self.pg.local() || share < NEARLY_ALL || per_s <= 0.0 || churns {
            return None;
        }
        let planned_ms = ((self.working - self.clocked) * share / per_s * 1e3).min(asked).max(0.0);
        // The clocks are of some seconds ago: what they say must still be what the samples see.
        let clock = self.clocks.get(&row.key.query).copied().unwrap_or(0.0);
        let expected = clock + planned_ms * per_s / 1e3;
        let looked = self.activity.of_query(row.key.query);
        (expected >= 0.5 * looked && expected <= 2.0 * looked).then_some(planned_ms)
    }

    /// Time of a query over the window by state: what it waits for, and of the CPU and run queue time of the server's sessions here its
    /// share. Before PostgreSQL 14 no session tells its query: then the time that its statements took, split as all sessions are.
    fn of_query(&self, row: &StatementRow) -> (Vec<(State, f64)>, f64) {
        let tells = self.pg.server.as_ref().is_some_and(|s| s.major() >= 14);
        let mut ci = None;
        let cheap = cheap(row);
        let (classes, part) = if tells {
            let classes = self.activity.by_query.get(&row.key.query);
            let looked: f64 = classes.map_or(0.0, |c| c.values().sum());
            let (busy, half) = self.busy(row, looked);
            if looked <= 0.0 {
                // No sample caught it: its clock says how long it worked, and nothing says that it waited.
                return (if busy > 0.0 { self.of_cpu(row.key.query, busy, cheap) } else { Vec::new() }, half);
            }
            ci = Some(half);
            (classes, busy / looked)
        } else {
            let busy_s = self.pg.interval_s().map_or(0.0, |s| (row.grown.exec_ms + row.grown.plan_ms) / 1000.0 / s);
            (Some(&self.activity.by_class), busy_s / self.activity.active().max(busy_s).max(1e-9))
        };
        let mut losses = Vec::new();
        for (class, seconds) in classes.into_iter().flatten().filter(|(class, s)| !of_others(**class) && **s * part > 0.0) {
            match class {
                WaitClass::Cpu => losses.extend(self.of_cpu(row.key.query, seconds * part, cheap)),
                class => losses.extend(state_of(*class).map(|state| (state, seconds * part))),
            }
        }
        let lost: f64 = losses.iter().map(|(_, s)| s).sum();
        let looks = f64::from(self.activity.rounds.max(1));
        (losses, ci.unwrap_or_else(|| 1.96 * (lost / looks).sqrt()))
    }

    /// Sessions on a CPU or ready for one, split as their processes here are. Of the run queue of all sessions here what the query's own work
    /// makes, whoever waits in it.
    fn of_cpu(&self, query: i64, seconds: f64, cheap: bool) -> Vec<(State, f64)> {
        if !self.pg.local() {
            return vec![(State::PostgresCpu, seconds)];
        }
        // What the kernel counted of them all is exact, what the samples saw is an estimate; but of a cheap statement the samples
        // miss what its session does before and after it, and that is its doing too.
        let sampled = cheap || self.working <= 0.0;
        let all = match sampled {
            _ if self.missed => self.clocked,
            true => self.activity.class(WaitClass::Cpu),
            false => self.working + self.runnable,
        };
        let share = (seconds / all.max(1e-9)).min(1.0);
        // A session that stands in the run queue is seen as often as one on a CPU; what each process used tells them apart.
        let mine = match self.measured.get(&query) {
            Some((used, _)) if !self.missed => used.min(self.working),
            _ => self.working * share,
        };
        vec![(State::Working, mine), (State::CpuRunnable, self.runnable * (mine * self.thick(query) / self.busy).min(1.0))]
    }

    /// Seconds on a CPU for each that the clients of a query wait for one.
    fn thick(&self, query: i64) -> f64 {
        let known = self.measured.get(&query).filter(|(clients, _)| !self.missed && *clients > 0.0);
        known.map_or(1.0, |(clients, processes)| (processes / clients).max(1.0))
    }
}
