//! The flowchart: a start, a branch for each resource, questions as data, and what they answer now. Pure.

mod cpu;
mod disk;
pub mod documents;
mod memory;
mod network;
mod postgres;
mod prometheus;
mod question;
mod redis;

use std::collections::BTreeMap;

use crate::detect::diagnosis::{Diagnosis, IDLE};
use crate::detect::finding::{Class, Finding, Severity};
use crate::detect::headline::much;
use crate::detect::rule::matches;
use crate::detect::rules;
use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

pub use question::{Branch, Question};

macro_rules! tables {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        const BRANCHES_OF_SERVERS: &[Option<Branch>] = &[$($folder::BRANCH),*];
        const STARTS_OF_SERVERS: &[&[Question]] = &[$($folder::START),*];
    };
}

kinds!(tables);

/// One branch a resource.
pub fn branches() -> impl Iterator<Item = &'static Branch> {
    [&cpu::BRANCH, &memory::BRANCH, &disk::BRANCH, &network::BRANCH].into_iter().chain(BRANCHES_OF_SERVERS.iter().flatten())
}

/// What is asked at the start beside whether anyone loses time: do clients suffer?
pub fn start() -> impl Iterator<Item = &'static Question> {
    START.iter().chain(STARTS_OF_SERVERS.iter().copied().flatten())
}

/// What belongs to no branch.
const REST: &str = "Programs";

/// The resource that a finding's id is about.
#[must_use]
pub fn resource(id: &str) -> &'static str {
    branches().find(|b| b.questions.iter().any(|q| q.id == id)).map_or(REST, |b| b.name)
}

/// All resources, in the order of the chart.
pub fn resources() -> impl Iterator<Item = &'static str> {
    branches().map(|b| b.name).chain([REST])
}

const START: &[Question] = &[
    question::ask(
        "app.service.stalled",
        "Do requests hang at a service here?",
        "ss -ltnx; ss -tn state established '( sport = :PORT )'",
    ),
    question::ask("app.unexplained", "Is much of the waiting without a cause?", "perftop check"),
];

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Kleene's three values")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// What the operator found out, by the id of the question.
pub type ByHand = BTreeMap<&'static str, Answer>;

/// A question with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What is asked.
    pub question: &'static Question,
    /// The answer.
    pub answer: Answer,
    /// The figure or the reason behind it.
    pub because: String,
    /// The operator's answer, not perftop's.
    pub by_hand: bool,
    /// Key of the finding that is behind a yes, the first by rank.
    pub finding: Option<String>,
    /// That finding is a symptom of another.
    pub symptom: bool,
}

/// What a branch comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The cause that ranks first is here.
    Cause,
    /// Another cause is here.
    AlsoCause,
    /// What is wrong here is a symptom of a cause elsewhere.
    Symptom,
    /// What was found is of nobody's concern but its own, or worth tidying up.
    Info,
    /// Nothing wrong was found, and not all could be seen.
    Unknown,
    /// Nothing is wrong.
    Clear,
    /// There is no such server.
    Absent,
}

/// A branch with its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Limb {
    /// Which.
    pub branch: &'static Branch,
    /// What it comes to.
    pub verdict: Verdict,
    /// Foreground seconds per second that causes here cost.
    pub lost: f64,
    /// Foreground seconds per second that wait for it.
    pub waits: f64,
    /// Its questions, in their order.
    pub nodes: Vec<Node>,
    /// The node at which the way ends: the finding that ranks first here.
    pub leaf: Option<usize>,
}

/// The chart with the answers of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Foreground time that waits, and all of it, s/s.
    pub losing: (f64, f64),
    /// So much of it has no known cause that the chart cannot end.
    pub open: bool,
    /// Does the foreground lose time at all?
    pub loses: Answer,
    /// What is asked at the start, then a limb for each branch.
    pub limbs: Vec<Limb>,
}

/// The start, as a limb: what clients suffer, whatever the cause.
static BEGINNING: Branch = Branch { name: "Start", kind: SourceKind::Host, states: &[], questions: &[] };
/// Its place among the limbs.
pub const AT_START: usize = 0;

impl Chart {
    /// The answers of a diagnosis, and what the operator answered by hand.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis, by_hand: &ByHand) -> Self {
        let at_start = |f: &&Finding| start().any(|question| question.id == f.id);
        let raised = || diagnosis.findings.iter().filter(|f| f.raised());
        // What clients suffer is where it begins; the way leads on to what causes it, where that is known.
        let first = raised().find(|f| !at_start(f)).or_else(|| raised().next()).map(|f| f.key.as_str());
        let of = |branch, questions: Vec<&'static Question>| limb((branch, &questions), diagnosis, by_hand, first);
        let limbs = std::iter::once(of(&BEGINNING, start().collect()))
            .chain(branches().map(|branch| of(branch, branch.questions.iter().collect())))
            .collect();
        let time = &diagnosis.time;
        let lost = time.foreground_s_per_s - time.productive_s_per_s;
        let blind = diagnosis.unknown.iter().any(|u| u.id == "host.cpu.contention");
        let loses = match time.foreground_s_per_s >= IDLE && lost >= 0.1 * time.foreground_s_per_s {
            _ if blind => Answer::Unknown,
            true => Answer::Yes,
            false => Answer::No,
        };
        let open = much(time.unexplained_s_per_s, time.foreground_s_per_s);
        Self { losing: (lost.max(0.0), time.foreground_s_per_s), open, loses, limbs }
    }

    /// What is asked at the start.
    pub fn start(&self) -> impl Iterator<Item = &Node> {
        self.limbs.iter().take(1).flat_map(|limb| &limb.nodes)
    }

    /// The branches: all limbs but the start.
    #[must_use]
    pub fn branches(&self) -> &[Limb] {
        self.limbs.get(1..).unwrap_or_default()
    }

    /// The limb that is looked at first: that of the first cause, else the first of which something is wrong or unknown; the start only
    /// where nothing else is worse.
    #[must_use]
    pub fn live(&self) -> usize {
        let order = |(at, limb): &(usize, &Limb)| (limb.verdict, *at == AT_START);
        let best = self.limbs.iter().enumerate().min_by(|a, b| order(a).cmp(&order(b)).then(b.1.waits.total_cmp(&a.1.waits)));
        best.map_or(AT_START, |(at, _)| at)
    }

    /// Where a finding stands: its limb and its node.
    #[must_use]
    pub fn place(&self, finding: &str) -> Option<(usize, usize)> {
        let id = finding.split('|').next().unwrap_or(finding);
        self.limbs.iter().enumerate().find_map(|(at, limb)| Some((at, limb.nodes.iter().position(|n| n.question.id == id)?)))
    }

    /// Where it all ends, in a sentence, when no cause is found; `None` when one is.
    #[must_use]
    pub fn end(&self) -> Option<&'static str> {
        let has = |verdict| self.branches().iter().any(|limb| limb.verdict == verdict);
        let open = |limb: &Limb| limb.verdict != Verdict::Absent && limb.nodes.iter().any(|n| n.answer == Answer::Unknown);
        let unseen = self.branches().iter().any(open);
        let asked = |id: &str| self.start().any(|n| n.question.id == id && n.answer == Answer::Yes);
        match () {
            () if has(Verdict::Cause) || has(Verdict::AlsoCause) => None,
            () if self.start().any(|n| n.answer == Answer::Yes && n.question.id != "app.unexplained") => Some(
                "Clients suffer, and no cause was found here. Look at what they call: the services upstream, and hosts that nobody watches.",
            ),
            () if self.open || asked("app.unexplained") => {
                Some("Cannot tell: foreground time is lost, and no cause explains enough of it.")
            }
            () if self.branches().iter().any(|limb| limb.verdict == Verdict::Info && limb.lost >= 0.1) => {
                Some("No cause above info: what was found keeps nobody waiting but itself. Look at what it does.")
            }
            () if self.loses == Answer::Unknown || unseen => {
                Some("Nothing was found where perftop could look. What it could not see is unknown: see the commands.")
            }
            () => Some(
                "Not on this host: nothing here costs foreground time. Look upstream: the clients, the network, the services it calls.",
            ),
        }
    }
}

fn limb(
    (branch, questions): (&'static Branch, &[&'static Question]),
    diagnosis: &Diagnosis,
    by_hand: &ByHand,
    first: Option<&str>,
) -> Limb {
    let nodes: Vec<Node> = questions.iter().map(|question| node(question, diagnosis, by_hand)).collect();
    // What the operator answered with no is none of it.
    let mine = |f: &&Finding| nodes.iter().any(|n| n.question.id == f.id && !(n.by_hand && n.answer == Answer::No));
    let roots = || diagnosis.findings.iter().filter(mine).filter(|f| f.raised());
    let absent = branch.kind != SourceKind::Host && !diagnosis.sources.iter().any(|s| s.kind == branch.kind);
    let by_hand_yes = nodes.iter().any(|n| n.by_hand && n.answer == Answer::Yes);
    let verdict = match () {
        () if roots().any(|f| Some(f.key.as_str()) == first) => Verdict::Cause,
        () if roots().next().is_some() || by_hand_yes => Verdict::AlsoCause,
        () if nodes.iter().any(|n| n.symptom && n.answer == Answer::Yes) => Verdict::Symptom,
        () if nodes.iter().any(|n| n.answer == Answer::Yes) => Verdict::Info,
        () if absent => Verdict::Absent,
        () if nodes.iter().any(|n| n.answer == Answer::Unknown) => Verdict::Unknown,
        () => Verdict::Clear,
    };
    let waits = |id: &str| branch.states.iter().any(|prefix| id.starts_with(prefix));
    let waits = diagnosis.time.states.iter().filter(|row| waits(row.state.id())).map(|row| row.s_per_s).sum();
    let lost =
        diagnosis.findings.iter().filter(mine).filter(|f| f.explained_by.is_none()).filter_map(|f| f.impact.lost_s_per_s).sum();
    // The findings stand in the order of their rank.
    let ranked = diagnosis
        .findings
        .iter()
        .filter(mine)
        .filter_map(|f| nodes.iter().position(|n| n.finding.as_deref() == Some(f.key.as_str())));
    let leaf = ranked.into_iter().next().or_else(|| nodes.iter().position(|n| n.answer == Answer::Yes));
    Limb { branch, verdict, lost, waits, leaf, nodes }
}

fn node(question: &'static Question, diagnosis: &Diagnosis, by_hand: &ByHand) -> Node {
    let (answer, because, finding) = answer(question, diagnosis);
    let symptom = finding.is_some_and(|f| f.explained_by.is_some());
    let node = Node { question, answer, because, by_hand: false, finding: finding.map(|f| f.key.clone()), symptom };
    match by_hand.get(question.id) {
        Some(hand) => Node {
            answer: *hand,
            because: format!("answered by hand; perftop says {}: {}", node.answer.word(), node.because),
            by_hand: true,
            ..node
        },
        None => node,
    }
}

fn answer<'a>(question: &Question, diagnosis: &'a Diagnosis) -> (Answer, String, Option<&'a Finding>) {
    let id = question.id;
    let total = diagnosis.time.foreground_s_per_s;
    // A symptom has given its seconds to its cause, and is there all the same; so is what costs nobody but itself.
    let counts = |f: &&Finding| {
        // Of what costs time and of what will fail, little and not yet are a no; what happened, happened.
        let happened = matches!(f.class, Class::Error | Class::Outcome | Class::Hygiene);
        let there = question.any || happened || f.severity != Severity::Info || f.explained_by.is_some() || f.costs(total);
        f.id == id && f.muted.is_none() && there
    };
    if let Some(f) = diagnosis.findings.iter().find(counts) {
        return (Answer::Yes, f.title.clone(), Some(f));
    }
    if let Some(f) = diagnosis.findings.iter().find(|f| f.id == id) {
        let why = if f.muted.is_some() { "muted" } else { "below threshold" };
        return (Answer::No, format!("{why}: {}", f.title), None);
    }
    if let Some(u) = diagnosis.unknown.iter().find(|u| matches(&u.id, id)) {
        return (Answer::Unknown, u.because.clone(), None);
    }
    if let Some(c) = diagnosis.cleared.iter().find(|c| c.id == id) {
        return (Answer::No, c.because.clone(), None);
    }
    let kind = rules::find(id).map_or(SourceKind::Host, |rule| rule.judge.kind());
    if kind != SourceKind::Host && !diagnosis.sources.iter().any(|s| s.kind == kind) {
        return (Answer::No, format!("no {} server found here", kind.name()), None);
    }
    (Answer::Unknown, "not judged".to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rules::RULES;

    #[test]
    fn every_rule_is_asked_about_once_and_every_question_has_a_rule() {
        let asked: Vec<&Question> = branches().flat_map(|b| b.questions).chain(start()).collect();
        for question in &asked {
            let rule = rules::find(question.id).unwrap_or_else(|| panic!("{} is no rule", question.id));
            assert_eq!(asked.iter().filter(|q| q.id == question.id).count(), 1, "{} twice", question.id);
            assert!(question.text.ends_with('?') && !question.by_hand.is_empty(), "{}", question.id);
            // Tidying up is never above info.
            assert!(question.any || rule.class != Class::Hygiene, "{} can never be a yes", question.id);
        }
        for rule in RULES.iter().filter(|r| !r.id.starts_with("source.")) {
            assert!(asked.iter().any(|q| q.id == rule.id), "nobody asks for {}", rule.id);
        }
    }

    #[test]
    fn each_state_that_waits_belongs_to_one_branch() {
        use crate::detect::ledger::State;
        for state in State::ALL.iter().filter(|s| s.group().is_some()) {
            let of = branches().filter(|b| b.states.iter().any(|prefix| state.id().starts_with(prefix))).count();
            assert_eq!(of, 1, "{}", state.id());
        }
    }
}
