//! The time axis: a cursor over the last five minutes, jumps from incident to incident; in a replay, and in what was kept, to any moment.

use crate::diagnose::{Mode, Picture};
use crate::model::history::{History, POINTS};

use super::{App, Effect, Overlay, Visit};

/// Seconds of a replay that a page is.
const PAGE_S: i64 = 60;

impl App {
    fn history(&self) -> Option<&History> {
        self.shown().map(|p| p.history.as_ref())
    }

    fn replays(&self) -> bool {
        self.picture.as_ref().is_some_and(|p| p.mode != Mode::Live)
    }

    /// A moment may lie in another session than the one that is shown.
    const fn across(&self) -> bool {
        self.visiting || self.of_kept
    }

    /// The cursor stays on its moment while new points come in; at the newest it goes with them.
    pub(super) fn keep_moment(&mut self, newer: &Picture) {
        let before = self.history().and_then(|h| h.at_ms.back().copied()).unwrap_or(i64::MAX);
        let came = newer.history.at_ms.iter().rev().take_while(|at| **at > before).count();
        if self.frozen.is_none()
            && let Some(Overlay::Time { back }) = self.overlays.last_mut()
            && *back > 0
        {
            *back = (*back + came).min(POINTS - 1);
        }
    }

    /// Opens the axis at the newest moment, or closes it.
    pub(super) fn time(&mut self) {
        self.push(Overlay::Time { back: 0 });
    }

    /// Moves the cursor by so many points, positive ones into the past.
    pub(super) fn move_time(&mut self, by: isize) {
        let kept = self.history().map_or(0, |h| h.at_ms.len()).clamp(1, POINTS) - 1;
        if let Some(Overlay::Time { back }) = self.overlays.last_mut() {
            *back = back.saturating_add_signed(by).min(kept);
        }
    }

    /// One point into the past; behind the oldest one into what was kept.
    pub(super) fn earlier(&mut self) -> Vec<Effect> {
        if self.at_the_oldest() {
            return self.beyond();
        }
        self.move_time(1);
        Vec::new()
    }

    /// A replay goes a minute back or on.
    pub(super) fn page_time(&mut self, pages: i64) -> Vec<Effect> {
        match self.picture.as_ref().filter(|_| self.replays()) {
            Some(picture) => {
                let to_ms = picture.at.wall_ms.saturating_add(pages * PAGE_S * 1000);
                let visit = Visit::Moment { at_ms: to_ms, later: pages > 0 };
                vec![if self.across() { Effect::Visit(visit) } else { Effect::Seek { to_ms } }]
            }
            None if pages < 0 && self.at_the_oldest() => self.beyond(),
            None => {
                self.move_time(if pages < 0 { PAGE_S as isize } else { -(PAGE_S as isize) });
                Vec::new()
            }
        }
    }

    fn at_the_oldest(&self) -> bool {
        let kept = self.history().map_or(0, |h| h.at_ms.len()).clamp(1, POINTS) - 1;
        matches!(self.overlays.last(), Some(Overlay::Time { back }) if *back >= kept)
    }

    /// Into what was kept before the history begins.
    fn beyond(&mut self) -> Vec<Effect> {
        let oldest = self.history().and_then(|h| h.at_ms.front().copied());
        match oldest.filter(|_| self.reaches_back && !self.replays()) {
            Some(oldest) => vec![Effect::Visit(Visit::Moment { at_ms: oldest.saturating_sub(PAGE_S * 1000), later: false })],
            None => Vec::new(),
        }
    }

    /// A replay goes to the moment under the cursor, a live screen to what was kept of it; without that back to now.
    pub(super) fn go_to_time(&mut self) -> Vec<Effect> {
        let Some(Overlay::Time { back }) = self.overlays.last().cloned() else { return Vec::new() };
        let at = self.history().and_then(|h| h.at_ms.iter().rev().nth(back).copied());
        self.overlays.pop();
        match at.filter(|_| back > 0) {
            Some(to_ms) if self.replays() => vec![Effect::Seek { to_ms }],
            Some(at_ms) if self.reaches_back => vec![Effect::Visit(Visit::Moment { at_ms, later: false })],
            _ => Vec::new(),
        }
    }

    /// The beginning of the incident before the cursor, or after it. A replay searches the whole recording.
    pub(super) fn incident(&mut self, later: bool) -> Vec<Effect> {
        if let Some(picture) = self.picture.as_ref().filter(|_| self.replays()) {
            let visit = Visit::Incident { at_ms: picture.at.wall_ms, later };
            return vec![if self.across() { Effect::Visit(visit) } else { Effect::Incident { later } }];
        }
        let Some(history) = self.history() else { return Vec::new() };
        let back = match self.overlays.last() {
            Some(Overlay::Time { back }) => *back,
            _ => 0,
        };
        let times: Vec<i64> = history.at_ms.iter().rev().copied().collect();
        let now = times.get(back).copied().unwrap_or(i64::MAX);
        let mut begins = history.incidents.iter().map(|i| i.since_ms);
        let found = if later { begins.find(|at| *at > now) } else { begins.rfind(|at| *at < now) };
        let Some(at) = found else {
            let oldest = times.last().copied().filter(|_| self.reaches_back && !later);
            if let Some(oldest) = oldest {
                return vec![Effect::Visit(Visit::Incident { at_ms: oldest, later })];
            }
            self.notice = Some(if later { "no later incident" } else { "no earlier incident in the history kept" }.into());
            return Vec::new();
        };
        let back = times.iter().position(|t| *t <= at).unwrap_or(times.len().saturating_sub(1));
        match self.overlays.last_mut() {
            Some(Overlay::Time { back: old }) => *old = back,
            _ => self.overlays.push(Overlay::Time { back }),
        }
        Vec::new()
    }
}
