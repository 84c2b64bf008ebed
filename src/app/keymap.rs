//! Keys as data: dispatch, footer and help come from this one list.

/// A key as the terminal sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by what is printed on them")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Esc,
    Backspace,
    Tab,
    F(u8),
}

/// Where a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the screens")]
pub enum Context {
    Anywhere,
    Triage,
    Host,
    Diagnose,
    Overlay,
    Editing,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each row of the list says what it does")]
pub enum Action {
    Quit,
    Back,
    Close,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    CopyFix,
    CopyView,
    ChatLine,
    Provenance,
    Help,
    Freeze,
    Record,
    Triage,
    Host,
    Diagnose,
    Filter,
    SortLeft,
    SortRight,
    SortReverse,
    NextFix,
    Redraw,
    Suspend,
    Pause,
    Step,
    Slower,
    Faster,
    Weigh,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// How they are written.
    pub shown: &'static str,
    /// Where they count.
    pub context: Context,
    /// What they do.
    pub action: Action,
    /// In words.
    pub what: &'static str,
    /// Stands in the footer.
    pub footer: bool,
}

const fn row(
    keys: &'static [Key],
    shown: &'static str,
    context: Context,
    action: Action,
    what: &'static str,
    footer: bool,
) -> Binding {
    Binding { keys, shown, context, action, what, footer }
}

use Action as A;
use Context as C;
use Key as K;

/// All keys. The first row that fits wins.
pub const KEYMAP: &[Binding] = &[
    row(&[K::Ctrl('c')], "Ctrl-C", C::Anywhere, A::Quit, "quit at once", false),
    row(&[K::F(10)], "F10", C::Anywhere, A::Quit, "quit at once", false),
    row(&[K::Ctrl('l')], "Ctrl-L", C::Anywhere, A::Redraw, "draw everything anew", false),
    row(&[K::Ctrl('z')], "Ctrl-Z", C::Anywhere, A::Suspend, "to the shell; fg comes back", false),
    row(&[K::Char('1')], "1", C::Anywhere, A::Triage, "triage", true),
    row(&[K::Char('2')], "2", C::Anywhere, A::Host, "host", true),
    row(&[K::Char('6')], "6", C::Anywhere, A::Diagnose, "diagnose", true),
    row(&[K::Up, K::Char('k')], "↑ k", C::Anywhere, A::Up, "up", false),
    row(&[K::Down, K::Char('j')], "↓ j", C::Anywhere, A::Down, "down", false),
    row(&[K::PageUp, K::Ctrl('b')], "PgUp", C::Anywhere, A::PageUp, "a page up", false),
    row(&[K::PageDown, K::Ctrl('f')], "PgDn", C::Anywhere, A::PageDown, "a page down", false),
    row(&[K::Home], "Home gg", C::Anywhere, A::Top, "to the top", false),
    row(&[K::End, K::Char('G')], "End G", C::Anywhere, A::Bottom, "to the bottom", false),
    row(&[K::Enter], "⏎", C::Anywhere, A::Open, "open", true),
    row(&[K::Char('/')], "/", C::Host, A::Filter, "filter", true),
    row(&[K::Char('<'), K::Left, K::Char('h')], "< ←", C::Host, A::SortLeft, "sort by the column to the left", false),
    row(&[K::Char('>'), K::Right, K::Char('l')], "> →", C::Host, A::SortRight, "sort", true),
    row(&[K::Char('r')], "r", C::Host, A::SortReverse, "reverse the order", false),
    row(&[K::Char('b')], "b", C::Host, A::Weigh, "weigh the process: foreground, background, as judged", false),
    row(&[K::Char('c')], "c", C::Anywhere, A::CopyFix, "copy fix", true),
    row(&[K::Char('y')], "y", C::Anywhere, A::CopyView, "copy view: the raw text", false),
    row(&[K::Char('Y')], "Y", C::Anywhere, A::ChatLine, "copy one line for the chat", false),
    row(&[K::Char('i')], "i", C::Anywhere, A::Provenance, "provenance", true),
    row(&[K::Tab, K::Char('n')], "Tab n", C::Overlay, A::NextFix, "next fix", false),
    row(&[K::Char(' ')], "space", C::Anywhere, A::Freeze, "freeze", true),
    row(&[K::Char('w')], "w", C::Anywhere, A::Record, "write the incident: record from here on, or end it", false),
    row(&[K::Char('p')], "p", C::Anywhere, A::Pause, "replay: pause or go on", false),
    row(&[K::Char('.')], ".", C::Anywhere, A::Step, "replay: one tick on", false),
    row(&[K::Char('-')], "-", C::Anywhere, A::Slower, "replay: half the speed", false),
    row(&[K::Char('+')], "+", C::Anywhere, A::Faster, "replay: twice the speed", false),
    row(&[K::Char('?'), K::F(1)], "?", C::Anywhere, A::Help, "help", true),
    row(&[K::Esc], "Esc", C::Anywhere, A::Back, "back", false),
    row(&[K::Char('q')], "q", C::Anywhere, A::Close, "back, quit", true),
];

/// What a key does in a context. While a filter is typed only control keys act.
#[must_use]
pub fn action(key: Key, context: Context) -> Option<Action> {
    let counts = |b: &&Binding| {
        let typed = context == C::Editing && !matches!(key, K::Ctrl(_) | K::F(_));
        !typed && (b.context == C::Anywhere || b.context == context)
    };
    KEYMAP.iter().filter(counts).find(|b| b.keys.contains(&key)).map(|b| b.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_in_a_context() {
        for context in [C::Triage, C::Host, C::Diagnose, C::Overlay] {
            let rows = || KEYMAP.iter().filter(|b| b.context == C::Anywhere || b.context == context);
            for (i, a) in rows().enumerate() {
                for b in rows().skip(i + 1) {
                    assert!(!a.keys.iter().any(|k| b.keys.contains(k)), "{} and {}", a.what, b.what);
                }
            }
        }
    }

    #[test]
    fn a_filter_takes_letters_and_ctrl_c_still_quits() {
        assert_eq!(action(K::Char('q'), C::Editing), None);
        assert_eq!(action(K::Ctrl('c'), C::Editing), Some(A::Quit));
    }
}
