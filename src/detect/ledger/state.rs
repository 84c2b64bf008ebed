//! The states of the ledger: one table with what each is called, whether it is computed, what it is drawn as and whether it waits for a disk.

use serde::{Deserialize, Serialize};

use crate::model::history::Group;

macro_rules! states {
    ($($name:ident = $id:literal, $seen:ident, $group:ident, $disk:ident, $short:literal, $words:literal;)*) => {
        /// The closed list of ledger states, CONTRACT.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the contract's names")]
        pub enum State { $(#[serde(rename = $id)] $name,)* }

        impl State {
            /// All states in their fixed order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the contract.
            #[must_use]
            pub const fn id(self) -> &'static str { match self { $(Self::$name => $id,)* } }

            /// Computed, not seen.
            #[must_use]
            pub const fn modelled(self) -> bool { match self { $(Self::$name => matches!(Seen::$seen, Seen::Modelled),)* } }

            /// What it is drawn as; `None` where nobody waits.
            #[must_use]
            pub const fn group(self) -> Option<Group> { match self { $(Self::$name => Drawn::$group.group(),)* } }

            /// A wait for a disk.
            #[must_use]
            pub const fn disk(self) -> bool { match self { $(Self::$name => matches!(For::$disk, For::Disk | For::Flush),)* } }

            /// A wait for a flush to disk.
            #[must_use]
            pub const fn flush(self) -> bool { match self { $(Self::$name => matches!(For::$disk, For::Flush),)* } }

            /// The same in a word, for the legend of a drawing.
            #[must_use]
            pub const fn short(self) -> &'static str { match self { $(Self::$name => $short,)* } }

            /// What the time is spent on, in the field's words.
            #[must_use]
            pub const fn words(self) -> &'static str { match self { $(Self::$name => $words,)* } }
        }
    };
}

enum Seen {
    Seen,
    Modelled,
}

/// A group, or work.
enum Drawn {
    Work,
    Cpu,
    Quota,
    Memory,
    Io,
    Peers,
    Server,
    Other,
}

impl Drawn {
    const fn group(&self) -> Option<Group> {
        Some(match self {
            Self::Work => return None,
            Self::Cpu => Group::Cpu,
            Self::Quota => Group::Quota,
            Self::Memory => Group::Memory,
            Self::Io => Group::Io,
            Self::Peers => Group::Peers,
            Self::Server => Group::Servers,
            Self::Other => Group::Other,
        })
    }
}

enum For {
    Disk,
    Flush,
    Else,
}

states! {
    Working = "working", Seen, Work, Else, "working", "something else";
    CpuRunnable = "host.cpu.runnable", Seen, Cpu, Else, "run queue", "a CPU (run queue)";
    CpuThrottled = "host.cpu.throttled", Seen, Quota, Else, "CPU quota", "a CPU quota";
    CpuSteal = "host.cpu.steal", Modelled, Cpu, Else, "steal", "the hypervisor";
    MemoryStalled = "host.memory.stalled", Seen, Memory, Else, "memory", "memory";
    IoWait = "host.io.wait", Seen, Io, Disk, "disk", "a disk or file system";
    TaskBlocked = "host.task.blocked", Seen, Other, Else, "kernel", "the kernel (uninterruptible sleep)";
    NetworkRetransmit = "host.network.retransmit", Modelled, Peers, Else, "retransmits", "the network";
    NetworkSend = "host.network.send", Seen, Peers, Else, "sending", "the network";
    NetworkAccept = "host.network.accept", Seen, Peers, Else, "accept", "an accept";
    NetworkConnect = "host.network.connect", Seen, Peers, Else, "connecting", "a connection attempt";
    NetworkRefused = "host.network.refused", Modelled, Other, Else, "refused", "the network";
    PeerReply = "peer.reply", Seen, Peers, Else, "peers", "another host's response";
    PoolWait = "pool.wait", Seen, Peers, Else, "pool", "a pooled connection";
    PostgresCpu = "postgres.cpu", Seen, Work, Else, "PostgreSQL at work", "something else";
    PostgresIoRead = "postgres.io.read", Seen, Server, Disk, "reads", "PostgreSQL data files";
    PostgresIoWrite = "postgres.io.write", Seen, Server, Disk, "writes", "PostgreSQL data files";
    PostgresIoTemp = "postgres.io.temp", Seen, Server, Disk, "temp files", "PostgreSQL data files";
    PostgresWal = "postgres.wal", Seen, Server, Flush, "WAL", "the WAL";
    PostgresSyncReplica = "postgres.sync_replica", Seen, Server, Else, "standby", "a synchronous standby";
    PostgresLock = "postgres.lock", Seen, Server, Else, "locks", "a lock";
    PostgresLwlock = "postgres.lwlock", Seen, Server, Else, "LWLocks", "a PostgreSQL internal lock (LWLock)";
    PostgresClient = "postgres.client", Seen, Server, Else, "client", "the client to read its result";
    PostgresOther = "postgres.other", Seen, Server, Else, "PostgreSQL, other", "something else";
    PostgresConnect = "postgres.connect", Modelled, Server, Else, "logins", "logins";
    RedisStall = "redis.stall", Modelled, Server, Else, "Redis busy", "a busy Redis";
    RedisFork = "redis.fork", Modelled, Server, Else, "Redis fork", "a fork of Redis";
    RedisFsync = "redis.fsync", Modelled, Server, Flush, "Redis fsync", "a flush of Redis to disk";
    RedisMiss = "redis.miss", Modelled, Server, Else, "cache misses", "what the cache did not have";
}

impl State {
    /// A wait that a server tells of its sessions.
    #[must_use]
    pub const fn of_a_server(self) -> bool {
        matches!(self.group(), Some(Group::Servers)) || self.is_work_elsewhere()
    }

    /// The work of a server's session that no process here does: productive, as it cannot be split.
    #[must_use]
    pub const fn is_work_elsewhere(self) -> bool {
        self.group().is_none() && !matches!(self, Self::Working)
    }
}
