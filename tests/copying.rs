//! `c` copies what the eye was on, and says for which server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::path::Path;
use std::sync::Arc;

use perftop::app::keymap::Key;
use perftop::app::{App, Effect, Msg};
use perftop::detect::finding::{Finding, Severity};
use perftop::diagnose::{Mode, Own, Picture};
use perftop::engine::Engine;
use perftop::record::format::Record;
use perftop::record::reader::Recording;

fn picture(case: &str, at: usize) -> Picture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
    let mut engine = Engine::default();
    let samples = Recording::open(&path).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let last = samples.take(at + 1).map(|sample| engine.fold(&sample)).last().unwrap();
    engine.picture(last, Mode::Live, Own { cpu: 0.0, rss_bytes: 0 }, None)
}

/// The same picture with its findings in that order and of that severity.
fn ranked(picture: &Picture, order: &[(usize, Severity)]) -> Arc<Picture> {
    let all = &picture.diagnosis.findings;
    let findings: Vec<Finding> = order.iter().map(|(at, severity)| Finding { severity: *severity, ..all[*at].clone() }).collect();
    let mut diagnosis = (*picture.diagnosis).clone();
    diagnosis.findings = findings;
    Arc::new(Picture { diagnosis: Arc::new(diagnosis), ..picture.clone() })
}

fn copied(effects: &[Effect]) -> (String, String) {
    let copy = effects.iter().find_map(|e| match e {
        Effect::Copy { text, what } => Some((text.clone(), what.clone())),
        _ => None,
    });
    copy.expect("something is copied")
}

#[test]
fn the_list_may_rank_itself_and_the_eye_stays_where_it_is() {
    use Severity::{Critical, Warning};
    let sick = picture("pg_missing_index", 30);
    assert!(sick.diagnosis.findings.len() >= 2);
    let key = |at: usize| sick.diagnosis.findings[at].key.clone();
    let mut app = App::default();
    app.update(Msg::Picture(ranked(&sick, &[(0, Warning), (1, Warning)])));
    assert_eq!(app.selected, Some(key(0)));
    // Another one leads by a hair.
    app.update(Msg::Picture(ranked(&sick, &[(1, Warning), (0, Warning)])));
    assert_eq!(app.finding().map(|f| f.key.clone()), Some(key(0)), "of the same severity");
    // It is worse: the eye follows, because nobody chose.
    app.update(Msg::Picture(ranked(&sick, &[(1, Critical), (0, Warning)])));
    assert_eq!(app.finding().map(|f| f.key.clone()), Some(key(1)));
    // What was chosen stays, however it ranks.
    app.update(Msg::Key(Key::Down));
    assert_eq!(app.finding().map(|f| f.key.clone()), Some(key(0)));
    app.update(Msg::Picture(ranked(&sick, &[(1, Critical), (0, Severity::Info)])));
    assert_eq!(app.finding().map(|f| f.key.clone()), Some(key(0)));
    // It is gone: the first one, until the next choice.
    app.update(Msg::Picture(ranked(&sick, &[(1, Critical)])));
    assert_eq!((app.selected.clone(), app.chosen), (Some(key(1)), false));
}

/// An open card never turns into another finding's, and nothing is copied from one whose finding is gone; when it comes back, so does the card.
#[test]
fn an_open_card_stays_with_its_finding_or_says_that_it_is_gone() {
    use Severity::{Critical, Warning};
    let sick = picture("pg_missing_index", 30);
    let fixed = |at: &usize| !sick.diagnosis.findings[*at].fixes.is_empty();
    let with: Vec<usize> = (0..sick.diagnosis.findings.len()).filter(fixed).collect();
    let (first, second) = (with[0], with[1]);
    let mut app = App::default();
    app.update(Msg::Picture(ranked(&sick, &[(first, Warning), (second, Warning)])));
    app.update(Msg::Key(Key::Enter));
    let own = app.fix().expect("the card is open").command.to_string();
    for _ in 0..3 {
        app.update(Msg::Picture(ranked(&sick, &[(second, Critical)])));
        assert!(app.fix().is_none() && app.finding().is_none(), "not another one's");
        assert!(app.update(Msg::Key(Key::Char('c'))).is_empty(), "nothing is copied");
    }
    // Nor does a moment without any finding at all let go of it.
    app.update(Msg::Picture(ranked(&sick, &[])));
    app.update(Msg::Picture(ranked(&sick, &[(second, Critical)])));
    assert!(app.fix().is_none(), "still not another one's");
    app.update(Msg::Picture(ranked(&sick, &[(second, Critical), (first, Warning)])));
    assert_eq!(app.fix().map(|f| f.command.to_string()), Some(own));
}

#[test]
fn sql_says_first_for_which_database_and_server_it_is() {
    let sick = Arc::new(picture("pg_missing_index", 30));
    let mut app = App::default();
    app.update(Msg::Picture(sick.clone()));
    let fix = &sick.diagnosis.findings[0].fixes[0];
    let (text, what) = copied(&app.update(Msg::Key(Key::Char('c'))));
    assert_eq!(text, format!("-- {}\n{}", fix.target, fix.command));
    assert!(fix.target.contains("postgres:") && what.contains(&fix.target) && what.contains(&fix.title), "{what}");
}

#[test]
fn on_the_tables_of_sessions_and_locks_it_is_the_row() {
    let sick = Arc::new(picture("pg_ddl_queue", 24));
    let mut app = App::default();
    app.update(Msg::Picture(sick.clone()));
    app.update(Msg::Key(Key::Char('3')));
    // Queries: nothing of the row is a fix.
    assert!(app.update(Msg::Key(Key::Char('c'))).is_empty());
    app.update(Msg::Key(Key::Tab));
    assert!(app.update(Msg::Key(Key::Char('c'))).is_empty(), "no row is chosen yet");
    let mut seen = Vec::new();
    for _ in 0..3 {
        app.update(Msg::Key(Key::Down));
        // A session's key begins with its pid.
        let key = app.servers[0].selected.clone().unwrap();
        let pid: i32 = key.split('@').next().unwrap().parse().unwrap();
        let (text, what) = copied(&app.update(Msg::Key(Key::Char('c'))));
        assert!(
            text.contains(&format!("pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {pid} AND backend_start = ")),
            "{text}"
        );
        assert!(text.starts_with("-- ") && what.contains(&format!("pid {pid}")) && what.contains("postgres:"), "{what}");
        seen.push(pid);
    }
    seen.dedup();
    assert!(seen.len() > 1, "each row its own session: {seen:?}");
}
