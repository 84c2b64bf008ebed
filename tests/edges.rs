//! How seconds move from a symptom to its cause: each way of it has a recording in which they move, and a near twin in which they must not.
//! The table of docs/edges.md is made from tests/cases/edges.toml and from what the recordings say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use perftop::detect::diagnosis::Diagnosis;
use perftop::detect::finding::Severity;
use perftop::engine::{Playback, ReplayOptions};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    edge: Vec<Edge>,
}

/// One way in which seconds move.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    id: String,
    /// From what to what, in words.
    says: String,
    /// Which part of it, in words.
    part: String,
    /// Findings that take the seconds.
    causes: Vec<String>,
    /// Findings from which they are taken; none where the cause's rule claims them from the ledger itself.
    symptoms: Vec<String>,
    moves_in: String,
    quiet_in: String,
    /// What stands first in the twin; empty: nothing does.
    stands: String,
}

#[derive(serde::Deserialize)]
struct Window {
    from_ms: i64,
    to_ms: i64,
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn table() -> Vec<Edge> {
    toml::from_str::<Table>(&std::fs::read_to_string(dir().join("edges.toml")).unwrap()).unwrap().edge
}

/// What was said of a case while its fault was on.
fn said_of(case: &str) -> Vec<Diagnosis> {
    let path = dir().join(format!("{case}.perftop"));
    let window: Window = toml::from_str(&std::fs::read_to_string(path.with_extension("toml")).unwrap()).unwrap();
    let mut playback = Playback::open(&ReplayOptions { file: Some(path), from_ms: None, speed_percent: 100, paused: false })
        .expect("the recording is here");
    let mut said = Vec::new();
    while let Some(judged) = playback.step() {
        if (window.from_ms..=window.to_ms).contains(&judged.at.wall_ms) {
            said.push(judged.evaluation.diagnosis);
        }
    }
    assert!(said.len() >= 8, "{case}: {} evaluations in the window", said.len());
    said
}

/// What the causes of that edge take from its symptoms, s/s; `None` where nothing moves. A symptom that costs no time moves as a whole.
fn moved(edge: &Edge, d: &Diagnosis) -> Option<f64> {
    // What is a symptom itself causes nothing.
    let causes = || d.findings.iter().filter(|f| edge.causes.contains(&f.id) && f.explained_by.is_none());
    if edge.symptoms.is_empty() {
        let claimed: f64 = causes().filter_map(|f| f.impact.lost_s_per_s).sum();
        let fails = causes().any(|f| f.impact.lost_s_per_s.is_none() && f.severity != Severity::Info);
        return (claimed >= 0.01 || fails).then_some(claimed);
    }
    let of = |key: &str| edge.symptoms.iter().any(|s| key.starts_with(&format!("{s}|")));
    let links: Vec<f64> = causes().flat_map(|f| &f.explains).filter(|e| of(&e.key)).map(|e| e.s_per_s).collect();
    (!links.is_empty()).then(|| links.iter().sum())
}

#[test]
fn seconds_move_where_they_must_and_nowhere_else() {
    let edges = table();
    let names = edges.iter().flat_map(|e| [&e.moves_in, &e.quiet_in]);
    let said: BTreeMap<&String, Vec<Diagnosis>> = names.map(|name| (name, said_of(name))).collect();
    let mut rows = String::new();
    let mut wrong = Vec::new();
    for edge in &edges {
        let (case, twin) = (&said[&edge.moves_in], &said[&edge.quiet_in]);
        let mut moves: Vec<f64> = case.iter().filter_map(|d| moved(edge, d)).collect();
        moves.sort_by(f64::total_cmp);
        if moves.len() * 3 < case.len() {
            wrong.push(format!("{}: moves in {} of {} seconds of {}", edge.id, moves.len(), case.len(), edge.moves_in));
        }
        let loud = twin.iter().filter(|d| moved(edge, d).is_some()).count();
        if loud * 10 > twin.len() {
            wrong.push(format!("{}: moves in {loud} of {} seconds of its twin {}", edge.id, twin.len(), edge.quiet_in));
        }
        let stands = |d: &&Diagnosis| match d.findings.iter().find(|f| f.raised()) {
            Some(first) => first.id == edge.stands,
            None => edge.stands.is_empty(),
        };
        let there = twin.iter().filter(stands).count();
        if there * 2 <= twin.len() {
            wrong.push(format!("{}: {:?} first in {there} of {} seconds of {}", edge.id, edge.stands, twin.len(), edge.quiet_in));
        }
        let median = moves.get(moves.len() / 2).copied().unwrap_or(0.0);
        let median = if median < 0.005 { "-".to_owned() } else { format!("{median:.2}") };
        let taken = |ids: &[String]| ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        let from = if edge.symptoms.is_empty() { "the ledger".to_owned() } else { taken(&edge.symptoms) };
        let instead = if edge.stands.is_empty() { "nothing".to_owned() } else { format!("`{}`", edge.stands) };
        writeln!(
            rows,
            "| {} | {} | {} | {} | {from} | {} ({median}) | {} ({instead}) |",
            edge.id,
            edge.says,
            edge.part,
            taken(&edge.causes),
            edge.moves_in,
            edge.quiet_in
        )
        .unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/edges.md");
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let head = text.find("| e1 ").map_or(text.as_str(), |at| &text[..at]);
    let now = format!("{head}{rows}");
    if std::env::var_os("PERFTOP_BLESS").is_some() {
        std::fs::write(&page, &now).unwrap();
    }
    assert!(now == std::fs::read_to_string(&page).unwrap(), "docs/edges.md is made with PERFTOP_BLESS=1");
}
