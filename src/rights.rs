//! Least rights: what perftop starts gets no rights that perftop does not have, and calls that only change a machine are refused to
//! perftop itself by the kernel. Landlock would be the other way; it hides `/proc/PID/io`, `exe`, `ns` and `stack` of all others.

#[cfg(target_endian = "little")]
use std::env::consts::ARCH;

use rustix::process::getpid;
use serde_json::{Value, json};

/// Calls that perftop has no use for, whoever runs it.
const REFUSED: &[&str] = &[
    // Other programs: their memory, their descriptors, their priority.
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "pidfd_send_signal",
    "setpriority",
    "ioprio_set",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
    "sched_setaffinity",
    // File systems.
    "mount",
    "umount2",
    "move_mount",
    "mount_setattr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "pivot_root",
    "chroot",
    "swapon",
    "swapoff",
    "quotactl",
    "open_by_handle_at",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    // The machine.
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "acct",
    "unshare",
    // Kernel interfaces with a past.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "add_key",
    "request_key",
    "keyctl",
];
/// Signals go to perftop itself alone: it stops when it is told to, and dies by what ended it.
const SIGNALS: &[&str] = &["tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"];
/// But for the stop of Ctrl-Z, which those of its job get too that wait for it.
const STOP: i64 = 20;
/// Programs are started by a screen alone: a terminal multiplexer that takes what is copied.
const PROGRAMS: &[&str] = &["execve", "execveat"];
/// AF_UNIX, AF_INET, AF_INET6, AF_NETLINK.
const FAMILIES: [i32; 4] = [1, 2, 10, 16];
/// `ioctl` requests that put text into a terminal as if it had been typed: TIOCSTI, TIOCLINUX.
const TYPING: [u32; 2] = [0x5412, 0x541C];

/// From here on the kernel refuses what perftop never does, to it and to what it starts. A kernel without such a switch refuses nothing;
/// nothing depends on it.
pub fn give_up() {
    _ = rustix::thread::set_no_new_privs(true);
    let mut rules: Vec<Value> = REFUSED.iter().map(|call| json!({ "syscall": call })).collect();
    let own = getpid().as_raw_nonzero().get();
    rules.extend(SIGNALS.iter().map(|call| json!({ "syscall": call, "args": [argument(0, "ne", own.into())] })));
    rules.push(json!({ "syscall": "kill", "args": [argument(0, "ne", own.into()), argument(1, "ne", STOP)] }));
    rules.push(json!({ "syscall": "prlimit64", "args": [argument(0, "ne", own.into()), argument(0, "ne", 0)] }));
    let foreign: Vec<Value> = FAMILIES.iter().map(|family| argument(0, "ne", (*family).into())).collect();
    rules.push(json!({ "syscall": "socket", "args": foreign }));
    rules.extend(TYPING.iter().map(|request| json!({ "syscall": "ioctl", "args": [argument(1, "eq", (*request).into())] })));
    refuse(&rules);
}

/// No program is started from here on.
pub fn start_nothing() {
    refuse(&PROGRAMS.iter().map(|call| json!({ "syscall": call })).collect::<Vec<_>>());
}

fn argument(index: u8, op: &str, value: i64) -> Value {
    json!({ "index": index, "type": "dword", "op": op, "val": value })
}

/// For this thread and those that it starts: `EPERM`.
#[cfg(target_endian = "little")]
fn refuse(rules: &[Value]) {
    const EPERM: u32 = 1;
    let filter = json!({ "all": { "mismatch_action": "allow", "match_action": { "errno": EPERM }, "filter": rules } });
    let Ok(arch) = ARCH.try_into() else { return };
    if slows_neighbours() {
        return;
    }
    let filters = seccompiler::compile_from_json(filter.to_string().as_bytes(), arch);
    debug_assert!(filters.is_ok(), "{filters:?}");
    for filter in filters.into_iter().flatten() {
        _ = seccompiler::apply_filter(&filter.1);
    }
}

/// Nothing there can filter.
#[cfg(not(target_endian = "little"))]
fn refuse(_: &[Value]) {}

/// A filter costs more than its calls: before Linux 5.16 the processor guards every thread that has one against others, at each switch.
#[cfg(target_endian = "little")]
fn slows_neighbours() -> bool {
    const GUARDS_NO_MORE: (u32, u32) = (5, 16);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    ARCH == "x86_64" && (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < GUARDS_NO_MORE
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use rustix::process::{Pid, getppid, test_kill_process};

    /// On a thread of its own: a filter is never taken back.
    fn confined<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(|| {
            give_up();
            what()
        })
        .join()
        .unwrap()
    }

    #[test]
    fn other_programs_are_out_of_reach_and_what_is_read_is_not() {
        let parent: Pid = getppid().unwrap();
        assert_eq!(test_kill_process(parent), Ok(()), "before");
        let (others, own) = confined(move || (test_kill_process(parent), test_kill_process(getpid())));
        assert_eq!((others, own), (Err(Errno::PERM), Ok(())));
        let io = format!("/proc/{}/io", std::process::id());
        confined(move || std::fs::read_to_string(io)).unwrap();
    }

    #[test]
    fn sockets_are_of_the_families_that_servers_speak() {
        use rustix::net::{AddressFamily, SocketType, socket};
        let opens = |family| confined(move || socket(family, SocketType::DGRAM, None).map(drop));
        for family in [AddressFamily::UNIX, AddressFamily::INET, AddressFamily::INET6] {
            assert_ne!(opens(family), Err(Errno::PERM), "{family:?}");
        }
        // Anybody may ask for one; a kernel without it says so.
        assert_ne!(socket(AddressFamily::VSOCK, SocketType::DGRAM, None).map(drop), Err(Errno::PERM));
        assert_eq!(opens(AddressFamily::VSOCK), Err(Errno::PERM));
    }

    #[test]
    fn where_nothing_is_to_be_started_nothing_is() {
        let started = || std::process::Command::new("true").status().map(|s| s.success()).map_err(|e| e.raw_os_error());
        assert_eq!(confined(started), Ok(true));
        let nothing = move || {
            start_nothing();
            started()
        };
        assert_eq!(confined(nothing), Err(Some(1)));
    }
}
