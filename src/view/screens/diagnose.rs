//! Diagnose (6): the flowchart. A start, a box for each branch with what it costs, and the way through the chosen one; or all questions as a
//! list.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::diagnose::chart::{AT_START, Answer, Chart, Limb, Verdict};
use crate::model::unit::short;
use crate::view::panels;
use crate::view::panels::way::TRUNK;
use crate::view::theme::Theme;
use crate::view::widgets::question::{colour, row};
use crate::view::widgets::text::paragraph;
use crate::view::widgets::{borders, lines, titled};

/// Rows of the box of a branch.
const BOX: u16 = 4;

/// ```text
/// ╭ Start ────────────────────────────────────────────────────────────────────╮
/// │ Does anyone lose time?  yes: 4.2 of 5.5 s/s are waits                      │
/// ╰─────┬───────────┬────────────┬────────────┬───────────┬───────────┬───────╯
/// ┏━━━━━┷━━━━┓╭─────┴─────╮╭─────┴─────╮╭─────┴─────╮╭────┴──────╮╭────┴─────╮
/// ┃ CPU      ┃│ Memory    ││ IO & disk ││ Network   ││ Database  ││ Cache    │
/// ┃ ✖ 4.2 s/s┃│ ✓ clear   ││ ▸ symptom ││ ✓ clear   ││ – none    ││ – none   │
/// ┗━━━━━┯━━━━┛╰───────────╯╰───────────╯╰───────────╯╰───────────╯╰──────────╯
///    ╭──╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(chart) = app.flowchart() else { return };
    let at = app.standing(&chart);
    if app.chart.listed || area.height < 14 || area.width < 60 {
        return list(&chart, at, theme, frame, area);
    }
    let start = Rect { height: 3.min(area.height), ..area };
    begin(&chart, at.0 == AT_START, theme, frame, start);
    let boxes = places(&chart, Rect { y: area.y + 3, height: BOX, ..area });
    for (n, (limb, place)) in chart.branches().iter().zip(&boxes).enumerate() {
        let chosen = n + 1 == at.0;
        branch(limb, chosen, theme, frame, *place);
        let centre = place.x + place.width / 2;
        let live = limb.verdict == Verdict::Cause;
        put(frame, centre, start.y + 2, theme.pick("┬", "+"), theme.style(Meaning::Border));
        put(frame, centre, place.y, theme.pick(if live { "┷" } else { "┴" }, "+"), edge(limb, chosen, theme));
    }
    let below = Rect { y: area.y + 3 + BOX, height: area.height - 3 - BOX, ..area };
    // From the start itself the way goes on below all boxes.
    if let Some((place, limb)) = at.0.checked_sub(1).and_then(|n| Some((boxes.get(n)?, chart.branches().get(n)?))) {
        down(limb, *place, below, theme, frame);
    }
    let rest = Rect { y: below.y + 1, height: below.height.saturating_sub(1), ..below };
    panels::way::draw(app, picture, (&chart, at), theme, frame, rest);
}

/// Where the box of each branch stands.
#[must_use]
pub fn places(chart: &Chart, area: Rect) -> Vec<Rect> {
    let count = chart.branches().len().max(1) as u16;
    let width = area.width / count;
    let wider = area.width % count;
    let at = |n: u16| n * width + n.min(wider);
    (0..count).map(|n| Rect { x: area.x + at(n), width: at(n + 1) - at(n), ..area }).collect()
}

fn put(frame: &mut Frame<'_>, x: u16, y: u16, symbol: &str, style: Style) {
    if let Some(cell) = frame.buffer_mut().cell_mut((x, y)) {
        cell.set_symbol(symbol).set_style(style);
    }
}

fn begin(chart: &Chart, chosen: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Start", "Tab list · a answer by hand · ⏎ evidence", theme, frame, area);
    let (lost, all) = chart.losing;
    let loses = match chart.loses {
        Answer::Yes => format!("yes: {} of {} s/s are waits", short(lost), short(all)),
        Answer::No => format!("no: {} of {} s/s are waits", short(lost), short(all)),
        Answer::Unknown => "unknown: not all of it can be seen".to_owned(),
    };
    let mut spans = vec![
        Span::styled(if chosen { theme.pick("▸", ">") } else { " " }, theme.style(Meaning::Accent)),
        Span::styled("Does anyone lose time? ", theme.style(Meaning::Text)),
        Span::styled(loses, theme.style(colour(chart.loses))),
    ];
    for node in chart.start().filter(|n| n.answer == Answer::Yes) {
        spans.push(Span::styled(format!("   {} ", node.question.text), theme.style(Meaning::Text)));
        spans.push(Span::styled(format!("yes: {}", node.because), theme.style(Meaning::Warning)));
    }
    lines(&[Line::from(spans)], theme, frame, inside);
}

fn edge(limb: &Limb, chosen: bool, theme: &Theme) -> Style {
    match limb.verdict {
        Verdict::Cause => theme.style(Meaning::Critical),
        Verdict::AlsoCause => theme.style(Meaning::Warning),
        _ if chosen => theme.style(Meaning::Accent),
        _ => theme.style(Meaning::Border),
    }
}

fn says(limb: &Limb, theme: &Theme) -> (String, Meaning) {
    let figure = |s: f64| if s >= 0.005 { format!("{} s/s", short(s)) } else { "found".to_owned() };
    match limb.verdict {
        Verdict::Cause => (format!("{} {}", theme.pick("✖", "X"), figure(limb.lost)), Meaning::Critical),
        Verdict::AlsoCause => (format!("{} {}", theme.pick("▲", "!"), figure(limb.lost)), Meaning::Warning),
        Verdict::Symptom => (format!("{} symptom", theme.pick("▸", ">")), Meaning::Info),
        Verdict::Info if limb.lost >= 0.005 => (format!("i {}", figure(limb.lost)), Meaning::Info),
        Verdict::Info => ("i found".to_owned(), Meaning::Info),
        Verdict::Unknown => {
            let unknown = limb.nodes.iter().filter(|n| n.answer == Answer::Unknown).count();
            (format!("? {unknown} unknown"), Meaning::Unknown)
        }
        Verdict::Clear => (format!("{} clear", theme.pick("✓", "ok")), Meaning::Good),
        Verdict::Absent => (format!("{} none", theme.pick("–", "-")), Meaning::Muted),
    }
}

fn branch(limb: &Limb, chosen: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    use ratatui::widgets::Block;
    let set = borders(limb.verdict == Verdict::Cause, theme);
    let block = Block::bordered().border_set(set).border_style(edge(limb, chosen, theme));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let (word, meaning) = says(limb, theme);
    let room = usize::from(inside.width);
    let word = if limb.verdict == Verdict::Unknown && word.width() >= room { "? unknown".to_owned() } else { word };
    let word = format!(" {word}");
    let name = if chosen { Meaning::Title } else { Meaning::Text };
    let second = vec![Span::styled(word, theme.style(meaning))];
    let head = Line::from(Span::styled(format!(" {}", limb.branch.name), theme.style(name)));
    lines(&[head, Line::from(second)], theme, frame, inside);
}

/// From the chosen box down to the trunk of its way.
fn down(limb: &Limb, place: Rect, below: Rect, theme: &Theme, frame: &mut Frame<'_>) {
    let style = edge(limb, true, theme);
    let (centre, trunk) = (place.x + place.width / 2, below.x + TRUNK);
    let live = limb.verdict == Verdict::Cause;
    put(frame, centre, place.bottom() - 1, theme.pick(if live { "┯" } else { "┬" }, "+"), style);
    for x in trunk.min(centre)..=trunk.max(centre) {
        let symbol = match x {
            _ if trunk == centre => theme.pick("│", "|"),
            x if x == trunk => theme.pick("╭", "+"),
            x if x == centre => theme.pick("╯", "+"),
            _ => theme.pick("─", "-"),
        };
        put(frame, x, below.y, symbol, style);
    }
}

/// All questions, one after the other: the branch, the question, the answer, and the reason where it is not a plain no.
fn list(chart: &Chart, (limb_at, node_at): (usize, usize), theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("All questions", "Tab chart", theme, frame, area);
    let width = usize::from(inside.width);
    let (mut all, mut cursor) = (Vec::new(), 0);
    for (l, limb) in chart.limbs.iter().enumerate() {
        let (word, meaning) = says(limb, theme);
        all.push(Line::from(vec![
            Span::styled(format!(" {}  ", limb.branch.name), theme.style(Meaning::Title)),
            Span::styled(word, theme.style(meaning)),
        ]));
        let asked = limb.nodes.iter().enumerate().filter(|_| limb.verdict != Verdict::Absent || l == limb_at);
        for (n, node) in asked {
            let here = (l, n) == (limb_at, node_at);
            if here {
                cursor = all.len();
            }
            all.push(row(node, here, width, theme));
            if node.answer != Answer::No || here {
                all.extend(paragraph(&format!("      {}", node.because), Meaning::Muted, width, theme));
            }
            if node.answer == Answer::Unknown || here {
                all.extend(paragraph(&format!("      check: {}", node.question.by_hand), Meaning::Accent, width, theme));
            }
        }
    }
    let height = usize::from(inside.height);
    let first = cursor.saturating_sub(height / 2).min(all.len().saturating_sub(height));
    lines(&all[first.min(all.len())..], theme, frame, inside);
}
