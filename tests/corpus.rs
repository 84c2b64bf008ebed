//! Files that others publish, as they stand: objectives, rules, dashboards. They lie beside the project where it is built for everybody; where
//! they do not, that is said, and nothing is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};

use perftop::config::files;

/// The files of a folder; none where it is not there.
fn published(folder: &str) -> Vec<PathBuf> {
    let Ok(rows) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(folder)) else {
        eprintln!("SKIPPED: no published {folder} here");
        return Vec::new();
    };
    let mut all: Vec<PathBuf> = rows.map(|row| row.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn published_objectives_are_read_whole() {
    let all = published("slo");
    let mut found = 0;
    for path in all.iter().filter(|p| !p.display().to_string().contains("generated")) {
        let (objectives, left) = files::objectives("f", &fs::read_to_string(path).unwrap()).unwrap();
        assert!(!objectives.is_empty() || !left.is_empty(), "{}", path.display());
        assert!(left.iter().all(|why| why.contains("plugin")), "{}: {left:?}", path.display());
        found += objectives.len();
    }
    assert!(all.is_empty() || found >= 8, "{found}");
}

/// What perftop asks for each window of an objective of sloth is what sloth's own rules record for it.
#[test]
fn each_objective_of_sloth_asks_what_its_generated_rules_record() {
    use perftop::model::objective::Sli;
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !"()".contains(*c)).collect::<String>();
    let all = published("slo");
    let mut compared = 0;
    for path in all.iter().filter(|p| !p.display().to_string().contains("generated")) {
        let generated = PathBuf::from(path.display().to_string().replace(".yml", ".generated.yml"));
        let rules = files::rules("f", &fs::read_to_string(&generated).unwrap()).unwrap();
        let (objectives, _) = files::objectives("f", &fs::read_to_string(path).unwrap()).unwrap();
        for objective in &objectives {
            for window in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] {
                let at = |query: &str| query.replace("{{.window}}", window).replace("{{ .window }}", window);
                let asked = match &objective.sli {
                    Sli::Rates { errors, total } => format!("{}/{}", at(errors), at(total)),
                    Sli::Share { errors } => at(errors),
                    other => panic!("{other:?}"),
                };
                let own = |r: &&perftop::model::alerting::RuleText| {
                    r.name == format!("slo:sli_error:ratio_rate{window}") && plain(&r.expr) == plain(&asked)
                };
                assert!(rules.iter().any(|r| own(&r)), "{}: {} {window}: {asked}", path.display(), objective.name);
                compared += 1;
            }
        }
    }
    assert!(all.is_empty() || compared >= 7 * 8, "{compared}");
}

#[test]
fn published_rules_are_read_whole() {
    let generated = published("slo").into_iter().filter(|p| p.display().to_string().contains("generated"));
    let all: Vec<PathBuf> = published("rules").into_iter().chain(generated).collect();
    let mut found = 0;
    for path in &all {
        let text = fs::read_to_string(path).unwrap();
        let written = text.lines().filter(|l| l.trim_start().trim_start_matches("- ").starts_with("expr:")).count();
        let rules = files::rules("f", &text).unwrap();
        assert_eq!(rules.len(), written, "{}", path.display());
        found += rules.len();
    }
    assert!(all.is_empty() || found > 200, "{found}");
}

/// Panels that are drawn, of all: whole or with something missing. A row is no panel.
fn drawn(all: &[PathBuf]) -> (usize, usize) {
    let mut sum = (0, 0);
    for path in all {
        let dashboard =
            files::dashboard("f", &fs::read_to_string(path).unwrap()).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let (whole, degraded, left) = dashboard.tally();
        println!("{:<44} {whole} whole, {degraded} degraded, {left} left out", path.file_name().unwrap().display());
        for note in dashboard.notes.iter().filter(|n| !n.because.is_empty()) {
            println!("    {} ({}): {}", note.panel, note.kind, note.because.join("; "));
        }
        assert!(whole + degraded + left > 0, "{}", path.display());
        sum = (sum.0 + whole + degraded, sum.1 + left);
    }
    sum
}

#[test]
fn published_dashboards_are_drawn() {
    let (drawn, left) = drawn(&published("dashboards"));
    assert!(left * 20 <= drawn, "{drawn} drawn, {left} left out");
}

#[test]
fn the_dashboards_rules_and_objectives_that_the_project_was_created_from_are_read() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seeds");
    let json = |p: &PathBuf| p.extension().is_some_and(|e| e == "json");
    let all: Vec<PathBuf> = fs::read_dir(seeds.join("dashboards")).unwrap().map(|row| row.unwrap().path()).filter(json).collect();
    assert_eq!(all.len(), 4);
    let (drawn, left) = drawn(&all);
    assert_eq!((drawn, left), (25, 0));
    let mut rules = 0;
    for path in fs::read_dir(seeds.join("rules")).unwrap().map(|row| row.unwrap().path()).filter(|p| p.is_file()) {
        rules += files::rules("f", &fs::read_to_string(path).unwrap()).unwrap().len();
    }
    assert_eq!(rules, 16);
}
