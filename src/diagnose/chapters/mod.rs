//! The flowchart as data, in chapters, one per source; each question leans on a rule's verdict, so no threshold stands twice.

mod host;
mod postgres;
mod redis;

use crate::detect::ledger::State;
use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

/// What answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Is there a finding of that rule at warning or above, or (if `any`) at all?
    Finding {
        /// Rule id.
        id: &'static str,
        /// Info counts too.
        any: bool,
    },
    /// Does the foreground lose time at all (T above idle and a root or an unexplained wait of a tenth of it)?
    Losing,
    /// Is that state the largest wait of the ledger?
    LargestWait(State),
}

/// Where an answer leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// On to another question of this chapter, by its id.
    To(&'static str),
    /// On to the next chapter: the servers in their order, then back to the host.
    On,
    /// A finding is the answer.
    Finding(&'static str),
    /// An honest end.
    End(&'static str),
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its id: the finding that it asks for, or what else it is about.
    pub id: &'static str,
    /// What it asks.
    pub text: &'static str,
    /// What answers it.
    pub ask: Ask,
    /// On yes.
    pub yes: Go,
    /// On no.
    pub no: Go,
    /// How to find out by hand when it is unknown.
    pub by_hand: &'static str,
}

const fn finding(id: &'static str) -> Ask {
    Ask::Finding { id, any: false }
}

const fn question(id: &'static str, text: &'static str, ask: Ask, yes: Go, no: Go, by_hand: &'static str) -> Question {
    Question { id, text, ask, yes, no, by_hand }
}

/// The questions about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chapter {
    /// Which.
    pub kind: SourceKind,
    /// Where it is entered: for the host again, once the servers were asked about.
    pub first: &'static str,
    /// Its questions.
    pub questions: &'static [Question],
}

macro_rules! chapters {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All chapters; the host's begins the chart and ends it.
        pub const CHAPTERS: &[Chapter] = &[host::CHAPTER, $($folder::CHAPTER),*];
    };
}

kinds!(chapters);

/// Where the chart begins.
pub const START: &str = "host.memory.oom";

/// The question of that id, and its chapter.
#[must_use]
pub fn question_of(id: &str) -> Option<(&'static Chapter, &'static Question)> {
    CHAPTERS.iter().find_map(|chapter| Some((chapter, chapter.questions.iter().find(|q| q.id == id)?)))
}

/// Where a chapter is left for.
#[must_use]
pub fn after(chapter: &Chapter) -> &'static str {
    let at = CHAPTERS.iter().position(|c| c.kind == chapter.kind).map_or(0, |at| at + 1);
    CHAPTERS.get(at).or(CHAPTERS.first()).map_or(START, |next| next.first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_leads_somewhere_and_every_question_is_reached() {
        let all: Vec<&Question> = CHAPTERS.iter().flat_map(|c| c.questions).collect();
        let mut reached = vec![START];
        for chapter in CHAPTERS {
            for question in chapter.questions {
                for way in [question.yes, question.no] {
                    match way {
                        Go::To(id) => {
                            assert!(chapter.questions.iter().any(|q| q.id == id), "{} leads to {id}", question.id);
                            reached.push(id);
                        }
                        Go::On => reached.push(after(chapter)),
                        Go::Finding(_) | Go::End(_) => {}
                    }
                }
            }
        }
        for question in &all {
            assert!(reached.contains(&question.id), "nothing leads to {}", question.id);
            assert_eq!(all.iter().filter(|q| q.id == question.id).count(), 1, "{} twice", question.id);
        }
    }
}
