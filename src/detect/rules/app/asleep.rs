//! Where the threads of a service sleep while its requests are late: by the kernel's own names.

use std::collections::BTreeMap;

use crate::detect::finding::Evidence;
use crate::detect::verdict::{Facts, evidence};
use crate::model::demand::{Demand, ThreadDetail};
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::unit::Unit;

/// Processes of a service that are looked at: those that take most of its CPU time may be others than those that wait, so its first ones.
const PROCESSES: usize = 4;
/// Places that are told.
const PLACES: usize = 3;

/// A lock that another thread holds, or work that another one has not given yet: no one can tell from outside.
const OWN: &str = "another thread: a lock, or work";

/// Where in the kernel a thread sleeps (how the function's name begins), and what for. Names of Linux 4.18 to 6.18.
const WAITS: [(&[&str], &str); 14] = [
    (&["futex"], OWN),
    (&["hrtimer_nanosleep", "do_nanosleep", "common_nsleep"], "a time that it set itself (sleep)"),
    (&["pipe_write", "anon_pipe_write"], "the reader of a pipe"),
    (&["pipe_read", "anon_pipe_read", "pipe_wait"], "the writer of a pipe"),
    (&["n_tty_write", "tty_write", "file_tty_write"], "the terminal that it writes to"),
    (
        &["sk_stream_wait_memory", "sock_alloc_send", "unix_stream_sendmsg", "sock_wait_for_wmem"],
        "room in a socket: the other side does not read",
    ),
    (
        &[
            "sk_wait_data",
            "wait_woken",
            "inet_wait_for_connect",
            "unix_stream_read",
            "unix_stream_data_wait",
            "__skb_wait",
            "skb_wait",
        ],
        "data from a socket",
    ),
    (&["inet_csk_accept", "unix_wait_for_peer", "unix_accept"], "a connection"),
    (&["ep_poll", "do_epoll_wait", "do_poll", "poll_schedule_timeout", "do_select", "do_sys_poll", "io_cqring_wait"], "events"),
    (&["do_wait", "kernel_wait4"], "a child process"),
    (&["locks_lock", "flock_lock", "posix_lock", "fcntl_setlk"], "a file lock"),
    (&["do_msgrcv", "do_msgsnd", "ksys_semtimedop", "do_semtimedop", "__do_semtimedop"], "System V messages or semaphores"),
    (&["request_wait_answer", "fuse_", "rpc_wait", "nfs"], "a file server"),
    (&["io_schedule", "folio_wait", "wait_on_page", "jbd2", "blk_", "balance_dirty"], "a disk"),
];

/// What a thread waits for that has nothing to do.
const WORK: [&str; 3] = ["a connection", "events", "data from a socket"];

/// What a thread waits for, and the kernel's function in which it sleeps.
type Place<'a> = (&'static str, &'a str);

/// What that thread waits for; `None` where it does not sleep, or nobody knows.
fn waits(thread: &ThreadDetail) -> Option<Place<'_>> {
    if matches!(thread.state, 'T' | 't') {
        return Some(("nothing: it is stopped (SIGSTOP, a debugger)", "T"));
    }
    let place = thread.wchan.as_ref()?.shown();
    let (_, what) = WAITS.iter().find(|(names, _)| names.iter().any(|name| place.starts_with(name)))?;
    Some((what, place))
}

/// Those of a program's processes that are asked about.
fn members<'a>(facts: &'a Facts<'_>, family: ProcId) -> impl Iterator<Item = &'a ProcFacts> {
    facts.world.processes().iter().filter(move |p| p.family == family).take(PROCESSES)
}

/// The request to look where the threads of a program sleep.
pub(super) fn ask(facts: &Facts<'_>, family: Option<ProcId>) -> Vec<Demand> {
    family.map(|family| members(facts, family).map(|p| Demand::ProcessDetail { id: p.id }).collect()).unwrap_or_default()
}

/// Threads of a program by what they wait for and where in the kernel, most first, and how many threads there are: of those that sleep for
/// anything but work to come.
fn places<'a>(facts: &'a Facts<'_>, family: ProcId) -> (Vec<(Place<'a>, u32)>, usize) {
    let mut places: BTreeMap<Place<'a>, u32> = BTreeMap::new();
    let details: Vec<_> = members(facts, family).filter_map(|p| facts.world.host.closely.of(p.id)).collect();
    let all: usize = details.iter().map(|d| d.threads.len()).sum();
    for place in details.iter().flat_map(|d| &d.threads).filter_map(waits) {
        *places.entry(place).or_default() += 1;
    }
    let mut places: Vec<_> = places.into_iter().filter(|((what, _), _)| !WORK.contains(what)).collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    (places, all)
}

/// What half of the threads of a program or more wait for, other than for each other: the idle ones of a pool do that all day.
pub(super) fn most(facts: &Facts<'_>, family: Option<ProcId>) -> Option<&'static str> {
    let (places, all) = places(facts, family?);
    let ((what, _), count) = places.first().filter(|((what, _), _)| *what != OWN)?;
    (*count as usize * 2 >= all).then_some(what)
}

/// What the threads of a program wait for, most first.
pub(super) fn rows(facts: &Facts<'_>, family: Option<ProcId>) -> Vec<Evidence> {
    let Some((places, all)) = family.map(|family| places(facts, family)) else { return Vec::new() };
    let row = |((what, place), count): (Place<'_>, u32)| {
        let claim = format!("of its {all} threads wait for {what} ({place})");
        evidence(claim, f64::from(count), Unit::Count, None, "host.threads")
    };
    places.into_iter().take(PLACES).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::service;
    use crate::detect::kinds::KINDS;
    use crate::detect::learned::Learned;
    use crate::model::demand::{Answer, Closely, Detail, ProcessDetail};

    fn thread(state: char, wchan: Option<&str>) -> ThreadDetail {
        ThreadDetail { tid: 1, name: "t".into(), state, wchan: wchan.map(Into::into), run_ns: 0, wait_ns: 0 }
    }

    /// A pool of eight: six wait for a lock, one for the reader of its log, one for work.
    #[test]
    fn what_most_threads_wait_for_stands_first() {
        let threads = ["futex_do_wait"; 6].into_iter().chain(["anon_pipe_write", "inet_csk_accept"]);
        let detail = ProcessDetail { threads: threads.map(|w| thread('S', Some(w))).collect(), ..ProcessDetail::default() };
        let id = service(100, "api", 8080).id;
        let answer = Answer { demand: Demand::ProcessDetail { id }, detail: Ok(Detail::Process(detail)) };
        let closely = Closely::default().with(&[answer], 1_000_000_000);
        let bench = Bench::quiet().on(|host| host.closely = closely.clone().into());
        let (world, ledger) = bench.measured();
        let facts = Facts { world, ledger: &ledger, learned: &Learned::default(), kinds: KINDS };
        let said: Vec<(String, f64)> = rows(&facts, Some(id)).into_iter().map(|row| (row.claim, row.value)).collect();
        assert_eq!(
            said,
            [
                ("of its 8 threads wait for another thread: a lock, or work (futex_do_wait)".to_owned(), 6.0),
                ("of its 8 threads wait for the reader of a pipe (anon_pipe_write)".to_owned(), 1.0)
            ]
        );
        assert_eq!(most(&facts, Some(id)), None, "idle threads of a pool wait for each other as well");
        assert_eq!(ask(&facts, Some(id)), [Demand::ProcessDetail { id }]);
        // What was seen five seconds ago is not now.
        assert_eq!(closely.with(&[], 6_000_000_000), Closely::default());
        assert!(closely.with(&[], 5_000_000_000).of(id).is_some());
    }

    #[test]
    fn places_in_the_kernel_have_their_words() {
        for (place, what) in [
            ("futex_do_wait", OWN),
            ("futex_wait_queue_me", OWN),
            ("hrtimer_nanosleep", "a time that it set itself (sleep)"),
            ("anon_pipe_write", "the reader of a pipe"),
            ("pipe_write", "the reader of a pipe"),
            ("inet_csk_accept", "a connection"),
            ("do_epoll_wait", "events"),
            ("request_wait_answer", "a file server"),
            ("locks_lock_inode_wait", "a file lock"),
        ] {
            assert_eq!(waits(&thread('S', Some(place))), Some((what, place)));
        }
        assert_eq!(waits(&thread('R', None)), None);
        assert_eq!(waits(&thread('S', Some("some_new_function"))), None);
        assert_eq!(waits(&thread('T', None)).map(|w| w.1), Some("T"));
    }
}
