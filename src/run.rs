//! The loop of the screen: keys, the newest picture, signals; draws only when something changed.
//! Awaits nothing but its own queues.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use crate::app::keymap::{Key, Keymap};
use crate::app::{App, DashboardView, Msg};
use crate::diagnose::{Picture, Recording, RecordingState};
use crate::effects::{Effects, Next};
use crate::engine::{Ask, Handle};
use crate::model::dashboard::Dashboard;
use crate::model::foreign::Foreign;
use crate::pointer::Pointer;
use crate::signals::{Ending, Stopping, Turn};
use crate::terminal::{self, Screen};
use crate::view::{self, theme::Theme};

/// Time that a recording has to seal its file when the operator leaves; the file is whole without that too.
const SEAL: Duration = Duration::from_millis(60);

/// Runs until the operator leaves, the terminal is gone, or a signal comes.
///
/// # Errors
/// When the terminal cannot be written.
pub async fn run(handle: Handle, look: Look, screen: &mut Screen) -> io::Result<Left> {
    let Handle { mut pictures, asks, keeping, .. } = handle;
    let mut app = App {
        keymap: Arc::new(look.keymap),
        dashboards: look.dashboards.into_iter().map(DashboardView::new).collect(),
        screen: if look.open_dashboards { crate::app::Screen::Dashboard } else { crate::app::Screen::Triage },
        notice: look.notice,
        ..App::default()
    };
    let mut keeping = Keeping(keeping);
    let result = turn((&mut pictures, &mut keeping), asks, (&look.theme, look.mouse), &mut app, screen).await;
    let shown = pictures.borrow().as_ref().is_some_and(|p| p.recording.is_some());
    if shown || app.recording.is_some() || keeping.0.is_some() {
        // Nobody asks any more: the engine ends, and its channel with it.
        let ended = async { while pictures.changed().await.is_ok() {} };
        _ = tokio::time::timeout(SEAL, ended).await;
    }
    result
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The operator left.
    Quit,
    /// The terminal is gone.
    Gone,
    /// A signal of that number came.
    BySignal(u8),
}

/// How the screen looks and is used.
#[derive(Debug)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// Keys.
    pub keymap: Keymap,
    /// The mouse is taken.
    pub mouse: bool,
    /// Dashboards that were named.
    pub dashboards: Vec<Dashboard>,
    /// The first of them is open from the start.
    pub open_dashboards: bool,
    /// What is said at first.
    pub notice: Option<String>,
}

type Pictures = watch::Receiver<Option<Arc<Picture>>>;

/// The session that is kept, until it is said that it is not any more.
struct Keeping(Option<Arc<Mutex<Recording>>>);

impl Keeping {
    /// Why it is not kept; said once.
    fn failed(&mut self) -> Option<String> {
        let state = self.0.as_ref()?.lock().ok()?.state.clone();
        let RecordingState::Failed { why, .. } = state else { return None };
        self.0 = None;
        Some(format!("this session is not kept: {}", Foreign::from(why.as_str()).shown()))
    }
}

async fn turn(
    (pictures, keeping): (&mut Pictures, &mut Keeping),
    asks: mpsc::Sender<Ask>,
    (theme, mouse): (&Theme, bool),
    app: &mut App,
    screen: &mut Screen,
) -> io::Result<Left> {
    let (notices, mut noticed) = mpsc::channel(4);
    let mut effects = Effects::new(asks, notices);
    let mut events = EventStream::new();
    let (mut ending, mut stopping) = (Ending::listen()?, Stopping::listen()?);
    let mut live = true;
    let mut pointer = Pointer::default();
    loop {
        if mouse {
            pointer.follow(app.wants_mouse())?;
        }
        draw(app, theme, screen)?;
        if terminal::gone() {
            return Ok(Left::Gone);
        }
        let msg = tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(Event::Mouse(event))) => match pointer.translate(app, theme, screen, event) {
                    Some(msg) => msg,
                    None => continue,
                },
                Some(Ok(event)) => match translate(&event) {
                    Some(msg) => msg,
                    None => continue,
                },
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Left::Gone),
            },
            // From outside: the keyboard's Ctrl-C is a key here.
            number = ending.next() => return Ok(Left::BySignal(number)),
            turn = stopping.next() => {
                if turn == Turn::Stop && terminal::suspend(false) {
                    stopping.deal_with_next();
                }
                // Whoever had the terminal meanwhile may have left it in any state.
                if terminal::resume(screen).is_err() {
                    return Ok(Left::Gone);
                }
                pointer = Pointer::default();
                continue;
            }
            Some(text) = noticed.recv() => Msg::Notice(text),
            changed = pictures.changed(), if live => match changed {
                Ok(()) => match pictures.borrow_and_update().clone() {
                    Some(picture) => {
                        if let Some(why) = keeping.failed() {
                            app.update(Msg::Notice(why));
                        }
                        Msg::Picture(picture)
                    }
                    None => continue,
                },
                Err(_) => {
                    live = false;
                    Msg::Ended("the engine ended: this is the last picture".into())
                }
            },
        };
        for effect in app.update(msg) {
            match effects.carry_out(effect, screen)? {
                Next::GoOn => {}
                Next::TakenAnew { stopped } => {
                    pointer = Pointer::default();
                    if stopped {
                        stopping.deal_with_next();
                    }
                }
                Next::Vanished => return Ok(Left::Gone),
                Next::Leave => return Ok(Left::Quit),
            }
        }
    }
}

fn draw(app: &App, theme: &Theme, screen: &mut Screen) -> io::Result<()> {
    crossterm::queue!(screen.backend_mut(), BeginSynchronizedUpdate)?;
    screen.draw(|frame| view::draw(app, theme, frame))?;
    crossterm::queue!(screen.backend_mut(), EndSynchronizedUpdate)?;
    io::Write::flush(screen.backend_mut())?;
    screen.backend_mut().flush()
}

fn translate(event: &Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => translate_key(key).map(Msg::Key),
        // A size that changed only needs a new frame.
        Event::Resize(..) => Some(Msg::Key(Key::F(0))),
        _ => None,
    }
}

fn translate_key(key: &KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::F(n) => Key::F(n),
        _ => return None,
    })
}
