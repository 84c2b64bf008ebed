//! Building blocks of fixes: guards that name one process for ever, ready-made fixes that several rules suggest.
//! There is no code path that runs one.

use crate::detect::command::sh;
use crate::model::facts::{Facts, ProcFacts};
use crate::model::shell::Word;

use super::command::{Command, Language, Part};
use super::finding::{Fix, Horizon, ONLY_LOOKS, Phase, Preflight};
use super::touch::{may_touch, touchable};

/// A shell fix on this host with nothing optional filled in.
#[must_use]
pub fn shell_fix(phase: Phase, horizon: Horizon, title: impl Into<String>, command: Command) -> Fix {
    Fix {
        phase,
        horizon,
        title: title.into(),
        target: "this host".into(),
        command,
        undo: None,
        risk: String::new(),
        needs: "root, or the owner of the process".into(),
        takes_s: Some(1.0),
        needs_bytes: None,
        preflight: Vec::new(),
        waits: false,
        verify: sh!("perftop check --for 5s"),
    }
}

/// A read-only command.
#[must_use]
pub fn look(title: impl Into<String>, command: Command) -> Fix {
    let mut look = shell_fix(Phase::Relief, Horizon::Immediate, title, command);
    look.risk = ONLY_LOOKS.into();
    look.needs = "root".into();
    look
}

/// Where the threads of a process wait in the kernel.
#[must_use]
pub fn look_at_threads(p: &ProcFacts) -> Fix {
    let pid = p.id.pid;
    look(
        "See where the threads of the service wait in the kernel",
        sh!("ps -L -o comm=,wchan:32= -p {} | sort | uniq -c | sort -rn", pid),
    )
}

/// At most so many pids in one command.
const PIDS: usize = 32;

/// Processes in a list of the shell: `4242:8841 4243:8841`, pid and start.
struct Those(String);

impl Part for Those {
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

/// Runs `action` for each process, and only while it is that very process: `${p%:*}` is its pid.
fn each<'a>(members: impl Iterator<Item = &'a ProcFacts>, action: &Command) -> Command {
    let mut chosen: Vec<&ProcFacts> = members.take(PIDS).collect();
    chosen.sort_by_key(|p| p.id);
    let list: Vec<String> = chosen.iter().map(|p| format!("{}:{}", p.id.pid, p.id.start)).collect();
    sh!(
        "for p in {}; do [ \"$(sed 's/.*) //' /proc/${p%:*}/stat 2>/dev/null | cut -d' ' -f20)\" = ${p#*:} ] && {}; done",
        Those(list.join(" ")),
        action
    )
}

/// Runs `action` only while it is that very process.
#[must_use]
pub fn guarded(p: &ProcFacts, action: &Command) -> Command {
    let (pid, start) = (p.id.pid, p.id.start);
    sh!("[ \"$(sed 's/.*) //' /proc/{}/stat 2>/dev/null | cut -d' ' -f20)\" = {} ] && {}", pid, start, action)
}

/// A process that somebody stopped goes on.
#[must_use]
pub fn go_on(p: &ProcFacts) -> Fix {
    let go = guarded(p, &sh!("kill -CONT {}", p.id.pid));
    let mut fix = shell_fix(Phase::Relief, Horizon::Immediate, "Let its process go on: somebody stopped it", go);
    fix.risk = "whoever stopped it (a debugger, a snapshot) may want it stopped".into();
    fix
}

/// `4242,4243`.
fn pids(members: &[&ProcFacts]) -> Those {
    let list: Vec<String> = members.iter().take(PIDS).map(|p| p.id.pid.to_string()).collect();
    Those(list.join(","))
}

/// Gives a program's processes, all their threads, the lowest CPU priority. `None` where they are not to be touched (`touch`).
#[must_use]
pub fn renice(facts: &Facts, members: &[&ProcFacts]) -> Option<Fix> {
    let members = touchable(facts, members);
    if members.is_empty() {
        return None;
    }
    let autogroup = facts.identity.as_ref().is_some_and(|i| i.autogroup);
    // `renice -p` alone would reach the main thread only.
    let to = |nice: i32| sh!("renice -n {} -p $(ls /proc/${p%:*}/task) >/dev/null", nice);
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Give it the lowest CPU priority; it runs when the CPU is otherwise idle",
        each(members.iter().copied(), &to(19)),
    );
    let mut before: Vec<i32> = members.iter().take(PIDS).map(|p| p.nice).collect();
    before.sort_unstable();
    before.dedup();
    let undo = before.iter().map(|nice| each(members.iter().take(PIDS).copied().filter(|p| p.nice == *nice), &to(*nice)));
    fix.undo = undo.reduce(|all, next| all.then("; ", &next));
    fix.risk = "clients of this program slow down".into();
    fix.preflight =
        vec![Preflight { ok: members.len() <= PIDS, what: format!("{} processes", members.len()) }, serves_nobody(&members)];
    if autogroup {
        let what = "sched_autogroup_enabled is 1: nice acts only against processes of the same session";
        fix.preflight.push(Preflight { ok: false, what: what.into() });
    }
    fix.verify = sh!("ps -L -o pid,lwp,ni,comm -p {}; perftop check --for 5s", pids(&members));
    Some(fix)
}

/// Takes a program's processes, all their threads, out of real-time scheduling: a server too only runs like all others then.
#[must_use]
pub fn normal_scheduling(members: &[&ProcFacts]) -> Fix {
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Make it a normal task that shares the CPU",
        each(members.iter().copied(), &sh!("chrt -a -o -p 0 ${p%:*}")),
    );
    // 2 is SCHED_RR, anything else here SCHED_FIFO; its priority is not in the samples.
    let policy = if members.iter().all(|p| p.policy == 2) { "-r" } else { "-f" };
    let back = each(members.iter().copied(), &sh!("chrt -a {} -p 1 ${p%:*}", policy));
    fix.undo = Some(sh!("{}   # 1: or the priority that chrt -p PID printed before", back));
    fix.risk = "anything that depends on its timing (audio, a watchdog) suffers".into();
    fix.needs = "root".into();
    fix.verify = sh!("chrt -p {}; perftop check --for 5s", members.first().map_or(0, |p| p.id.pid));
    fix
}

/// Gives a program's processes, all their threads, the idle IO class. `None` where they are not to be touched (`touch`).
#[must_use]
pub fn idle_io(facts: &Facts, members: &[&ProcFacts]) -> Option<Fix> {
    let members = touchable(facts, members);
    if members.is_empty() {
        return None;
    }
    let to = |class: &'static str| sh!("ionice {} -p $(ls /proc/${p%:*}/task)", class);
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Let it use the disk only when nobody else does",
        each(members.iter().copied(), &to("-c 3")),
    );
    fix.undo = Some(each(members.iter().copied(), &to("-c 0")));
    fix.risk = "it may make no progress while others use the disk".into();
    fix.preflight = vec![serves_nobody(&members)];
    Some(fix)
}

/// Stops a program's processes where they stand. `None` where they are not to be touched (`touch`).
#[must_use]
pub fn pause(facts: &Facts, members: &[&ProcFacts]) -> Option<Fix> {
    let members = touchable(facts, members);
    if members.is_empty() {
        return None;
    }
    let mut fix = shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Pause it, investigate, and resume it later",
        each(members.iter().copied(), &sh!("kill -STOP ${p%:*}")),
    );
    fix.undo = Some(each(members.iter().copied(), &sh!("kill -CONT ${p%:*}")));
    fix.risk = "its clients wait until it is resumed; its connections may time out".into();
    fix.preflight = vec![serves_nobody(&members)];
    fix.verify = sh!("ps -o pid,stat,comm -p {}; perftop check --for 5s", pids(&members));
    Some(fix)
}

/// Whether it is known that nobody waits for them at a socket.
fn serves_nobody(members: &[&ProcFacts]) -> Preflight {
    let seen = members.iter().all(|p| p.serves.is_some());
    let what = if seen { "it serves nobody through a socket" } else { "its clients cannot be seen without root" };
    Preflight { ok: seen, what: what.into() }
}

/// What to inspect where a program is a server that others wait for: it is not slowed down, only inspected.
#[must_use]
pub fn look_into(members: &[&ProcFacts]) -> Option<Fix> {
    let busiest = members.first()?;
    let title = "See which of its threads use the CPU, and where";
    let pid = busiest.id.pid;
    let command = sh!("top -H -b -n 1 -p {} | head -n 30; cat /proc/{}/task/*/wchan | sed 's/$/\\n/' | sort | uniq -c", pid, pid);
    let mut fix = shell_fix(Phase::Relief, Horizon::Immediate, title, command);
    fix.risk = ONLY_LOOKS.into();
    fix.needs = "root".into();
    Some(fix)
}

/// The system unit that these processes run in, by the last part of a group's path.
///
/// # Errors
/// Why there is none: a process in it is not to be touched, or no command can name it.
pub fn unit(facts: &Facts, members: &[&ProcFacts]) -> Result<Word, &'static str> {
    if !may_touch(facts, members) {
        return Err("others depend on a process of its unit: limit its share of the work instead");
    }
    let unit = members.iter().flat_map(|p| p.cgroups.iter()).find_map(|g| unit_of(g.path.raw()));
    unit.ok_or("it runs in no service unit: start it in one")
}

/// The system unit of a group, by the group's path.
#[must_use]
pub fn unit_of(path: &[u8]) -> Option<Word> {
    // Units of a user's own manager need another bus.
    let of_user = path.windows(5).any(|w| w == b"user@");
    let name = path.rsplit(|b| *b == b'/').next().filter(|name| name.ends_with(b".service") && !of_user)?;
    Word::operand(name)
}

/// How to take a property of a unit back whose value before is not known here.
#[must_use]
pub fn undo_property(unit: &Word, property: &'static str) -> Command {
    sh!("systemctl set-property {} {}=OLD   # OLD: what systemctl show -p {} {} prints before", unit, property, property, unit)
}

/// What only a primary can do is said so on a standby. `ALTER SYSTEM` and the signals work on both.
pub fn on_standby(fix: &mut Fix) {
    const WRITES: [&str; 10] =
        ["CREATE", "DROP", "REINDEX", "VACUUM", "ANALYZE", "ALTER", "ROLLBACK", "COMMIT", "CLUSTER", "GRANT"];
    let command = fix.command.to_ascii_uppercase();
    let verb = command.split_ascii_whitespace().next().unwrap_or_default();
    let made_by_psql = command.starts_with("SELECT FORMAT(");
    if fix.command.language() == Language::Sql && (WRITES.contains(&verb) || made_by_psql) && !command.starts_with("ALTER SYSTEM")
    {
        fix.preflight.push(Preflight { ok: false, what: "this is a standby: run it on the primary".into() });
    }
}
