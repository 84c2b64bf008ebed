//! What a kind of server brings so that its servers are found, reached and watched; the rest is the same for all kinds.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::model::alerting::RuleText;
use crate::model::capacity::plan::CapacityPlan;
use crate::model::demand::{Answer, Demand};
use crate::model::kpi::KpiPlan;
use crate::model::objective::Objective;
use crate::model::server::ServerSample;
use crate::model::source::SourceStatus;

use super::root::Roots;

/// How servers of a kind are found and reached.
pub trait Reads: Sync {
    /// A server that the configuration or the command line asks for.
    ///
    /// # Errors
    /// What is wrong with the URL; no password is in the message.
    fn configured(&self, asked: &Configured<'_>) -> Result<Arc<dyn Reach>, String>;

    /// The URL holds a password, which others can see.
    fn has_password(&self, url: &str) -> bool;

    /// The form of a URL, for the help.
    fn url(&self) -> &'static str;

    /// Where a password may stand instead.
    fn passwords(&self) -> &'static str;

    /// The servers named by environment variables; and the variables with an invalid address, as sources with the reason.
    fn environment(&self, variable: &dyn Fn(&str) -> Option<String>, given: &Given) -> (Vec<Arc<dyn Reach>>, Vec<SourceStatus>);

    /// Where the server listens whose first process this is; `tcp` is a port of it, where one is known. Reads files that may hang.
    fn locate(&self, roots: &Roots, pid: i32, tcp: Option<u16>, given: &Given) -> Option<Arc<dyn Reach>>;
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// Its URL.
    pub url: &'a str,
    /// The name of its section; none on the command line.
    pub name: Option<&'a str>,
    /// A file that holds its password.
    pub password_file: Option<&'a Path>,
    /// Its other keys in the configuration.
    pub more: &'a BTreeMap<&'a str, &'a str>,
    /// What holds for all servers.
    pub given: &'a Given,
}

/// What holds for all servers.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// As root, become the owner of its socket for the moment of the connect.
    pub impersonate: bool,
    /// Objectives that are to be counted.
    pub objectives: Vec<Objective>,
    /// Objectives of files that are left out, with the reason.
    pub left_out: Vec<String>,
    /// Rules that are to be evaluated.
    pub rules: Vec<RuleText>,
    /// What is asked for of capacity.
    pub capacity: Arc<CapacityPlan>,
    /// Key figures.
    pub kpis: Arc<KpiPlan>,
}

/// A server that can be watched.
pub trait Reach: Send + Sync + Debug {
    /// Its source id.
    fn id(&self) -> &str;

    /// Its port.
    fn port(&self) -> u16;

    /// Its address leads to this host.
    fn local(&self) -> bool;

    /// Seen here rather than asked for: it is watched for as long as its process is there.
    fn discovered(&self) -> bool;

    /// Watches it on a thread of its own until `stop`.
    ///
    /// # Errors
    /// When a thread cannot be started.
    fn watch(&self, roots: &Roots, asked: mpsc::Receiver<Demand>, stop: watch::Receiver<bool>) -> std::io::Result<Box<dyn Slot>>;
}

/// Where a watcher puts what it finds.
pub trait Slot: Send {
    /// What came since the last call.
    fn take(&self) -> Taken;
}

/// What a watcher brought.
#[derive(Debug, Default)]
pub struct Taken {
    /// What the server said.
    pub sample: Option<ServerSample>,
    /// Where the source stands.
    pub status: Option<SourceStatus>,
    /// Answers to demands.
    pub answers: Vec<Answer>,
}

/// Where a watcher of which the newest sample replaces the one before puts what it finds.
#[derive(Clone, Default, Debug)]
pub struct Mailbox(Arc<Mutex<Taken>>);

impl Mailbox {
    /// The newest of what is known.
    pub fn put(&self, sample: Option<ServerSample>, status: SourceStatus) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.sample, kept.status) = (sample, Some(status));
    }
}

impl Slot for Mailbox {
    fn take(&self) -> Taken {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Taken { sample: kept.sample.take(), status: kept.status.clone(), answers: std::mem::take(&mut kept.answers) }
    }
}

/// Stack of a watcher: libraries read nested answers by recursion, a hundred levels deep. Only what is used takes memory.
const STACK: usize = 8 << 20;

/// Runs a watcher on a thread of that name until it ends or is told to.
///
/// # Errors
/// When a thread cannot be started.
pub fn spawn<F>(name: &str, mut stop: watch::Receiver<bool>, run: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                () = run() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        // A look-up that hangs must not hold the thread.
        runtime.shutdown_background();
    })?;
    Ok(())
}
