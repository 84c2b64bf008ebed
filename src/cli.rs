//! The command line: types only. What each command does stands in `commands/`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::app::Incident;
use crate::collect::kinds::read;
use crate::model::source::SourceKind;

/// Live performance triage: what is slow, what it costs, who is to blame, what to do.
#[derive(Debug, Parser)]
#[command(name = "perftop", version, about)]
pub struct Cli {
    /// What to do; without one the live dashboard opens
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
}

/// Options of all commands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Read this configuration file after the others
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no configuration file at all
    #[arg(long, global = true, conflicts_with = "config")]
    pub no_config: bool,
    /// dark, light, contrast, colorblind, terminal, or the path of a theme file
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// Draw with ASCII only
    #[arg(long, global = true)]
    pub ascii: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Servers to watch.
    #[command(flatten)]
    pub servers: Servers,
    /// Draw this dashboard of Grafana (its JSON); repeat for several
    #[arg(long, global = true, value_name = "FILE")]
    pub dashboard: Vec<PathBuf>,
    /// Count the objectives of this file of sloth, pyrra or OpenSLO; repeat for several files
    #[arg(long, global = true, value_name = "FILE")]
    pub objectives: Vec<PathBuf>,
    /// Evaluate the alerts of this rule file of Prometheus; repeat for several files
    #[arg(long, global = true, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// As root, do not switch to the owner of a server's socket while connecting
    #[arg(long, global = true)]
    pub no_impersonate: bool,
    /// Do not look for servers that run here
    #[arg(long, global = true)]
    pub no_discover: bool,
    /// Where /proc is
    #[arg(long, global = true, value_name = "DIR")]
    pub procfs_root: Option<PathBuf>,
    /// Where /sys is
    #[arg(long, global = true, value_name = "DIR")]
    pub sysfs_root: Option<PathBuf>,
}

/// Servers to watch: an option for each kind that is read.
#[derive(Debug, Clone, Default)]
pub struct Servers(pub Vec<(SourceKind, String)>);

impl Args for Servers {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for (kind, reads) in read() {
            let help = format!("Watch this {} server: {}; repeat for several servers", kind.name(), reads.url());
            let option = Arg::new(kind.word()).long(kind.word()).value_name("URL").action(ArgAction::Append);
            command = command.arg(option.global(true).help(help));
        }
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Servers {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let urls = |kind: SourceKind| matches.get_many::<String>(kind.word()).into_iter().flatten();
        Ok(Self(read().flat_map(|(kind, _)| urls(kind).map(move |url| (kind, url.clone()))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge once and print; exit code 0 healthy, 1 warning, 2 critical, 3 unknown
    Check(Check),
    /// The latest verdict in three lines: from a running screen or recorder, else from three seconds of sampling
    Why(Why),
    /// The findings as metrics, for a Prometheus to scrape
    Export(Export),
    /// Write what is seen to a file or a pipe, for replay
    Record(Record),
    /// Show a recording as if it were now
    Replay(Replay),
    /// A real incident, recorded on real servers, with a short tour: the whole product with no server at hand
    Demo(Demo),
    /// Two spans of time beside each other: what changed in the time, in causes, in queries, in settings
    Diff(Diff),
    /// What was wrong when, with its cause, by what was said in a recording
    Incidents(Incidents),
    /// What happened in a recording, as an engineer would write it: Markdown, or one HTML page
    Report(Report),
    /// Show what is visible, what is hidden, and how to get access
    Doctor(Doctor),
    /// The catalogue of findings, or the page of one
    Explain(Explain),
    /// Show or check the configuration
    Config(Config),
    /// Completions for a shell, to standard output
    Completions(Completions),
    /// The manual page in roff, to standard output
    Man,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// How long to sample, at least 3s
    #[arg(long = "for", value_name = "DURATION")]
    pub for_: Option<String>,
    /// How to print
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The verdict in one line, for prompts and status bars
    #[arg(long, conflicts_with_all = ["format", "fleet", "capacity", "kpis"])]
    pub line: bool,
    /// Cut that line to so many columns
    #[arg(long, value_name = "COLUMNS", requires = "line")]
    pub width: Option<usize>,
    /// In the text: each check that found nothing, and why
    #[arg(short, long)]
    pub verbose: bool,
    /// Repeat at this interval, one JSON object per line
    #[arg(long, value_name = "DURATION")]
    pub watch: Option<String>,
    /// Check only these findings; a trailing * matches a family
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub only: Vec<String>,
    /// Look at all hosts that a Prometheus watches, and at nothing else
    #[arg(long)]
    pub fleet: bool,
    /// Look at what runs out, what is needed and what calls for more, by the history of a Prometheus, and at nothing else; 1 and 2: within a day, an hour
    #[arg(long)]
    pub capacity: bool,
    /// Measure the key figures of the profile by a Prometheus, and nothing else
    #[arg(long)]
    pub kpis: bool,
    /// Exit with 1 or 2 only at this severity or above
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<FailOn>,
}

/// Formats of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs; docs/diagnosis.schema.json
    Json,
    /// For tickets
    Markdown,
}

/// From which severity on `check` fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Warning or critical
    Warning,
    /// Critical only
    Critical,
}

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Keep looking at this interval, and print whenever the verdict changes: plain lines that a screen reader can follow
    #[arg(long, value_name = "DURATION")]
    pub watch: Option<String>,
}

/// Options of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Where to listen; whoever can reach it sees what is wrong here, but no names of programs or queries
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9798")]
    pub listen: String,
    /// Time between two samples
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub every: String,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Which incident: a missing index, locks behind an idle transaction, a cache that evicts, or a host that is not to blame
    #[arg(value_name = "INCIDENT", value_parser = incident(), default_value = "index")]
    pub incident: Incident,
    /// Without the tour
    #[arg(long)]
    pub no_tour: bool,
}

fn incident() -> impl TypedValueParser<Value = Incident> {
    let words = Incident::ALL.map(Incident::word);
    PossibleValuesParser::new(words).map(|word| Incident::ALL.into_iter().find(|i| i.word() == word).unwrap_or(Incident::Index))
}

/// Options of `record`.
#[derive(Debug, Args)]
pub struct Record {
    /// The file; - is standard output
    #[arg(default_value = "perftop.perftop")]
    pub file: PathBuf,
    /// Between two samples
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
    /// Drop what is older
    #[arg(long, value_name = "DURATION")]
    pub keep: Option<String>,
    /// Stop after this time
    #[arg(long = "for", value_name = "DURATION")]
    pub for_: Option<String>,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The file; - is standard input. Without one what is piped in, else the session that was kept
    pub file: Option<PathBuf>,
    /// Begin here: 14:03:22 (UTC, as on the screen) of the recording's first day, of kept sessions the last one past; or 2026-11-20T03:12:07Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Playback speed, such as 4x
    #[arg(long, value_name = "FACTOR", default_value = "1x")]
    pub speed: String,
    /// Print the diagnosis of each second instead of the screen, one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Compare each diagnosis with the one that was recorded; exit code 1 where they differ
    #[arg(long)]
    pub verify: bool,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Before: a recording, FILE@03:00:00..03:10:00 of it, or @03:00:00..03:10:00 of the sessions that were kept
    pub before: String,
    /// After
    pub after: String,
}

/// Options of `incidents`.
#[derive(Debug, Args)]
pub struct Incidents {
    /// The recording; without one the sessions that were kept, the last day
    pub file: Option<PathBuf>,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The recording; without one the sessions that were kept: between --from and --to, else the newest
    pub file: Option<PathBuf>,
    /// Begin here: 14:03:22 (UTC, as on the screen) of the recording's first day, of kept sessions the last one past; or 2026-11-20T03:12:07Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End here
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// What to write
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Into this file, which must not be there yet; else to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Formats of `report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// The whole report, for a ticket
    Markdown,
    /// The whole report with charts, one page that needs nothing else
    Html,
    /// The flowchart at the worst moment, as text
    Chart,
    /// The flowchart at the worst moment, as Mermaid draws it
    Mermaid,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Every file and call that perftop uses
    #[arg(long)]
    pub audit: bool,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A finding, such as host.cpu.contention
    pub id: Option<String>,
}

/// Options of `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// What to do
    #[command(subcommand)]
    pub action: Option<ConfigAction>,
}

/// What `config` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigAction {
    /// Every value in force and where it comes from
    Print,
    /// Read the files and say what is wrong
    Check,
    /// The example file with all defaults
    Example,
    /// The actions that `[keys]` can give other keys, and the keys they have
    Keys,
}
