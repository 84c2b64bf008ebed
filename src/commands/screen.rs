//! The screen, by the settings: its theme, its keys, the terminal.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::app::keymap::Keymap;
use crate::cli::Command;
use crate::collect::bounded;
use crate::config::{Origin, Settings, ThemeFile, builtin_themes, files};
use crate::engine::Handle;
use crate::model::dashboard::Dashboard;
use crate::model::foreign::Foreign;
use crate::report::incident::Target;
use crate::view::theme::{Depth, Targets, Theme};
use crate::{run, terminal};

use super::failure::{Failure, print, runtime};
use super::report;
use super::setup::named_files;

/// True for what may open a screen.
pub const fn opens(command: Option<&Command>) -> bool {
    matches!(command, None | Some(Command::Replay(_) | Command::Demo(_)))
}

/// Runs the screen on what `start` gives; `own` is the user's.
///
/// # Errors
/// Without a terminal, with a wrong theme, or what `start` says.
pub fn screen(settings: &Settings, own: run::Own, start: impl FnOnce() -> Result<Handle, Failure>) -> Result<u8, Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "the dashboard needs a terminal; without one use `perftop check`, or `perftop check --watch 1s`".into(),
        ));
    }
    let themes = themes(settings)?;
    let (dashboards, open_dashboards) = dashboards(settings)?;
    let (keymap, mouse) = (keymap(settings)?, settings.flag("mouse"));
    let targets = own.targets;
    let look = run::Look { themes, keymap, mouse, dashboards, open_dashboards, own };
    let handle = start()?;
    let io = |e: std::io::Error| Failure::Io(format!("terminal: {e}"));
    let runtime = runtime()?;
    let guard = terminal::Guard::take().map_err(io)?;
    let mut screen = terminal::screen().map_err(io)?;
    let result = runtime.block_on(run::run(handle, look, &mut screen));
    drop(guard);
    match result {
        Ok((run::Left::Quit, recorded)) => recorded.zip(targets).map_or(Ok(0), |(path, targets)| told(&path, &targets)),
        Ok((run::Left::BySignal(number), _)) => Err(Failure::Signal(number)),
        // What SIGHUP says as well, where there is a session to say it.
        Ok((run::Left::Gone, _)) => Err(Failure::Signal(1)),
        Err(e) => Err(io(e)),
    }
}

/// Where the incident lies that was written, and its report: what was under way when the screen was left gets one now.
fn told(recording: &Foreign, targets: &[Target; 4]) -> Result<u8, Failure> {
    let path = PathBuf::from(OsStr::from_bytes(recording.raw()));
    let said = match report::beside(&path, targets) {
        Ok(report) => format!("recorded: {}, and its report: {}", path.display(), report.display()),
        Err(_) if path.with_extension("md").exists() => return Ok(0),
        Err(failure) => format!("recorded: {}; no report: {failure}", path.display()),
    };
    print(&format!("{}\n", Foreign::from(said.as_str()).shown()))?;
    Ok(0)
}

/// The dashboards of the settings; true: they were named on the command line, and the first is open from the start.
///
/// # Errors
/// A file that cannot be read, or is no dashboard.
pub fn dashboards(settings: &Settings) -> Result<(Vec<Dashboard>, bool), Failure> {
    let mut all = Vec::new();
    for (name, text) in named_files(settings, "dashboards", &["json", "yml", "yaml"])? {
        all.push(files::dashboard(&name, &text).map_err(Failure::Usage)?);
    }
    let by_option = matches!(settings.words("dashboards").1, Some(Origin::Option(_)));
    let open = by_option && !all.is_empty();
    Ok((all, open))
}

/// The keys in force.
///
/// # Errors
/// The line of the configuration that is wrong.
pub fn keymap(settings: &Settings) -> Result<Keymap, Failure> {
    let entries: Vec<(String, Vec<String>)> = settings.keys().map(|(name, keys, _)| (name.to_owned(), keys.to_vec())).collect();
    Keymap::with(&entries).map_err(|(index, why)| {
        let place = settings.keys().nth(index).map_or_else(String::new, |(_, _, origin)| origin.to_string());
        let why = Foreign::from(why.as_str());
        Failure::Usage(format!("{place}: {}", why.shown()))
    })
}

/// The theme that the settings name, a built-in one or a file, and behind it the others that are built in.
///
/// # Errors
/// When there is no such theme, or its file is wrong.
pub fn themes(settings: &Settings) -> Result<Vec<(String, Theme)>, Failure> {
    let name = settings.text("theme");
    let builtin = builtin_themes().iter().find(|(known, _)| *known == name);
    let text = match builtin {
        Some((_, text)) => (*text).to_owned(),
        None => bounded::text(std::path::Path::new(name)).map_err(|refused| {
            let known: Vec<&str> = builtin_themes().iter().map(|(name, _)| *name).collect();
            let place = settings.all().find(|(key, _, _)| *key == "theme").map_or_else(String::new, |(_, _, o)| format!("{o}: "));
            Failure::Usage(format!("{place}theme {refused}; built in are {}", known.join(", ")))
        })?,
    };
    let parse = |name: &str, text: &str| ThemeFile::parse(name, text).map_err(|p| Failure::Usage(p.to_string()));
    let chosen = parse(name, &text)?;
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let depth = Depth::detect(settings.text("color"), &variable("TERM"), &variable("COLORTERM"));
    let pair =
        |what: &str| (settings.number(&format!("targets.{what}_warning")), settings.number(&format!("targets.{what}_critical")));
    let targets = Targets { cpu: pair("cpu"), memory: pair("memory"), disk: pair("disk") };
    let theme = |name: &str, file| (name.to_owned(), Theme::new(file, depth, settings.flag("ascii"), targets));
    // Sixteen colours cannot carry a palette of ours: what is meant then is the terminal's own; without colours all are one.
    let few = matches!(depth, Depth::None | Depth::Sixteen);
    let own = builtin_themes().iter().find(|(n, _)| *n == "terminal" && depth == Depth::Sixteen && builtin.is_some());
    let first = match own {
        Some((n, text)) => theme(n, parse(n, text)?),
        None => theme(name, chosen),
    };
    let others = builtin_themes().iter().filter(|(other, _)| !few && *other != name);
    let others = others.map(|(other, text)| Ok(theme(other, parse(other, text)?)));
    std::iter::once(Ok(first)).chain(others).collect()
}
