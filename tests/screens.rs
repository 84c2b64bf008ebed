//! The screens, drawn from a recording of a real sick host: text and styles at three sizes; any size without panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use perftop::app::keymap::{Action, Key};
use perftop::app::processes::Column;
use perftop::app::target::Target;
use perftop::app::{App, Effect, Msg, Overlay, Screen};
use perftop::config::{ThemeFile, builtin_themes};
use perftop::diagnose::{Mode, Own, Picture};
use perftop::engine::Engine;
use perftop::model::demand::Demand;
use perftop::model::postgres::PgAsk;
use perftop::model::server::ServerAsk;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::view;
use perftop::view::svg;
use perftop::view::theme::{Depth, Targets, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

const TARGETS: Targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };

/// The picture at sample `at` of a recorded case.
fn picture(case: &str, at: usize) -> Arc<Picture> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
    let mut engine = Engine::default();
    let mut last = None;
    let samples = Recording::open(&path).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    for sample in samples.take(at + 1) {
        last = Some(engine.fold(&sample));
    }
    let own = Own { cpu: 0.004, rss_bytes: 7 << 20 };
    Arc::new(engine.picture(last.unwrap(), Mode::Live, own, None))
}

fn theme(name: &str, depth: Depth, ascii: bool) -> Theme {
    let (_, text) = builtin_themes().iter().find(|(n, _)| *n == name).unwrap();
    Theme::new(ThemeFile::parse(name, text).unwrap(), depth, ascii, TARGETS)
}

fn app(picture: &Arc<Picture>, keys: &[Key]) -> App {
    let mut app = App::default();
    app.update(Msg::Picture(picture.clone()));
    for key in keys {
        app.update(Msg::Key(*key));
    }
    app
}

fn draw(app: &App, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(app, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..area.height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

/// One letter per style, with a legend.
fn styles(buffer: &Buffer) -> String {
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let mut rows = String::new();
    let area = buffer.area;
    for y in 0..area.height {
        for x in 0..area.width {
            let cell = &buffer[(x, y)];
            let style = format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            let next = char::from(b'a' + (letters.len() as u8).min(25));
            rows.push(*letters.entry(style).or_insert(next));
        }
        rows.push('\n');
    }
    let legend: String = letters.iter().map(|(style, letter)| format!("{letter} {style}\n")).collect();
    legend + &rows
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
/// Sample of the cases in the middle of the fault.
const SICK: usize = 28;
/// The same for those with PostgreSQL, which are shorter.
const PG_SICK: usize = 30;
/// The same for those with Redis.
const REDIS_SICK: usize = 20;

fn assert_screen(name: &str, app: &App, theme: &Theme, size: (u16, u16)) {
    let buffer = draw(app, theme, size);
    let name = format!("{name}_{}x{}", size.0, size.1);
    if theme.ascii {
        let odd = text(&buffer).lines().find(|l| !l.is_ascii()).map(ToOwned::to_owned);
        assert_eq!(odd, None, "{name}: a terminal without these characters");
    }
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("{name}_text"), text(&buffer));
        insta::assert_snapshot!(format!("{name}_style"), styles(&buffer));
    });
}

#[test]
fn triage_and_host_at_three_sizes() {
    let sick = picture("cpu_hog", SICK);
    let dark = theme("dark", Depth::True, false);
    for size in SIZES {
        assert_screen("triage", &app(&sick, &[]), &dark, size);
        assert_screen("host", &app(&sick, &[Key::Char('2')]), &dark, size);
    }
}

#[test]
fn the_flowchart_is_one_and_can_be_walked() {
    let (sick, dark) = (picture("cpu_hog", SICK), theme("dark", Depth::True, false));
    for size in SIZES {
        assert_screen("diagnose", &app(&sick, &[Key::Char('6')]), &dark, size);
    }
    assert_screen("diagnose_list", &app(&sick, &[Key::Char('6'), Key::Tab]), &dark, SIZES[1]);
    let missing = picture("pg_missing_index", PG_SICK);
    for size in SIZES {
        assert_screen("diagnose_postgres", &app(&missing, &[Key::Char('6')]), &dark, size);
    }
    let shows = |keys: &[Key]| text(&draw(&app(&sick, keys), &dark, SIZES[1]));
    let chart = shows(&[Key::Char('6')]);
    assert!(chart.contains("Is one program taking the CPU from others?") && chart.contains("YES"), "{chart}");
    // To the branch beside it, by hand a yes, and back.
    let beside = [Key::Char('6'), Key::Right];
    assert!(shows(&beside).contains("▸ Did the kernel kill a process to free memory?"), "{}", shows(&beside));
    let by_hand = [Key::Char('6'), Key::Right, Key::Char('a')];
    assert!(shows(&by_hand).contains("YES, by hand"), "{}", shows(&by_hand));
    let taken_back = [Key::Char('6'), Key::Right, Key::Char('a'), Key::Char('a'), Key::Char('a')];
    assert!(!shows(&taken_back).contains("YES, by hand"), "{}", shows(&taken_back));
    // Up from the first branch is the start, and down from there the live branch.
    let at_start = [Key::Char('6'), Key::Left];
    assert!(shows(&at_start).contains("▸Does anyone lose time?"), "{}", shows(&at_start));
    assert!(shows(&at_start).contains("▸ Do requests hang at a service here?"), "{}", shows(&at_start));
    let down = [&at_start[..], &[Key::Down; 8]].concat();
    assert!(shows(&down).contains(" Does anyone lose time?") && !shows(&down).contains("▸Does"), "{}", shows(&down));
    let by_arrows = [&[Key::Char('6')][..], &[Key::Up; 30]].concat();
    assert!(shows(&by_arrows).contains("▸Does anyone lose time?"), "{}", shows(&by_arrows));
    // From a question to its evidence, and from a finding to its place.
    let mut walked = app(&sick, &[Key::Char('6'), Key::Enter]);
    assert_eq!(walked.screen, Screen::Triage);
    assert_eq!(walked.finding().map(|f| f.id.as_str()), Some("host.cpu.contention"));
    // Back leads to the chart again.
    assert_eq!(walked.update(Msg::Key(Key::Char('q'))), []);
    assert_eq!(walked.screen, Screen::Diagnose);
    walked.update(Msg::Key(Key::Char('1')));
    walked.update(Msg::Key(Key::Char('6')));
    assert!(text(&draw(&walked, &dark, SIZES[1])).contains("▸ Is one program taking the CPU"), "at the finding that was chosen");
    // Every question can be stood at, in the chart and in the list, and none falls off the screen.
    for keys in [&[Key::Char('6')][..], &[Key::Char('6'), Key::Tab]] {
        let mut walked = app(&missing, keys);
        walked.update(Msg::Key(Key::Home));
        for _ in 0..160 {
            let screen = text(&draw(&walked, &dark, SIZES[0]));
            assert!(screen.contains("▸ "), "{screen}");
            walked.update(Msg::Key(Key::Down));
        }
    }
}

#[test]
fn not_on_this_host() {
    let upstream = picture("slow_upstream", SICK);
    let dark = theme("dark", Depth::True, false);
    for size in SIZES {
        assert_screen("elsewhere", &app(&upstream, &[]), &dark, size);
    }
    let screen = text(&draw(&app(&upstream, &[]), &dark, SIZES[1]));
    assert!(screen.contains("Not on this host: ") && screen.contains("next          ssh "), "{screen}");
    // Where there is no room for three lines the finding itself says so.
    let small = text(&draw(&app(&upstream, &[]), &dark, (80, 10)));
    assert!(small.contains("Not on this host"), "{small}");
}

#[test]
fn the_process_table_takes_three_shapes_and_a_query() {
    let sick = picture("cpu_hog", SICK);
    let dark = theme("dark", Depth::True, false);
    let host = [Key::Char('2'), Key::Char('T')];
    assert_screen("tree", &app(&sick, &host), &dark, SIZES[1]);
    assert_screen("groups", &app(&sick, &[host[0], host[1], host[1]]), &dark, SIZES[1]);
    let typed = |filter: &str| {
        let keys: Vec<Key> =
            [Key::Char('2'), Key::Char('/')].into_iter().chain(filter.chars().map(Key::Char)).chain([Key::Enter]).collect();
        text(&draw(&app(&sick, &keys), &dark, SIZES[1]))
    };
    let busy = typed("cpu>0.2");
    assert!(busy.contains("stress-ng") && !busy.contains("kthreadd"), "{busy}");
    assert!(typed("cpv>1").contains("did you mean `cpu`?"));
}

#[test]
fn overlays() {
    let sick = picture("cpu_hog", SICK);
    let dark = theme("dark", Depth::True, false);
    for (name, keys) in [
        ("help", &[Key::Char('?')][..]),
        ("fix", &[Key::Enter]),
        ("provenance", &[Key::Char('i')]),
        ("copy", &[Key::Char('y')]),
        ("process", &[Key::Char('2'), Key::Down, Key::Enter]),
        ("filter", &[Key::Char('2'), Key::Char('/'), Key::Char('s'), Key::Char('t'), Key::Char('r')]),
        ("frozen", &[Key::Char(' ')]),
        ("palette", &[Key::Char(':'), Key::Char('c'), Key::Char('o'), Key::Char('p'), Key::Down]),
        ("time", &[Key::Char('t'), Key::Left, Key::Left]),
    ] {
        assert_screen(name, &app(&sick, keys), &dark, SIZES[1]);
    }
}

#[test]
fn sockets_and_what_the_kernel_said() {
    let dark = theme("dark", Depth::True, false);
    assert_screen("sockets", &app(&picture("slow_upstream", SICK), &[Key::Char('s')]), &dark, SIZES[1]);
    assert_screen("messages", &app(&picture("oom_leak_v1", SICK), &[Key::Char('e')]), &dark, SIZES[1]);
}

#[test]
fn postgres_at_three_sizes_and_every_tab() {
    let dark = theme("dark", Depth::True, false);
    let (slow, queue) = (picture("pg_missing_index", PG_SICK), picture("pg_ddl_queue", PG_SICK));
    let sessions = [Key::Char('3'), Key::Tab];
    let locks = [Key::Char('3'), Key::Tab, Key::Tab];
    for size in SIZES {
        assert_screen("postgres_triage", &app(&slow, &[]), &dark, size);
        assert_screen("postgres", &app(&slow, &[Key::Char('3')]), &dark, size);
        assert_screen("postgres_locks", &app(&queue, &locks), &dark, size);
    }
    assert_screen("postgres_sessions", &app(&queue, &sessions), &dark, SIZES[1]);
    assert_screen("postgres_query", &app(&slow, &[Key::Char('3'), Key::Enter]), &dark, SIZES[1]);
    for (name, tabs) in [("tables", 3), ("upkeep", 4), ("settings", 5)] {
        let keys: Vec<Key> = std::iter::once(Key::Char('3')).chain(std::iter::repeat_n(Key::Tab, tabs)).collect();
        assert_screen(&format!("postgres_{name}"), &app(&slow, &keys), &dark, SIZES[1]);
    }
    assert_screen("postgres_none", &app(&picture("cpu_hog", SICK), &[Key::Char('3')]), &dark, SIZES[1]);
}

/// On a server's screen `c` copies what was found about the selected row, closely or not.
#[test]
fn the_fix_of_a_row_is_copied_where_the_row_is() {
    let copies = |case: &str, at: usize, keys: &[Key]| {
        let mut app = app(&picture(case, at), keys);
        let effects = app.update(Msg::Key(Key::Char('c')));
        let text = effects.iter().find_map(|e| if let Effect::Copy { text, .. } = e { Some(text.clone()) } else { None });
        text.unwrap_or_else(|| panic!("{case}: {:?}", app.notice))
    };
    for more in [&[Key::Down][..], &[Key::Enter]] {
        let keys = copies("redis_keys", REDIS_SICK, &[&[Key::Char('4')], more].concat());
        assert!(keys.contains("redis-cli"), "{keys}");
    }
    let index = copies("pg_missing_index", PG_SICK, &[Key::Char('3'), Key::Down]);
    assert!(index.contains("CREATE INDEX CONCURRENTLY"), "{index}");
    // Nothing was found about it.
    let mut quiet = app(&picture("redis_steady_cache", REDIS_SICK), &[Key::Char('4'), Key::Down]);
    assert!(!quiet.update(Msg::Key(Key::Char('c'))).iter().any(|e| matches!(e, Effect::Copy { .. })));
}

#[test]
fn redis_at_three_sizes_every_tab_and_closely() {
    use perftop::model::redis::{BigKey, BigKeys};
    let dark = theme("dark", Depth::True, false);
    let slow = picture("redis_keys", REDIS_SICK);
    let tab = |n: usize| -> Vec<Key> { std::iter::once(Key::Char('4')).chain(std::iter::repeat_n(Key::Tab, n)).collect() };
    for size in SIZES {
        assert_screen("redis_triage", &app(&slow, &[]), &dark, size);
        assert_screen("redis", &app(&slow, &tab(0)), &dark, size);
    }
    for (name, n) in [("slowlog", 1), ("clients", 2), ("keys_not_asked", 3), ("levels", 4), ("settings", 5)] {
        assert_screen(&format!("redis_{name}"), &app(&slow, &tab(n)), &dark, SIZES[1]);
    }
    for (name, n) in [("command", 0), ("slow_entry", 1), ("client", 2)] {
        assert_screen(&format!("redis_{name}"), &app(&slow, &[tab(n), vec![Key::Enter]].concat()), &dark, SIZES[1]);
    }
    let mut found = (*slow).clone();
    let key = |key: &str, kind: &str, bytes| BigKey { key: key.into(), whole: true, database: 0, kind: kind.into(), bytes };
    let rows = vec![key("feed:all", "zset", 96_800_000), key("user:7\u{1b}[31m", "hash", 1_200_000)];
    let keys = BigKeys { rows, looked: 12_000, all: 1_000_000, walking: true, complete: false };
    Arc::make_mut(&mut found.facts).servers.redis[0].keys = Ok(Arc::new(keys));
    let found = Arc::new(found);
    assert_screen("redis_keys", &app(&found, &tab(3)), &dark, SIZES[1]);
    assert_screen("redis_key", &app(&found, &[tab(3), vec![Key::Enter]].concat()), &dark, SIZES[0]);
    assert_screen("redis_none", &app(&picture("cpu_hog", SICK), &tab(0)), &dark, SIZES[1]);
}

const BURNING: usize = 20;

#[test]
fn objectives_alerts_rules_and_the_fleet() {
    use perftop::model::prometheus::{Cost, Fleet, FleetHost};
    let dark = theme("dark", Depth::True, false);
    let burns = picture("prometheus_burn", BURNING);
    let tab = |n: usize| -> Vec<Key> { std::iter::once(Key::Char('5')).chain(std::iter::repeat_n(Key::Tab, n)).collect() };
    for size in SIZES {
        assert_screen("slo_triage", &app(&burns, &[]), &dark, size);
        assert_screen("slo", &app(&burns, &tab(0)), &dark, size);
    }
    for (name, n) in [("alerts", 1), ("rules", 2), ("targets", 3), ("fleet_not_asked", 4)] {
        assert_screen(&format!("slo_{name}"), &app(&burns, &tab(n)), &dark, SIZES[1]);
    }
    for (name, n) in [("objective", 0), ("alert", 1), ("rule", 2)] {
        assert_screen(&format!("slo_{name}"), &app(&burns, &[tab(n), vec![Key::Enter]].concat()), &dark, SIZES[1]);
    }
    let host = |rows: &[(&str, f64)]| FleetHost {
        targets: 2,
        now: rows.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
        past: [("psi_io".to_owned(), 0.02)].into(),
        ..FleetHost::default()
    };
    let calm = || host(&[("psi_cpu", 0.02), ("psi_io", 0.01), ("cpu_util", 0.3), ("mem_free", 0.5), ("disk_util", 0.2)]);
    let mut hosts: BTreeMap<String, FleetHost> = (0..40).map(|n| (format!("web{n:02}"), calm())).collect();
    hosts.insert(
        "db3".into(),
        host(&[("psi_io", 0.8), ("cpu_util", 0.2), ("mem_free", 0.1), ("disk_util", 1.0), ("fs_used", 0.97)]),
    );
    hosts.insert("cache\u{1b}[31m".into(), host(&[("psi_cpu", 0.02), ("cpu_util", 0.4), ("redis_link", 1.0)]));
    let cost = Cost { requests: 18, bytes: 140_000, took_ms: 210 };
    let fleet = Fleet { at_ms: burns.at.wall_ms, hosts, before: "1d".into(), window: "60s".into(), cost, ..Fleet::default() };
    let mut found = (*burns).clone();
    Arc::make_mut(&mut found.facts).servers.prometheus[0].fleet = Ok(Arc::new(fleet));
    let found = Arc::new(found);
    for size in SIZES {
        assert_screen("fleet", &app(&found, &[Key::Char('7')]), &dark, size);
    }
    assert_screen("fleet_host", &app(&found, &[Key::Char('7'), Key::Enter]), &dark, SIZES[1]);
}

#[test]
fn what_runs_out_and_what_is_needed() {
    let dark = theme("dark", Depth::True, false);
    let mut known = (*picture("prometheus_burn", BURNING)).clone();
    let found = capacity(known.at.wall_ms);
    Arc::make_mut(&mut known.facts).servers.prometheus[0].capacity = Ok(Arc::new(found));
    let known = Arc::new(known);
    let keys = |n: usize, more: &[Key]| -> Vec<Key> {
        std::iter::once(Key::Char('5')).chain(std::iter::repeat_n(Key::Tab, n)).chain(more.iter().copied()).collect()
    };
    for size in SIZES {
        assert_screen("capacity", &app(&known, &keys(5, &[])), &dark, size);
    }
    let drawn = draw(&app(&known, &keys(5, &[Key::Down])), &dark, SIZES[1]);
    same_picture("capacity-dark", &svg::render(&drawn, "#101418", "#d8dee9"));
    assert_screen("capacity_ascii", &app(&known, &keys(5, &[])), &theme("dark", Depth::None, true), SIZES[1]);
    assert_screen("capacity_card", &app(&known, &keys(5, &[Key::Down, Key::Enter])), &dark, SIZES[1]);
    assert_screen("needs", &app(&known, &keys(6, &[])), &dark, SIZES[1]);
    assert_screen("needs_card", &app(&known, &keys(6, &[Key::Enter])), &dark, SIZES[1]);
    let trigger: Vec<Key> = std::iter::repeat_n(Key::Down, 4).chain([Key::Enter]).collect();
    assert_screen("needs_trigger", &app(&known, &keys(6, &trigger)), &dark, SIZES[1]);
}

#[test]
fn key_figures_against_their_targets() {
    use perftop::model::foreign::Foreign;
    use perftop::model::kpi::{Habits, Kpis, Measured, profile};
    use perftop::model::prometheus::Cost;
    let dark = theme("dark", Depth::True, false);
    let mut known = (*picture("prometheus_burn", BURNING)).clone();
    let measured = |kpi: perftop::model::kpi::Kpi| {
        let steady = |v: f64| vec![Some((v, v)); 61];
        let (points, weeks) = match kpi.name.as_str() {
            "api_p50" => (vec![Some((25.0, 50.0)); 61], vec![30.0, 35.0, 32.0, 31.0]),
            "api_p95" => {
                ((0..61).map(|n| Some(if n < 50 { (100.0, 250.0) } else { (500.0, 1_000.0) })).collect(), vec![150.0; 4])
            }
            "api_p99" => {
                ((0..61).map(|n| Some(if n < 59 { (250.0, 500.0) } else { (2_500.0, f64::INFINITY) })).collect(), vec![300.0; 3])
            }
            "throughput" => (steady(2_400.0), Vec::new()),
            "uptime" => (steady(99.995), Vec::new()),
            "error_rate" => (vec![Some((1.4, 1.4)); 20].into_iter().chain(vec![None; 41]).collect(), Vec::new()),
            "cpu" => (steady(62.0), vec![60.0, 64.0, 61.0]),
            "memory" => (steady(93.0), Vec::new()),
            "cache_hits" => (steady(96.0), vec![99.0; 4]),
            _ => (Vec::new(), Vec::new()),
        };
        Measured { kpi, points, weeks, days: Vec::new() }
    };
    let found = Kpis {
        at_ms: known.at.wall_ms,
        all: profile("runbook").into_iter().map(measured).collect(),
        habits: Habits::default(),
        lacks: [("disk_io".to_owned(), Foreign::from("query timed out\u{7}"))].into(),
        cost: Cost { requests: 28, bytes: 90_000, took_ms: 210 },
    };
    Arc::make_mut(&mut known.facts).servers.prometheus[0].kpis = Ok(Arc::new(found));
    let known = Arc::new(known);
    let keys = |more: &[Key]| -> Vec<Key> {
        std::iter::once(Key::Char('5')).chain(std::iter::repeat_n(Key::Tab, 7)).chain(more.iter().copied()).collect()
    };
    for size in SIZES {
        assert_screen("kpis", &app(&known, &keys(&[])), &dark, size);
    }
    let drawn = draw(&app(&known, &keys(&[Key::Down])), &dark, SIZES[1]);
    same_picture("kpis-dark", &svg::render(&drawn, "#101418", "#d8dee9"));
    assert_screen("kpis_card", &app(&known, &keys(&[Key::Down, Key::Down, Key::Enter])), &dark, SIZES[1]);
}

/// Resources that run out, or do not; needs and triggers.
fn capacity(at_ms: i64) -> perftop::model::capacity::Capacity {
    use perftop::model::capacity::plan::CapacityPlan;
    use perftop::model::capacity::{Capacity, Left, Needed, Triggered};
    use perftop::model::foreign::Foreign;
    use perftop::model::prometheus::Cost;
    use perftop::model::trend::{Trend, outlook};
    use perftop::model::unit::Unit;
    let day = |n: usize| (n as f64 / 24.0 * std::f64::consts::TAU).sin();
    let left = |what: &str, (host, about): (&str, &str), unit: Unit, all: f64, y: &dyn Fn(usize) -> f64| {
        let readings: Vec<(f64, f64)> = (0..336).map(|n| (n as f64 * 3_600.0, y(n))).collect();
        let (trend, outlook) = outlook(&readings, y(335));
        let points = (0..336).map(|n| Some(y(n)).filter(|_| n % 50 != 7)).collect();
        Left {
            what: what.into(),
            host: Foreign::from(host),
            about: Foreign::from(about),
            unit,
            left: y(335),
            all: Some(all),
            points,
            trend,
            outlook,
        }
    };
    let wander = |n: usize| ((n * 7_919) % 1_000) as f64 / 1_000.0;
    let mut all = vec![
        left("file system", ("db3", "/var"), Unit::Bytes, 500e9, &|n| 100e9 - 2.4e8 * n as f64 + 1e9 * (day(n) + wander(n))),
        left("memory", ("cache\u{1b}[31m", ""), Unit::Bytes, 64e9, &|n| 30e9 + 3e9 * day(n) - 1e7 * n as f64),
        left("connections of PostgreSQL", ("db3", ""), Unit::Count, 200.0, &|n| 120.0 + 40.0 * day(n)),
        left("inodes", ("web1", "/"), Unit::Count, 1e6, &|n| if n < 200 { 9e5 } else { 8e5 - n as f64 * 200.0 }),
        left("open files", ("web2", ""), Unit::Count, 1e5, &|_| 0.0),
    ];
    all.sort_by(Left::order);
    let plan = CapacityPlan::default();
    let used: Vec<(f64, f64)> = (0..336).map(|n| (n as f64 * 3_600.0, 12.0 + 4.0 * day(n) + 0.02 * n as f64)).collect();
    let needed = |at: usize, have, price| Needed {
        need: perftop::model::capacity::plan::Need { price, ..plan.needs[at].clone() },
        have,
        peak: Some(20.7),
        trend: Trend::of(&used),
        busiest: vec![5, 6, 7],
    };
    let nothing = Needed { need: plan.needs[3].clone(), have: None, peak: None, trend: None, busiest: Vec::new() };
    let called = |at: usize, value, whose: &str, above| Triggered {
        trigger: plan.triggers[at].clone(),
        over_s: 86_400,
        value,
        whose: Foreign::from(whose),
        above,
    };
    Capacity {
        at_ms,
        span_s: 1_209_600,
        step_s: 3_600,
        ahead_s: plan.ahead_s,
        limits_s: plan.limits_s,
        left: all,
        needed: vec![needed(0, Some(24.0), Some(50.0)), needed(1, Some(512.0), None), nothing],
        triggered: vec![
            called(0, Some((91.0, 91.0)), "web1", (2, 12)),
            called(1, Some((40.0, 40.0)), "db3", (0, 12)),
            called(3, None, "", (0, 0)),
        ],
        lacks: [("memory of Redis".to_owned(), Foreign::from("query timed out"))].into(),
        cost: Cost { requests: 41, bytes: 240_000, took_ms: 310 },
    }
}

/// The fleet is asked for when its screen is opened, and a host when it is.
#[test]
fn the_fleet_is_asked_for_when_it_is_looked_at() {
    use perftop::model::prometheus::PrometheusAsk;
    let burns = picture("prometheus_burn", BURNING);
    let id = burns.facts.servers.prometheus[0].id.clone();
    let mut screen = app(&burns, &[]);
    assert_eq!(screen.update(Msg::Key(Key::Char('7'))), [Effect::Ask(PrometheusAsk::Fleet.of(&id))]);
    assert_eq!(screen.update(Msg::Picture(burns.clone())), [], "not again within half a minute");
    let left = Effect::Ask(PrometheusAsk::Leave.of(&id));
    assert_eq!(screen.update(Msg::Key(Key::Char('5'))), std::slice::from_ref(&left), "nobody looks any more");
    assert!(text(&draw(&screen, &theme("dark", Depth::True, false), SIZES[1])).contains("OBJECTIVE"));
    let again = screen.update(Msg::Key(Key::Char('7')));
    assert_eq!(again, [Effect::Ask(PrometheusAsk::Fleet.of(&id))], "it was not answered");
    screen.update(Msg::Key(Key::Tab));
    let mut asked = screen.update(Msg::Picture(burns.clone()));
    asked.retain(|effect| !matches!(effect, Effect::Note(_)));
    assert_eq!(asked, [Effect::Ask(PrometheusAsk::Capacity.of(&id))]);
    assert_eq!(screen.update(Msg::Key(Key::Tab)), [], "the other table of the same look");
    assert_eq!(screen.update(Msg::Key(Key::Char('1'))), [left]);
}

const BOARD: &str = r#"{"title":"Shop","templating":{"list":[{"type":"query","name":"job","query":"label_values(up, job)","includeAll":true}]},"panels":[
{"type":"stat","title":"Requests","gridPos":{"x":0,"y":0,"w":6,"h":4},"targets":[{"expr":"a"}],"fieldConfig":{"defaults":{"unit":"reqps"}}},
{"type":"gauge","title":"Failed","gridPos":{"x":6,"y":0,"w":6,"h":4},"targets":[{"expr":"b"}],"fieldConfig":{"defaults":{"unit":"percentunit","thresholds":{"steps":[{"color":"green","value":null},{"color":"red","value":0.1}]}}}},
{"type":"geomap","title":"Where","gridPos":{"x":12,"y":0,"w":12,"h":4}},
{"type":"row","title":"Detail","gridPos":{"x":0,"y":4,"w":24,"h":1}},
{"type":"timeseries","title":"By code","gridPos":{"x":0,"y":5,"w":16,"h":10},"targets":[{"expr":"c","legendFormat":"code {{code}}"},{"expr":"g","refId":"B"}],"fieldConfig":{"defaults":{"unit":"reqps"}}},
{"type":"table","title":"Targets","gridPos":{"x":16,"y":5,"w":8,"h":10},"targets":[{"expr":"d"}]},
{"type":"heatmap","title":"Latency","gridPos":{"x":0,"y":15,"w":12,"h":8},"targets":[{"expr":"e"}],"fieldConfig":{"defaults":{"unit":"s"}}},
{"type":"timeseries","title":"Nothing","gridPos":{"x":12,"y":15,"w":12,"h":8},"targets":[{"expr":"f"}]}]}"#;

#[test]
fn a_dashboard_at_three_sizes_alone_and_what_was_left_out() {
    use perftop::app::DashboardView;
    use perftop::model::demand::Detail;
    use perftop::model::prometheus::{Line, Lines, PrometheusDetail};
    use perftop::model::seen::{Lack, Why};
    use perftop::model::server::ServerDetail;
    let dark = theme("dark", Depth::True, false);
    let mut known = (*picture("prometheus_burn", BURNING)).clone();
    let source = known.facts.servers.prometheus[0].id.clone();
    let board = perftop::config::files::dashboard("shop.json", BOARD).unwrap();
    let view = DashboardView::new(board.clone());
    let wave = |labels: &[(&str, &str)], height: f64| Line {
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        points: (0..180).map(|n| (n != 60).then(|| height * (1.5 + (f64::from(n) / 15.0).sin()))).collect(),
        native: false,
    };
    let details = Arc::make_mut(&mut known.details);
    for panel in &board.panels {
        let all = match panel.title.as_str() {
            "Requests" => vec![wave(&[], 40.0)],
            "Failed" => vec![wave(&[], 0.1)],
            "By code" => vec![wave(&[("code", "200")], 40.0), wave(&[("code", "500")], 9.0)],
            "Targets" => {
                vec![wave(&[("job", "shop"), ("instance", "a:1")], 1.0), wave(&[("job", "db"), ("instance", "b:\u{fffd}2")], 0.4)]
            }
            "Latency" => ["0.1", "0.5", "+Inf"].map(|le| wave(&[("le", le)], if le == "0.1" { 3.0 } else { 5.0 })).to_vec(),
            _ => Vec::new(),
        };
        let found = all.len();
        let lines = Lines { begin_ms: 1_795_980_000_000, step_s: 20, all, found };
        if let Some(demand) = view.demand(&source, panel, 0) {
            details.insert(demand, Ok(Detail::Server(ServerDetail::Prometheus(PrometheusDetail::Lines(lines)))));
        }
        if let Some(demand) = view.demand(&source, panel, 1) {
            details.insert(demand, Err(Lack::new(Why::Garbage, "bad_data: unknown function with name \"rte\"")));
        }
    }
    let known = Arc::new(known);
    let open = |keys: &[Key]| {
        let mut app = App { dashboards: vec![DashboardView::new(board.clone())], ..App::default() };
        app.update(Msg::Picture(known.clone()));
        for key in std::iter::once(&Key::Char('8')).chain(keys) {
            app.update(Msg::Key(*key));
        }
        app
    };
    for size in SIZES {
        assert_screen("dashboard", &open(&[]), &dark, size);
    }
    assert_screen("dashboard_ascii", &open(&[]), &theme("dark", Depth::None, true), SIZES[1]);
    let lines = [Key::Down, Key::Down, Key::Down, Key::Enter, Key::Left, Key::Left];
    assert_screen("dashboard_alone", &open(&lines), &dark, SIZES[1]);
    assert_screen("dashboard_report", &open(&[Key::Char('R')]), &dark, SIZES[1]);
    assert_screen("dashboard_none", &app(&known, &[Key::Char('8')]), &dark, SIZES[0]);
    let picture = svg::render(&draw(&open(&[]), &dark, SIZES[1]), "#101418", "#d8dee9");
    same_picture("dashboard-dark", &picture);
}

/// The picture in screenshots/ is this one; `PERFTOP_PICTURES=1` draws it.
fn same_picture(name: &str, picture: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(format!("{name}.svg"));
    if std::env::var_os("PERFTOP_PICTURES").is_some() {
        std::fs::write(&path, picture).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == picture, "{name} is out of date: PERFTOP_PICTURES=1 draws it");
}

/// `x` asks for what the server is only asked for by hand; what a row is opened to goes where the row goes.
#[test]
fn big_keys_are_asked_for_and_a_client_is_ended_from_its_card() {
    let slow = picture("redis_keys", REDIS_SICK);
    let mut screen = app(&slow, &[Key::Char('4')]);
    let effects = screen.update(Msg::Key(Key::Char('x')));
    let id = slow.facts.servers.redis[0].id.clone();
    assert_eq!(effects, [Effect::Ask(perftop::model::redis::RedisAsk::Keys.of(&id))]);
    assert!(text(&draw(&screen, &theme("dark", Depth::True, false), SIZES[1])).contains("looking for big keys"));
    let mut screen = app(&slow, &[Key::Char('4'), Key::Tab, Key::Tab, Key::Enter]);
    let Some(Effect::Copy { text, .. }) = screen.update(Msg::Key(Key::Char('c'))).into_iter().next() else { panic!("no copy") };
    assert!(text.contains("CLIENT KILL ID") && text.contains("ADDR"), "{text}");
    screen.update(Msg::Key(Key::Esc));
    assert!(screen.overlays.is_empty());
}

/// Where a text stands on the screen.
fn place(screen: &str, wanted: &str) -> (u16, u16) {
    let (y, line) = screen.lines().enumerate().find(|(_, l)| l.contains(wanted)).unwrap();
    let x = line[..line.find(wanted).unwrap()].chars().count();
    (x as u16, y as u16)
}

#[test]
fn a_press_chooses_what_stands_there_and_a_second_one_opens_it() {
    let sick = picture("cpu_hog", SICK);
    let dark = theme("dark", Depth::True, false);
    let (width, height) = SIZES[1];
    let area = ratatui::layout::Rect::new(0, 0, width, height);
    let mut host = app(&sick, &[Key::Char('2')]);
    let screen = text(&draw(&host, &dark, SIZES[1]));
    let at = place(&screen, "stress-ng-cpu");
    let target = view::pointed(&host, &dark, area, at).unwrap();
    let Target::Process(id) = target else { panic!("{target:?}") };
    assert_eq!(sick.facts.processes().iter().find(|p| p.id == id).unwrap().name.shown(), "stress-ng-cpu");
    host.update(Msg::Press { target: target.clone(), twice: false });
    assert!(host.overlays.is_empty() && host.processes.selected == Some(id));
    host.update(Msg::Press { target, twice: true });
    assert_eq!(host.overlays, [Overlay::Process { id }]);

    let mut triage = app(&sick, &[]);
    let screen = text(&draw(&triage, &dark, SIZES[1]));
    let footer = place(&screen, "2 host");
    assert_eq!(view::pointed(&triage, &dark, area, footer), Some(Target::Action(Action::Host)));
    let first = place(&screen, "▸1");
    let Some(Target::Finding(key)) = view::pointed(&triage, &dark, area, first) else { panic!() };
    assert_eq!(key, sick.diagnosis.findings[0].key);
    assert_eq!(view::pointed(&triage, &dark, area, (width - 1, 0)), None);
    // A heading sorts, and turns the order round the second time.
    let heading = place(&text(&draw(&app(&sick, &[Key::Char('2')]), &dark, SIZES[1])), "RSS");
    let target = view::pointed(&app(&sick, &[Key::Char('2')]), &dark, area, heading).unwrap();
    assert_eq!(target, Target::Heading(Column::Memory));
    triage.update(Msg::Press { target: target.clone(), twice: false });
    assert_eq!((triage.processes.sort, triage.processes.ascending), (Column::Memory, false));
    triage.update(Msg::Press { target, twice: false });
    assert!(triage.processes.ascending);
}

#[test]
fn other_themes_and_poor_terminals() {
    let sick = picture("cpu_hog", SICK);
    assert_screen("triage_light", &app(&sick, &[]), &theme("light", Depth::Palette, false), SIZES[1]);
    assert_screen("triage_16", &app(&sick, &[]), &theme("terminal", Depth::Sixteen, false), SIZES[1]);
    assert_screen("triage_ascii", &app(&sick, &[]), &theme("dark", Depth::None, true), SIZES[1]);
    let ascii = text(&draw(&app(&sick, &[Key::Char('2')]), &theme("dark", Depth::None, true), SIZES[1]));
    assert!(ascii.is_ascii(), "{:?}", ascii.chars().find(|c| !c.is_ascii()));
}

#[test]
fn the_first_frame_shows_what_the_kernel_already_knows() {
    let first = picture("cpu_hog", 0);
    let screen = text(&draw(&app(&first, &[]), &theme("dark", Depth::True, false), SIZES[1]));
    assert!(screen.contains("avg10") && screen.contains("provisional"), "{screen}");
}

#[test]
fn any_size_draws() {
    let sick = picture("cpu_hog", SICK);
    let dark = theme("dark", Depth::True, false);
    let every: [&[Key]; 12] = [
        &[],
        &[Key::Char('2')],
        &[Key::Char('6')],
        &[Key::Char('?')],
        &[Key::Enter],
        &[Key::Char('i')],
        &[Key::Char('y')],
        &[Key::Char('2'), Key::Enter],
        &[Key::Char(':')],
        &[Key::Char('s')],
        &[Key::Char('e')],
        &[Key::Char('t'), Key::Left],
    ];
    let slow = picture("pg_missing_index", PG_SICK);
    let three = Key::Char('3');
    let postgres: [&[Key]; 6] = [
        &[three],
        &[three, Key::Tab],
        &[three, Key::Tab, Key::Tab],
        &[three, Key::Tab, Key::Tab, Key::Tab, Key::Tab],
        &[three, Key::Enter],
        &[Key::Enter],
    ];
    for width in [1, 2, 3, 5, 10, 20, 40, 79, 300] {
        for height in [1, 2, 3, 4, 7, 8, 15, 24, 100] {
            for keys in every {
                draw(&app(&sick, keys), &dark, (width, height));
            }
            for keys in postgres {
                draw(&app(&slow, keys), &dark, (width, height));
            }
        }
    }
}

/// `PERFTOP_PICTURES=1 cargo test --test screens` redraws the pictures of the README.
/// A serial console shows what is not ASCII as rubbish, on every screen and in every card; only what is copied stands to the letter.
#[test]
fn a_terminal_of_ascii_gets_nothing_else() {
    let plain = theme("dark", Depth::None, true);
    let cases = [("cpu_hog", SICK), ("pg_missing_index", PG_SICK), ("redis_keys", REDIS_SICK), ("prometheus_burn", BURNING)];
    let more: [&[Key]; 8] = [
        &[],
        &[Key::Enter],
        &[Key::Tab],
        &[Key::Tab, Key::Tab],
        &[Key::Tab, Key::Enter],
        &[Key::Char('i')],
        &[Key::Char('?')],
        &[Key::Char(':')],
    ];
    let mut odd = Vec::new();
    for (case, at) in cases {
        let seen = picture(case, at);
        for (screen, keys) in ('1'..='8').flat_map(|screen| more.map(|keys| (screen, keys))) {
            let keys: Vec<Key> = std::iter::once(Key::Char(screen)).chain(keys.iter().copied()).collect();
            for size in SIZES {
                let text = text(&draw(&app(&seen, &keys), &plain, size));
                odd.extend(text.lines().filter(|l| !l.is_ascii()).map(|l| format!("{case} {keys:?} {size:?}: {l}")));
            }
        }
    }
    assert!(odd.is_empty(), "{} lines, such as\n{}", odd.len(), odd[..odd.len().min(40)].join("\n"));
}

/// The tour of the demo takes its rows from the screen, at every size.
#[test]
fn the_tour_stands_below_the_screen() {
    let sick = picture("pg_missing_index_disk", PG_SICK);
    for size in SIZES {
        let mut app = app(&sick, &[]);
        app.tour = Some(perftop::app::Tour::new(perftop::app::Incident::Index));
        app.update(Msg::Picture(sick.clone()));
        assert_screen("tour", &app, &theme("dark", Depth::True, false), size);
    }
}

#[test]
fn pictures_of_the_readme() {
    let (sick, upstream) = (picture("cpu_hog", SICK), picture("slow_upstream", SICK));
    let (slow, queue) = (picture("pg_missing_index", PG_SICK), picture("pg_ddl_queue", PG_SICK));
    let (loops, burns) = (picture("redis_keys", REDIS_SICK), picture("prometheus_burn", BURNING));
    for (name, theme_name, back, fore, keys) in [
        ("triage-dark", "dark", "#101418", "#d8dee9", &[][..]),
        ("triage-light", "light", "#fbfbf8", "#22272e", &[]),
        ("host-dark", "dark", "#101418", "#d8dee9", &[Key::Char('2')]),
        ("elsewhere-dark", "dark", "#101418", "#d8dee9", &[]),
        ("host-light", "light", "#fbfbf8", "#22272e", &[Key::Char('2')]),
        ("postgres-dark", "dark", "#101418", "#d8dee9", &[Key::Char('3')]),
        ("query-dark", "dark", "#101418", "#d8dee9", &[Key::Char('3'), Key::Enter]),
        ("locks-dark", "dark", "#101418", "#d8dee9", &[Key::Char('3'), Key::Tab, Key::Tab]),
        ("redis-triage-dark", "dark", "#101418", "#d8dee9", &[]),
        ("redis-dark", "dark", "#101418", "#d8dee9", &[Key::Char('4')]),
        ("slo-dark", "dark", "#101418", "#d8dee9", &[Key::Char('5')]),
        ("diagnose-dark", "dark", "#101418", "#d8dee9", &[Key::Char('6')]),
    ] {
        let shown = match name {
            "elsewhere-dark" => &upstream,
            "postgres-dark" | "query-dark" | "diagnose-dark" => &slow,
            "locks-dark" => &queue,
            "redis-triage-dark" | "redis-dark" => &loops,
            "slo-dark" => &burns,
            _ => &sick,
        };
        let buffer = draw(&app(shown, keys), &theme(theme_name, Depth::True, false), SIZES[1]);
        same_picture(name, &svg::render(&buffer, back, fore));
    }
}

#[test]
fn a_fix_that_is_copied_is_watched_for_the_time_that_it_takes() {
    let slow = picture("pg_missing_index", PG_SICK);
    let first = &slow.diagnosis.findings[0];
    let seconds = 60 + first.fixes[0].takes_s.unwrap() as u32;
    let effects = app(&slow, &[]).update(Msg::Key(Key::Char('c')));
    assert!(matches!(&effects[0], Effect::Copy { text, .. } if text.ends_with(&*first.fixes[0].command)));
    assert_eq!(effects[1], Effect::Taken { key: first.key.clone(), seconds });
}

#[test]
fn tabs_headings_and_rows_of_postgres_can_be_pressed() {
    let slow = picture("pg_missing_index", PG_SICK);
    let dark = theme("dark", Depth::True, false);
    for (width, height) in [SIZES[0], SIZES[1]] {
        let area = ratatui::layout::Rect::new(0, 0, width, height);
        let mut on = app(&slow, &[Key::Char('3')]);
        let screen = text(&draw(&on, &dark, (width, height)));
        let press = |on: &mut perftop::app::App, wanted: &str, twice| {
            let screen = text(&draw(on, &dark, (width, height)));
            let target = view::pointed(on, &dark, area, place(&screen, wanted)).unwrap_or_else(|| panic!("{wanted} in {screen}"));
            on.update(Msg::Press { target, twice })
        };
        assert_eq!(view::pointed(&on, &dark, area, place(&screen, "CALLS/s  MEAN")), Some(Target::ServerHeading(1)));
        press(&mut on, "CALLS/s  MEAN", false);
        assert_eq!((on.servers[0].sort[0], on.servers[0].ascending), (Some(1), false));
        press(&mut on, "CALLS/s  MEAN", false);
        assert!(on.servers[0].ascending);
        press(&mut on, "BUSY  CALLS", false);
        press(&mut on, "UPDATE pgbench_accounts", false);
        assert!(on.overlays.is_empty() && on.servers[0].selected.is_some());
        press(&mut on, "UPDATE pgbench_accounts", true);
        assert!(matches!(on.overlays.last(), Some(Overlay::Query { .. })));
        on.update(Msg::Key(Key::Esc));
        press(&mut on, "Locks", false);
        assert_eq!(on.servers[0].tab, 2);
        press(&mut on, "Settings", false);
        assert_eq!(on.servers[0].tab, 5);
        press(&mut on, "Queries", false);
        assert_eq!(on.servers[0].tab, 0);
    }
}

#[test]
fn the_suggested_index_is_tried_only_when_it_is_asked_for() {
    let slow = picture("pg_missing_index", PG_SICK);
    let mut on = app(&slow, &[Key::Char('3')]);
    let asked = on.update(Msg::Key(Key::Enter));
    assert!(
        !asked.iter().any(|e| matches!(e, Effect::Ask(Demand::Server { ask: ServerAsk::Postgres(PgAsk::Trial { .. }), .. }))),
        "{asked:?}"
    );
    let asked = on.update(Msg::Key(Key::Char('H')));
    let [Effect::Ask(Demand::Server { ask: ServerAsk::Postgres(PgAsk::Trial { index, .. }), .. })] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(index.command().unwrap(), "CREATE INDEX ON public.pgbench_accounts (aid)");
    // What is copied here is what the card shows, whatever finding is chosen on another screen.
    let copied = on.update(Msg::Key(Key::Char('c')));
    let [Effect::Copy { text, .. }] = copied.as_slice() else { panic!("{copied:?}") };
    assert!(text.ends_with("\nCREATE INDEX CONCURRENTLY pgbench_accounts_aid_idx ON public.pgbench_accounts (aid);"), "{text}");
}

#[test]
fn the_screen_of_postgres_stays_with_its_server_when_others_come() {
    let slow = picture("pg_missing_index", PG_SICK);
    let mut on = app(&slow, &[Key::Char('3')]);
    let own = slow.facts.servers.postgres[0].id.clone();
    let mut facts = (*slow.facts).clone();
    let other = perftop::model::facts::PgFacts { id: "postgres:1".into(), ..facts.servers.postgres[0].clone() };
    facts.servers.postgres.insert(0, other);
    let more = Arc::new(Picture { facts: Arc::new(facts), ..(*slow).clone() });
    on.update(Msg::Picture(more.clone()));
    assert_eq!(on.servers[0].of(&more.facts).unwrap(), own);
    on.update(Msg::Key(Key::Char('S')));
    assert_eq!(on.servers[0].of(&more.facts).unwrap(), "postgres:1");
    on.update(Msg::Key(Key::Char('S')));
    assert_eq!(on.servers[0].of(&more.facts).unwrap(), own);
}
