//! What is asked about Redis, once someone loses time: does it refuse, what blocks its loop, what do misses cost.

use crate::model::source::SourceKind;

use super::chapter::{Ask, Chapter, Go, Question, finding, question};

/// Left towards the next source.
pub(super) const CHAPTER: Chapter = Chapter { kind: SourceKind::Redis, first: "redis.memory.oom_refused", questions: QUESTIONS };

/// A question for a finding that is its own answer; on no, to the next.
const fn asks(id: &'static str, text: &'static str, no: Go, by_hand: &'static str) -> Question {
    question(id, text, finding(id), Go::Finding(id), no, by_hand)
}

const QUESTIONS: &[Question] = &[
    asks(
        "redis.memory.oom_refused",
        "Does Redis refuse writes because memory is full?",
        Go::To("redis.persistence.failing"),
        "redis-cli INFO errorstats",
    ),
    asks(
        "redis.persistence.failing",
        "Do saves fail, so that writes are refused?",
        Go::To("redis.clients.exhausted"),
        "redis-cli INFO persistence",
    ),
    asks(
        "redis.clients.exhausted",
        "Are its client slots used up?",
        Go::To("redis.replication.writes_to_replica"),
        "redis-cli INFO clients",
    ),
    asks(
        "redis.replication.writes_to_replica",
        "Do clients write to a replica?",
        Go::To("redis.errors"),
        "redis-cli INFO replication",
    ),
    asks("redis.errors", "Do commands fail for another reason?", Go::To("redis.command.slow"), "redis-cli INFO errorstats"),
    asks(
        "redis.command.slow",
        "Does one command block the event loop?",
        Go::To("redis.command.script"),
        "redis-cli SLOWLOG GET 32",
    ),
    asks("redis.command.script", "Does a script block it?", Go::To("redis.persistence.fsync"), "redis-cli INFO commandstats"),
    asks(
        "redis.persistence.fsync",
        "Do writes wait for the disk?",
        Go::To("redis.persistence.fork"),
        "redis-cli CONFIG GET appendfsync",
    ),
    asks("redis.persistence.fork", "Do forks stop it?", Go::To("redis.expire.storm"), "redis-cli INFO stats"),
    asks(
        "redis.expire.storm",
        "Do masses of keys expire at once?",
        Go::To("redis.main_thread.saturated"),
        "redis-cli INFO stats",
    ),
    asks("redis.main_thread.saturated", "Is its main thread full?", Go::To("redis.memory.evictions"), "redis-cli INFO cpu"),
    Question {
        id: "redis.memory.evictions",
        text: "Do evictions cause misses?",
        ask: Ask::Finding { id: "redis.memory.evictions", any: false },
        yes: Go::Finding("redis.memory.evictions"),
        no: Go::On,
        by_hand: "redis-cli INFO stats",
    },
];
