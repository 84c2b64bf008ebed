//! Walks the flowchart: each question yes, no or unknown; unknown goes on along both branches. Pure.

use crate::detect::diagnosis::Diagnosis;
use crate::detect::diagnosis::IDLE;
use crate::detect::finding::Severity;
use crate::detect::ledger::{Ledger, State};
use crate::detect::rules;

use crate::model::source::SourceKind;

use super::chapters::{Ask, Go, Question, START, after, question_of};

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Kleene's three values")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The question's id.
    pub id: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The answer.
    pub answer: Answer,
    /// The figure or reason behind it.
    pub because: String,
    /// Where the way ends here: a finding's id, or a sentence.
    pub leaf: Option<&'static str>,
    /// How to find out by hand.
    pub by_hand: &'static str,
}

/// The way from the first question to its leaf, depth first; each question at most once.
#[must_use]
pub fn walk(diagnosis: &Diagnosis, ledger: &Ledger) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = vec![START];
    while let Some(id) = open.pop() {
        if steps.iter().any(|s| s.id == id) {
            continue;
        }
        let Some((chapter, question)) = question_of(id) else { continue };
        let (answer, because) = answer(question, diagnosis, ledger);
        let mut leaf = None;
        let ways: &[Go] = match answer {
            Answer::Yes => &[question.yes],
            Answer::No => &[question.no],
            Answer::Unknown => &[question.no, question.yes],
        };
        for way in ways {
            match way {
                Go::To(next) => open.push(next),
                Go::On => open.push(after(chapter)),
                Go::Finding(text) | Go::End(text) if answer != Answer::Unknown => leaf = Some(*text),
                Go::Finding(_) | Go::End(_) => {}
            }
        }
        let by_hand = question.by_hand;
        steps.push(Step { id, text: question.text, answer, because, leaf, by_hand });
        if leaf.is_some() {
            break;
        }
    }
    steps
}

fn answer(question: &Question, diagnosis: &Diagnosis, ledger: &Ledger) -> (Answer, String) {
    match question.ask {
        Ask::Finding { id, any } => by_finding(id, any, diagnosis),
        Ask::Losing => losing(diagnosis),
        Ask::LargestWait(state) => largest(state, ledger),
    }
}

fn by_finding(id: &str, any: bool, diagnosis: &Diagnosis) -> (Answer, String) {
    if let Some(f) = diagnosis.findings.iter().find(|f| f.id == id && (any || f.severity != Severity::Info)) {
        return (Answer::Yes, f.title.clone());
    }
    if let Some(f) = diagnosis.findings.iter().find(|f| f.id == id) {
        return (Answer::No, format!("below threshold: {}", f.title));
    }
    if let Some(c) = diagnosis.cleared.iter().find(|c| c.id == id) {
        return (Answer::No, c.because.clone());
    }
    let kind = rules::find(id).map_or(SourceKind::Host, |rule| rule.judge.kind());
    if kind != SourceKind::Host && !diagnosis.sources.iter().any(|s| s.kind == kind) {
        return (Answer::No, format!("no {} server found here", kind.name()));
    }
    let unknown = diagnosis.unknown.iter().find(|u| u.id == id);
    (Answer::Unknown, unknown.map_or_else(|| "not judged".to_owned(), |u| u.because.clone()))
}

fn losing(diagnosis: &Diagnosis) -> (Answer, String) {
    if let Some(blind) = diagnosis.unknown.iter().find(|u| u.id == "host.cpu.contention") {
        return (Answer::Unknown, blind.because.clone());
    }
    let time = &diagnosis.time;
    let lost = time.foreground_s_per_s - time.productive_s_per_s;
    let because = format!("{lost:.2} of {:.2} s/s are waits", time.foreground_s_per_s);
    let yes = time.foreground_s_per_s >= IDLE && lost >= 0.1 * time.foreground_s_per_s;
    (if yes { Answer::Yes } else { Answer::No }, because)
}

fn largest(state: State, ledger: &Ledger) -> (Answer, String) {
    let waits = ledger.states.iter().filter(|(s, _)| **s != State::Working);
    let Some((top, seconds)) = waits.max_by(|a, b| a.1.total_cmp(b.1)) else {
        return (Answer::No, "nothing waits".to_owned());
    };
    (if *top == state { Answer::Yes } else { Answer::No }, format!("{} {seconds:.2} s/s", top.id()))
}
