//! `perftop demo`: a real incident, recorded on real servers and bundled, with a short tour. It reads nothing of this machine.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::app::Tour;
use crate::cli::Demo;
use crate::config::Settings;
use crate::engine::ReplayOptions;
use crate::run::Own;

use super::failure::Failure;
use super::screen::screen;

/// Shows it.
///
/// # Errors
/// Without a terminal, or without memory.
pub fn run(options: &Demo, settings: &Settings) -> Result<u8, Failure> {
    let incident = options.incident;
    // A file in memory only: it can be searched like any recording, and nothing is left of it. (What is copied goes where every copy goes.)
    let io = |e: std::io::Error| Failure::Io(format!("the incident cannot be unpacked: {e}"));
    let memory = rustix::fs::memfd_create("perftop-demo", rustix::fs::MemfdFlags::CLOEXEC).map_err(|e| io(e.into()))?;
    let mut file = File::from(memory);
    file.write_all(incident.recording()).map_err(io)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let own = Own { tour: (!options.no_tour).then(|| Tour::new(incident)), ..Own::default() };
    let replay = ReplayOptions { file: Some(path), from_ms: None, speed_percent: 100, paused: false };
    screen(settings, own, || Ok(crate::engine::replay(replay)?))
}
