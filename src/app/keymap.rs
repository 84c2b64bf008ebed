//! Keys as data: dispatch, footer and help come from this one list.

use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

pub use super::key::Key;

/// Where a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the screens")]
pub enum Context {
    Anywhere,
    Triage,
    Host,
    Server,
    Diagnose,
    Dashboard,
    Overlay,
    Time,
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
    Mute,
    Triage,
    Host,
    Server(SourceKind),
    Diagnose,
    BranchBefore,
    BranchAfter,
    AnswerByHand,
    ChartOrList,
    Fleet,
    Dashboards,
    NextVariable,
    NextValue,
    Report,
    CursorLeft,
    CursorRight,
    Plan,
    TryIndex,
    NextTab,
    TabBefore,
    NextServer,
    Cumulative,
    Filter,
    SortLeft,
    SortRight,
    SortReverse,
    Shape,
    KernelThreads,
    NextTheme,
    NextFix,
    Redraw,
    Suspend,
    Pause,
    Step,
    Slower,
    Faster,
    Weigh,
    Palette,
    Sockets,
    Cleared,
    TourNext,
    TourEnd,
    Messages,
    Time,
    Earlier,
    Later,
    IncidentBefore,
    IncidentAfter,
}

/// One row of the built-in list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// What `[keys]` of the configuration calls it.
    pub name: &'static str,
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
    name: &'static str,
    keys: &'static [Key],
    shown: &'static str,
    context: Context,
    action: Action,
    what: &'static str,
    footer: bool,
) -> Binding {
    Binding { name, keys, shown, context, action, what, footer }
}

use Action as A;
use Context as C;
use Key as K;

macro_rules! servers {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// A key for the screen of each kind of server.
        const SERVERS: &[Binding] = &[$(
            row(
                stringify!($folder),
                &[K::Char(super::$folder::SCREEN.key)],
                super::$folder::SCREEN.shown,
                C::Anywhere,
                A::Server(SourceKind::$Kind),
                super::$folder::SCREEN.word,
                true,
            ),
        )*];
    };
}

kinds!(servers);

/// All keys. The first row that fits wins.
pub fn bindings() -> impl Iterator<Item = &'static Binding> + Clone {
    FIRST.iter().chain(SERVERS).chain(REST)
}

const FIRST: &[Binding] = &[
    row("quit", &[K::Ctrl('c'), K::F(10)], "Ctrl-C F10", C::Anywhere, A::Quit, "quit at once", false),
    row("redraw", &[K::Ctrl('l')], "Ctrl-L", C::Anywhere, A::Redraw, "redraw", false),
    row("suspend", &[K::Ctrl('z')], "Ctrl-Z", C::Anywhere, A::Suspend, "suspend to the shell; fg resumes", false),
    row("triage", &[K::Char('1')], "1", C::Anywhere, A::Triage, "triage", true),
    row("host", &[K::Char('2')], "2", C::Anywhere, A::Host, "host", true),
];

/// All keys that follow those of servers.
const REST: &[Binding] = &[
    row("diagnose", &[K::Char('6')], "6", C::Anywhere, A::Diagnose, "diagnose", true),
    row("fleet", &[K::Char('7')], "7", C::Anywhere, A::Fleet, "fleet", true),
    row("dashboards", &[K::Char('8')], "8", C::Anywhere, A::Dashboards, "dashboards", false),
    row("branch_before", &[K::Left, K::Char('h')], "← h", C::Diagnose, A::BranchBefore, "branch to the left", false),
    row("branch_after", &[K::Right, K::Char('l')], "→ l", C::Diagnose, A::BranchAfter, "next branch", true),
    row("chart_or_list", &[K::Tab], "Tab", C::Diagnose, A::ChartOrList, "chart or list of all questions", true),
    row("answer_by_hand", &[K::Char('a')], "a", C::Diagnose, A::AnswerByHand, "answer by hand: yes, no, as perftop says", true),
    row("next_variable", &[K::Tab], "Tab", C::Dashboard, A::NextVariable, "next variable", true),
    row("next_value", &[K::Char('v')], "v", C::Dashboard, A::NextValue, "next value", true),
    row("board_report", &[K::Char('R')], "R", C::Dashboard, A::Report, "what was drawn and what was left out", false),
    row("cursor_left", &[K::Left, K::Char('h')], "← h", C::Dashboard, A::CursorLeft, "cursor to the left", false),
    row("cursor_right", &[K::Right, K::Char('l')], "→ l", C::Dashboard, A::CursorRight, "cursor to the right", false),
    row("up", &[K::Up, K::Char('k')], "↑ k", C::Anywhere, A::Up, "up", false),
    row("down", &[K::Down, K::Char('j')], "↓ j", C::Anywhere, A::Down, "down", false),
    row("page_up", &[K::PageUp, K::Ctrl('b')], "PgUp", C::Anywhere, A::PageUp, "page up", false),
    row("page_down", &[K::PageDown, K::Ctrl('f')], "PgDn", C::Anywhere, A::PageDown, "page down", false),
    row("top", &[K::Home], "Home gg", C::Anywhere, A::Top, "to the top", false),
    row("bottom", &[K::End, K::Char('G')], "End G", C::Anywhere, A::Bottom, "to the bottom", false),
    row("open", &[K::Enter], "⏎", C::Anywhere, A::Open, "open", true),
    row("filter", &[K::Char('/')], "/", C::Host, A::Filter, "filter", true),
    row(
        "sort_left",
        &[K::Char('<'), K::Left, K::Char('h')],
        "< ←",
        C::Host,
        A::SortLeft,
        "sort by the column to the left",
        false,
    ),
    row("sort_right", &[K::Char('>'), K::Right, K::Char('l')], "> →", C::Host, A::SortRight, "sort", true),
    row("sort_reverse", &[K::Char('r')], "r", C::Host, A::SortReverse, "reverse sort order", false),
    row("shape", &[K::Char('T')], "T", C::Host, A::Shape, "tree", true),
    row("kernel_threads", &[K::Char('K')], "K", C::Host, A::KernelThreads, "hide or show kernel threads", false),
    row("weigh", &[K::Char('b')], "b", C::Host, A::Weigh, "weight: foreground, background, automatic", false),
    row("pg_filter", &[K::Char('/')], "/", C::Server, A::Filter, "filter", true),
    row("next_tab", &[K::Tab, K::Right, K::Char('l')], "Tab →", C::Server, A::NextTab, "next tab", true),
    row("tab_before", &[K::Left, K::Char('h')], "← h", C::Server, A::TabBefore, "previous tab", false),
    row("pg_sort_left", &[K::Char('<')], "<", C::Server, A::SortLeft, "sort by the column to the left", false),
    row("pg_sort_right", &[K::Char('>')], ">", C::Server, A::SortRight, "sort by the column to the right", false),
    row("pg_reverse", &[K::Char('r')], "r", C::Server, A::SortReverse, "reverse sort order", false),
    row("cumulative", &[K::Char('a')], "a", C::Server, A::Cumulative, "toggle last interval / all time", false),
    row("next_server", &[K::Char('S')], "S", C::Server, A::NextServer, "next server", false),
    row("plan", &[K::Char('x')], "x", C::Anywhere, A::Plan, "query plan", true),
    row("try_index", &[K::Char('H')], "H", C::Overlay, A::TryIndex, "try the suggested index with HypoPG (not built)", false),
    row("copy_fix", &[K::Char('c')], "c", C::Anywhere, A::CopyFix, "copy fix", true),
    row("copy_view", &[K::Char('y')], "y", C::Anywhere, A::CopyView, "copy view: plain text to select", false),
    row("chat_line", &[K::Char('Y')], "Y", C::Anywhere, A::ChatLine, "copy a one-line summary for chat", false),
    row("provenance", &[K::Char('i')], "i", C::Anywhere, A::Provenance, "provenance", true),
    row("next_fix", &[K::Tab, K::Char('n')], "Tab n", C::Overlay, A::NextFix, "next fix", false),
    row("palette", &[K::Char(':')], ":", C::Anywhere, A::Palette, "palette: search all actions", false),
    row("sockets", &[K::Char('s')], "s", C::Anywhere, A::Sockets, "sockets: peers, listeners, ports", false),
    row("cleared", &[K::Char('v')], "v", C::Triage, A::Cleared, "what was ruled out", true),
    row("messages", &[K::Char('e')], "e", C::Anywhere, A::Messages, "events: kernel messages", false),
    row("time", &[K::Char('t')], "t", C::Anywhere, A::Time, "time", true),
    row("earlier", &[K::Left, K::Char('h')], "← h", C::Time, A::Earlier, "earlier", false),
    row("later", &[K::Right, K::Char('l')], "→ l", C::Time, A::Later, "later", false),
    row("incident_before", &[K::Char('[')], "[", C::Anywhere, A::IncidentBefore, "previous incident", false),
    row("incident_after", &[K::Char(']')], "]", C::Anywhere, A::IncidentAfter, "next incident", false),
    row("freeze", &[K::Char(' ')], "space", C::Anywhere, A::Freeze, "freeze", true),
    row("mute", &[K::Char('m')], "m", C::Anywhere, A::Mute, "mute for an hour with a reason, or unmute", false),
    row("record", &[K::Char('w')], "w", C::Anywhere, A::Record, "record to a file from now on, or stop", false),
    row("pause", &[K::Char('p')], "p", C::Anywhere, A::Pause, "replay: pause or resume", false),
    row("step", &[K::Char('.')], ".", C::Anywhere, A::Step, "replay: next tick", false),
    row("slower", &[K::Char('-')], "-", C::Anywhere, A::Slower, "replay: half speed; dashboard: twice as far back", false),
    row("faster", &[K::Char('+')], "+", C::Anywhere, A::Faster, "replay: double speed; dashboard: half as far back", false),
    row("tour_next", &[K::Char('N')], "N", C::Anywhere, A::TourNext, "demo: next step of the tour", false),
    row("tour_end", &[K::Char('X')], "X", C::Anywhere, A::TourEnd, "demo: end the tour", false),
    row("theme", &[K::Ctrl('t')], "Ctrl-T", C::Anywhere, A::NextTheme, "next theme: colours, light or dark", false),
    row("help", &[K::Char('?'), K::F(1)], "?", C::Anywhere, A::Help, "help", true),
    row("back", &[K::Esc], "Esc", C::Anywhere, A::Back, "back: what lies on top, the filter, the sorting, the screen", false),
    row("close", &[K::Char('q')], "q", C::Anywhere, A::Close, "back, quit", true),
];

/// The keys in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    rows: Vec<Row>,
}

/// One row of the keys in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The keys that do it.
    pub keys: Vec<Key>,
    /// How they are written.
    pub shown: String,
    /// The rest, as it is built in.
    pub binding: Binding,
}

impl Default for Keymap {
    fn default() -> Self {
        let row = |b: &Binding| Row { keys: b.keys.to_vec(), shown: b.shown.to_owned(), binding: *b };
        Self { rows: bindings().map(row).collect() }
    }
}

impl Keymap {
    /// The built-in list with the keys of some rows replaced: name and keys, as the configuration has them.
    ///
    /// # Errors
    /// The index of the entry that is wrong, and why.
    pub fn with(entries: &[(String, Vec<String>)]) -> Result<Self, (usize, String)> {
        let mut map = Self::default();
        for (index, (name, keys)) in entries.iter().enumerate() {
            let Some(row) = map.rows.iter_mut().find(|r| r.binding.name == name) else {
                let near = crate::config::nearest(name, bindings().map(|b| b.name));
                return Err((index, format!("unknown action `{name}` in [keys]{near}; `perftop config keys` lists them")));
            };
            row.keys.clear();
            for text in keys {
                let bad = || format!("`{name}`: unknown key `{text}`; write c, G, space, ctrl-f, F5, up, pgdn, enter etc.");
                row.keys.push(Key::parse(text).ok_or_else(|| (index, bad()))?);
            }
            if row.keys.contains(&K::Char('g')) {
                return Err((index, format!("`{name}`: g is the first half of gg, which always goes to the top")));
            }
            if row.keys.contains(&K::Ctrl('c')) && row.binding.action != A::Quit {
                return Err((index, format!("`{name}`: Ctrl-C always quits")));
            }
        }
        // What always works, whatever is configured.
        for row in map.rows.iter_mut().filter(|r| r.binding.action == A::Quit && !r.keys.contains(&K::Ctrl('c'))) {
            row.keys.push(K::Ctrl('c'));
        }
        let changed = |r: &&mut Row| entries.iter().any(|(name, _)| name == r.binding.name);
        for row in map.rows.iter_mut().filter(changed) {
            row.shown = row.keys.iter().map(|k| k.shown()).collect::<Vec<_>>().join(" ");
        }
        for (index, (name, _)) in entries.iter().enumerate() {
            if let Some(other) = map.taken(name) {
                return Err((index, format!("`{name}`: {other}")));
            }
        }
        Ok(map)
    }

    /// Which key of this action another one has already.
    fn taken(&self, name: &str) -> Option<String> {
        let row = self.rows.iter().find(|r| r.binding.name == name)?;
        let meets = |other: &Row| {
            let (a, b) = (row.binding.context, other.binding.context);
            a == b || a == C::Anywhere || b == C::Anywhere
        };
        self.rows.iter().filter(|r| r.binding != row.binding && meets(r)).find_map(|other| {
            let key = row.keys.iter().find(|k| other.keys.contains(k))?;
            Some(format!("key {} already belongs to `{}`; give that action another key as well", key.shown(), other.binding.name))
        })
    }

    /// All rows, in the order of the help.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The first of the keys that do it, as it is written.
    #[must_use]
    pub fn first(&self, action: Action) -> &str {
        let row = self.rows.iter().find(|r| r.binding.action == action);
        row.and_then(|r| r.shown.split(' ').next()).unwrap_or_default()
    }

    /// What a key does in a context. While a filter is typed only control keys act.
    #[must_use]
    pub fn action(&self, key: Key, context: Context) -> Option<Action> {
        let counts = |r: &&Row| {
            let typed = context == C::Editing && !matches!(key, K::Ctrl(_) | K::F(_));
            !typed && (r.binding.context == C::Anywhere || r.binding.context == context)
        };
        self.rows.iter().filter(counts).find(|r| r.keys.contains(&key)).map(|r| r.binding.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_in_a_context() {
        for context in [C::Triage, C::Host, C::Server, C::Diagnose, C::Dashboard, C::Overlay, C::Time] {
            let rows = || bindings().filter(|b| b.context == C::Anywhere || b.context == context);
            for (i, a) in rows().enumerate() {
                for b in rows().skip(i + 1) {
                    assert!(!a.keys.iter().any(|k| b.keys.contains(k)), "{} and {}", a.what, b.what);
                }
            }
        }
    }

    #[test]
    fn a_filter_takes_letters_and_ctrl_c_still_quits() {
        let map = Keymap::default();
        assert_eq!(map.action(K::Char('q'), C::Editing), None);
        assert_eq!(map.action(K::Ctrl('c'), C::Editing), Some(A::Quit));
    }

    #[test]
    fn keys_are_replaced_and_never_stand_twice() {
        let with = |name: &str, keys: &[&str]| Keymap::with(&[(name.to_owned(), keys.iter().map(|k| (*k).to_owned()).collect())]);
        let map = with("copy_fix", &["F5", "C"]).unwrap();
        assert_eq!(map.action(K::F(5), C::Triage), Some(A::CopyFix));
        assert_eq!(map.action(K::Char('c'), C::Triage), None);
        assert!(with("copy_fix", &["i"]).unwrap_err().1.contains("already belongs to `provenance`"));
        assert!(with("copy_fx", &["C"]).unwrap_err().1.contains("did you mean `copy_fix`?"));
        assert!(with("copy_fix", &["g"]).unwrap_err().1.contains("gg"));
        assert!(with("copy_fix", &["hyper-c"]).unwrap_err().1.contains("unknown key"));
        assert!(with("freeze", &["ctrl-c"]).unwrap_err().1.contains("always quits"));
        assert_eq!(with("quit", &["Q"]).unwrap().action(K::Ctrl('c'), C::Host), Some(A::Quit));
        // Two that swap their keys do not stand in each other's way.
        let swap = [("copy_fix", "i"), ("provenance", "c")].map(|(n, k)| (n.to_owned(), vec![k.to_owned()]));
        assert_eq!(Keymap::with(&swap).unwrap().action(K::Char('i'), C::Host), Some(A::CopyFix));
    }

    #[test]
    fn every_action_has_one_name() {
        for b in bindings() {
            assert_eq!(bindings().filter(|o| o.name == b.name).count(), 1, "{}", b.name);
        }
    }
}
