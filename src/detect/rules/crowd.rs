//! Programs that were started apart and are one all the same: copies of one program, what runs in one control group, what one user runs.
//! Where no single program has most of something, the smallest crowd that has is to blame; never one that holds the victims.

use std::collections::BTreeMap;

use crate::detect::ledger::Actor;
use crate::detect::verdict::Prev;
use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::subject::{Subject, SubjectType};

use super::support::{Program, cgroup_subject};

/// Several programs as one.
#[derive(Debug, Clone)]
pub struct Crowd<'a> {
    /// What they are known by; it stays while they come and go.
    pub subject: Subject,
    /// As a title names them; a plural.
    pub label: String,
    /// All of them, those with most first.
    pub members: Vec<&'a ProcFacts>,
    /// What they have together.
    pub amount: f64,
    /// How many programs they are.
    pub programs: usize,
}

impl<'a> From<Program<'a>> for Crowd<'a> {
    /// A crowd of one program.
    fn from(program: Program<'a>) -> Self {
        let (subject, label) = (program.subject(), program.label());
        Self { subject, label, members: program.members, amount: program.amount, programs: 1 }
    }
}

impl Crowd<'_> {
    /// An actor that belongs to it.
    #[must_use]
    pub fn has(&self, actor: &Actor) -> bool {
        self.members.iter().any(|p| p.family == actor.family)
    }

    /// The verb that goes with its label.
    #[must_use]
    pub fn verb<'v>(&self, one: &'v str, many: &'v str) -> &'v str {
        if self.programs > 1 { many } else { one }
    }

    /// It was this one before: it is as long as some of it stay.
    #[must_use]
    pub fn was(&self, before: &Subject) -> bool {
        same(&self.subject, before)
    }
}

/// The same culprit: a crowd is one as long as some of it stay.
pub fn same(now: &Subject, before: &Subject) -> bool {
    let key = before.typed_key();
    let stays = |id: &String| *id == now.typed_key() || now.also.contains(id);
    // Its oldest may have ended: some of the others are there.
    now.typed_key() == key || now.kind == before.kind && !before.also.is_empty() && (stays(&key) || before.also.iter().any(stays))
}

/// How a rule looks at processes: what each has of what is short, and which of them wait for it.
#[derive(Clone, Copy)]
pub struct Look<'l> {
    /// What a process has.
    pub amount: &'l dyn Fn(&ProcFacts) -> f64,
    /// It waits for that.
    pub waits: &'l dyn Fn(&ProcFacts) -> bool,
}

/// Programs that run what they are given: their name says nothing, their command line does.
const INTERPRETERS: [&str; 12] = ["python", "perl", "ruby", "node", "java", "bash", "sh", "dash", "zsh", "php", "lua", "awk"];

/// The crowds of at least two programs that have `least` together, the smallest first.
pub fn crowds<'a>(facts: &'a Facts, all: &[Program<'a>], look: Look<'_>, least: f64) -> Vec<Crowd<'a>> {
    let amount = look.amount;
    let busy: Vec<&Program<'a>> = all.iter().filter(|p| p.amount > 0.0).collect();
    let mut found = Vec::new();
    let mut by_name: BTreeMap<String, Vec<&Program<'a>>> = BTreeMap::new();
    let mut by_group: BTreeMap<&str, Vec<&Program<'a>>> = BTreeMap::new();
    let mut by_user: BTreeMap<u32, Vec<&Program<'a>>> = BTreeMap::new();
    for program in &busy {
        let Some(first) = program.members.first() else { continue };
        by_name.entry(called(first)).or_default().push(program);
        // The root of all groups is nobody in particular.
        if let Some(group) = first.cgroups.first().filter(|group| group.path.raw() != b"/") {
            by_group.entry(group.path.shown()).or_default().push(program);
        }
        // Root is nobody in particular.
        if let Some(uid) = first.uid.filter(|uid| *uid != 0) {
            by_user.entry(uid).or_default().push(program);
        }
    }
    for programs in by_name.values() {
        let name = programs[0].members[0].name.shown();
        let key = oldest(programs).to_string();
        found.push(crowd(programs, amount, Subject::new(SubjectType::Process, key, name), format!("{name} processes")));
    }
    for (path, programs) in &by_group {
        let mut made = crowd(programs, amount, cgroup_subject(facts, path), String::new());
        // Its busiest program says more than a path of hexadecimal digits.
        let busiest = made.members.first().map_or("nobody", |p| p.name.shown());
        made.label = format!("{busiest} and others in {path}");
        found.push(made);
    }
    for (uid, programs) in &by_user {
        let mut made =
            crowd(programs, amount, Subject::new(SubjectType::Process, oldest(programs).to_string(), ""), String::new());
        let busiest = made.members.first().map_or("nobody", |p| p.name.shown());
        made.label = format!("{busiest} and others of user {uid}");
        made.subject.label.clone_from(&made.label);
        found.push(made);
    }
    found.retain(|c| c.programs > 1 && c.amount >= least && !holds_victims(c, look.waits));
    // Of those of one size copies of one program come first, then what runs in one group: they say most.
    found.sort_by_key(|c| c.members.len());
    found
}

/// Who has most of something of which there is `total`: the one that is held while it keeps 0.7 of the share that it entered with, else the
/// first program that has the part `enough`, else the smallest crowd that has, else the first program.
pub fn most_of<'a>(
    facts: &'a Facts,
    prev: Option<&Prev>,
    all: Vec<Program<'a>>,
    look: Look<'_>,
    (total, enough): (f64, f64),
) -> Option<Crowd<'a>> {
    const KEEPS: f64 = 0.7;
    // One that is held stays, though one of it alone may have enough for a moment.
    let alone = |p: &Program<'a>| {
        prev.is_none_or(|prev| prev.held.iter().all(|h| h.subject.also.is_empty() || same(&p.subject(), &h.subject)))
    };
    let several = match all.first() {
        Some(first) if first.amount >= enough * total && alone(first) => Vec::new(),
        _ => crowds(facts, &all, look, enough * total),
    };
    let mut candidates: Vec<Crowd<'a>> = all.into_iter().map(Crowd::from).chain(several).collect();
    let held = |c: &Crowd<'_>| {
        prev.is_some_and(|p| p.held.iter().any(|h| c.was(&h.subject) && c.amount >= KEEPS * h.entered_share * total))
    };
    let enough = |c: &Crowd<'_>| c.amount >= enough * total;
    let at = candidates.iter().position(held).or_else(|| candidates.iter().position(enough)).unwrap_or(0);
    (at < candidates.len()).then(|| candidates.swap_remove(at))
}

/// What others wait for is in it, and waits itself.
fn holds_victims(crowd: &Crowd<'_>, waits: &dyn Fn(&ProcFacts) -> bool) -> bool {
    let serves = |p: &&&ProcFacts| !p.listens.is_empty() || p.serves_tcp || p.serves == Some(true);
    crowd.members.iter().filter(serves).any(|p| waits(p))
}

fn crowd<'a>(programs: &[&Program<'a>], amount: &dyn Fn(&ProcFacts) -> f64, subject: Subject, label: String) -> Crowd<'a> {
    let mut members: Vec<&ProcFacts> = programs.iter().flat_map(|p| &p.members).copied().collect();
    members.sort_by(|a, b| amount(b).total_cmp(&amount(a)).then(a.id.cmp(&b.id)));
    let total: f64 = members.iter().map(|p| amount(p)).sum();
    // A tenth of what they have on average: shells and supervisors are not to be paused with the rest, and of a hundred workers with a
    // little each nobody is left out.
    let least = total / members.len().max(1) as f64 / 10.0;
    members.retain(|p| amount(p) > least);
    let mut subject = subject;
    let own = subject.typed_key();
    subject.also.extend(members.iter().map(|p| format!("process:{}", p.id)).filter(|id| *id != own).take(16));
    Crowd { subject, label, members, amount: total, programs: programs.len() }
}

/// The one that has run longest: of those that come and go it stays.
fn oldest(programs: &[&Program<'_>]) -> ProcId {
    programs.iter().map(|p| p.root).min_by_key(|id| (id.start, id.pid)).unwrap_or(programs[0].root)
}

/// What copies of one program have in common: the name; of an interpreter what it runs as well, whatever its numbers.
fn called(p: &ProcFacts) -> String {
    let name = p.name.shown();
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match &p.command {
        Some(command) if INTERPRETERS.contains(&plain) => {
            let mut text: Vec<char> = command.shown().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            text.dedup_by(|a, b| a == b && *a == '0');
            text.into_iter().collect()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::{process, service};
    use crate::detect::rules::support::{demand, programs};
    use crate::model::foreign::Foreign;

    fn found(processes: Vec<ProcFacts>, least: f64) -> Vec<(String, usize)> {
        let bench = Bench::quiet().running(processes);
        let world = bench.measured().0;
        let all = programs(world, demand);
        let look = Look { amount: &demand, waits: &|p| p.runnable.is_some_and(|s| s > 0.0) };
        crowds(world, &all, look, least).into_iter().map(|c| (c.label, c.members.len())).take(1).collect()
    }

    fn busy(pid: i32, name: &str, cpu: f64) -> ProcFacts {
        ProcFacts { cpu: Some(cpu), ..process(pid, name) }
    }

    #[test]
    fn copies_of_one_program_are_one() {
        let four = (0..4).map(|n| busy(200 + n, "dd", 0.4)).collect::<Vec<_>>();
        assert_eq!(found(four.clone(), 1.0), [("dd processes".to_owned(), 4)]);
        assert_eq!(found(four.clone(), 2.0), [], "less than that together");
        assert_eq!(found(vec![busy(200, "dd", 1.6)], 1.0), [], "one is no crowd");
        let others = vec![busy(300, "gzip", 0.4), ProcFacts { uid: Some(7), ..busy(301, "tar", 0.4) }];
        assert_eq!(found(others, 0.7), [], "nothing in common");
    }

    #[test]
    fn an_interpreter_is_what_it_runs() {
        let script = |pid: i32, command: &str| ProcFacts { command: Some(Foreign::from(command)), ..busy(pid, "python3", 0.4) };
        let same = vec![script(200, "python3 job.py --shard 7"), script(201, "python3 job.py --shard 12")];
        assert_eq!(found(same, 0.7), [("python3 processes".to_owned(), 2)]);
        let other = ProcFacts { uid: Some(7), ..script(201, "python3 b.py") };
        assert_eq!(found(vec![script(200, "python3 a.py"), other], 0.7), []);
    }

    #[test]
    fn what_one_user_runs_is_a_crowd_and_root_is_nobody() {
        let of = |uid: u32| {
            vec![ProcFacts { uid: Some(uid), ..busy(200, "gzip", 0.5) }, ProcFacts { uid: Some(uid), ..busy(201, "tar", 0.4) }]
        };
        assert_eq!(found(of(1_000), 0.8), [("gzip and others of user 1000".to_owned(), 2)]);
        assert_eq!(found(of(0), 0.8), []);
    }

    #[test]
    fn never_one_that_holds_a_victim() {
        let server = |pid: i32| ProcFacts { cpu: Some(0.5), runnable: Some(0.3), ..service(pid, "api", 8080) };
        assert_eq!(found(vec![server(100), server(101)], 0.8), []);
        let idle = |pid: i32| ProcFacts { cpu: Some(0.5), runnable: Some(0.0), ..service(pid, "api", 8080) };
        assert_eq!(found(vec![idle(100), idle(101)], 0.8).len(), 1);
    }
}
