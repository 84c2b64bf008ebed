//! `perftop completions SHELL` and `perftop man`, made from the command line itself.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

use super::failure::{Failure, print};

/// Prints the completions of a shell.
///
/// # Errors
/// A closed pipe.
pub fn run(shell: Shell) -> Result<u8, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "perftop", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}

/// Prints the manual page, in roff.
///
/// # Errors
/// A closed pipe.
pub fn man() -> Result<u8, Failure> {
    let mut out = Vec::new();
    manual(&mut out).map_err(|e| Failure::Io(format!("manual page: {e}")))?;
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}

/// One page with all commands: what it names is on it.
fn manual(out: &mut Vec<u8>) -> std::io::Result<()> {
    let command = Cli::command();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    out.extend(b".SH COMMANDS\n");
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        out.extend(format!(".SS perftop {}\n{}\n", sub.get_name(), roff(&about)).bytes());
        for arg in sub.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help") {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            let value = arg.get_value_names().filter(|_| arg.get_action().takes_values()).map(|names| names[0].to_string());
            let flags: Vec<String> = short.into_iter().chain(long).collect();
            let shown = if flags.is_empty() {
                value.unwrap_or_default()
            } else {
                [flags.join(", ")].into_iter().chain(value).collect::<Vec<_>>().join(" ")
            };
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            out.extend(format!(".TP\n\\fB{}\\fR\n{}\n", roff(&shown), roff(&help)).bytes());
        }
    }
    page.render_version_section(out)
}

/// Text as roff takes it: no control line, no escape, no hyphen that is broken at.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
