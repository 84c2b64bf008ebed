//! The plan of a query: its nodes with the one that costs, the index that would help, and what the planner said of one that was tried.

use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::postgres::advice::Advice;
use crate::detect::postgres::queries::Advised;
use crate::model::facts::PgFacts;
use crate::model::postgres::StatementRow;
use crate::model::postgres::plan::Plan;
use crate::model::unit::{bytes, count};
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, paragraph};

/// All of it, in lines of at most `width` cells:
///
/// ```text
///  generic plan (for any parameters; not executed): cost of each node alone, estimated rows
///  Aggregate                                                             375          1 rows
///    Seq Scan on orders                                                  3.1k       150 rows
///      Filter: ((orders.o_clerk = $1) AND (orders.o_status = $2))
///
///  an index on public.orders (o_clerk, o_status) would help
/// ```
pub fn lines(
    pg: &PgFacts,
    advised: Option<&Advised>,
    row: Option<&StatementRow>,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let planned = row.and_then(|row| Some((row, pg.plan(row)?)));
    let (row, plan) = match planned {
        Some((row, (_, Ok(plan)))) => (row, plan),
        Some((_, (_, Err(lack)))) => return paragraph(&format!(" ? {lack}"), Meaning::Unknown, width, theme),
        None => return paragraph(" plan: requested, or not recorded", Meaning::Muted, width, theme),
    };
    let says = " generic plan (for any parameters; not executed): cost of each node alone, estimated rows";
    let mut out = paragraph(says, Meaning::Muted, width, theme);
    out.extend(nodes(plan, width, theme));
    out.push(Line::default());
    let advice = advised.and_then(|all| all.get(&(row.database.shown().to_owned(), row.key.query)));
    out.extend(help(advice, plan, width, theme));
    out.extend(trial(pg, plan, row, width, theme));
    out
}

fn nodes(plan: &Plan, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let own: Vec<f64> = (0..plan.nodes.len()).map(|at| plan.own_cost(at)).collect();
    let most = own.iter().copied().fold(0.0, f64::max);
    let mut out = Vec::new();
    for (at, node) in plan.nodes.iter().enumerate() {
        let indent = "  ".repeat(usize::from(node.depth));
        let table = if node.relation.is_empty() { String::new() } else { format!(" on {}", node.relation) };
        let index = if node.index.is_empty() { String::new() } else { format!(" using {}", node.index) };
        let meaning = if own[at] >= most * 0.99 && most > 0.0 { Meaning::Critical } else { Meaning::Text };
        let figures = format!("{:>12} {:>10} rows", count(own[at]), count(node.rows));
        // The figures stay in their column, however long a name is.
        let room = width.saturating_sub(figures.chars().count() + 1);
        let name = cut(&format!(" {indent}{}{index}{table}", node.kind), room, theme);
        let line = crate::view::widgets::text::ends(&theme.text(&name), &figures, width);
        out.push(Line::from(Span::styled(line, theme.style(meaning))));
        for (name, condition) in &node.conditions {
            out.extend(paragraph(&format!(" {indent}  {name}: {condition}"), Meaning::Muted, width, theme));
        }
    }
    out
}

/// What would help, in words.
fn help(advice: Option<&Advice>, plan: &Plan, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let say = |text: String, meaning: Meaning| paragraph(&text, meaning, width, theme);
    let Some(advice) = advice else {
        return say(" no index suggested: none would halve the plan's cost".into(), Meaning::Muted);
    };
    let Some(table) = plan.tables.get(advice.table) else { return Vec::new() };
    let gain = format!(
        "   saves {:.0} to {:.1} % of its time (cost {} -> {}); about {} on disk, updated by every write to the table",
        advice.gain_low * 100.0,
        (advice.gain_high * 100.0).min(99.9),
        count(plan.cost()),
        count(advice.cost_after),
        bytes(advice.bytes(table))
    );
    [
        say(format!(" an index on {}.{} ({}) would help", table.schema, table.name, advice.columns.join(", ")), Meaning::Good),
        say(format!("   {}", advice.command(table).unwrap_or_default()), Meaning::Accent),
        say(gain, Meaning::Text),
    ]
    .concat()
}

/// What the planner said of the index that was tried.
fn trial(pg: &PgFacts, plan: &Plan, row: &StatementRow, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let say = |text: String, meaning: Meaning| paragraph(&text, meaning, width, theme);
    let trial = match pg.trials.of(&row.database, row.key.query) {
        Some((_, Ok(trial))) => trial,
        Some((_, Err(lack))) => return say(format!(" ? HypoPG: {lack}"), Meaning::Unknown),
        None => return Vec::new(),
    };
    if !trial.used {
        return say(format!(" HypoPG: the planner would not use {}", trial.index), Meaning::Warning);
    }
    let size = trial.bytes.map_or_else(String::new, |b| format!(", {}", bytes(b as f64)));
    let costs = format!("cost {} -> {}{size}", count(plan.cost()), count(trial.cost));
    say(format!(" HypoPG: the planner would use {}: {costs}", trial.index), Meaning::Good)
}
