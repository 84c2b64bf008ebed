//! The flowchart as data, in chapters, one per source; each question leans on a rule's verdict, so no threshold stands twice.

mod chapter;
mod host;
mod postgres;
mod prometheus;
mod redis;

pub use chapter::{Ask, Chapter, Go, Question};

use crate::model::kinds::kinds;

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
