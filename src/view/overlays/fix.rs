//! The fix card: one fix, whole, with what it needs, what it risks and how to take it back.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::detect::finding::{Fix, Phase};
use crate::model::unit::{bytes, seconds};
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;

/// Draws fix number `index` of the selected finding.
pub fn draw(app: &App, index: usize, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let close = app.key_of(Action::Close);
    let text = format!("this finding no longer holds; {close} closes the card");
    let gone = || Line::from(Span::styled(text.clone(), theme.style(Meaning::Good)));
    let Some((finding, fix)) = app.finding().and_then(|f| Some((f, f.fixes.get(index)?))) else {
        let keys = format!("{close} close");
        return super::boxed::fitting(("Fix", &keys), 100, |_| vec![gone()], (theme, 0), frame, area);
    };
    let count = finding.fixes.len();
    let keys = format!("{} copy · {} next · {close} close", app.key_of(Action::CopyFix), app.key_of(Action::NextFix));
    let title = format!("Fix {} of {count}", index + 1);
    super::boxed::fitting((&title, &keys), 100, |width| rows(fix, width, theme), (theme, scroll), frame, area);
}

fn rows(fix: &Fix, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let phase = if fix.phase == Phase::Relief { "RELIEF" } else { "CURE" };
    let mut rows =
        vec![Line::from(Span::styled(format!("{phase}: {}", fix.title), theme.style(Meaning::Title))), Line::default()];
    let mut put = |label: &str, text: &str, meaning: Meaning| {
        for (i, part) in wrap(text, width.saturating_sub(11)).into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            rows.push(Line::from(vec![
                Span::styled(format!("{label:<10} "), theme.style(Meaning::Muted)),
                Span::styled(part, theme.style(meaning)),
            ]));
        }
    };
    put("run on", &fix.target, Meaning::Text);
    put("command", &fix.command, Meaning::Accent);
    if let Some(undo) = &fix.undo {
        put("undo", undo, Meaning::Accent);
    }
    put("risk", &fix.risk, Meaning::Warning);
    put("needs", &fix.needs, Meaning::Text);
    if let Some(s) = fix.takes_s {
        put("takes", &seconds(s), Meaning::Text);
    }
    if let Some(b) = fix.needs_bytes {
        put("space", &bytes(b as f64), Meaning::Text);
    }
    for p in &fix.preflight {
        let (sign, meaning) =
            if p.ok { (theme.pick("✔", "ok"), Meaning::Good) } else { (theme.pick("✖", "X"), Meaning::Warning) };
        put("check", &format!("{sign} {}", p.what), meaning);
    }
    put("verify", &fix.verify, Meaning::Accent);
    if let Some(language) = fix.verify_in() {
        put("", &format!("(run it as {language})"), Meaning::Muted);
    }
    rows
}
