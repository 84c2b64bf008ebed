//! The report of a span of time: what happened, what it cost, what to do, as an engineer would write it. As Markdown, and as one HTML page.
//! Pure.

mod figures;
pub mod html;
pub mod markdown;
mod plan;
pub mod story;
mod words;

pub use figures::Target;
pub use story::Story;
