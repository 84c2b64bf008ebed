//! What rules of Redis share: subjects, unknown figures, fixes by its client program.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Evidence, Fix, Horizon, Phase};
use crate::detect::fix::shell_fix;
use crate::detect::redis::{Cli, View, cli};
use crate::detect::verdict::{Judged, evidence};
use crate::model::facts::RedisFacts;
use crate::model::redis::{BigKey, Client, Info, SlowEntry};
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes};

/// The server as a subject.
#[must_use]
pub fn instance(r: &RedisFacts) -> Subject {
    Subject::new(SubjectType::Instance, r.id.as_str(), r.id.as_str())
}

/// The newest reading of INFO.
///
/// # Errors
/// The answer of a rule that cannot judge without it.
pub fn info<'a>(view: &View<'a>) -> Result<&'a Info, Judged> {
    match &view.server.info {
        Ok(info) => Ok(info),
        Err(lack) => Err(Judged::unknown(instance(view.server), lack)),
    }
}

/// A rate of a counter.
///
/// # Errors
/// The answer of a rule that cannot judge without it: it is not known yet, or this server does not count it.
pub fn rate(view: &View<'_>, name: &str) -> Result<f64, Judged> {
    let info = info(view)?;
    let lack = match info.number(name) {
        None => Lack::new(Why::Absent, format!("{name} of INFO")),
        Some(_) => Lack::first_sample(&format!("{name} of INFO")),
    };
    view.server.rate(name).ok_or_else(|| Judged::unknown(instance(view.server), &lack))
}

/// How long our own requests take, as evidence.
pub fn trips(r: &RedisFacts) -> Vec<Evidence> {
    let row = |what: &str, ms: f64| evidence(what, ms, Unit::Milliseconds, None, "redis.round_trip");
    let both = r
        .trips
        .map(|t| vec![row("round trip of a PING, median", t.median_ms), row("round trip of a PING, longest", t.longest_ms)]);
    both.unwrap_or_default()
}

/// Errors per second by their first word, most first.
///
/// # Errors
/// The answer of a rule that cannot judge without them: they are not known yet, or this server does not count them.
pub fn errors(view: &View<'_>) -> Result<Vec<(String, f64)>, Judged> {
    let r = view.server;
    let info = info(view)?;
    let lack = match r.instance.as_ref().is_some_and(|i| i.release() < (6, 2)) && info.errors.is_empty() {
        true => Some(Lack::new(Why::Absent, "errorstats: 6.2 and later")),
        false => r.before.is_none().then(|| Lack::first_sample("INFO errorstats")),
    };
    lack.map_or_else(|| Ok(r.errors_per_s()), |lack| Err(Judged::unknown(instance(r), &lack)))
}

/// Errors per second with that first word.
///
/// # Errors
/// As above.
pub fn failed(view: &View<'_>, word: &str) -> Result<f64, Judged> {
    Ok(errors(view)?.into_iter().find(|(w, _)| w == word).map_or(0.0, |(_, n)| n))
}

/// A command that only reads.
#[must_use]
pub fn look(r: &RedisFacts, phase: Phase, title: &str, command: impl FnOnce(&Cli) -> Command) -> Option<Fix> {
    let mut look = fix(r, phase, title, command)?;
    look.risk = "none: read-only".into();
    Some(look)
}

/// A fix by the client program; `None` where the way to the server cannot be written safely.
#[must_use]
pub fn fix(r: &RedisFacts, phase: Phase, title: impl Into<String>, command: impl FnOnce(&Cli) -> Command) -> Option<Fix> {
    let cli = cli(r)?;
    let mut fix = shell_fix(phase, Horizon::Immediate, title, command(&cli));
    fix.target.clone_from(&r.id);
    fix.needs = "an ACL user that is allowed to run it".into();
    fix.verify = sh!("{} INFO commandstats", cli);
    Some(fix)
}

/// A setting is changed at once and until the next restart. `None` where settings cannot be read: nobody knows the way back.
#[must_use]
pub fn set(r: &RedisFacts, phase: Phase, title: impl Into<String>, name: &'static str, value: &str) -> Option<Fix> {
    if r.missing("CONFIG GET").is_some_and(|lack| lack.why == Why::Absent) {
        return Some(in_service(r, phase, title, name, value));
    }
    let (before, value) = (Word::quoted(r.setting(name)?.as_bytes())?, Word::quoted(value.as_bytes())?);
    let cli = cli(r)?;
    let mut fix = fix(r, phase, title, |cli| sh!("{} CONFIG SET {} {}", cli, Name(name), value))?;
    fix.undo = Some(sh!("{} CONFIG SET {} {}", cli, Name(name), before));
    fix.risk = "lost at the next restart unless CONFIG REWRITE follows, or redis.conf (the parameter group) has it".into();
    fix.verify = sh!("{} CONFIG GET {}", cli, Name(name));
    Some(fix)
}

/// The same where a service forbids CONFIG: its own console has it.
fn in_service(r: &RedisFacts, phase: Phase, title: impl Into<String>, name: &'static str, value: &str) -> Fix {
    let mut fix =
        in_application(r, title, format!("{name} = {value} in the parameter group, or what the service calls its settings"));
    fix.phase = phase;
    fix.horizon = Horizon::ShortTerm;
    fix.needs = "the console of the service".into();
    fix.risk = "some settings need a restart there".into();
    fix
}

/// More memory for its data, where the machine has it by its own word (`total_system_memory`) and, here, by what is available on the host.
#[must_use]
pub fn more_memory(view: &View<'_>, r: &RedisFacts, most: f64) -> Option<Fix> {
    const SHARE: f64 = 0.75;
    let info = r.info.as_ref().ok()?;
    let used = info.number("used_memory").unwrap_or(0.0);
    let more = (most.max(used) * 1.5).max(most + 1_048_576.0).ceil();
    let machine = info.number("total_system_memory").filter(|_| most > 0.0)?;
    let free = view.facts.world.host.memory.as_ref().ok().filter(|_| r.local()).map(|m| m.available_bytes as f64);
    if more > machine * SHARE || free.is_some_and(|free| free < (more - used) * 2.0) {
        return None;
    }
    let mut fix = set(r, Phase::Relief, format!("Allow it {}", bytes(more)), "maxmemory", &format!("{more:.0}"))?;
    fix.risk = format!(
        "its machine or container must have that, with room for a fork; taken back, keys are evicted or writes refused at once; {}",
        fix.risk
    );
    Some(fix)
}

/// A name of ours.
struct Name(&'static str);

impl crate::detect::command::Part for Name {
    fn write(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

/// Ends one client: by its id and only while it has that address, never by a name that two may share.
#[must_use]
pub fn kill(r: &RedisFacts, client: &Client) -> Option<Fix> {
    let address = Word::quoted(client.address.raw())?;
    let title = format!("End client {}", client.label());
    let mut fix = fix(r, Phase::Relief, title, |cli| sh!("{} CLIENT KILL ID {} ADDR {}", cli, client.id, address))?;
    fix.risk = "its running command is finished first; it loses its connection and most libraries connect again".into();
    fix.verify = sh!("{} CLIENT LIST ID {}", cli(r)?, client.id);
    Some(fix)
}

/// The client that sent an entry of the slow log, if it is still there: at that address, and connected since then. An address may be
/// another one's by now.
#[must_use]
pub fn sender<'a>(r: &'a RedisFacts, entry: &SlowEntry) -> Option<&'a Client> {
    let now_s = r.known.as_ref()?.number("server_time_usec")? / 1e6;
    let since_s = now_s - entry.at_s as f64;
    // Both count whole seconds.
    let stood = |c: &&Client| c.age_s as f64 + r.clients_age_s + 1.0 >= since_s;
    r.clients.as_ref().ok()?.rows.iter().filter(stood).find(|c| c.address == entry.client)
}

/// How large a key is, by hand.
#[must_use]
pub fn measure(r: &RedisFacts, key: &BigKey) -> Option<Fix> {
    let name = Word::quoted(key.key.raw()).filter(|_| key.whole)?;
    look(r, Phase::Relief, "Measure that key", |cli| sh!("{} -n {} MEMORY USAGE {} SAMPLES 100", cli, key.database, name))
}

/// A change in an application, to be read.
#[must_use]
pub fn in_application(r: &RedisFacts, title: impl Into<String>, note: impl Into<String>) -> Fix {
    let mut fix = shell_fix(Phase::Cure, Horizon::LongTerm, title, Command::note(note.into()));
    fix.target.clone_from(&r.id);
    fix.needs = "the application".into();
    fix.risk = "the application changes".into();
    fix.takes_s = None;
    fix
}
