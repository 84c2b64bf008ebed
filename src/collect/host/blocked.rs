//! Who is in uninterruptible sleep: samples thread states between two sweeps, and threads that stay in one wait.

use std::path::Path;

use crate::collect::root::{Reader, Roots};
use crate::model::foreign::Foreign;
use crate::model::host::StateHit;
use crate::model::seen::Why;

use super::daemons::{LOOKS, waits};
use super::process::{Known, Processes, list};
use super::stat;

/// Threads sampled in one round.
const SAMPLED_THREADS: usize = 128;
/// Of them at most so many of one process.
const SAMPLED_PER_PROCESS: usize = 64;

impl Processes {
    /// One sample of the states of the threads that ran lately: who is in uninterruptible sleep.
    /// With `blocked_only` those that were in it at the sweep, for waits that raise no pressure.
    pub fn sample_states(&mut self, reader: &mut Reader, roots: &Roots, blocked_only: bool) -> Vec<StateHit> {
        let (mut left, mut looks) = (SAMPLED_THREADS, if self.daemons { LOOKS } else { 0 });
        self.looks = self.looks.wrapping_add(1);
        let mut hits = Vec::new();
        let mut due: Vec<&Known> =
            self.known.values().filter(|k| !k.row.kernel && (k.changed && !blocked_only || k.blocked())).collect();
        // Those that were blocked in every sample; of the others, where they are too many, some in each sample that stand for
        // all.
        due.sort_unstable_by_key(|k| (!k.blocked(), k.row.id));
        let first = due.iter().filter(|k| k.blocked()).count();
        let others = due.len() - first;
        due[first..].rotate_left(self.reached % others.max(1));
        let mut reached = 0;
        let mut of_others = Vec::new();
        for (at, known) in due.into_iter().enumerate() {
            let tids: Vec<i32> =
                if known.threads.len() > 1 { known.threads.iter().map(|t| t.tid).collect() } else { vec![known.row.id.pid] };
            // Of many threads a part is sampled, another one each time, and stands for all.
            let take = tids.len().min(SAMPLED_PER_PROCESS).min(left);
            if take == 0 {
                break;
            }
            reached += usize::from(at >= first);
            left -= take;
            let from = (self.looks * take) % tids.len();
            let chosen = tids.iter().cycle().skip(from).take(take).copied();
            let dir = roots.proc.join(known.row.id.pid.to_string()).join("task");
            let mut in_d = |tid: &i32| {
                let path = dir.join(tid.to_string()).join("stat");
                match reader.parse(&path, stat::parse) {
                    Ok(s) if s.state == 'S' => known.blocked() && waits(reader, &dir.join(tid.to_string()), &mut looks),
                    state => matches!(state, Ok(s) if s.state == 'D'),
                }
            };
            let seen: Vec<i32> = chosen.filter(|tid| in_d(tid)).collect();
            let of_all = |part: usize| u32::try_from((part * tids.len()).div_ceil(take)).unwrap_or(0);
            if !seen.is_empty() {
                let syncs = seen.iter().map(|tid| {
                    match reader.parse(&dir.join(tid.to_string()).join("syscall"), stat::parse_syscall) {
                        Ok(call) => Some(usize::from(stat::is_sync(call))),
                        Err(lack) if lack.why == Why::Denied => None,
                        // It has ended meanwhile.
                        Err(_) => Some(0),
                    }
                });
                let syncing = syncs.sum::<Option<usize>>().map(of_all);
                let hit = StateHit { id: known.row.id, hits: of_all(seen.len()), syncing };
                if at < first { hits.push(hit) } else { of_others.push(hit) }
            }
        }
        // What a division leaves over goes to the next one, so that nothing is lost of the sum.
        let (mut rest, mut rest_syncing) = (0, 0);
        let stands_for = |n: u32, rest: &mut usize| {
            let all = n as usize * others + *rest;
            *rest = all % reached.max(1);
            u32::try_from(all / reached.max(1)).unwrap_or(u32::MAX)
        };
        hits.extend(of_others.into_iter().map(|h| StateHit {
            hits: stands_for(h.hits, &mut rest),
            syncing: h.syncing.map(|n| stands_for(n, &mut rest_syncing)),
            ..h
        }));
        self.reached = self.reached.wrapping_add(reached);
        hits
    }
}

impl Known {
    /// Blocked in the last sample, the main thread or another.
    pub(super) fn blocked(&self) -> bool {
        self.row.state == 'D' || !self.stood.is_empty()
    }

    /// Threads in state D, and what one of them waits in once it was so in two samples in a row. Those as well that wait for a
    /// daemon, of so many looks as are left: those that are left then.
    pub(super) fn look_for_blocked(&mut self, reader: &mut Reader, dir: &Path, was_blocked: bool, mut looks: usize) -> usize {
        let pid = self.row.id.pid;
        let user = !self.row.kernel;
        let mut waits = |reader: &mut Reader, state: char, tid: i32| match state {
            'S' => user && waits(reader, &dir.join(tid.to_string()), &mut looks),
            state => state == 'D',
        };
        if waits(reader, self.row.state, pid) {
            self.row_mut().state = 'D';
        }
        let before = !self.stood.is_empty() || was_blocked;
        let mut stuck = (self.row.state == 'D').then_some(pid);
        let stood = std::mem::take(&mut self.stood);
        self.row_mut().blocked_threads = 0;
        if self.row.threads > 1 && !self.row.kernel {
            for tid in list(dir).unwrap_or_default().into_iter().filter(|t| *t != pid).take(SAMPLED_THREADS) {
                let one = dir.join(tid.to_string());
                let state = reader.parse(&one.join("stat"), stat::parse).map_or(' ', |s| s.state);
                if !waits(reader, state, tid) {
                    continue;
                }
                // In the same wait as in the sample before only when it was on no CPU in between.
                let slices = reader.parse(&one.join("schedstat"), stat::parse_sched).map_or(0, |s| s.slices);
                if stood.contains(&(tid, slices)) {
                    self.row_mut().blocked_threads += 1;
                    stuck = stuck.or(Some(tid));
                }
                self.stood.push((tid, slices));
            }
        }
        let place = stuck.filter(|_| before).and_then(|tid| {
            let text = reader.read(&dir.join(tid.to_string()).join("wchan")).ok()?;
            (!text.is_empty() && text != b"0").then(|| Foreign::new(text))
        });
        self.row_mut().wchan = place;
        looks
    }
}
