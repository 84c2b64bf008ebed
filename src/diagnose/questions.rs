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

const fn finding(id: &'static str) -> Ask {
    Ask::Finding { id, any: false }
}

const fn question(number: u8, text: &'static str, ask: Ask, yes: Go, no: Go, by_hand: &'static str) -> Question {
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
    question(2, "Is a file system full?", finding("host.disk.full"), Go::Finding("host.disk.full"), Go::To(3), "df -h"),
    question(
        3,
        "Does anyone in the foreground lose time?",
        Ask::Losing,
        Go::To(12),
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
        Go::To(6),
        Go::To(7),
        "vmstat 1 5   # column r",
    ),
    question(
        6,
        "Does one program take the CPU from others?",
        finding("host.cpu.contention"),
        Go::Finding("host.cpu.contention"),
        Go::To(7),
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
    question(8, "Is IO the largest wait?", Ask::LargestWait(State::IoWait), Go::To(9), Go::To(11), "cat /proc/pressure/io"),
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
        Go::To(11),
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
];
