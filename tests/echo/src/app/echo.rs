//! The screen of echo servers: one table.

use crate::config::Meaning;
use crate::model::source::SourceKind;

use super::tables::{Cell, Row, ServerScreen, Tab, figure, words};

/// Its table.
pub const SCREEN: ServerScreen = ServerScreen::plain(SourceKind::Echo, ('9', "9"), TABS, |facts| {
    facts.servers.echo.iter().map(|server| server.id.as_str()).collect()
});

const TABS: &[Tab] = &[Tab {
    rows: |facts, _, _| {
        let row = |server: &crate::model::echo::EchoFacts| Row {
            key: server.id.clone(),
            cells: vec![Cell::maybe(server.trip.ms, |ms| format!("{ms:.1}")), Cell::text(server.id.clone())],
            meaning: Meaning::Text,
        };
        facts.servers.echo.iter().map(row).collect()
    },
    ..Tab::plain("Round trips", &[figure("MS", 10, 0), words("SERVER", 0, 0)])
}];
