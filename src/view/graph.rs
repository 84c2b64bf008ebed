//! What a kind of server does, over time: the panel above its tables.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::tables::ServerView;
use crate::diagnose::Picture;

use super::theme::Theme;

/// Draws what a server does into the upper panel.
pub type Graph = fn(&ServerView, &Picture, &Theme, &mut Frame<'_>, Rect);
