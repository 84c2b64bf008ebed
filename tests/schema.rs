//! The JSON contract: the schema is closed and strict, and what perftop prints is valid under it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::process::Command;

use jsonschema::Validator;
use perftop::detect::diagnosis::Diagnosis;
use serde_json::{Value, json};

fn schema() -> Validator {
    let text = include_str!("../docs/diagnosis.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

fn example() -> Value {
    serde_json::from_str(include_str!("fixtures/diagnosis.json")).unwrap()
}

fn problems(schema: &Validator, document: &Value) -> Vec<String> {
    schema.iter_errors(document).map(|e| format!("{} at {}", e, e.instance_path())).collect()
}

/// Every seconds-figure of the ledger adds up, from the JSON alone.
fn assert_conserved(d: &Value) {
    let time = |name: &str| d["time"][name].as_f64().unwrap();
    let roots = d["findings"].as_array().unwrap().iter().filter(|f| f["explained_by"].is_null());
    let lost: f64 = roots.filter_map(|f| f["impact"]["lost_s_per_s"].as_f64()).sum();
    let sum = time("productive_s_per_s") + lost + time("unexplained_s_per_s");
    assert!((time("foreground_s_per_s") - sum).abs() < 1e-4, "T {} against {sum}", time("foreground_s_per_s"));
    let states: f64 = d["time"]["states"].as_array().unwrap().iter().map(|s| s["s_per_s"].as_f64().unwrap()).sum();
    assert!((time("foreground_s_per_s") - states).abs() < 1e-4, "states sum to {states}");
}

#[test]
fn the_example_is_valid() {
    assert_eq!(problems(&schema(), &example()), Vec::<String>::new());
}

#[test]
fn every_mutation_fails() {
    // Pointer to set, value; `null` under a name that ends in `-` removes the field instead.
    let mutations: Vec<(&str, Value)> = vec![
        ("/schema", json!(2)),
        ("/schema", json!("1")),
        ("/at", json!("yesterday")),
        ("/at", json!(1_763_000_000)),
        ("/window_s", json!(-1)),
        ("/window_s", json!("5")),
        ("/provisional", json!("no")),
        ("/extra", json!(1)),
        ("/host/cpus", json!(1.5)),
        ("/host/inside", json!("jail")),
        ("/host/uptime", json!(5)),
        ("/health/status", json!("fine")),
        ("/health/score", json!(101)),
        ("/sources/0/state", json!("up")),
        ("/sources/0/kind", json!("mysql")),
        ("/sources/0/id", json!("mysql:main")),
        ("/sources/0/place", json!(null)),
        ("/time/foreground_s_per_s", json!(null)),
        ("/time/states/0/state", json!("idle")),
        ("/time/states/0/modelled", json!(0)),
        ("/findings/0/rank", json!(0)),
        ("/findings/0/rank", json!(null)),
        ("/findings/0/class", json!("fatal")),
        ("/findings/0/severity", json!("error")),
        ("/findings/0/score", json!(null)),
        ("/findings/0/confidence", json!(1.1)),
        ("/findings/0/subject/type", json!("row")),
        ("/findings/0/subject/key", json!("")),
        ("/findings/0/impact/kind", json!("money")),
        ("/findings/0/impact/kind", json!("none")),
        ("/findings/0/impact/share", json!(75)),
        ("/findings/0/since/known", json!("maybe")),
        ("/findings/0/muted", json!({"reason": "x"})),
        ("/findings/0/evidence/0/unit", json!("kB")),
        ("/findings/0/evidence/0/note", json!("x")),
        ("/findings/0/fixes/0/phase", json!("now")),
        ("/findings/0/fixes/0/command", json!("a\nb")),
        ("/findings/0/fixes/0/command", json!("")),
        ("/findings/0/fixes/0/needs_bytes", json!(-1)),
        ("/findings/0/key", json!("no bars")),
        ("/findings/0/id", json!("Missing Index")),
        ("/findings/0/explained_by", json!("x")),
        ("/cleared/0/because", json!("")),
        ("/unknown/0/lift", json!(5)),
        ("/resolved/0/outcome", json!("gone")),
        ("/resolved/0/before", json!(null)),
        ("/host/inside-", json!(null)),
        ("/findings/0/ended-", json!(null)),
        ("/resolved-", json!(null)),
        ("/findings/0/impact/eta_s-", json!(null)),
        ("/sources/0/as-", json!(null)),
        ("/unknown/0/lift-", json!(null)),
    ];
    assert!(mutations.len() >= 30);
    let schema = schema();
    for (pointer, value) in mutations {
        let mut document = example();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match name.strip_suffix('-') {
            Some(name) => assert!(parent.remove(name).is_some(), "{pointer} was not there"),
            None => _ = parent.insert(name.to_owned(), value.clone()),
        }
        assert!(!schema.is_valid(&document), "{pointer} = {value} passes");
    }
}

fn check(args: &[&str]) -> (Value, i32) {
    let out = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--format", "json", "--for", "3s"])
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let document = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?} {:?}", out.stderr));
    (document, out.status.code().unwrap())
}

#[test]
fn the_live_machine_prints_a_valid_document() {
    let (document, code) = check(&[]);
    assert_eq!(problems(&schema(), &document), Vec::<String>::new(), "{document:#}");
    assert_conserved(&document);
    let expected = match document["health"]["status"].as_str().unwrap() {
        "healthy" => 0,
        "warning" => 1,
        "critical" => 2,
        _ => 3,
    };
    assert_eq!(code, expected);
    assert_eq!(document["provisional"], json!(false), "after three seconds the verdict is settled");
    let read_back: Diagnosis = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read_back).unwrap(), document);
}

#[test]
fn only_judges_only_those() {
    let (document, _) = check(&["--only", "host.disk.full"]);
    assert_eq!(problems(&schema(), &document), Vec::<String>::new());
    let ids = |list: &str| document[list].as_array().unwrap().iter().map(|r| r["id"].clone()).collect::<Vec<_>>();
    for id in ids("findings").into_iter().chain(ids("cleared")).chain(ids("unknown")) {
        assert_eq!(id, json!("host.disk.full"));
    }
}

/// The same as an ordinary user, who may not see what other users' processes read and serve.
#[test]
fn an_ordinary_user_prints_a_valid_document_and_is_told_what_is_hidden() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: not root, so every other test here is this one");
        return;
    }
    let dir = std::env::temp_dir().join(format!("perftop-nobody-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let binary = dir.join("perftop");
    std::fs::copy(env!("CARGO_BIN_EXE_perftop"), &binary).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", binary.to_str().unwrap()])
        .args(["check", "--format", "json", "--for", "3s"])
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let document: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(problems(&schema(), &document), Vec::<String>::new(), "{document:#}");
    assert_conserved(&document);
    assert_eq!(document["sources"][0]["state"], json!("degraded"));
    assert_eq!(document["sources"][0]["way_in"], json!("sudo perftop"));
    let blind = document["findings"].as_array().unwrap().iter().find(|f| f["id"] == "source.blind").unwrap();
    assert_eq!((&blind["severity"], &blind["impact"]["kind"]), (&json!("info"), &json!("none")));
}

/// Every diagnosis of every recorded case, sick or healthy.
#[test]
fn every_recorded_second_is_valid_and_adds_up() {
    use perftop::engine::{Playback, ReplayOptions, to_json};
    let schema = schema();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut judged_in_all = 0;
    for path in
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "perftop"))
    {
        let options = ReplayOptions { file: Some(path.clone()), from_ms: None, speed_percent: 100, paused: false };
        let mut playback = Playback::open(&options).unwrap();
        while let Some(judged) = playback.step() {
            judged_in_all += 1;
            let document: Value = serde_json::from_slice(&to_json(&judged.evaluation.diagnosis)).unwrap();
            assert_eq!(problems(&schema, &document), Vec::<String>::new(), "{}: {document:#}", path.display());
            assert_conserved(&document);
            let ranks: Vec<u64> = document["findings"].as_array().unwrap().iter().filter_map(|f| f["rank"].as_u64()).collect();
            assert_eq!(ranks, (1..=ranks.len() as u64).collect::<Vec<_>>());
        }
    }
    assert!(judged_in_all > 200);
}
