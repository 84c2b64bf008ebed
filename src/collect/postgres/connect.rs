//! Getting in: as the role that was said, as the user who runs perftop, or (root, through a socket) as the owner of the socket for the
//! moment of the connect. One attempt for each credential; no role is guessed.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Uid, geteuid};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnection;

use super::credentials::Credentials;
use super::guard::{self, Guard};
use super::target::{Address, Target};
use super::trouble::Trouble;

/// How long a connect may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// As whom: role, and the user to become for the moment of the connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The role.
    pub role: String,
    /// The user to become.
    pub user: Option<u32>,
}

/// Who connects to that target.
#[must_use]
pub fn who(target: &Target) -> Who {
    let said = target.role.clone().or_else(|| std::env::var("PGUSER").ok().filter(|_| !target.discovered));
    let owner = owner(target).filter(|_| target.impersonate && geteuid().is_root());
    match (said, owner) {
        (Some(role), owner) => {
            // Peer authentication asks for the user of that name.
            let same = owner.filter(|uid| name_of(*uid).as_deref() == Some(role.as_str()));
            Who { role, user: same }
        }
        (None, Some(uid)) => Who { role: name_of(uid).unwrap_or_else(|| "postgres".into()), user: Some(uid) },
        (None, None) => Who { role: name_of(geteuid().as_raw()).unwrap_or_else(|| "postgres".into()), user: None },
    }
}

/// Owner of the socket, when it is not root.
fn owner(target: &Target) -> Option<u32> {
    let Address::Socket(dir) = &target.address else { return None };
    let path: PathBuf = dir.join(format!(".s.PGSQL.{}", target.port));
    std::fs::metadata(path).ok().map(|m| m.uid()).filter(|uid| *uid != 0)
}

fn name_of(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

/// Connects to that database.
///
/// # Errors
/// What the server or the system said.
pub async fn connect(
    target: &Target,
    who: &Who,
    database: &str,
    credentials: &Credentials,
) -> Result<(PgConnection, Guard), Trouble> {
    let answer = tokio::time::timeout(PATIENCE, let_in(target, who, database, credentials)).await;
    answer.unwrap_or(Err(Trouble::TimedOut(PATIENCE)))
}

async fn let_in(target: &Target, who: &Who, database: &str, credentials: &Credentials) -> Result<(PgConnection, Guard), Trouble> {
    // The server sees who opens its socket; what is said over it is then that user's.
    let mask = who.user.map(Mask::put_on).transpose()?;
    let reached = guard::reach(target).await;
    drop(mask);
    let has_password = target.secret(&who.role, database, credentials).is_some();
    let guarded = reached.and_then(|server| guard::before(server, target.port, has_password));
    let (dir, guard) = guarded.map_err(|e| Trouble::of(&sqlx::Error::Io(e)))?;
    let options = target.options(&who.role, database, credentials, &dir).disable_statement_logging();
    match options.connect().await {
        Ok(connection) => Ok((connection, guard)),
        Err(error) => Err(guard.trouble(&error)),
    }
}

/// This thread acts as another user until it is dropped; the process stays what it is.
struct Mask;

impl Mask {
    fn put_on(uid: u32) -> Result<Self, Trouble> {
        rustix::thread::set_thread_res_uid(None, Some(Uid::from_raw(uid)), None)
            .map_err(|e| Trouble::Lost(format!("cannot become uid {uid} for the connect: {e}")))?;
        Ok(Self)
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // Root is kept as the real and saved user: coming back cannot fail.
        _ = rustix::thread::set_thread_res_uid(None, Some(Uid::ROOT), None);
    }
}
