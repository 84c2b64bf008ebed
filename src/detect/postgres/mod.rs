//! What the judgement of PostgreSQL needs beside its rules: sessions as actors, what queries cost, indexes that would help, what is usual.

pub mod advice;
pub mod backends;
pub mod baseline;
pub mod case;
pub mod changed;
mod conditions;
pub mod holders;
pub mod internal;
mod kind;
pub mod limits;
mod prepared;
pub mod queries;
pub mod tables;
mod view;
pub mod wrapped;

pub use baseline::Learning;
pub use kind::KIND;
pub use prepared::{Prepared, Shown, prepare, shown};
pub use view::View;
