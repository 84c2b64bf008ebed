//! The state of the screen: what is selected, what lies on top, what is asked for. Pure: keys and pictures in,
//! effects out. What never lives here: drawing, channels, the terminal.

mod axis;
mod back;
mod boards;
mod chart;
mod copying;
pub mod filter;
pub mod input;
mod key;
pub mod keymap;
mod message;
mod more;
mod muting;
mod notice;
mod palette;
mod past;
mod pasted;
mod pointer;
mod postgres;
pub mod processes;
pub mod prometheus;
pub mod query;
mod recording;
pub mod redis;
mod servers;
pub mod tables;
pub mod target;
mod tour;
mod update;

use std::sync::Arc;

use crate::detect::command::Language;
use crate::detect::finding::{Evidence, Finding, Fix};
use crate::diagnose::{Picture, Recording};
use crate::model::counter::Stamp;
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::source::SourceKind;

pub use self::boards::DashboardView;
pub use self::chart::ChartView;
use self::input::Input;
use self::keymap::{Context, Keymap};
pub use self::message::{Effect, Msg, Visit};
pub use self::past::Journal;
use self::processes::ProcessView;
use self::tables::ServerView;
pub use self::tour::{Incident, Tour};

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// Causes, ranked.
    Triage,
    /// Figures of the host.
    Host,
    /// The servers of a kind.
    Server(SourceKind),
    /// The flowchart.
    Diagnose,
    /// A dashboard.
    Dashboard,
}

impl Screen {
    /// Which keys count on it.
    #[must_use]
    pub const fn context(self) -> Context {
        match self {
            Self::Triage => Context::Triage,
            Self::Host => Context::Host,
            Self::Server(_) => Context::Server,
            Self::Diagnose => Context::Diagnose,
            Self::Dashboard => Context::Dashboard,
        }
    }
}

/// What lies on top, last on top of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// Keys; on a finding its page as well.
    Help {
        /// First line shown.
        scroll: usize,
    },
    /// One fix, whole.
    Fix {
        /// Which of the selected finding.
        index: usize,
        /// First line shown.
        scroll: usize,
    },
    /// One process.
    Process {
        /// Who.
        id: ProcId,
    },
    /// Where the figures come from.
    Provenance {
        /// First line shown.
        scroll: usize,
    },
    /// All actions, narrowed by words.
    Palette {
        /// What was typed.
        input: Input,
        /// The chosen row.
        index: usize,
    },
    /// Every peer and listener.
    Sockets {
        /// First line shown.
        scroll: usize,
    },
    /// What was ruled out.
    Cleared {
        /// First line shown.
        scroll: usize,
    },
    /// What the kernel said.
    Messages {
        /// First line shown.
        scroll: usize,
    },
    /// One query.
    Query {
        /// Source id of its server.
        source: String,
        /// Its id.
        query: i64,
        /// First line shown.
        scroll: usize,
    },
    /// A row of a server's table, closely.
    Card {
        /// The table, by its place.
        tab: usize,
        /// The row's key.
        key: String,
        /// First line shown.
        scroll: usize,
    },
    /// The time axis.
    Time {
        /// Points between the cursor and now.
        back: usize,
    },
    /// The raw text unboxed, to be copied by hand.
    CopyView {
        /// First line shown.
        scroll: usize,
    },
}

/// A part of what is selected by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// What is said.
    Text(String),
    /// What is said of a command: a comment of its language.
    Note(Language, String),
    /// A command.
    Command(Language, String),
}

/// The state.
#[derive(Debug, Clone)]
pub struct App {
    /// The newest picture.
    pub picture: Option<Arc<Picture>>,
    /// The picture that is held still.
    pub frozen: Option<Arc<Picture>>,
    /// Which screen.
    pub screen: Screen,
    /// What lies on top.
    pub overlays: Vec<Overlay>,
    /// Key of the selected finding: selection sticks to it, never to a row.
    pub selected: Option<String>,
    /// The operator chose it; else it is the first one, and gives way to a more severe one only.
    pub chosen: bool,
    /// The process table.
    pub processes: ProcessView,
    /// The screens of servers, one a kind.
    pub servers: Vec<ServerView>,
    /// The flowchart.
    pub chart: ChartView,
    /// The dashboards that were named.
    pub dashboards: Vec<DashboardView>,
    /// Which of them is open.
    pub dashboard: usize,
    /// What is known from before, and noted for the next time.
    pub journal: Journal,
    /// Sessions are kept: the time axis reaches back into them.
    pub reaches_back: bool,
    /// What is shown is a kept session; the live one goes on behind it.
    pub visiting: bool,
    /// What is shown is a kept session, and nothing goes on behind it.
    pub of_kept: bool,
    /// The guided tour, where there is one.
    pub tour: Option<Tour>,
    /// The line above the footer.
    pub notice: Option<String>,
    /// The line that stood there last, and since when.
    pub noticed: Option<(String, Stamp)>,
    /// `g` was pressed once.
    pub pending_g: bool,
    /// The finding that is being muted, and the reason as typed so far.
    pub muting: Option<(String, Input)>,
    /// A recording was begun or ended by a key, and no picture shows it yet.
    pub recording: Option<bool>,
    /// How what is recorded of now stood last.
    pub recorded: Option<Recording>,
    /// The keys in force.
    pub keymap: Arc<Keymap>,
    /// What the themes are called that can be had, and which one is shown.
    pub themes: Vec<String>,
    /// Its place among them.
    pub theme: usize,
}

impl Default for App {
    fn default() -> Self {
        Self {
            picture: None,
            frozen: None,
            screen: Screen::Triage,
            overlays: Vec::new(),
            selected: None,
            chosen: false,
            processes: ProcessView::default(),
            servers: servers::views(),
            chart: ChartView::default(),
            dashboards: Vec::new(),
            dashboard: 0,
            journal: Journal::default(),
            reaches_back: false,
            visiting: false,
            of_kept: false,
            tour: None,
            notice: None,
            noticed: None,
            pending_g: false,
            muting: None,
            recording: None,
            recorded: None,
            keymap: Arc::default(),
            themes: Vec::new(),
            theme: 0,
        }
    }
}

impl App {
    /// The picture to draw: the frozen one while there is one.
    #[must_use]
    pub fn shown(&self) -> Option<&Arc<Picture>> {
        self.frozen.as_ref().or(self.picture.as_ref())
    }

    /// All findings of the picture.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.shown().map(|p| p.diagnosis.findings.as_slice()).unwrap_or_default()
    }

    /// The selected finding: the one that was chosen, or the first.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        let all = self.findings();
        let chosen = self.selected.as_ref().and_then(|key| all.iter().find(|f| &f.key == key));
        // An open card belongs to its finding: it must not turn into another one's under the operator's key.
        let card = self.overlays.iter().any(|o| matches!(o, Overlay::Fix { .. }));
        if card { chosen } else { chosen.or(all.first()) }
    }

    /// The fix that `c` copies: the one on the card, else the first relief or cure of the finding.
    #[must_use]
    pub fn fix(&self) -> Option<&Fix> {
        let index = match self.overlays.last() {
            Some(Overlay::Fix { index, .. }) => *index,
            _ => 0,
        };
        self.finding()?.fixes.get(index)
    }

    /// The process that a demand or the table points at.
    #[must_use]
    pub fn process(&self, id: ProcId) -> Option<&ProcFacts> {
        self.shown()?.facts.processes().iter().find(|p| p.id == id)
    }

    /// The copy view: the finding, its figures and its fixes as plain lines, nothing cut.
    #[must_use]
    pub fn copy_text(&self) -> Vec<ByHand> {
        let Some(picture) = self.shown() else { return Vec::new() };
        let d = &picture.diagnosis;
        let mut out = vec![format!("{} {} {}", d.host.name, d.at, d.standing().0), String::new()];
        let mut fixes = Vec::new();
        if let Some(f) = self.finding() {
            out.push(format!("{} {}", f.severity.word(), f.title));
            out.push(f.key.clone());
            let limit =
                |e: &Evidence| Some(e.held_against()).filter(|l| !l.is_empty()).map_or_else(String::new, |l| format!(" ({l})"));
            let rows = f.evidence.iter().chain(&f.against);
            out.extend(rows.map(|e| format!("{}: {}{} [{}]", e.claim, e.unit.show(e.value), limit(e), e.origin)));
            for fix in &f.fixes {
                let language = fix.command.language();
                fixes.extend([ByHand::Text(String::new()), ByHand::Note(language, fix.title.clone())]);
                fixes.push(ByHand::Command(language, fix.command.to_string()));
                fixes.extend(fix.undo.iter().map(|undo| ByHand::Note(language, format!("undo: {undo}"))));
            }
        }
        out.into_iter().map(ByHand::Text).chain(fixes).collect()
    }

    /// The key that does something, as it is written.
    #[must_use]
    pub fn key_of(&self, action: keymap::Action) -> &str {
        self.keymap.rows().iter().find(|r| r.binding.action == action).map_or("", |r| r.shown.as_str())
    }

    /// The server's screen that is open.
    #[must_use]
    pub fn server(&self) -> Option<&ServerView> {
        let Screen::Server(kind) = self.screen else { return None };
        self.servers.iter().find(|view| view.kind() == kind)
    }

    /// The same, to be changed.
    pub fn server_mut(&mut self) -> Option<&mut ServerView> {
        let Screen::Server(kind) = self.screen else { return None };
        self.servers.iter_mut().find(|view| view.kind() == kind)
    }

    /// Which keys count now.
    #[must_use]
    pub fn context(&self) -> Context {
        let palette = matches!(self.overlays.last(), Some(Overlay::Palette { .. }));
        let typed = self.processes.filter.editing || self.server().is_some_and(|view| view.filter.editing);
        if palette || typed || self.muting.is_some() {
            return Context::Editing;
        }
        match self.overlays.last() {
            Some(Overlay::Time { .. }) => Context::Time,
            Some(_) => Context::Overlay,
            None => self.screen.context(),
        }
    }
}
