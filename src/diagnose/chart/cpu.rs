//! What is asked about the CPUs: who may not use them, who takes them, who has more to do than before.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask, note};

/// The branch.
pub(super) const BRANCH: Branch = Branch { name: "CPU", kind: SourceKind::Host, states: &["host.cpu."], questions: QUESTIONS };

const QUESTIONS: &[Question] = &[
    ask(
        "host.tasks.exhausted",
        "Have we run out of process or thread ids?",
        "cat /sys/fs/cgroup/*/pids.current; sysctl kernel.threads-max kernel.pid_max",
    ),
    ask("host.cpu.throttled", "Is a CPU quota holding a group back?", "grep nr_throttled /sys/fs/cgroup/*/cpu.stat"),
    ask("host.cpu.steal", "Is the hypervisor taking CPU time from this machine?", "vmstat 1 5   # column st"),
    ask("host.cpu.hot_core", "Is one CPU full while others have room?", "mpstat -P ALL 1 3; taskset -cp PID"),
    ask(
        "host.cpu.realtime_hog",
        "Is a real-time task starving everyone else?",
        "ps -eo pid,cls,rtprio,pcpu,comm --sort=-rtprio | head",
    ),
    ask("host.cpu.process_churn", "Are short-lived processes using up the CPU?", "vmstat -f; execsnoop"),
    ask("host.cpu.context_switches", "Are the CPUs busy switching between threads?", "pidstat -w 1 3"),
    ask("host.cpu.system_time", "Is most of the CPU time spent in the kernel?", "mpstat 1 3; strace -c -p PID"),
    ask(
        "app.workload_growth",
        "Is a service getting more requests than usual, at the same cost each?",
        "ss -tin state established   # segs_in, twice",
    ),
    ask("host.cpu.contention", "Is one program taking the CPU from others?", "top -o %CPU"),
    ask("app.bound", "Is a program limited by its own work?", "pidstat -t -u -d -p PID 1 3"),
    note(
        "host.clock.source",
        "Is the clock slow to read?",
        "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
];
