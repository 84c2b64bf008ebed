//! What is asked about memory: who was killed for it, who waits for it, where it went.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask};

/// The branch.
pub(super) const BRANCH: Branch =
    Branch { name: "Memory", kind: SourceKind::Host, states: &["host.memory."], questions: QUESTIONS };

const QUESTIONS: &[Question] = &[
    ask("host.memory.oom", "Did the kernel kill a process to free memory?", "dmesg -T | grep -i oom"),
    ask("host.memory.swap_thrash", "Is memory going out to swap and coming back?", "vmstat 1 5   # columns si, so"),
    ask(
        "host.memory.high",
        "Is a group above its memory.high and slowed down for it?",
        "grep -r '^high ' --include=memory.events /sys/fs/cgroup",
    ),
    ask(
        "host.memory.kernel",
        "Is the kernel itself holding the memory?",
        "grep -E 'HugePages|SUnreclaim|PageTables' /proc/meminfo",
    ),
    ask("host.memory.reclaim", "Is the host short of memory?", "cat /proc/pressure/memory; vmstat 1 5   # columns si, so"),
    ask(
        "host.memory.cache_thrash",
        "Is page cache evicted and then read again?",
        "grep refault /sys/fs/cgroup/*/memory.stat; grep refault /proc/vmstat",
    ),
    ask("host.memory.leak", "Does a process keep growing?", "pidstat -r -p PID 60"),
];
