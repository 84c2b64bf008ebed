//! Block devices: latency against its baseline is judged elsewhere; here are the figures of `iostat -x`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::DiskFacts;
use crate::model::unit::{bytes, count, short};
use crate::view::theme::Theme;
use crate::view::widgets::text::cut;
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
    let columns = fitting(usize::from(inside.width));
    let row = |cell: &dyn Fn(&Column) -> String, meaning| {
        // The name at the left, figures at the right.
        let text = |(n, c): (usize, &&Column)| match n {
            0 => format!("{:<1$}", cut(&cell(c), c.width - 1, theme), c.width),
            _ => format!("{:>1$}", cell(c), c.width),
        };
        Line::from(Span::styled(columns.iter().enumerate().map(text).collect::<String>(), theme.style(meaning)))
    };
    let mut rows = vec![row(&|c| c.name.to_owned(), Meaning::Muted)];
    rows.extend(disks.iter().map(|d| row(&|c| (c.cell)(d), if d.leaf { Meaning::Text } else { Meaning::Muted })));
    lines(&rows, theme, frame, inside);
}

/// A column of the table.
struct Column {
    name: &'static str,
    /// Cells.
    width: usize,
    /// Those with the highest go first where there is little room.
    spare: u8,
    cell: fn(&DiskFacts) -> String,
}

const COLUMNS: [Column; 9] = [
    Column {
        name: "device",
        width: 8,
        spare: 0,
        cell: |d| if d.leaf { d.name.shown().to_owned() } else { format!("({})", d.name) },
    },
    Column { name: "r/s", width: 6, spare: 4, cell: |d| count(d.reads_per_s.round()) },
    Column { name: "w/s", width: 6, spare: 4, cell: |d| count(d.writes_per_s.round()) },
    Column { name: "read/s", width: 10, spare: 5, cell: |d| bytes(d.read_bytes_per_s) },
    Column { name: "write/s", width: 10, spare: 5, cell: |d| bytes(d.write_bytes_per_s) },
    Column { name: "bytes/s", width: 10, spare: 3, cell: |d| bytes(d.read_bytes_per_s + d.write_bytes_per_s) },
    Column {
        name: "await",
        width: 9,
        spare: 0,
        cell: |d| d.await_ms.map_or_else(|| "-".to_owned(), |ms| format!("{} ms", short(ms))),
    },
    Column { name: "aqu", width: 5, spare: 2, cell: |d| short((d.queue * 100.0).round() / 100.0) },
    Column { name: "util", width: 6, spare: 1, cell: |d| format!("{:.0}%", d.util * 100.0) },
];

/// The columns that there is room for: reads and writes apart, or together.
fn fitting(width: usize) -> Vec<&'static Column> {
    let needs = |columns: &[&Column]| columns.iter().map(|c| c.width).sum::<usize>();
    let apart: Vec<&Column> = COLUMNS.iter().filter(|c| c.name != "bytes/s").collect();
    if needs(&apart) <= width {
        return apart;
    }
    let mut columns: Vec<&Column> = COLUMNS.iter().filter(|c| c.spare != 5).collect();
    while needs(&columns) > width && columns.len() > 1 {
        let most = columns.iter().map(|c| c.spare).max().unwrap_or(0);
        columns.retain(|c| c.spare != most);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_never_cut() {
        let names = |width| fitting(width).iter().map(|c| c.name).collect::<Vec<_>>().join(" ");
        assert_eq!(names(62), "device r/s w/s read/s write/s await aqu util");
        assert_eq!(names(50), "device r/s w/s bytes/s await aqu util");
        assert_eq!(names(38), "device bytes/s await aqu util");
        assert_eq!(names(28), "device await aqu util");
        assert_eq!(names(18), "device await");
    }
}
