//! What is asked about Redis: what it refuses, what blocks its loop, what misses cost, and what will fail.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask, note};

/// Nothing of it is asked at the start.
pub(super) const START: &[Question] = &[];

/// The branch.
pub(super) const BRANCH: Option<Branch> =
    Some(Branch { name: "Cache", kind: SourceKind::Redis, states: &["redis."], questions: QUESTIONS });

const MEMORY: &str = "redis-cli INFO memory";
const REPLICATION: &str = "redis-cli INFO replication";
const STATS: &str = "redis-cli INFO stats";

const QUESTIONS: &[Question] = &[
    ask("redis.memory.oom_refused", "Are writes refused because memory is full?", "redis-cli INFO errorstats"),
    ask("redis.persistence.failing", "Do saves to disk fail?", "redis-cli INFO persistence"),
    ask("redis.clients.exhausted", "Are all client slots taken?", "redis-cli INFO clients"),
    ask("redis.replication.writes_to_replica", "Do clients write to a replica?", REPLICATION),
    ask("redis.errors", "Do commands fail for another reason?", "redis-cli INFO errorstats"),
    ask("redis.command.slow", "Does one command hold up all others?", "redis-cli SLOWLOG GET 32"),
    ask("redis.command.script", "Does a script hold up all others?", "redis-cli INFO commandstats"),
    ask("redis.persistence.fsync", "Do writes wait for the disk?", "redis-cli CONFIG GET appendfsync"),
    ask("redis.persistence.fork", "Do forks stop it?", STATS),
    ask("redis.expire.storm", "Do masses of keys expire at once?", STATS),
    ask("redis.main_thread.saturated", "Is its main thread full?", "redis-cli INFO cpu"),
    ask("redis.memory.evictions", "Do evictions cause misses?", STATS),
    ask("redis.memory.client_buffers", "Do output buffers of clients grow?", "redis-cli CLIENT LIST"),
    ask("redis.memory.near_limit", "Is memory about to reach maxmemory?", MEMORY),
    ask("redis.replication.down", "Has a replica lost its primary?", REPLICATION),
    ask("redis.replication.lag", "Is a replica behind?", REPLICATION),
    ask("redis.replication.resync_loop", "Does a replica copy everything again and again?", STATS),
    note("redis.clients.monitor", "Is MONITOR attached?", "redis-cli CLIENT LIST"),
    note("redis.clients.churn", "Are connections opened for each command?", STATS),
    note("redis.big_key", "Does a huge key make commands slow?", "redis-cli --bigkeys"),
    note("redis.memory.fragmentation", "Is memory lost to fragmentation?", MEMORY),
];
