//! The way through one branch of the flowchart: what was asked and is not so in a line, what is so in a box, the end in a heavy one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::config::Meaning;
use crate::detect::finding::Finding;
use crate::diagnose::Picture;
use crate::diagnose::chart::{Answer, Chart, Limb, Node, Verdict};
use crate::view::theme::Theme;
use crate::view::widgets::question::row;
use crate::view::widgets::text::{cut, fit, paragraph};
use crate::view::widgets::{borders, lines};

/// The column in which the way goes down.
pub const TRUNK: u16 = 3;

/// ```text
///    │  9 questions: no   Have we run out of process or thread ids? …
/// ╭──┴────────────────────────────────────────────────────────────────╮
/// │ Is one program taking the CPU from others?                    YES │
/// │ python3 (pid 4242) takes 1.7 of 2 CPUs; others wait 1.3 s/s       │
/// ╰──┬────────────────────────────────────────────────────────────────╯
///    │  2 questions: no   Is a program limited by its own work? …
/// ```
pub fn draw(
    app: &App,
    picture: &Picture,
    (chart, (limb_at, node_at)): (&Chart, (usize, usize)),
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let Some(limb) = chart.limbs.get(limb_at) else { return };
    let height = usize::from(area.height);
    let way = Way { app, picture, limb, node_at, theme, width: usize::from(area.width) };
    // Where there is room questions have lines of their own, those beside the one where one stands first.
    let folded = way.lines(0).0.len();
    let (mut all, (first, last)) = way.lines(height.saturating_sub(folded));
    if (limb.leaf.is_none() || limb.verdict == Verdict::Info)
        && let Some(end) = chart.end()
    {
        let text = paragraph(end, Meaning::Text, way.width.saturating_sub(4), theme);
        all.extend(way.boxed(text, theme.style(Meaning::Border), false, true));
    }
    // The question one stands at is in sight, whole.
    let from = if all.len() <= height {
        0
    } else {
        (last + 1).saturating_sub(height).max(first.saturating_sub(height / 3).min(all.len() - height))
    };
    let from = from.min(first);
    lines(&all[from.min(all.len())..], theme, frame, area);
}

struct Way<'a> {
    app: &'a App,
    picture: &'a Picture,
    limb: &'a Limb,
    node_at: usize,
    theme: &'a Theme,
    width: usize,
}

impl Way<'_> {
    /// All lines, and those of the question one stands at; of what is folded so many questions are unfolded.
    fn lines(&self, room: usize) -> (Vec<Line<'static>>, (usize, usize)) {
        if self.limb.verdict == Verdict::Absent {
            let kind = self.limb.branch.kind;
            let what = format!("no {} server was found here; name one: perftop --{} URL", kind.name(), kind.word());
            return (
                self.boxed(
                    paragraph(&what, Meaning::Muted, self.width.saturating_sub(4), self.theme),
                    self.theme.style(Meaning::Border),
                    false,
                    true,
                ),
                (0, 0),
            );
        }
        let nodes = &self.limb.nodes;
        let (mut all, mut here) = (Vec::new(), (0, 0));
        let folded = self.folded(room);
        let mut at = 0;
        while at < nodes.len() {
            let begin = all.len();
            let run = folded[at..].iter().take_while(|folded| **folded).count();
            if run > 0 {
                all.push(self.fold(&nodes[at..at + run]));
                at += run;
                continue;
            }
            let node = &nodes[at];
            let last = at + 1 == nodes.len();
            match node.answer {
                Answer::Yes => all.extend(self.yes(at, node, last)),
                _ => all.extend(self.passed(at, node, last && self.limb.leaf.is_some())),
            }
            if at == self.node_at {
                here = (begin, all.len().saturating_sub(1));
            }
            at += 1;
        }
        (all, here)
    }

    /// Which questions are folded: plain noes, but for the run in which one stands, and for so many that are nearest to that.
    fn folded(&self, room: usize) -> Vec<bool> {
        let nodes = &self.limb.nodes;
        let mut folded: Vec<bool> = nodes.iter().map(folds).collect();
        let stands = self.node_at.min(nodes.len().saturating_sub(1));
        if folded.get(stands).copied().unwrap_or(false) {
            let before = folded[..stands].iter().rev().take_while(|f| **f).count();
            let after = folded[stands..].iter().take_while(|f| **f).count();
            folded[stands - before..stands + after].fill(false);
        }
        let mut nearest: Vec<usize> = (0..nodes.len()).filter(|at| folded[*at]).collect();
        nearest.sort_by_key(|at| at.abs_diff(stands));
        nearest.iter().take(room).for_each(|at| folded[*at] = false);
        folded
    }

    fn trunk(&self) -> Span<'static> {
        Span::styled(format!("   {}", self.theme.pick("│", "|")), self.theme.style(Meaning::Border))
    }

    /// Questions that are answered with a plain no.
    fn fold(&self, run: &[Node]) -> Line<'static> {
        let count = if run.len() == 1 { "1 question: no".to_owned() } else { format!("{} questions: no", run.len()) };
        let mut names: Vec<&str> = run.iter().map(|n| n.question.text).collect();
        names.truncate(4);
        let line = Line::from(vec![
            self.trunk(),
            Span::styled(format!("  {} {count}   ", self.theme.pick("✓", "ok")), self.theme.style(Meaning::Good)),
            Span::styled(names.join(" "), self.theme.style(Meaning::Muted)),
        ]);
        fit(&line, self.width, self.theme)
    }

    /// One that is answered with no, or that nobody can answer.
    fn passed(&self, at: usize, node: &Node, last: bool) -> Vec<Line<'static>> {
        let here = at == self.node_at;
        let mut head = row(node, here, self.width.saturating_sub(5), self.theme);
        head.spans.insert(
            0,
            Span::styled(format!("   {}", self.theme.pick(if last { "╰" } else { "├" }, "+")), self.theme.style(Meaning::Border)),
        );
        let mut all = vec![head];
        let mut more = |text: String, meaning| {
            for mut line in paragraph(&format!("     {text}"), meaning, self.width.saturating_sub(5), self.theme) {
                // Behind the last one the way is at its end.
                line.spans.insert(0, if last { Span::raw("    ") } else { self.trunk() });
                all.push(line);
            }
        };
        if here || node.by_hand {
            more(node.because.clone(), Meaning::Muted);
        }
        if here {
            more(format!("check: {}", node.question.by_hand), Meaning::Accent);
        }
        all
    }

    fn finding(&self, node: &Node) -> Option<&Finding> {
        let key = node.finding.as_ref()?;
        self.picture.diagnosis.findings.iter().find(|f| f.key == *key)
    }

    /// One that is so: with its finding, and at the end of the way with what to do.
    fn yes(&self, at: usize, node: &Node, last: bool) -> Vec<Line<'static>> {
        let (here, inside) = (at == self.node_at, self.width.saturating_sub(4));
        let finding = self.finding(node);
        let end = self.limb.leaf == Some(at) && !node.symptom;
        let mut rows = vec![row(node, here, inside, self.theme)];
        let said = |meaning: Meaning, text: &str| paragraph(&format!("    {text}"), meaning, inside, self.theme);
        let meaning = if end { Meaning::Text } else { Meaning::Muted };
        rows.extend(said(meaning, &node.because));
        if let Some(cause) = finding.and_then(|f| f.explained_by.as_ref()) {
            let title =
                self.picture.diagnosis.findings.iter().find(|f| f.key == *cause).map_or(cause.as_str(), |f| f.title.as_str());
            rows.extend(said(Meaning::Info, &format!("a symptom of: {title}")));
        }
        if end && let Some(fix) = finding.and_then(|f| f.fixes.first()) {
            let key = self.app.key_of(crate::app::keymap::Action::CopyFix);
            let text = format!("    {} {}  ({key} copies it)", self.theme.pick("→", "->"), fix.title);
            rows.push(Line::from(Span::styled(cut(&text, inside, self.theme), self.theme.style(Meaning::Accent))));
            let command = format!("      {}", fix.command);
            rows.push(Line::from(Span::styled(cut(&command, inside, self.theme), self.theme.style(Meaning::Text))));
        }
        if here {
            rows.extend(said(Meaning::Accent, &format!("check: {}", node.question.by_hand)));
        }
        let style = match finding {
            Some(f) if !node.symptom => self.theme.severity(f.severity),
            Some(_) => self.theme.style(Meaning::Info),
            None => self.theme.style(Meaning::Accent),
        };
        self.boxed(rows, style, end, last)
    }

    /// A box on the trunk, which goes on below it unless it is the last.
    fn boxed(&self, rows: Vec<Line<'static>>, style: Style, heavy: bool, last: bool) -> Vec<Line<'static>> {
        let set = borders(heavy, self.theme);
        let (up, below) = if heavy { ("┷", "┯") } else { ("┴", "┬") };
        let bar = |left: &str, middle: &str, joint: &str, right: &str| {
            let before = middle.repeat(usize::from(TRUNK) - 1);
            let after = middle.repeat(self.width.saturating_sub(usize::from(TRUNK) + 2));
            Line::from(Span::styled(format!("{left}{before}{joint}{after}{right}"), style))
        };
        let joint = |glyph: &'static str| self.theme.pick(glyph, "+");
        let top = bar(set.top_left, set.horizontal_top, joint(up), set.top_right);
        let under = if last { set.horizontal_bottom } else { joint(below) };
        let bottom = bar(set.bottom_left, set.horizontal_bottom, under, set.bottom_right);
        let middle = rows.into_iter().map(|row| {
            let inside = self.width.saturating_sub(4);
            let mut line = fit(&row, inside, self.theme);
            let gap = inside.saturating_sub(line.width());
            line.spans.insert(0, Span::styled(format!("{} ", set.vertical_left), style));
            line.spans.push(Span::raw(" ".repeat(gap)));
            line.spans.push(Span::styled(format!(" {}", set.vertical_right), style));
            line
        });
        std::iter::once(top).chain(middle).chain([bottom]).collect()
    }
}

/// A plain no, by perftop itself.
fn folds(node: &Node) -> bool {
    node.answer == Answer::No && !node.by_hand
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn the_trunk_meets_the_boxes() {
        assert!("╭──┴".chars().position(|c| c == '┴') == Some(usize::from(TRUNK)));
        assert_eq!("   │".width(), usize::from(TRUNK) + 1);
    }
}
