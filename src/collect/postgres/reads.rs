//! PostgreSQL as a kind of server: found by its socket, named by URLs and libpq's variables, watched by its own thread.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::collect::kind::Kind;
use crate::collect::root::Roots;
use crate::collect::url::has_password;
use crate::collect::url::loopback;
use crate::collect::watched::{Configured, Given, Reach, Reads, Slot, Taken, spawn};
use crate::model::demand::Demand;
use crate::model::postgres::PgSample;
use crate::model::server::ServerSample;
use crate::model::source::{SourceKind, SourceStatus};

use super::environment::from_environment;
use super::find::socket;
use super::slot::Shared;
use super::target::{Address, Target};
use super::watcher::Watcher;

/// Its row.
pub const KIND: Kind = Kind {
    kind: SourceKind::Postgres,
    programs: &["postgres", "postmaster"],
    port: 5432,
    look: "perftop --postgres postgres://localhost:{port}/",
    reads: Some(&Postgres),
};

/// The kind.
pub struct Postgres;

impl Reads for Postgres {
    fn configured(&self, asked: &Configured<'_>) -> Result<Arc<dyn Reach>, String> {
        let mut target = Target::parse(asked.url)?;
        if let Some(name) = asked.name {
            target.id = format!("postgres:{name}");
        }
        if let Some(file) = asked.password_file {
            target.password_file = Some(file.into());
            target.reread();
        }
        target.impersonate = asked.given.impersonate;
        Ok(Arc::new(target))
    }

    fn has_password(&self, url: &str) -> bool {
        has_password(url)
    }

    fn url(&self) -> &'static str {
        "postgres://USER@HOST:PORT/DATABASE"
    }

    fn passwords(&self) -> &'static str {
        "PGPASSWORD, ~/.pgpass (PGPASSFILE), DATABASE_URL, or password_file in [postgres.NAME]"
    }

    fn environment(&self, variable: &dyn Fn(&str) -> Option<String>, given: &Given) -> (Vec<Arc<dyn Reach>>, Vec<SourceStatus>) {
        let (targets, wrong) = from_environment(variable);
        let reach = |target: Target| Arc::new(Target { impersonate: given.impersonate, ..target }) as Arc<dyn Reach>;
        (targets.into_iter().map(reach).collect(), wrong)
    }

    fn locate(&self, roots: &Roots, pid: i32, tcp: Option<u16>, given: &Given) -> Option<Arc<dyn Reach>> {
        let (dir, port) = socket(roots, pid, tcp)?;
        Some(Arc::new(Target { impersonate: given.impersonate, ..Target::socket(&dir, port) }))
    }
}

impl Reach for Target {
    fn id(&self) -> &str {
        &self.id
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn local(&self) -> bool {
        match &self.address {
            Address::Tcp(host) => loopback(host),
            Address::Socket(_) => true,
        }
    }

    fn discovered(&self) -> bool {
        self.discovered
    }

    fn watch(&self, roots: &Roots, asked: mpsc::Receiver<Demand>, stop: watch::Receiver<bool>) -> std::io::Result<Box<dyn Slot>> {
        let slot = Shared::default();
        let watcher = Watcher { target: self.clone(), roots: roots.clone(), slot: slot.clone(), asked, accepted: None };
        spawn("postgres", stop, move || watcher.run())?;
        Ok(Box::new(slot))
    }
}

impl Slot for Shared {
    fn take(&self) -> Taken {
        let (sample, status, answers) = Self::take(self);
        let sample = (sample != PgSample::default()).then(|| ServerSample::Postgres(Box::new(sample)));
        Taken { sample, status, answers }
    }
}
