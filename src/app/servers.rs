//! The screens of servers: one row a kind.

use crate::model::kinds::kinds;

use super::tables::{ServerScreen, ServerView};

macro_rules! screens {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All of them.
        pub const SCREENS: &[ServerScreen] = &[$(super::$folder::SCREEN),*];
    };
}

kinds!(screens);

/// Their states at the start.
#[must_use]
pub fn views() -> Vec<ServerView> {
    SCREENS.iter().map(ServerView::new).collect()
}
