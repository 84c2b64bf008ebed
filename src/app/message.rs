//! What comes into the screen's state, and what goes out of it.

use std::sync::Arc;

use crate::diagnose::Picture;
use crate::model::demand::Demand;
use crate::model::foreign::Foreign;
use crate::model::journal::Entry;

use super::keymap::Key;
use super::target;

/// What comes in.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A key.
    Key(Key),
    /// Text that was pasted: no keys.
    Paste(String),
    /// The wheel of the mouse, in rows.
    Wheel(isize),
    /// Something was pressed with the mouse.
    Press {
        /// What.
        target: target::Target,
        /// It was pressed a moment ago already.
        twice: bool,
    },
    /// A newer picture.
    Picture(Arc<Picture>),
    /// A newer one of now, while a kept session is shown.
    Behind(Arc<Picture>),
    /// Something to tell the operator, such as what became of a copy.
    Notice(String),
    /// The engine ended.
    Ended(String),
    /// The screen shows a kept session from here on (true), or what is now again.
    Visiting(bool),
}

/// What goes out: values, carried out in `effects.rs` only.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Text to the clipboard and to a file.
    Copy {
        /// The very bytes.
        text: String,
        /// What it is, for the notice.
        what: String,
    },
    /// More about something.
    Ask(Demand),
    /// Re-weigh a process name.
    Weigh {
        /// Its name.
        name: String,
        /// Its weight; `None` takes it back.
        weight: Option<f64>,
    },
    /// Mute a finding, or (0 seconds) no more.
    Mute {
        /// Its key.
        key: String,
        /// Why.
        reason: String,
        /// For how long.
        seconds: u32,
    },
    /// A fix of a finding was taken, which should have worked after so many seconds.
    Taken {
        /// The finding's key.
        key: String,
        /// What the fix takes, and the time in which its effect is seen.
        seconds: u32,
    },
    /// Record what comes into a file of this name.
    Record(String),
    /// End that recording.
    StopRecording,
    /// Replay: pause or go on.
    Pause,
    /// Replay: one tick.
    Step,
    /// Replay: speed in percent.
    Speed(u32),
    /// Replay: go to this moment.
    Seek {
        /// Wall clock, ms.
        to_ms: i64,
    },
    /// Replay: to the beginning of the next incident, or of the one before.
    Incident {
        /// Which way.
        later: bool,
    },
    /// Write the report of a recording that has just ended: its path.
    Tell(Foreign),
    /// To another moment of what was kept, or back to now.
    Visit(Visit),
    /// Lines for the journal.
    Note(Vec<Entry>),
    /// Redraw everything.
    Redraw,
    /// To the shell and back (Ctrl-Z).
    Suspend,
}

/// Where to, in what was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// A moment (wall clock, ms): where nothing was kept then, to what was kept after it, or before it.
    Moment {
        /// Which.
        at_ms: i64,
        /// On the way to now.
        later: bool,
    },
    /// The beginning of the incident after a moment, or of the one before it.
    Incident {
        /// The moment.
        at_ms: i64,
        /// Which way.
        later: bool,
    },
    /// Back to now.
    Now,
}
