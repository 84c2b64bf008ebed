//! File systems by how full they are for ordinary users.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::unit::{bytes, count};
use crate::view::theme::Theme;
use crate::view::widgets::text::cut;
use crate::view::widgets::{lines, titled};

/// Cells of a name at least, and of how full it is.
const LEAST_NAME: usize = 10;
const USED: usize = 6;

/// ```text
/// ╭ File systems ──────────────╮
/// │ /          69 %  78 GiB free│
/// ╰────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let files = picture.facts.host.files.as_ref().map_or_else(|_| "?".to_owned(), |f| count(f.allocated as f64));
    let inside = titled("File systems", &format!("{files} files open"), theme, frame, area);
    let width = usize::from(inside.width);
    let mounts = match &picture.facts.host.filesystems {
        Ok(mounts) => mounts,
        Err(lack) => {
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[unknown], theme, frame, inside);
        }
    };
    let mut rows: Vec<(f64, Line<'_>)> = mounts
        .iter()
        .map(|fs| match &fs.space {
            Ok(s) => {
                let used = 100.0 * s.used();
                // What is free gives way to the name.
                let free = format!("{:>9}", bytes(s.available_bytes as f64));
                let free = if width >= LEAST_NAME + USED + free.len() { free } else { String::new() };
                let room = width.saturating_sub(USED + free.len()).min(24);
                let name = cut(fs.mount.shown(), room, theme);
                let text = format!("{name:<room$} {used:>3.0} %{free}");
                (used, Line::from(Span::styled(text, theme.level(used, theme.targets.disk))))
            }
            Err(lack) => (200.0, Line::from(Span::styled(format!("{} ? {lack}", fs.mount), theme.style(Meaning::Unknown)))),
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    lines(&rows.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), theme, frame, inside);
}
