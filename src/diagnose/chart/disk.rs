//! What is asked about disks and file systems: which are broken or full, which stand still, which are slow, and for whom.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask};

/// The branch.
pub(super) const BRANCH: Branch =
    Branch { name: "IO, disk", kind: SourceKind::Host, states: &["host.io.", "host.task."], questions: QUESTIONS };

const QUESTIONS: &[Question] = &[
    ask("host.disk.errors", "Does the kernel report IO errors?", "dmesg -T | grep -iE 'I/O error|EXT4-fs error' | tail"),
    ask("host.disk.read_only", "Did a file system turn read-only?", "findmnt -o TARGET,OPTIONS | grep -w ro"),
    ask("host.disk.full", "Is a file system full, or about to be?", "df -h"),
    ask("host.disk.inodes_exhausted", "Is a file system out of inodes?", "df -i"),
    ask("host.files.exhausted", "Is a process out of file descriptors?", "cat /proc/sys/fs/file-nr; ls /proc/PID/fd | wc -l"),
    ask("host.disk.mount_hung", "Does a mount not answer?", "timeout 2 df"),
    ask("host.locks.file", "Do threads of a service wait for a file lock?", "grep -B1 -e '->' /proc/locks"),
    ask("host.tasks.hung", "Are tasks stuck in the kernel?", "ps -eo pid,stat,wchan:32,comm | grep ' D'"),
    ask("host.io.throttled", "Is an IO limit holding a group back while the device idles?", "grep . /sys/fs/cgroup/*/io.max"),
    ask(
        "host.io.dirty_throttling",
        "Are writers held back because too much is waiting to be written?",
        "grep -E 'nr_dirty|nr_writeback' /proc/vmstat",
    ),
    ask(
        "host.io.flush_storm",
        "Do commits wait for another program's fsyncs?",
        "cat /proc/PID/task/*/syscall   # 74 fsync, 75 fdatasync",
    ),
    ask("host.io.saturated", "Is a device slower than it usually is?", "iostat -x 1 5"),
];
