//! What the judgement of PostgreSQL needs beside its rules: sessions as actors, what queries cost, indexes that would help, what is usual.

pub mod advice;
pub mod backends;
pub mod baseline;
mod conditions;
pub mod limits;
pub mod queries;
pub mod tables;
