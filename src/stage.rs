//! Whose pictures are shown: those of now, or of a session that was kept while the live engine goes on behind it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot, watch};

use crate::app::{Msg, Visit};
use crate::diagnose::{Picture, Recording, RecordingState};
use crate::engine::{Ask, Handle};
use crate::model::foreign::Foreign;
use crate::past::{Arrived, visit};

type Pictures = watch::Receiver<Option<Arc<Picture>>>;

/// Both.
#[derive(Debug)]
pub struct Stage {
    live: Handle,
    /// It is not: a kept session is replayed, and nothing goes on behind it.
    of_kept: bool,
    /// Its engine has not ended.
    goes_on: bool,
    /// How the session that is kept goes, until it is said that it is not any more.
    keeping: Option<Arc<Mutex<Recording>>>,
    past: Option<Handle>,
    arriving: Option<oneshot::Receiver<Arrived>>,
    /// Where sessions are kept.
    sessions: Option<PathBuf>,
}

impl Stage {
    /// Begins with what is now, or (`of_kept`) with a session that was kept.
    #[must_use]
    pub fn new(live: Handle, sessions: Option<PathBuf>, of_kept: bool) -> Self {
        let keeping = live.keeping.clone();
        Self { live, of_kept, goes_on: true, keeping, past: None, arriving: None, sessions }
    }

    /// Whom to ask about what is shown.
    #[must_use]
    pub fn asks(&self) -> &mpsc::Sender<Ask> {
        &self.past.as_ref().unwrap_or(&self.live).asks
    }

    /// Goes there; who is on the way already arrives first.
    pub fn visit(&mut self, to: Visit) -> Vec<Msg> {
        if to == Visit::Now {
            return self.now();
        }
        // One wish after the other: a key that is held must not start a thread each time.
        if self.arriving.is_none() {
            self.arriving = self.sessions.clone().map(|dir| visit(dir, to));
        }
        Vec::new()
    }

    fn now(&mut self) -> Vec<Msg> {
        (self.past, self.arriving) = (None, None);
        let newest = self.live.pictures.borrow_and_update().clone();
        std::iter::once(Msg::Visiting(false)).chain(newest.map(Msg::Picture)).collect()
    }

    /// What comes next of it.
    pub async fn next(&mut self) -> Vec<Msg> {
        let visiting = self.past.is_some();
        tokio::select! {
            arrived = arrival(&mut self.arriving) => self.arrive(arrived),
            newest = shown(self.past.as_mut()) => newest.map_or_else(|| self.now(), |picture| vec![Msg::Picture(picture)]),
            newest = picture(&mut self.live.pictures, self.goes_on) => match newest {
                Some(picture) => {
                    let msg = if visiting { Msg::Behind(picture) } else { Msg::Picture(picture) };
                    self.failed().into_iter().chain([msg]).collect()
                }
                None => {
                    self.goes_on = false;
                    vec![Msg::Ended("the engine ended: this is the last picture".into())]
                }
            },
        }
    }

    fn arrive(&mut self, arrived: Arrived) -> Vec<Msg> {
        self.arriving = None;
        match arrived {
            Arrived::Now if self.of_kept => vec![Msg::Notice("nothing was kept after this".into())],
            Arrived::Now => self.now(),
            Arrived::Nowhere(why) => vec![Msg::Notice(Foreign::from(why.as_str()).shown().to_owned())],
            Arrived::There(handle, told) if self.of_kept => {
                (self.live, self.goes_on) = (handle, true);
                vec![Msg::Visiting(false), Msg::Notice(told)]
            }
            Arrived::There(handle, told) => {
                self.past = Some(handle);
                vec![Msg::Visiting(true), Msg::Notice(told)]
            }
        }
    }

    /// Why the session is not kept; said once.
    fn failed(&mut self) -> Option<Msg> {
        let state = self.keeping.as_ref()?.lock().ok()?.state.clone();
        let RecordingState::Failed { why, .. } = state else { return None };
        self.keeping = None;
        Some(Msg::Notice(format!("this session is not kept: {}", Foreign::from(why.as_str()).shown())))
    }

    /// Ends the engines; what the live one writes is whole when its pictures end.
    pub async fn end(self) {
        let Handle { mut pictures, asks, .. } = self.live;
        // Nobody asks any more: the engine ends, and its channel with it.
        drop((asks, self.past));
        while pictures.changed().await.is_ok() {}
    }

    /// Something is being written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.live.keeping.is_some() || self.live.pictures.borrow().as_ref().is_some_and(|p| p.recording.is_some())
    }
}

async fn arrival(arriving: &mut Option<oneshot::Receiver<Arrived>>) -> Arrived {
    match arriving {
        Some(arriving) => arriving.await.unwrap_or_else(|_| Arrived::Nowhere("what was kept cannot be opened".into())),
        None => std::future::pending().await,
    }
}

/// The next one of the past, where that is shown; `None` when it ends.
async fn shown(past: Option<&mut Handle>) -> Option<Arc<Picture>> {
    match past {
        Some(past) => picture(&mut past.pictures, true).await,
        None => std::future::pending().await,
    }
}

/// The next one; `None` once when they end.
async fn picture(pictures: &mut Pictures, goes_on: bool) -> Option<Arc<Picture>> {
    if !goes_on {
        return std::future::pending().await;
    }
    loop {
        pictures.changed().await.ok()?;
        let newest = pictures.borrow_and_update().clone();
        if newest.is_some() {
            return newest;
        }
    }
}
