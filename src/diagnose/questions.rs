//! The flowchart's questions as data: each leans on a rule's verdict, so no threshold stands twice.

use crate::detect::ledger::State;

/// What answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Is there a finding of that rule at warning or above, or (if `any`) at all?
    Finding {
        /// Rule id.
        id: &'static str,
        /// Info counts too.
        any: bool,
    },
    /// Does the foreground lose time at all (T above idle and a root or an unexplained wait of a tenth of it)?
    Losing,
    /// Is that state the largest wait of the ledger?
    LargestWait(State),
}

/// Where an answer leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// On to another question.
    To(u8),
    /// A finding is the answer.
    Finding(&'static str),
    /// An honest end.
    End(&'static str),
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub number: u8,
    /// What it asks.
    pub text: &'static str,
    /// What answers it.
    pub ask: Ask,
    /// On yes.
    pub yes: Go,
    /// On no.
    pub no: Go,
    /// How to find out by hand when it is unknown.
    pub by_hand: &'static str,
}

pub(super) const fn finding(id: &'static str) -> Ask {
    Ask::Finding { id, any: false }
}

pub(super) const fn question(number: u8, text: &'static str, ask: Ask, yes: Go, no: Go, by_hand: &'static str) -> Question {
    Question { number, text, ask, yes, no, by_hand }
}

/// The host's part of the chart; question 1 is the start.
pub const QUESTIONS: &[Question] = &[
    question(
        1,
        "Did the kernel kill a process for memory?",
        finding("host.memory.oom"),
        Go::Finding("host.memory.oom"),
        Go::To(2),
        "dmesg -T | grep -i oom",
    ),
    question(2, "Is a file system full?", finding("host.disk.full"), Go::Finding("host.disk.full"), Go::To(13), "df -h"),
    question(
        3,
        "Does anyone in the foreground lose time?",
        Ask::Losing,
        Go::To(38),
        Go::End("Nothing on this host costs foreground time. Look upstream: the clients, the network, the services it calls."),
        "perftop check",
    ),
    question(
        4,
        "Does a CPU quota hold a group back?",
        finding("host.cpu.throttled"),
        Go::Finding("host.cpu.throttled"),
        Go::To(5),
        "grep nr_throttled /sys/fs/cgroup/*/cpu.stat",
    ),
    question(
        5,
        "Is the run queue the largest wait?",
        Ask::LargestWait(State::CpuRunnable),
        Go::To(22),
        Go::To(28),
        "vmstat 1 5   # column r",
    ),
    question(
        6,
        "Does one program take the CPU from others?",
        finding("host.cpu.contention"),
        Go::Finding("host.cpu.contention"),
        Go::To(28),
        "top -o %CPU",
    ),
    question(
        7,
        "Is the host short of memory?",
        finding("host.memory.reclaim"),
        Go::Finding("host.memory.reclaim"),
        Go::To(8),
        "cat /proc/pressure/memory; vmstat 1 5   # columns si, so",
    ),
    question(8, "Is IO the largest wait?", Ask::LargestWait(State::IoWait), Go::To(29), Go::To(31), "cat /proc/pressure/io"),
    question(
        9,
        "Does an IO limit hold a group back while the device idles?",
        finding("host.io.throttled"),
        Go::Finding("host.io.throttled"),
        Go::To(10),
        "grep . /sys/fs/cgroup/*/io.max",
    ),
    question(
        10,
        "Is a device slower than its own clean latency?",
        finding("host.io.saturated"),
        Go::Finding("host.io.saturated"),
        Go::To(31),
        "iostat -x 1 5",
    ),
    question(
        11,
        "Do tasks stand in uninterruptible sleep without disk pressure?",
        Ask::LargestWait(State::TaskBlocked),
        Go::End(
            "Tasks are blocked in the kernel, not on a local disk: a network file system or a lock. See: ps -eo pid,stat,wchan:32,comm | grep ' D'",
        ),
        Go::End("Cannot tell: foreground time is lost, but no cause on this host holds enough of it."),
        "ps -eo pid,stat,wchan:32,comm",
    ),
    question(
        12,
        "Do requests here wait for another host?",
        finding("app.upstream.waiting"),
        Go::Finding("app.upstream.waiting"),
        Go::To(4),
        "ss -tinp state established   # lastsnd < lastrcv: a reply is awaited",
    ),
    question(
        13,
        "Is a file system out of inodes?",
        finding("host.disk.inodes_exhausted"),
        Go::Finding("host.disk.inodes_exhausted"),
        Go::To(34),
        "df -i",
    ),
    question(
        14,
        "Has a file system become read-only?",
        finding("host.disk.read_only"),
        Go::Finding("host.disk.read_only"),
        Go::To(15),
        "findmnt -o TARGET,OPTIONS | grep -w ro",
    ),
    question(
        15,
        "Has a process used up its descriptors?",
        finding("host.files.exhausted"),
        Go::Finding("host.files.exhausted"),
        Go::To(16),
        "cat /proc/sys/fs/file-nr; ls /proc/PID/fd | wc -l",
    ),
    question(
        16,
        "Are there no pids or threads left?",
        finding("host.tasks.exhausted"),
        Go::Finding("host.tasks.exhausted"),
        Go::To(17),
        "cat /sys/fs/cgroup/*/pids.current; sysctl kernel.threads-max",
    ),
    question(
        17,
        "Does connection tracking drop packets?",
        finding("host.network.conntrack_full"),
        Go::Finding("host.network.conntrack_full"),
        Go::To(35),
        "conntrack -S",
    ),
    question(
        35,
        "Are there no local ports left towards a peer?",
        finding("host.network.ports_exhausted"),
        Go::Finding("host.network.ports_exhausted"),
        Go::To(3),
        "ss -tan | awk '{print $5}' | sort | uniq -c | sort -rn | head",
    ),
    question(
        34,
        "Does the kernel report IO errors?",
        finding("host.disk.errors"),
        Go::Finding("host.disk.errors"),
        Go::To(14),
        "dmesg -T | grep -iE 'I/O error|EXT4-fs error' | tail",
    ),
    question(
        18,
        "Are packets lost on the way?",
        finding("host.network.packet_loss"),
        Go::Finding("host.network.packet_loss"),
        Go::To(19),
        "nstat -az TcpRetransSegs TcpExtTCPTimeouts",
    ),
    question(
        19,
        "Do connects get no answer to their SYN?",
        finding("host.network.syn_loss"),
        Go::Finding("host.network.syn_loss"),
        Go::To(20),
        "ss -tn state syn-sent",
    ),
    question(
        20,
        "Is an accept queue full?",
        finding("host.network.listen_overflow"),
        Go::Finding("host.network.listen_overflow"),
        Go::To(21),
        "ss -ltn; nstat -az TcpExtListenOverflows",
    ),
    question(
        21,
        "Does the kernel drop packets before any socket?",
        finding("host.network.softnet_drops"),
        Go::Finding("host.network.softnet_drops"),
        Go::To(12),
        "cat /proc/net/softnet_stat",
    ),
    question(
        22,
        "Does the hypervisor take CPU away?",
        finding("host.cpu.steal"),
        Go::Finding("host.cpu.steal"),
        Go::To(23),
        "vmstat 1 5   # column st",
    ),
    question(
        23,
        "Is the victim pinned to full CPUs while others have room?",
        finding("host.cpu.hot_core"),
        Go::Finding("host.cpu.hot_core"),
        Go::To(24),
        "mpstat -P ALL 1 3; taskset -cp PID",
    ),
    question(
        24,
        "Does a real-time task starve the others?",
        finding("host.cpu.realtime_hog"),
        Go::Finding("host.cpu.realtime_hog"),
        Go::To(25),
        "ps -eo pid,cls,rtprio,pcpu,comm --sort=-rtprio | head",
    ),
    question(
        25,
        "Do short-lived processes eat the CPU?",
        finding("host.cpu.process_churn"),
        Go::Finding("host.cpu.process_churn"),
        Go::To(26),
        "vmstat -f; execsnoop",
    ),
    question(
        26,
        "Do the CPUs switch between threads all the time?",
        finding("host.cpu.context_switches"),
        Go::Finding("host.cpu.context_switches"),
        Go::To(27),
        "pidstat -w 1 3",
    ),
    question(
        27,
        "Is it the kernel that works?",
        finding("host.cpu.system_time"),
        Go::Finding("host.cpu.system_time"),
        Go::To(37),
        "mpstat 1 3; strace -c -p PID",
    ),
    question(
        28,
        "Does swap go in and out?",
        finding("host.memory.swap_thrash"),
        Go::Finding("host.memory.swap_thrash"),
        Go::To(7),
        "vmstat 1 5   # columns si, so",
    ),
    question(
        29,
        "Does a group's limit drop the page cache that its reads need?",
        finding("host.memory.cache_thrash"),
        Go::Finding("host.memory.cache_thrash"),
        Go::To(30),
        "grep refault /sys/fs/cgroup/*/memory.stat",
    ),
    question(
        30,
        "Are writers held back by the dirty limit?",
        finding("host.io.dirty_throttling"),
        Go::Finding("host.io.dirty_throttling"),
        Go::To(36),
        "grep -E 'nr_dirty|nr_writeback' /proc/vmstat",
    ),
    question(
        31,
        "Does a mount not answer?",
        finding("host.disk.mount_hung"),
        Go::Finding("host.disk.mount_hung"),
        Go::To(32),
        "timeout 2 df",
    ),
    question(
        32,
        "Do tasks hang in the kernel?",
        finding("host.tasks.hung"),
        Go::Finding("host.tasks.hung"),
        Go::To(11),
        "ps -eo pid,stat,wchan:32,comm | grep ' D'",
    ),
    question(
        33,
        "Is a link full?",
        finding("host.network.link_saturated"),
        Go::Finding("host.network.link_saturated"),
        Go::To(18),
        "ip -s link; ethtool IFACE",
    ),
    question(
        36,
        "Do commits wait for another program's fsyncs?",
        finding("host.io.flush_storm"),
        Go::Finding("host.io.flush_storm"),
        Go::To(9),
        "cat /proc/PID/task/*/syscall   # 74 fsync, 75 fdatasync",
    ),
    question(
        37,
        "Has a service more to do than before, at the same cost each?",
        finding("app.workload_growth"),
        Go::Finding("app.workload_growth"),
        Go::To(6),
        "ss -tin state established   # segs_in, twice",
    ),
];
