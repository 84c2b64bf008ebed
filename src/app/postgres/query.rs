//! Opening a query, asking for its plan, trying the index that is suggested for it. Pure.

use crate::detect::postgres::advice::{self, Advice};
use crate::model::postgres::plan::PlannedTable;
use crate::model::postgres::{PgAsk, StatementRow};
use crate::model::source::SourceKind;

use crate::app::{App, Effect, Overlay};

impl App {
    /// Opens the query of the selected row, or of the selected finding.
    pub(in crate::app) fn plan(&mut self) -> Vec<Effect> {
        if matches!(self.overlays.last(), Some(Overlay::Query { .. })) {
            self.overlays.pop();
            return Vec::new();
        }
        let Some(picture) = self.shown().cloned() else { return Vec::new() };
        if let Some(view) = self.server_mut().filter(|view| view.selected.is_none()) {
            view.step(&picture.facts, 0);
        }
        let chosen = match self.server() {
            Some(view) => view.query(&picture.facts),
            None => self.query_of_finding(),
        };
        let Some((source, query)) = chosen else {
            // Only where there are queries is it worth a word which rows have one.
            let queries = self.server().is_none_or(|view| view.kind() == SourceKind::Postgres);
            let text = match queries {
                true => "no query here: select a row of queries or sessions, or a finding about a query",
                false => "nothing more is known of this row",
            };
            self.notice = Some(text.into());
            return Vec::new();
        };
        let asked = self.ask_plan(&source, query);
        self.overlays.push(Overlay::Query { source, query, scroll: 0 });
        asked
    }

    /// The query that the selected finding is about.
    fn query_of_finding(&self) -> Option<(String, i64)> {
        let finding = self.finding()?;
        let keys = std::iter::once(finding.subject.typed_key()).chain(finding.subject.also.iter().cloned());
        let id = keys.filter_map(|k| k.strip_prefix("query:")?.rsplit_once('/')?.1.parse().ok()).next()?;
        Some((finding.source.clone(), id))
    }

    /// Asks for a plan that is not there, or is old.
    pub(in crate::app) fn ask_plan(&self, source: &str, query: i64) -> Vec<Effect> {
        let Some(picture) = self.picture.as_ref() else { return Vec::new() };
        let Some(pg) = picture.facts.servers.postgres.iter().find(|pg| pg.id == source) else { return Vec::new() };
        let Some(row) = pg.rows().find(|r| r.key.query == query) else { return Vec::new() };
        let made = pg.plan(row).map(|(at_ns, _)| picture.at.mono_ns.saturating_sub(*at_ns));
        if made.is_some_and(|ns| ns <= advice::FRESH_NS) {
            return Vec::new();
        }
        vec![Effect::Ask(crate::detect::postgres::queries::demand(pg, row))]
    }

    /// Asks what the planner would make of the open query with the index that is suggested.
    pub(in crate::app) fn try_index(&mut self) -> Vec<Effect> {
        let Some(Overlay::Query { source, query, .. }) = self.overlays.last() else { return Vec::new() };
        let trial = self.suggested(source, *query).and_then(|(row, advice, table)| {
            let (database, role) = (row.database.clone(), row.role.clone());
            Some(PgAsk::Trial { query: *query, database, role, index: advice.trial(table)? }.of(source))
        });
        match trial {
            Some(demand) => {
                self.notice = Some("trying; nothing is built: the hypothetical index exists in one session only".into());
                vec![Effect::Ask(demand)]
            }
            None => {
                self.notice = Some("no index on plain columns is suggested for this query".into());
                Vec::new()
            }
        }
    }

    /// The index that is suggested for a query, with its statement and its table.
    fn suggested(&self, source: &str, query: i64) -> Option<(&StatementRow, &Advice, &PlannedTable)> {
        let picture = self.shown()?;
        let pg = picture.facts.servers.postgres.iter().find(|pg| pg.id == source)?;
        let row = pg.rows().find(|r| r.key.query == query)?;
        let plan = pg.plan(row)?.1.as_ref().ok()?;
        let advice = picture.shown.postgres.get(source)?.get(&(row.database.shown().to_owned(), query))?;
        let table = plan.tables.get(advice.table)?;
        Some((row, advice, table))
    }

    /// Copies the statement that builds the index which is suggested for the open query; else the fix of the finding.
    pub(in crate::app) fn copy_chosen(&mut self) -> Vec<Effect> {
        let Some(Overlay::Query { source, query, .. }) = self.overlays.last() else { return self.copy_row_or_fix() };
        let command = self.suggested(source, *query).and_then(|(_, advice, table)| advice.command(table));
        if command.is_none() {
            self.notice = Some("nothing to copy: no index is suggested for this query".into());
        }
        let source = source.clone();
        let copy =
            |text: String| Effect::Copy { text: format!("-- {source}\n{text}"), what: format!("Build the index [{source}]") };
        command.map(copy).into_iter().collect()
    }
}
