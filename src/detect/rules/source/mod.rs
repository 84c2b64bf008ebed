//! Rules about the sources themselves: what could not be seen, and the way in.

pub mod blind;
pub mod denied;
pub mod not_watched;
pub mod unreachable;
