//! Where things stand at each size; panels drop by priority.

use ratatui::layout::{Constraint, Layout, Rect};

/// Header, body, footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by their places")]
pub struct FrameRows {
    pub header: Rect,
    pub body: Rect,
    pub tour: Rect,
    pub footer: Rect,
}

/// Splits the screen, with so many rows for a tour. Below four rows only the body is left.
#[must_use]
pub fn frame(area: Rect, tour: u16) -> FrameRows {
    let (top, bottom) = match area.height {
        0..=3 => (0, 0),
        4..=7 => (1, 0),
        _ => (1, 1),
    };
    let lengths = [Constraint::Length(top), Constraint::Min(0), Constraint::Length(tour), Constraint::Length(bottom)];
    let [header, body, tour, footer] = Layout::vertical(lengths).areas(area);
    FrameRows { header, body, tour, footer }
}

/// The triage screen's panels; those that do not fit have no area.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the panels")]
pub struct Triage {
    pub verdict: Rect,
    pub spent: Rect,
    pub causes: Rect,
    /// Why and fix together.
    pub right: Rect,
    pub why: Rect,
    pub fix: Rect,
    pub gauges: Rect,
}

/// Priority: verdict, causes, why, fix, where the time goes, gauges. Only the size decides, so that nothing jumps.
#[must_use]
pub fn triage(area: Rect) -> Triage {
    let mut t = Triage::default();
    if area.height < 6 {
        t.verdict = area;
        return t;
    }
    let verdict = if area.height >= 14 { 5 } else { 3 };
    let spent = match area.height {
        0..=15 => 0,
        16..=25 => 2,
        26..=33 => 4,
        34..=47 => 9,
        _ => 13,
    };
    let gauges = match area.height {
        0..=25 => 0,
        26..=33 => 1,
        _ => 5,
    };
    let lengths = [verdict, spent].map(Constraint::Length);
    let [verdict, spent, middle, low] =
        Layout::vertical([lengths[0], lengths[1], Constraint::Min(3), Constraint::Length(gauges)]).areas(area);
    (t.verdict, t.spent, t.gauges) = (verdict, spent, low);
    if area.width >= 100 {
        [t.causes, t.right] = Layout::horizontal([Constraint::Percentage(46), Constraint::Min(0)]).areas(middle);
        if middle.height >= 12 {
            [t.why, t.fix] = Layout::vertical([Constraint::Min(0), Constraint::Percentage(42)]).areas(t.right);
        } else {
            t.why = t.right;
        }
    } else if middle.height >= 14 {
        [t.causes, t.why, t.fix] =
            Layout::vertical([Constraint::Length(5), Constraint::Min(0), Constraint::Length(5)]).areas(middle);
        t.right = t.why.union(t.fix);
    } else if middle.height >= 10 {
        [t.causes, t.why] = Layout::vertical([Constraint::Percentage(50), Constraint::Min(0)]).areas(middle);
    } else {
        t.causes = middle;
    }
    t
}

/// The host screen's panels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the panels")]
pub struct Host {
    pub cpu: Rect,
    pub memory: Rect,
    pub pressure: Rect,
    pub disks: Rect,
    pub network: Rect,
    pub peers: Rect,
    pub cgroups: Rect,
    pub filesystems: Rect,
    pub processes: Rect,
}

/// Processes always; the figures above them by priority.
#[must_use]
pub fn host(area: Rect) -> Host {
    let mut h = Host::default();
    if area.height < 14 || area.width < 60 {
        h.processes = area;
        return h;
    }
    let wide = area.width >= 100;
    let second = if area.height >= 26 { if area.height >= 45 { 9 } else { 6 } } else { 0 };
    let first = if area.height >= 45 { 9 } else { 7 };
    let [top, low, table] =
        Layout::vertical([Constraint::Length(first), Constraint::Length(second), Constraint::Min(5)]).areas(area);
    h.processes = table;
    if wide {
        [h.cpu, h.memory, h.pressure, h.disks] = Layout::horizontal([
            Constraint::Percentage(24),
            Constraint::Percentage(21),
            Constraint::Percentage(20),
            Constraint::Min(0),
        ])
        .areas(top);
        if second > 0 {
            [h.network, h.peers, h.filesystems, h.cgroups] = Layout::horizontal([
                Constraint::Percentage(24),
                Constraint::Percentage(34),
                Constraint::Percentage(20),
                Constraint::Min(0),
            ])
            .areas(low);
        }
    } else {
        [h.cpu, h.memory, h.disks] =
            Layout::horizontal([Constraint::Percentage(32), Constraint::Percentage(30), Constraint::Min(0)]).areas(top);
        if second > 0 {
            [h.network, h.peers] = Layout::horizontal([Constraint::Percentage(42), Constraint::Min(0)]).areas(low);
        }
    }
    h
}

/// A box in the middle of `area`.
#[must_use]
pub fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
