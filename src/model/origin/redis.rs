//! Where the figures of Redis come from.

use super::row::{Origin, origin};

/// All of them.
pub const ORIGINS: &[Origin] = &[
    origin(
        "redis.commands",
        "INFO commandstats: calls, usec",
        "Δcalls / Δt; busy = Δusec / 10⁶ / Δt, seconds per second of the main thread; those of perftop taken away",
        "redis-cli INFO commandstats",
    ),
    origin(
        "redis.latency",
        "LATENCY HISTOGRAM (7.0 and later), else the mean of commandstats",
        "requests that stand still = Σ calls/s × d × min(λ × d / 2, clients); d seconds of a call, λ requests per second",
        "redis-cli LATENCY HISTOGRAM",
    ),
    origin(
        "redis.cpu",
        "INFO cpu: used_cpu_user_main_thread + used_cpu_sys_main_thread (6.2 and later), else used_cpu_user + used_cpu_sys",
        "Δ / Δt, cores",
        "redis-cli INFO cpu",
    ),
    origin("redis.memory", "INFO memory", "bytes, as they are", "redis-cli INFO memory"),
    origin("redis.stats", "INFO stats", "Δ / Δt, per second", "redis-cli INFO stats"),
    origin("redis.keyspace", "INFO stats: keyspace_hits, keyspace_misses", "Δhits / (Δhits + Δmisses)", "redis-cli INFO stats"),
    origin("redis.errors", "INFO errorstats (6.2 and later)", "Δcount / Δt by the first word", "redis-cli INFO errorstats"),
    origin("redis.clients", "INFO clients; CLIENT LIST", "as they are", "redis-cli CLIENT LIST"),
    origin("redis.persistence", "INFO persistence", "as it is", "redis-cli INFO persistence"),
    origin("redis.replication", "INFO replication", "as it is", "redis-cli INFO replication"),
    origin("redis.slowlog", "SLOWLOG GET 32", "microseconds of a call, without its wait", "redis-cli SLOWLOG GET 32"),
    origin(
        "redis.keys",
        "SCAN and MEMORY USAGE, only when asked",
        "bytes of a key, estimated by the server from five of its elements",
        "redis-cli MEMORY USAGE KEY",
    ),
    origin("redis.settings", "CONFIG GET *", "as they are", "redis-cli CONFIG GET '*'"),
    origin(
        "redis.round_trip",
        "PING, four times a second",
        "milliseconds to the answer, median and longest",
        "redis-cli --latency",
    ),
];
