//! PostgreSQL, 12 to 18: one watcher a server, two connections at most, read only. DESIGN.md section 5; the SQL of each probe stands in
//! its own file.

mod activity;
mod catalog;
mod cluster;
mod columns;
mod connect;
pub mod credentials;
mod environment;
mod families;
mod figures;
mod find;
mod frames;
mod guard;
mod haste;
mod hello;
mod locks;
mod mark;
mod place;
mod plan;
mod reads;
mod sampling;
mod session;
mod slot;
mod statements;
mod status;
pub mod target;
mod trial;
mod trouble;
mod turns;
mod visitor;
mod watcher;

use crate::collect::root::Roots;
use crate::model::foreign::Foreign;
use crate::model::postgres::plan::{Plan, Trial, TrialIndex};

use self::target::Target;

pub use self::mark::APPLICATION;
pub use self::reads::KIND;

/// The generic plan of one statement as a role (our own, if none is said), outside of any watching: for tools and tests.
///
/// # Errors
/// What the server said.
pub async fn plan_once(target: &Target, database: &str, role: Option<&str>, sql: &str) -> Result<Plan, String> {
    let (mut session, hello) = once(target, database).await?;
    let role = role.map_or_else(|| hello.server.login.role.clone(), Foreign::from);
    plan::make(&mut session, &hello, false, sql, &role).await.map_err(|e| e.to_string())
}

/// The same with an index that is not there.
///
/// # Errors
/// What the server said.
pub async fn trial_once(target: &Target, database: &str, sql: &str, index: &TrialIndex) -> Result<Trial, String> {
    let (mut session, hello) = once(target, database).await?;
    let role = hello.server.login.role.clone();
    trial::make(&mut session, &hello, false, sql, &role, index).await.map_err(|e| e.to_string())
}

async fn once(target: &Target, database: &str) -> Result<(session::Session, hello::Hello), String> {
    let who = connect::who(target);
    let credentials = credentials::Credentials::read();
    let connection = connect::connect(target, &who, database, &credentials).await.map_err(|e| e.to_string())?;
    let limits = session::Limits {
        statement: std::time::Duration::from_secs(5),
        batch: std::time::Duration::from_secs(9),
        role: None,
        checks_client: false,
        work_mem: "16MB",
    };
    let mut session = session::Session::new(connection, limits);
    let hello = hello::ask(&mut session, target, &Roots::default()).await.map_err(|e| e.to_string())?;
    Ok((session, hello))
}
