//! The flowchart as one walks it: where one stands, what one answered by hand.

use crate::diagnose::chart::{AT_START, Answer, ByHand, Chart};
use crate::model::source::SourceKind;

use super::{App, Screen};

/// Where one stands in the chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartView {
    /// The branch and its question that were chosen; else those to which the way leads by itself.
    pub at: Option<(usize, usize)>,
    /// What was answered by hand, by the id of the question.
    pub by_hand: ByHand,
    /// The questions as a plain list.
    pub listed: bool,
    /// The evidence of a question is looked at: back leads to the chart again.
    pub left: bool,
}

impl App {
    /// The chart of what is shown, with what was answered by hand.
    #[must_use]
    pub fn flowchart(&self) -> Option<Chart> {
        Some(Chart::of(&self.shown()?.diagnosis, &self.chart.by_hand))
    }

    /// The branch and the question one stands at: those chosen, else the end of the live way.
    #[must_use]
    pub fn standing(&self, chart: &Chart) -> (usize, usize) {
        let (limb, node) = self.chart.at.unwrap_or_else(|| {
            let live = chart.live();
            (live, chart.limbs.get(live).and_then(|limb| limb.leaf).unwrap_or(0))
        });
        let limb = limb.min(chart.limbs.len().saturating_sub(1));
        (limb, node.min(chart.limbs.get(limb).map_or(0, |l| l.nodes.len().saturating_sub(1))))
    }

    /// To the chart: at the finding that the operator chose, else where the way leads.
    pub(super) fn go_to_chart(&mut self) {
        let chosen = self.finding().filter(|_| self.chosen).map(|f| f.key.clone());
        self.go(Screen::Diagnose);
        self.chart.at = chosen.and_then(|key| self.flowchart()?.place(&key));
    }

    /// To another branch: at the end of its way, or at its first question.
    pub(super) fn step_branch(&mut self, by: isize) {
        let Some(chart) = self.flowchart() else { return };
        let (limb, _) = self.standing(&chart);
        let limb = limb.saturating_add_signed(by).min(chart.limbs.len().saturating_sub(1));
        self.stand(&chart, limb, chart.limbs.get(limb).and_then(|l| l.leaf).unwrap_or(0));
    }

    /// To another question; in the list on into the next branch.
    pub(super) fn step_question(&mut self, by: isize) {
        let Some(chart) = self.flowchart() else { return };
        let (limb, node) = self.standing(&chart);
        let count = |limb: usize| chart.limbs.get(limb).map_or(0, |l| l.nodes.len());
        if !self.chart.listed {
            // The start stands above all branches.
            if by < 0 && node == 0 && limb != AT_START {
                return self.stand(&chart, AT_START, count(AT_START).saturating_sub(1));
            }
            if by > 0 && limb == AT_START && node + 1 >= count(AT_START) {
                let below = if chart.live() == AT_START { AT_START + 1 } else { chart.live() };
                return self.stand(&chart, below, 0);
            }
            return self.stand(&chart, limb, node.saturating_add_signed(by).min(count(limb).saturating_sub(1)));
        }
        let before: usize = (0..limb).map(count).sum();
        let all: usize = (0..chart.limbs.len()).map(count).sum();
        let mut place = (before + node).saturating_add_signed(by).min(all.saturating_sub(1));
        let mut limb = 0;
        while place >= count(limb) && limb + 1 < chart.limbs.len() {
            place -= count(limb);
            limb += 1;
        }
        self.stand(&chart, limb, place);
    }

    /// Stands there; the finding behind a yes is the one that is selected.
    fn stand(&mut self, chart: &Chart, limb: usize, node: usize) {
        self.chart.at = Some((limb, node));
        let finding = chart.limbs.get(limb).and_then(|l| l.nodes.get(node)?.finding.clone());
        if finding.is_some() {
            (self.selected, self.chosen) = (finding, true);
        }
    }

    /// Perftop's own answer, then yes, then no, then its own again.
    pub(super) fn answer_by_hand(&mut self) {
        let Some(chart) = self.flowchart() else { return };
        let (limb, node) = self.standing(&chart);
        let Some(id) = chart.limbs.get(limb).and_then(|l| l.nodes.get(node)).map(|n| n.question.id) else { return };
        self.chart.at = Some((limb, node));
        let next = match self.chart.by_hand.remove(id) {
            None => Some(Answer::Yes),
            Some(Answer::Yes) => Some(Answer::No),
            Some(Answer::No | Answer::Unknown) => None,
        };
        self.notice =
            Some(next.map_or_else(|| "answered by perftop again".into(), |a| format!("answered by hand: {}", a.word())));
        self.chart.by_hand.extend(next.map(|answer| (id, answer)));
    }

    /// From a question to its evidence: the finding behind it on Triage, else the screen that shows its figures.
    pub(super) fn open_question(&mut self) {
        let Some(chart) = self.flowchart() else { return };
        let (limb, node) = self.standing(&chart);
        self.stand(&chart, limb, node);
        let Some(limb) = chart.limbs.get(limb) else { return };
        match limb.branch.kind {
            _ if limb.nodes.get(node).is_some_and(|n| n.finding.is_some()) => self.go(Screen::Triage),
            SourceKind::Host => self.go(Screen::Host),
            kind => self.go_to_server(kind),
        }
        self.chart.left = self.screen != Screen::Diagnose;
    }
}
