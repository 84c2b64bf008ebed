//! Block devices: latency against its baseline is judged elsewhere; here are the figures of `iostat -x`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::unit::{bytes, count, short};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Disks ─────────────────────────────────────────╮
/// │ device    r/s   w/s   read/s  write/s await aqu util│
/// │ vda       12k   300  1.2 GiB  40 MiB   21ms 240  97 │
/// ╰────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Disks", "", theme, frame, area);
    let disks = match &picture.facts.host.disks {
        Ok(disks) => disks,
        Err(lack) => {
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[unknown], theme, frame, inside);
        }
    };
    let wide = inside.width >= 62;
    let heading = if wide {
        "device     r/s   w/s     read/s    write/s  await   aqu util"
    } else {
        "device IO/s  bytes/s   await  aqu util"
    };
    let mut rows = vec![Line::from(Span::styled(heading, theme.style(Meaning::Muted)))];
    for d in disks {
        let ms = d.await_ms.map_or_else(|| "-".to_owned(), |ms| format!("{} ms", short(ms)));
        let name = if d.leaf { d.name.shown().to_owned() } else { format!("({})", d.name) };
        let queue = format!("{:>5}{:>4.0}%", short(d.queue), d.util * 100.0);
        let text = if wide {
            format!(
                "{name:<8}{:>6}{:>6}{:>11}{:>11}{ms:>9}{queue}",
                count(d.reads_per_s.round()),
                count(d.writes_per_s.round()),
                bytes(d.read_bytes_per_s),
                bytes(d.write_bytes_per_s)
            )
        } else {
            format!(
                "{name:<6}{:>5}{:>9}{ms:>8}{queue}",
                count((d.reads_per_s + d.writes_per_s).round()),
                bytes(d.read_bytes_per_s + d.write_bytes_per_s)
            )
        };
        let meaning = if d.leaf { Meaning::Text } else { Meaning::Muted };
        rows.push(Line::from(Span::styled(text, theme.style(meaning))));
    }
    lines(&rows, theme, frame, inside);
}
