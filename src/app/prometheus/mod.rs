//! The screen of objectives: they themselves, alerts, what is scraped.

pub mod capacity;
mod cards;
pub mod dashboard;
pub mod fleet;
pub mod kpis;
pub mod needs;
pub mod rows;

use crate::model::facts::{Facts, PrometheusFacts};
use crate::model::prometheus::PrometheusAsk;
use crate::model::source::SourceKind;

use super::tables::{More, Row, ServerScreen, Tab, figure, words};

/// Its tables.
pub const SCREEN: ServerScreen = ServerScreen {
    word: "slo",
    more: &[
        More {
            what: "fleet",
            tabs: &[FLEET],
            demand: |source| PrometheusAsk::Fleet.of(source),
            says: "looking at the fleet: a few questions, however many hosts",
            again_s: Some(30),
            own: true,
            leave: LEAVE,
            there: |facts, id| server(facts, id).is_some_and(|p| p.fleet.is_ok()),
        },
        More {
            what: "capacity",
            tabs: &[CAPACITY, NEEDS],
            demand: |source| PrometheusAsk::Capacity.of(source),
            says: "looking at what runs out: some forty questions, however many hosts",
            again_s: Some(600),
            own: false,
            leave: LEAVE,
            there: |facts, id| server(facts, id).is_some_and(|p| p.capacity.is_ok()),
        },
        More {
            what: "key figures",
            tabs: &[KPIS],
            demand: |source| PrometheusAsk::Kpis.of(source),
            says: "measuring the key figures of the profile",
            again_s: Some(60),
            own: false,
            leave: LEAVE,
            there: |facts, id| server(facts, id).is_some_and(|p| p.kpis.is_ok()),
        },
    ],
    ..ServerScreen::plain(SourceKind::Prometheus, ('5', "5"), TABS, |facts| {
        facts.servers.prometheus.iter().map(|p| p.id.as_str()).collect()
    })
};

/// Nobody looks any more.
const LEAVE: Option<fn(&str) -> crate::model::demand::Demand> = Some(|source| PrometheusAsk::Leave.of(source));

/// The places of the tables that are only filled when they are opened.
pub const FLEET: usize = 4;
/// What runs out.
pub const CAPACITY: usize = 5;
/// What is needed, and what calls for more.
pub const NEEDS: usize = 6;
/// Key figures.
pub const KPIS: usize = 7;

const TABS: &[Tab] = &[
    Tab {
        rows: |facts, id, _| of(facts, id, rows::objectives),
        card: |facts, id, key| cards::objective(server(facts, id)?, key),
        nothing: |_, _| "no objectives: [objectives.NAME] in the configuration, or files of sloth or pyrra".to_owned(),
        ..Tab::plain(
            "Objectives",
            &[
                words("OBJECTIVE", 24, 0),
                figure("TARGET", 8, 60),
                figure("LEFT", 6, 0),
                words("BUDGET", 12, 100),
                figure("5m", 6, 0),
                figure("1h", 6, 0),
                figure("30m", 6, 80),
                figure("6h", 6, 80),
                figure("3d", 6, 80),
                figure("REQ/s", 8, 60),
                words("STATE", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::alerts),
        card: |facts, id, key| cards::alert(server(facts, id)?, key),
        nothing: |facts, id| match server(facts, id).and_then(|p| p.alerts.as_ref().err()) {
            Some(lack) => format!("? {lack}"),
            None => "no alert fires or is pending".to_owned(),
        },
        ..Tab::plain(
            "Alerts",
            &[
                words("STATE", 8, 0),
                words("SEVERITY", 10, 60),
                figure("SINCE", 8, 0),
                words("ALERT", 30, 0),
                words("ABOUT", 40, 100),
                words("SAYS", 0, 70),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::rules),
        card: |facts, id, key| cards::rule(server(facts, id)?, key, facts.at.wall_ms),
        nothing: |_, _| "no rule files: perftop --rules FILE, or rule_files in the configuration".to_owned(),
        ..Tab::plain(
            "Rules",
            &[
                words("STATE", 11, 0),
                figure("SINCE", 8, 0),
                figure("SERIES", 7, 60),
                words("SEVERITY", 10, 80),
                words("RULE", 36, 0),
                words("WHAT IS WRONG WITH IT", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::jobs),
        nothing: |facts, id| match server(facts, id).and_then(|p| p.targets.as_ref().err()) {
            Some(lack) => format!("? {lack}"),
            None => "it scrapes nothing".to_owned(),
        },
        ..Tab::plain("Targets", &[words("STATE", 8, 0), figure("UP", 8, 0), figure("OF", 8, 0), words("JOB", 0, 0)])
    },
    Tab {
        rows: |facts, id, _| of(facts, id, fleet::rows),
        card: |facts, id, key| fleet::card(server(facts, id)?, key),
        copy: |_, _, key| fleet::copied(key),
        asks: fleet::asks,
        nothing: |facts, id| fleet::nothing(server(facts, id)),
        ..Tab::plain(
            "Fleet",
            &[
                words("HOST", 24, 0),
                words("STATE", 9, 0),
                figure("LOST s/s", 9, 0),
                figure("CPU", 6, 70),
                figure("MEM", 6, 90),
                figure("DISK", 6, 90),
                words("WHY", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, capacity::left),
        card: |facts, id, key| capacity::card(server(facts, id)?, key),
        copy: |facts, id, key| capacity::copied(server(facts, id), key),
        nothing: |facts, id| capacity::nothing(server(facts, id)),
        ..Tab::plain(
            "Capacity",
            &[
                words("WHAT", 26, 0),
                words("WHOSE", 16, 0),
                words("WHICH", 18, 90),
                figure("LEFT", 10, 0),
                figure("%", 5, 70),
                figure("A DAY", 10, 100),
                words("RUNS OUT", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, needs::rows),
        card: |facts, id, key| needs::card(server(facts, id)?, key),
        copy: |facts, id, key| needs::copied(server(facts, id), key),
        nothing: |facts, id| capacity::nothing(server(facts, id)),
        ..Tab::plain(
            "Needs",
            &[
                words("WHAT", 16, 0),
                figure("NOW", 12, 0),
                figure("HAVE", 12, 0),
                figure("AHEAD", 22, 90),
                figure("NEED", 12, 0),
                figure("A MONTH", 10, 100),
                words("STATE", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, kpis::rows),
        card: |facts, id, key| kpis::card(server(facts, id)?, key),
        copy: |facts, id, key| kpis::copied(server(facts, id), key),
        nothing: |facts, id| kpis::nothing(server(facts, id)),
        ..Tab::plain(
            "KPIs",
            &[
                words("KEY FIGURE", 27, 0),
                figure("NOW", 16, 0),
                figure("TARGET", 9, 60),
                figure("WARNING", 9, 90),
                figure("CRITICAL", 9, 90),
                figure("USUAL", 12, 100),
                words("STATE", 0, 0),
            ],
        )
    },
];

fn server<'a>(facts: &'a Facts, id: &str) -> Option<&'a PrometheusFacts> {
    facts.servers.prometheus.iter().find(|p| p.id == id)
}

fn of(facts: &Facts, id: &str, rows: impl Fn(&PrometheusFacts, i64) -> Vec<Row>) -> Vec<Row> {
    server(facts, id).map(|p| rows(p, facts.at.wall_ms)).unwrap_or_default()
}
