//! Memory: what is available, what it is used for, what moves.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::unit::{bytes, count};
use crate::view::theme::Theme;
use crate::view::widgets::text::packed;
use crate::view::widgets::{bar, lines, titled};

/// ```text
/// ╭ Memory 62 % ─────────────────╮
/// │ ████████████        of 32 GiB │
/// │ available 12 GiB  cached 9 GiB│
/// │ swap 0 B of 0 B   in 0 out 0  │
/// ╰──────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let m = match &picture.facts.host.memory {
        Ok(memory) => memory,
        Err(lack) => {
            let inside = titled("Memory", "", theme, frame, area);
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[unknown], theme, frame, inside);
        }
    };
    let inside = titled(&format!("Memory {:.0} %", m.used * 100.0), &bytes(m.raw.total as f64), theme, frame, area);
    let or_unknown = |v: Option<u64>| v.map_or_else(|| "?".to_owned(), |v| bytes(v as f64));
    let rate = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| format!("{}/s", bytes(v)));
    let per_s = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| format!("{}/s", count(v)));
    let swap_used = m.raw.swap_total.zip(m.raw.swap_free).map(|(t, f)| t.saturating_sub(f));
    let width = usize::from(inside.width);
    let first = [
        format!("available {}", bytes(m.available_bytes as f64)),
        format!("cached {}", or_unknown(m.raw.cached)),
        format!("dirty {}", or_unknown(m.raw.dirty)),
        format!("swap {}", or_unknown(swap_used)),
    ];
    let second = [
        format!("swap in {}", rate(m.swap_in_bytes_per_s)),
        format!("out {}", rate(m.swap_out_bytes_per_s)),
        format!("refaults {}", rate(m.refault_bytes_per_s)),
        format!("major faults {}", per_s(m.major_faults_per_s)),
        format!("direct reclaim {}", per_s(m.direct_reclaims_per_s)),
        format!("OOM kills since boot {}", m.oom_kills_ever.map_or_else(|| "?".to_owned(), |n| n.to_string())),
    ];
    let line = |text: String, meaning| Line::from(Span::styled(text, theme.style(meaning)));
    let level = theme.level(m.used * 100.0, theme.targets.memory);
    let mut rows = vec![Line::from(Span::styled(bar(m.used, width, theme), level))];
    rows.extend(packed(&first, width).into_iter().map(|text| line(text, Meaning::Text)));
    rows.extend(packed(&second, width).into_iter().map(|text| line(text, Meaning::Muted)));
    lines(&rows, theme, frame, inside);
}
