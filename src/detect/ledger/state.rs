//! The states of the ledger: one table with what each is called, whether it is computed, what it is drawn as and whether it waits for a disk.

use serde::{Deserialize, Serialize};

use crate::model::history::Group;

macro_rules! states {
    ($($name:ident = $id:literal, $seen:ident, $group:ident, $disk:ident;)*) => {
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
            pub const fn disk(self) -> bool { match self { $(Self::$name => matches!(For::$disk, For::Disk),)* } }
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
    Else,
}

states! {
    Working = "working", Seen, Work, Else;
    CpuRunnable = "host.cpu.runnable", Seen, Cpu, Else;
    CpuThrottled = "host.cpu.throttled", Seen, Quota, Else;
    CpuSteal = "host.cpu.steal", Modelled, Cpu, Else;
    MemoryStalled = "host.memory.stalled", Seen, Memory, Else;
    IoWait = "host.io.wait", Seen, Io, Disk;
    TaskBlocked = "host.task.blocked", Seen, Other, Else;
    NetworkRetransmit = "host.network.retransmit", Modelled, Peers, Else;
    NetworkSend = "host.network.send", Seen, Peers, Else;
    NetworkAccept = "host.network.accept", Seen, Peers, Else;
    NetworkConnect = "host.network.connect", Seen, Peers, Else;
    NetworkRefused = "host.network.refused", Modelled, Other, Else;
    PeerReply = "peer.reply", Seen, Peers, Else;
    PoolWait = "pool.wait", Seen, Peers, Else;
    PostgresCpu = "postgres.cpu", Seen, Work, Else;
    PostgresIoRead = "postgres.io.read", Seen, Server, Disk;
    PostgresIoWrite = "postgres.io.write", Seen, Server, Disk;
    PostgresIoTemp = "postgres.io.temp", Seen, Server, Disk;
    PostgresWal = "postgres.wal", Seen, Server, Disk;
    PostgresSyncReplica = "postgres.sync_replica", Seen, Server, Else;
    PostgresLock = "postgres.lock", Seen, Server, Else;
    PostgresLwlock = "postgres.lwlock", Seen, Server, Else;
    PostgresClient = "postgres.client", Seen, Server, Else;
    PostgresOther = "postgres.other", Seen, Server, Else;
    PostgresConnect = "postgres.connect", Modelled, Server, Else;
    RedisStall = "redis.stall", Modelled, Server, Else;
    RedisFork = "redis.fork", Modelled, Server, Else;
    RedisFsync = "redis.fsync", Modelled, Server, Else;
    RedisMiss = "redis.miss", Modelled, Server, Else;
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
