//! perftop: live performance triage in the terminal.
//!
//! The map: `model` what the world said, `collect` how we ask, `detect` judgement, `diagnose` the picture and the
//! flowchart, `engine` samples in and pictures out.

// A print to a dead terminal panics: output goes through `commands::print` and `bug::say`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod bug;
pub mod cli;
pub mod collect;
pub mod commands;
pub mod config;
pub mod detect;
pub mod diagnose;
pub mod effects;
pub mod engine;
pub mod line;
pub mod model;
pub mod past;
pub mod pointer;
pub mod record;
pub mod report;
pub mod rights;
pub mod run;
pub mod signals;
pub mod stage;
pub mod terminal;
pub mod view;
