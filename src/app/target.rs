//! What can be pressed.

use crate::model::host::ProcId;

use super::keymap::Action;
use super::processes::Column;

/// Something on the screen that can be pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A finding, by its key.
    Finding(String),
    /// A row of the process table.
    Process(ProcId),
    /// The heading of a column.
    Heading(Column),
    /// A table of a server's screen, by its place.
    ServerTab(usize),
    /// The heading of one of its columns, by its place.
    ServerHeading(usize),
    /// One of its rows, by its key.
    ServerRow(String),
    /// A key in the footer.
    Action(Action),
}
