//! From the command line, the environment and the files to the settings, and from these to what is collected.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Global;
use crate::collect::bounded;
use crate::collect::kinds::read;
use crate::collect::root::Roots;
use crate::collect::schedule::Plan;
use crate::collect::watched::{Configured, Given, Reach};
use crate::config::files;
use crate::config::nearest;
use crate::config::{Layer, Origin, Settings, Value, load};

use super::failure::Failure;

/// The files of the configuration in the order in which they are read.
fn files(global: &Global) -> Vec<(PathBuf, bool)> {
    if global.no_config {
        return Vec::new();
    }
    let mut files = vec![(PathBuf::from("/etc/perftop/config.toml"), false)];
    let home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".config")));
    files.extend(home.map(|h| (h.join("perftop/config.toml"), false)));
    files.extend(global.config.clone().map(|path| (path, true)));
    files
}

/// Where sessions and the journal are kept: the state directory of the user; `None` without a home, or where the settings say no.
pub(super) fn state_dir(settings: &Settings) -> Option<PathBuf> {
    settings.flag("sessions.keep").then(own_state).flatten()
}

/// The state directory of the user. With `sudo` the variables may be those of whoever called it: nothing of root's is left there.
pub(super) fn own_state() -> Option<PathBuf> {
    let me = rustix::process::geteuid();
    let owner = |dir: &Path| dir.ancestors().find_map(|d| std::fs::metadata(d).ok()).map(|m| m.uid());
    let foreign = |dir: &PathBuf| me.is_root() && owner(dir).is_some_and(|uid| uid != me.as_raw());
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute() && !foreign(dir));
    let root = || me.is_root().then(|| PathBuf::from("/root")).filter(|home| home.is_dir());
    let home = || named("HOME").or_else(root).map(|home| home.join(".local/state"));
    named("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("perftop"))
}

/// What work gives that touches a home directory, unless that hangs: it must not keep anybody from the screen.
pub(super) fn patiently<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    const PATIENCE: Duration = Duration::from_millis(250);
    let (sender, answer) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new().name("home".into()).spawn(move || _ = sender.send(work())).ok()?;
    answer.recv_timeout(PATIENCE).ok()
}

/// Reads all layers and merges them.
///
/// # Errors
/// Every problem of every file, one per line; a password where others can see it.
pub(super) fn settings(global: &Global) -> Result<Settings, Failure> {
    let mut layers = Vec::new();
    let mut problems = Vec::new();
    for (path, must) in files(global) {
        match bounded::text(&path) {
            Ok(text) => match load(&path, &text) {
                Ok(layer) => layers.push(layer),
                Err(found) => problems.extend(found.iter().map(ToString::to_string)),
            },
            // A home that is another user's (sudo -u, setpriv) is no reason not to start.
            Err(refused) if !must && refused.kind().is_some_and(elsewhere) => {}
            Err(refused) => problems.push(refused.to_string()),
        }
    }
    if !problems.is_empty() {
        problems.push("--no-config starts with the defaults".to_owned());
        return Err(Failure::Usage(problems.join("\n")));
    }
    layers.push(options(global));
    let settings = Settings::merge(layers);
    for (kind, reads) in read() {
        if let Some((_, (_, origin), _)) =
            settings.servers(kind.word()).into_iter().find(|(_, (url, _), _)| reads.has_password(url))
        {
            return Err(Failure::Usage(format!(
                "{origin}: a password must not be in a URL: it shows in the process list, shell histories and backups; use {}",
                reads.passwords()
            )));
        }
    }
    match crossed(&settings) {
        Some(problem) => Err(Failure::Usage(problem)),
        None => Ok(settings),
    }
}

/// A gauge that would turn critical before it turns to warning: where, and what.
fn crossed(settings: &Settings) -> Option<String> {
    ["cpu", "memory", "disk"].iter().find_map(|what| {
        let (low, high) = (format!("targets.{what}_warning"), format!("targets.{what}_critical"));
        let (warning, critical) = (settings.number(&low), settings.number(&high));
        let place = |key: &str| settings.all().find(|(k, _, _)| *k == key).map(|(_, _, origin)| origin.clone());
        let written = [place(&high), place(&low)].into_iter().flatten().find(|origin| *origin != Origin::Default);
        let place = written.map_or_else(String::new, |origin| format!("{origin}: "));
        (warning >= critical).then(|| format!("{place}{low} = {warning} must be below {high} = {critical}"))
    })
}

fn elsewhere(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

/// Options of the command line and the environment as the last layer.
fn options(global: &Global) -> Layer {
    let mut layer = Layer::default();
    let mut set = |key: &str, value: Value, name: &'static str| {
        layer.0.insert(key.to_owned(), (value, Origin::Option(name)));
    };
    if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        set("color", Value::Text("never".into()), "NO_COLOR");
    }
    let path = |p: &Path| Value::Text(p.display().to_string());
    if let Some(theme) = &global.theme {
        set("theme", Value::Text(theme.clone()), "--theme");
    }
    if global.ascii {
        set("ascii", Value::Bool(true), "--ascii");
    }
    if global.no_color {
        set("color", Value::Text("never".into()), "--no-color");
    }
    if global.no_discover {
        set("discover", Value::Bool(false), "--no-discover");
    }
    if global.no_impersonate {
        set("impersonate", Value::Bool(false), "--no-impersonate");
    }
    for (number, (kind, url)) in global.servers.0.iter().enumerate() {
        // The name is the port or the host's: an empty one here.
        set(&format!("{}.#{number}.url", kind.word()), Value::Text(url.clone()), kind.option());
    }
    let words = |paths: &[PathBuf]| Value::Words(paths.iter().map(|p| p.display().to_string()).collect());
    if !global.objectives.is_empty() {
        set("objective_files", words(&global.objectives), "--objectives");
    }
    if !global.dashboard.is_empty() {
        set("dashboards", words(&global.dashboard), "--dashboard");
    }
    if !global.rules.is_empty() {
        set("rule_files", words(&global.rules), "--rules");
    }
    if let Some(root) = &global.procfs_root {
        set("procfs_root", path(root), "--procfs-root");
    }
    if let Some(root) = &global.sysfs_root {
        set("sysfs_root", path(root), "--sysfs-root");
    }
    layer
}

/// What to collect, by the settings.
///
/// # Errors
/// When a root is no directory.
pub(super) fn plan(settings: &Settings, every: Duration, quick_start: bool) -> Result<Plan, Failure> {
    let roots = Roots { proc: settings.text("procfs_root").into(), sys: settings.text("sysfs_root").into() };
    if !roots.proc.join("stat").exists() {
        return Err(Failure::Usage(format!(
            "{} is not a /proc: it has no file `stat`; mount the host's /proc there, or omit --procfs-root",
            roots.proc.display()
        )));
    }
    let discover = settings.flag("discover");
    let given = Arc::new(given(settings)?);
    let mut servers = servers(settings, &given)?;
    let mut unusable = Vec::new();
    if discover {
        let known: Vec<String> = servers.iter().map(|s| s.id().to_owned()).collect();
        for (_, reads) in read() {
            let (named, wrong) = reads.environment(&|name| std::env::var(name).ok(), &given);
            servers.extend(named.into_iter().filter(|s| !known.iter().any(|id| id == s.id())));
            unusable.extend(wrong);
        }
    }
    let asked = !given.rules.is_empty() || !given.objectives.is_empty();
    if asked && !discover && !servers.iter().any(|s| s.id().starts_with("prometheus:")) {
        return Err(Failure::Usage("rules and objectives need a Prometheus to ask: --prometheus http://HOST:9090".into()));
    }
    Ok(Plan { roots, every, quick_start, discover, servers, unusable, given })
}

/// What holds for all servers.
///
/// # Errors
/// An objective that is none.
pub(super) fn given(settings: &Settings) -> Result<Given, Failure> {
    let mut objectives = settings.objectives().map_err(Failure::Usage)?;
    let mut left_out = Vec::new();
    for (name, text) in named_files(settings, "objective_files", &YAML)? {
        let (found, left) = files::objectives(&name, &text).map_err(Failure::Usage)?;
        objectives.extend(found);
        left_out.extend(left);
    }
    let mut rules = Vec::new();
    for (name, text) in named_files(settings, "rule_files", &YAML)? {
        rules.extend(files::rules(&name, &text).map_err(Failure::Usage)?);
    }
    let servers: Vec<&str> = settings.servers("prometheus").into_iter().map(|(name, ..)| name).collect();
    for objective in &objectives {
        let unknown = |at: &&String| at.parse::<u16>().is_err() && !servers.contains(&at.as_str());
        if let Some(at) = objective.at.as_ref().filter(unknown) {
            let near = nearest(at, servers.iter().copied().filter(|s| !s.starts_with('#')));
            let entry = settings.entry("objectives", &objective.name);
            let place = entry.get("prometheus").map_or_else(String::new, |(_, origin)| format!("{origin}: "));
            return Err(Failure::Usage(format!("{place}prometheus = {at:?}: there is no [prometheus.{at}]{near}")));
        }
    }
    let mut names = std::collections::BTreeSet::new();
    if let Some(twice) = objectives.iter().find(|o| !names.insert(o.name.as_str())) {
        return Err(Failure::Usage(format!("the objective {} appears twice: give each its own name", twice.name)));
    }
    let capacity = Arc::new(settings.capacity().map_err(Failure::Usage)?);
    let kpis = Arc::new(settings.kpis().map_err(Failure::Usage)?);
    Ok(Given { impersonate: settings.flag("impersonate"), objectives, left_out, rules, capacity, kpis })
}

/// How files of YAML end.
const YAML: [&str; 2] = ["yml", "yaml"];

/// The files of a key, by their names; of a folder all that end so.
///
/// # Errors
/// One that cannot be read.
pub(super) fn named_files(settings: &Settings, key: &str, ends: &[&str]) -> Result<Vec<(String, String)>, Failure> {
    let (paths, origin) = settings.words(key);
    let place = origin.map_or_else(String::new, |origin| format!("{origin}: "));
    let wrong = |why: String| Failure::Usage(format!("{place}{why}"));
    let mut found = Vec::new();
    for path in paths.iter().map(Path::new) {
        let mut all = vec![path.to_path_buf()];
        if path.is_dir() {
            let rows = std::fs::read_dir(path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
            let fits = |p: &PathBuf| p.extension().is_some_and(|e| ends.iter().any(|end| e == *end));
            all = rows.filter_map(Result::ok).map(|row| row.path()).filter(fits).collect();
            all.sort();
            if all.is_empty() {
                return Err(wrong(format!("{}: no file in it ends in .{}", path.display(), ends.join(" or ."))));
            }
        }
        for path in all {
            let text = bounded::text(&path).map_err(|refused| wrong(refused.to_string()))?;
            found.push((path.display().to_string(), text));
        }
    }
    Ok(found)
}

/// The servers that were asked for.
///
/// # Errors
/// A URL that is none, or a password file that cannot be read, or by others as well.
pub(super) fn servers(settings: &Settings, given: &Given) -> Result<Vec<Arc<dyn Reach>>, Failure> {
    let mut found: Vec<Arc<dyn Reach>> = Vec::new();
    for (kind, reads) in read() {
        for (name, (url, origin), file) in settings.servers(kind.word()) {
            let wrong = |why: String| Failure::Usage(format!("{origin}: {why}"));
            if let Some((file, origin)) = file {
                bounded::secret(Path::new(file)).map_err(|refused| {
                    Failure::Usage(format!("{origin}: password_file {refused}; correct the path, or remove the key"))
                })?;
            }
            let name = Some(name).filter(|name| !name.starts_with('#'));
            let password_file = file.map(|(file, _)| Path::new(file));
            let more = settings.more(kind, name.unwrap_or_default());
            let asked = Configured { url, name, password_file, more: &more, given };
            let server = reads.configured(&asked).map_err(&wrong)?;
            if found.iter().any(|s| s.id() == server.id()) {
                return Err(wrong(format!("{} appears twice; give each its own name under [{}.NAME]", server.id(), kind.word())));
            }
            found.push(server);
        }
    }
    Ok(found)
}
