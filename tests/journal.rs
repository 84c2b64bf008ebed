//! The journal: what was found, which fix was copied and what became of it is known the next time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::Path;
use std::sync::Arc;

use perftop::app::keymap::Key;
use perftop::app::{App, Effect, Journal, Msg};
use perftop::detect::memory::{Outcome, Resolved};
use perftop::diagnose::{Mode, Own};
use perftop::engine::Engine;
use perftop::model::journal::{Entry, Happened, Past};
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::reader::Recording;

fn recorded(case: &str) -> Vec<Sample> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{case}.perftop"));
    Recording::open(&path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None }).collect()
}

/// A screen that saw the recorded case as if it were now; a key after so many pictures. What it noted, and how often it said that what
/// is selected was seen before.
fn noted(app: &mut App, key: (usize, Key)) -> (Vec<Entry>, u32) {
    let mut engine = Engine::default();
    let (mut entries, mut before) = (Vec::new(), 0);
    for (n, sample) in recorded("pg_missing_index_behind_pooler").iter().enumerate() {
        let judged = engine.fold(sample);
        let picture = engine.picture(judged, Mode::Live, Own::default(), None);
        let mut effects = app.update(Msg::Picture(Arc::new(picture)));
        if n == key.0 {
            effects.extend(app.update(Msg::Key(key.1)));
            for effect in &effects {
                if let Effect::Taken { key, seconds } = effect {
                    engine.taken(key, *seconds);
                }
            }
        }
        // What is known is what was known when it came up, not what this time added.
        let known = app.finding().and_then(|f| app.before(f)).map_or(0, |before| before.times);
        assert!(known <= 1);
        before = before.max(known);
        entries.extend(effects.into_iter().filter_map(|e| if let Effect::Note(all) = e { Some(all) } else { None }).flatten());
    }
    (entries, before)
}

/// What was found, what was copied and what became of it is known the next time.
#[test]
fn the_journal_knows_what_helped() {
    let mut app = App::default();
    let (entries, before) = noted(&mut app, (35, Key::Char('c')));
    assert_eq!(before, 0);
    let of = |what| entries.iter().filter(|e| e.what == what && e.id == "postgres.query.missing_index").collect::<Vec<_>>();
    let found = of(Happened::Found);
    assert!(found.len() == 1 && found[0].subject.contains("("), "{entries:?}");
    assert_eq!(of(Happened::Copied).len(), 1, "{entries:?}");
    assert!(!of(Happened::Copied)[0].title.is_empty());
    let resolved = of(Happened::Resolved);
    assert!(resolved.len() == 1 && resolved[0].gained > 0.3, "{entries:?}");
    let lines: String = entries.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect();
    let mut next = App { journal: Journal::new(Past::read(&lines)), ..App::default() };
    let (again, before) = noted(&mut next, (usize::MAX, Key::Esc));
    let helped = Past::read(&lines)
        .of_finding("postgres.query.missing_index", &found[0].source, &found[0].subject)
        .and_then(|b| b.helped.clone());
    assert!(helped.is_some_and(|(fix, gained)| fix == of(Happened::Copied)[0].title && gained > 0.3));
    assert!(before == 1 && again.iter().all(|e| e.what != Happened::Copied));
}

/// A replay notes nothing: what is seen in it happened before.
#[test]
fn a_replay_notes_nothing() {
    let (mut app, mut engine) = (App::default(), Engine::default());
    for sample in recorded("cpu_hog") {
        let judged = engine.fold(&sample);
        let mode = Mode::Replay { paused: false, ended: false, speed_percent: 100 };
        let effects = app.update(Msg::Picture(Arc::new(engine.picture(judged, mode, Own::default(), None))));
        assert!(!effects.iter().any(|e| matches!(e, Effect::Note(_))));
    }
}

/// A finding that goes on with another subject (its culprit is gone, its victim is left) is the same: what helped is noted of the first.
#[test]
fn what_goes_on_with_another_subject_is_the_same() {
    let (mut app, mut engine) = (App::default(), Engine::default());
    let mut sick = None;
    for sample in recorded("cpu_hog").iter().take(26) {
        let judged = engine.fold(sample);
        let picture = engine.picture(judged, Mode::Live, Own::default(), None);
        app.update(Msg::Picture(Arc::new(picture.clone())));
        sick = Some(picture);
    }
    let mut picture = sick.unwrap();
    app.update(Msg::Key(Key::Char('c')));
    let mut d = (*picture.diagnosis).clone();
    let f = d.findings.iter_mut().find(|f| f.id == "host.cpu.contention").unwrap();
    let old = f.key.split_once("|host|").unwrap().1.to_owned();
    f.subject.also = vec![old];
    f.subject.label = "python3 (pid 1)".into();
    f.key = "host.cpu.contention|host|process:1@1".into();
    let key = f.key.clone();
    picture.diagnosis = Arc::new(d.clone());
    assert!(!app.update(Msg::Picture(Arc::new(picture.clone()))).iter().any(|e| matches!(e, Effect::Note(_))), "not found anew");
    d.findings.clear();
    d.resolved = vec![Resolved { key, at: "x".into(), before: 1.3, after: 0.0, predicted: 1.3, outcome: Outcome::Resolved }];
    picture.diagnosis = Arc::new(d);
    let effects = app.update(Msg::Picture(Arc::new(picture)));
    let noted: Vec<&Entry> =
        effects.iter().filter_map(|e| if let Effect::Note(all) = e { Some(all) } else { None }).flatten().collect();
    assert!(noted.len() == 1 && noted[0].what == Happened::Resolved && noted[0].subject == "stress-ng", "{noted:?}");
}

/// In its first looks a finding may name a victim: it is noted as what it was when it had stood for long enough.
#[test]
fn a_finding_is_noted_by_whom_it_blames_when_it_has_stood() {
    let mut engine = Engine::default();
    let mut sick = None;
    for sample in recorded("cpu_hog").iter().take(26) {
        let judged = engine.fold(sample);
        sick = Some(engine.picture(judged, Mode::Live, Own::default(), None));
    }
    let mut picture = sick.unwrap();
    let whole = (*picture.diagnosis).clone();
    let mut app = App::default();
    let mut look = |victim: bool| {
        let mut d = whole.clone();
        d.findings.retain(|f| f.id == "host.cpu.contention");
        let f = &mut d.findings[0];
        if victim {
            f.subject.label = "api (pid 7)".into();
            f.key = "host.cpu.contention|host|process:7@7".into();
        } else {
            f.subject.also = vec!["process:7@7".into()];
        }
        picture.diagnosis = Arc::new(d);
        app.update(Msg::Picture(Arc::new(picture.clone())))
    };
    let all: Vec<Effect> = [true, true, false, false].into_iter().flat_map(&mut look).collect();
    let noted: Vec<&Entry> =
        all.iter().filter_map(|e| if let Effect::Note(all) = e { Some(all) } else { None }).flatten().collect();
    assert!(noted.len() == 1 && noted[0].what == Happened::Found && noted[0].subject == "stress-ng", "{noted:?}");
}
