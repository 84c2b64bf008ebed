//! The screen of dashboards: which one, which panel, what is chosen of its variables, how far back; what is asked for it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnose::Picture;
use crate::model::dashboard::{Chosen, Dashboard, Interval, Panel, PanelKind, Source, expand, options_of, repeated};
use crate::model::demand::{Demand, Detail};
use crate::model::prometheus::{Lines, PrometheusAsk, PrometheusDetail};
use crate::model::seen::Seen;
use crate::model::server::ServerDetail;

/// Points of a panel, across.
const POINTS: u64 = 180;
/// Between two scrapes, unless a panel says otherwise.
const SCRAPE_S: u64 = 15;
/// Between two questions of a panel at least, and how long a variable's values hold: seconds.
const AGAIN_S: u64 = 15;
const VALUES_S: u64 = 120;
/// Questions that are asked at once; the rest at the next picture.
const AT_ONCE: usize = 6;
/// Rows of a dashboard around the selected panel that are asked for.
const AROUND: u16 = 60;
/// Answers that are asked for: more would push each other out of those that are kept.
const KEPT: usize = 48;
/// How far back, seconds: shortest and longest.
const SPANS: (u64, u64) = (300, 92 * 86_400);

/// One dashboard, as it is looked at.
#[derive(Debug, Clone)]
pub struct DashboardView {
    /// The dashboard, its repeated panels as often as there are values for them.
    pub dashboard: Arc<Dashboard>,
    /// Its panels as they are written.
    written: Arc<Vec<Panel>>,
    /// The panel that is selected, by its place in the list.
    pub selected: usize,
    /// It is shown alone, with a cursor so many points before the end.
    pub alone: Option<usize>,
    /// The variable that is turned by a key.
    pub variable: usize,
    /// What is chosen.
    pub chosen: Chosen,
    /// How far back, seconds.
    pub span_s: u64,
    /// What was drawn, and what was left out, is shown instead.
    pub report: bool,
    asked: BTreeMap<Demand, u64>,
}

impl DashboardView {
    /// At its first panel.
    #[must_use]
    pub fn new(dashboard: Dashboard) -> Self {
        let chosen = Chosen::first(&dashboard);
        let span_s = dashboard.span_s;
        let written = Arc::new(dashboard.panels.clone());
        let dashboard = Arc::new(dashboard);
        let mut view = Self {
            written,
            dashboard,
            selected: 0,
            alone: None,
            variable: 0,
            chosen,
            span_s,
            report: false,
            asked: BTreeMap::new(),
        };
        if view.dashboard.variables.first().is_some_and(|v| v.source == Source::Datasource) {
            view.next_variable();
        }
        if view.panel().is_some_and(|p| p.kind == PanelKind::Row) {
            view.step(1);
        }
        view
    }

    /// The panel that is selected.
    #[must_use]
    pub fn panel(&self) -> Option<&Panel> {
        self.dashboard.panels.get(self.selected)
    }

    /// What tells a server that nobody looks at its panels any more.
    #[must_use]
    pub fn leave(source: &str) -> Demand {
        PrometheusAsk::Leave.of(source)
    }

    /// Moves the selection over the panels; over the points where one is shown alone.
    pub fn step(&mut self, by: isize) {
        let shown: Vec<usize> =
            (0..self.dashboard.panels.len()).filter(|at| self.dashboard.panels[*at].kind != PanelKind::Row).collect();
        let at = shown.iter().position(|at| *at >= self.selected).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.selected = shown.get(next).copied().unwrap_or(0);
    }

    /// Moves the cursor of a panel that is shown alone.
    pub fn move_cursor(&mut self, back: isize) {
        if let Some(cursor) = &mut self.alone {
            *cursor = cursor.saturating_add_signed(back).min(POINTS as usize * 2);
        }
    }

    /// Twice as far back, or half.
    pub fn zoom(&mut self, out: bool) {
        let span = if out { self.span_s * 2 } else { self.span_s / 2 };
        self.span_s = span.clamp(SPANS.0, SPANS.1);
    }

    /// The next variable that a key turns.
    pub fn next_variable(&mut self) {
        let all = self.dashboard.variables.len().max(1);
        self.variable = (self.variable + 1) % all;
        let is_none = |v: &crate::model::dashboard::Variable| v.source == Source::Datasource;
        if self.dashboard.variables.iter().any(|v| !is_none(v))
            && self.dashboard.variables.get(self.variable).is_some_and(is_none)
        {
            self.next_variable();
        }
    }

    /// The next value of that variable, and after the last one all of them, where it may stand for all.
    pub fn next_value(&mut self) {
        let Some(v) = self.dashboard.variables.get(self.variable) else { return };
        let options = self.chosen.options.get(&v.name).cloned().unwrap_or_default();
        let now = self.chosen.values.get(&v.name).and_then(|v| v.first());
        let at = now.and_then(|now| options.iter().position(|o| o == now));
        let all = v.include_all;
        let next = match at {
            Some(at) if at + 1 < options.len() => options.get(at + 1),
            Some(_) if all => None,
            None if !all && options.len() > 1 => options.get(1),
            _ => options.first(),
        };
        match next {
            Some(next) => _ = self.chosen.values.insert(v.name.clone(), vec![next.clone()]),
            None => _ = self.chosen.values.remove(&v.name),
        }
        // What depends on it is another question now.
        let name = v.name.clone();
        let depends = |q: &str| q.contains(&format!("${name}")) || q.contains(&format!("{{{name}"));
        for other in &self.dashboard.variables {
            if let Source::Query(q) = &other.source
                && depends(q)
            {
                self.chosen.values.remove(&other.name);
                self.chosen.options.remove(&other.name);
            }
        }
    }

    /// What stands for a variable, in a word.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        let all = self.dashboard.variables.iter().any(|v| v.name == name && v.include_all);
        match self.chosen.values.get(name).filter(|v| !v.is_empty()) {
            Some(values) => crate::model::foreign::tamed(&values.join("+")),
            None if all => "all".to_owned(),
            None => {
                let first = self.chosen.options.get(name).and_then(|o| o.first());
                first.map_or_else(|| "?".to_owned(), |v| crate::model::foreign::tamed(v))
            }
        }
    }

    /// Copies of the panels that are repeated, by what is known of their variables.
    fn repeat(&mut self) {
        if self.written.iter().all(|p| p.repeat.is_none()) {
            return;
        }
        let panels = repeated(&self.written, &self.chosen);
        if panels != self.dashboard.panels {
            self.dashboard = Arc::new(Dashboard { panels, ..Dashboard::clone(&self.dashboard) });
            self.selected = self.selected.min(self.dashboard.panels.len().saturating_sub(1));
        }
    }

    fn interval(&self, step: &str) -> Interval {
        let least_s = crate::config::parse_duration(step).map_or(0, |ms| ms / 1000);
        Interval::of(self.span_s, POINTS, least_s, SCRAPE_S.max(least_s))
    }

    /// The demand of a query of a panel on that server.
    #[must_use]
    pub fn demand(&self, source: &str, panel: &Panel, target: usize) -> Option<Demand> {
        let target = panel.targets.get(target)?;
        let interval = self.interval(&target.step);
        let query = expand(&target.expr, &self.dashboard, &panel.chosen(&self.chosen), &interval);
        let step_s = if target.instant && panel.kind != PanelKind::Lines { 0 } else { interval.step_s };
        Some(PrometheusAsk::Query { query, span_s: self.span_s, step_s }.of(source))
    }

    /// The series of a query of a panel, or why there are none; `None`: it has not been answered yet.
    #[must_use]
    pub fn lines<'p>(&self, picture: &'p Picture, source: &str, panel: &Panel, target: usize) -> Option<Seen<&'p Lines>> {
        match picture.details.get(&self.demand(source, panel, target)?)? {
            Ok(Detail::Server(ServerDetail::Prometheus(PrometheusDetail::Lines(lines)))) => Some(Ok(lines)),
            Ok(_) => None,
            Err(lack) => Some(Err(lack.clone())),
        }
    }

    /// Takes in what came, and says what is to be asked now.
    pub fn asks(&mut self, picture: &Picture, source: &str) -> Vec<Demand> {
        let now_ns = picture.at.mono_ns.max(1);
        let mut wanted = Vec::new();
        let mut waits = false;
        for v in self.dashboard.clone().variables.iter() {
            let Source::Query(query) = &v.source else { continue };
            let query = expand(query, &self.dashboard, &self.chosen, &self.interval(""));
            let Some((selector, label)) = options_of(&query) else { continue };
            let demand = PrometheusAsk::Values { selector, label }.of(source);
            let picked = self.chosen.values.get(&v.name).is_some_and(|values| !values.is_empty());
            let one = !v.include_all;
            waits |= one && !picked && !self.chosen.options.contains_key(&v.name) && !picture.details.contains_key(&demand);
            if let Some(Ok(Detail::Server(ServerDetail::Prometheus(PrometheusDetail::Values(all))))) =
                picture.details.get(&demand)
            {
                let all = v.filtered(all);
                let gone = |chosen: &Vec<String>| chosen.iter().all(|c| !all.contains(c));
                if self.chosen.values.get(&v.name).is_some_and(gone) {
                    self.chosen.values.remove(&v.name);
                }
                self.chosen.options.insert(v.name.clone(), all);
            }
            wanted.push((demand, VALUES_S));
        }
        self.repeat();
        let top = self.panel().map_or(0, |p| p.place.1);
        let near = |p: &&Panel| p.place.1.abs_diff(top) <= AROUND;
        let mut panels: Vec<&Panel> = match self.alone {
            Some(_) => self.panel().into_iter().collect(),
            None => self.dashboard.panels.iter().filter(near).collect(),
        };
        panels.sort_by_key(|p| p.place.1.abs_diff(top));
        // Before one value is known to choose, a panel would be asked for none.
        if waits {
            panels.clear();
        }
        for panel in panels.into_iter().filter(|p| !matches!(p.kind, PanelKind::Text | PanelKind::Row | PanelKind::LeftOut)) {
            for at in 0..panel.targets.len() {
                wanted.extend(self.demand(source, panel, at).map(|demand| (demand, AGAIN_S)));
            }
        }
        wanted.truncate(KEPT);
        let due = |(demand, every): &(Demand, u64)| {
            self.asked.get(demand).is_none_or(|at| now_ns.saturating_sub(*at) >= every * 1_000_000_000)
        };
        let due: Vec<Demand> = wanted.into_iter().filter(due).map(|(demand, _)| demand).take(AT_ONCE).collect();
        for demand in &due {
            self.asked.insert(demand.clone(), now_ns);
        }
        // What was asked for long ago is not on the screen any more.
        self.asked.retain(|_, at| now_ns.saturating_sub(*at) < 10 * 60 * 1_000_000_000);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dashboard::{Target, Variable};

    #[test]
    fn values_are_turned_and_what_depends_on_them_is_forgotten() {
        let query = |name: &str, q: &str, all| Variable {
            name: name.into(),
            source: Source::Query(q.into()),
            include_all: all,
            ..Variable::default()
        };
        let target = Target { expr: "up{job=\"$job\",i=~\"$host\"}".into(), ..Target::default() };
        let dashboard = Dashboard {
            variables: vec![
                query("job", "label_values(up, job)", false),
                query("host", "label_values(up{job=\"$job\"}, i)", true),
            ],
            panels: vec![Panel { targets: vec![target], place: (0, 0, 24, 8), ..Panel::default() }],
            span_s: 3_600,
            ..Dashboard::default()
        };
        let mut view = DashboardView::new(dashboard);
        view.chosen.options.insert("job".into(), vec!["a".into(), "b".into()]);
        view.chosen.options.insert("host".into(), vec!["x".into(), "y".into()]);
        assert_eq!((view.shown("job"), view.shown("host")), ("a".into(), "all".into()));
        view.next_value();
        assert_eq!(view.shown("job"), "b");
        assert!(!view.chosen.options.contains_key("host"), "its values are another question now");
        view.next_variable();
        view.chosen.options.insert("host".into(), vec!["x".into(), "y".into()]);
        view.next_value();
        assert_eq!(view.shown("host"), "x");
        let Some(Demand::Server { ask, .. }) = view.demand("prometheus:9090", &view.dashboard.panels[0].clone(), 0) else {
            panic!()
        };
        assert!(format!("{ask:?}").contains(r#"up{job=\"b\",i=~\"x\"}"#), "{ask:?}");
        view.next_value();
        view.next_value();
        assert_eq!(view.shown("host"), "all", "after the last one all");
        (0..12).for_each(|_| view.zoom(false));
        assert_eq!(view.span_s, 300);
    }
}
