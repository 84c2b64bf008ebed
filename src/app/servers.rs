//! The screens of servers: one row a kind.

use super::postgres;
use super::tables::{ServerScreen, ServerView};

/// All of them.
pub const SCREENS: &[ServerScreen] = &[postgres::SCREEN];

/// Their states at the start.
#[must_use]
pub fn views() -> Vec<ServerView> {
    SCREENS.iter().map(ServerView::new).collect()
}
