//! The introduction: who the server is, what this role may see, whether pg_stat_statements can be read.

use sqlx::postgres::PgRow;

use crate::collect::root::Roots;
use crate::model::foreign::Foreign;
use crate::model::postgres::{Login, Server, StatementsView, Takes};
use crate::model::source::Place;

use super::columns::{self, Columns};
use super::place;
use super::session::{Cells, Session};
use super::target::Target;
use super::trouble::Trouble;

/// What the sampling needs to know beside the server's name.
#[derive(Debug, Clone)]
pub struct Hello {
    /// Who it is.
    pub server: Server,
    /// Which columns there are.
    pub columns: Columns,
    /// Our backend.
    pub pid: i32,
}

/// Each asked for itself where the server refuses all together; without the first there is no introduction.
const WHO: [&str; 6] = [
    "SELECT pg_catalog.current_setting('server_version_num')::int4, pg_catalog.current_setting('server_version'), \
       pg_catalog.pg_is_in_recovery(), session_user, pg_catalog.current_database(), \
       pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'USAGE'), \
       pg_catalog.pg_has_role(session_user, 'pg_signal_backend', 'USAGE'), pg_catalog.pg_backend_pid(), \
       host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port()",
    "SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user",
    "SELECT (SELECT round(extract(epoch FROM a.backend_start) * 1000000)::int8 FROM pg_catalog.pg_stat_activity a \
         WHERE a.pid = pg_catalog.pg_backend_pid()), \
       round(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8",
    "SELECT pg_catalog.quote_ident(n.nspname), e.extversion FROM pg_catalog.pg_extension e \
       JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
    "SELECT count(*) FROM pg_catalog.pg_available_extensions x WHERE x.name = 'pg_stat_statements'",
    "SELECT pg_catalog.split_part(min(s.name), '.', 1) FROM pg_catalog.pg_settings s \
       WHERE s.name IN ('rds.extensions', 'cloudsql.iam_authentication', 'azure.extensions', 'alloydb.iam_authentication')",
];

/// What our role may see, asked again and again: `session_user` of a dropped role is an error.
pub const RIGHTS: &str = "SELECT r.rolsuper, pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE'), \
    pg_catalog.pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') FROM pg_catalog.pg_roles r WHERE r.rolname = session_user";

/// The rights are those with which the server introduced itself.
#[must_use]
pub fn same(row: &PgRow, hello: &Hello) -> bool {
    let mut c = Cells::of(row);
    let login = &hello.server.login;
    [login.superuser, login.monitor, login.signal].iter().all(|then| c.flag().is_none_or(|now| now == *then))
}

/// Asks; the session must not have dropped its role yet.
///
/// # Errors
/// What the server said.
pub async fn ask(session: &mut Session, target: &Target, roots: &Roots) -> Result<Hello, Trouble> {
    let (mut answers, _) = session.each(&WHO.map(str::to_owned)).await?;
    // A lock or a timeout is no answer: the next attempt asks again. What was revoked stays so.
    if let Some(Err(trouble)) = answers.iter().find(|a| a.as_ref().is_err_and(|trouble| trouble.code() != "42501")) {
        return Err(trouble.clone());
    }
    let unseen = [3, 4].into_iter().find_map(|at| answers.get(at)?.as_ref().err().cloned());
    let mut rest = answers.split_off(1).into_iter().map(|answer| answer.ok().and_then(|mut rows| rows.pop()));
    let core = answers.pop().unwrap_or_else(|| Ok(Vec::new()))?.pop();
    let core = core.ok_or_else(|| Trouble::Lost("the server did not report its version".into()))?;
    let mut hello = parse(&core, std::array::from_fn(|_| rest.next().flatten()), target, roots);
    if let Some(trouble) = unseen {
        let why = format!("whether pg_stat_statements is installed cannot be read: {trouble}");
        let lift = "re-grant pg_monitor the privilege named in the message".to_owned();
        hello.server.statements = StatementsView::Missing { why, lift, takes: Takes::Reading };
    }
    hello.server.dialled = target.addresses().await;
    let mut entries: Option<usize> = None;
    if let StatementsView::Ready { schema, .. } = &hello.server.statements {
        let schema = schema.clone();
        let probe = format!("SELECT 1 FROM {schema}.pg_stat_statements(false) LIMIT 1");
        let capacity = "SELECT pg_catalog.current_setting('pg_stat_statements.max', true)".to_owned();
        match session.ask(&[probe, capacity]).await {
            Ok((answers, _)) => entries = answers.get(1).and_then(|rows| Cells::of(rows.first()?).number()),
            Err(trouble) if trouble.fatal() => return Err(trouble),
            Err(trouble) => hello.server.statements = unreadable(&trouble),
        }
    }
    let schema = match &hello.server.statements {
        StatementsView::Ready { schema, .. } => Some(schema.as_str()),
        StatementsView::Missing { .. } => None,
    };
    // What an empty batch takes is the road, not the server's work.
    for _ in 0..3 {
        let (_, took_ms) = session.ask(&["SELECT 1".to_owned()]).await?;
        session.cost_ms(took_ms);
    }
    let (answers, _) = session.ask(&[columns::sql(schema)]).await?;
    hello.columns = Columns::parse(answers.first().map_or(&[], Vec::as_slice));
    hello.columns.crowded = entries.is_some_and(|n| n > super::statements::MOST);
    // Services with a storage of their own have no positions of WAL. To be denied them is another thing, and said as one.
    match session.ask(&[super::cluster::PROBE.to_owned()]).await {
        Err(trouble) if trouble.fatal() => return Err(trouble),
        answer => hello.columns.positions = answer.is_ok() || answer.is_err_and(|trouble| trouble.code() == "42501"),
    }
    hello.server.round_trip_ms = session.floor_ms as f32;
    Ok(hello)
}

fn unreadable(trouble: &Trouble) -> StatementsView {
    let (why, lift, takes) = match trouble.code() {
        "55000" => (
            "pg_stat_statements is installed, but the library is not loaded".to_owned(),
            "add pg_stat_statements to shared_preload_libraries and restart the server".to_owned(),
            Takes::Restart,
        ),
        "42501" => (
            "this role lacks USAGE on the schema of pg_stat_statements".to_owned(),
            "GRANT pg_monitor, and USAGE on its schema".to_owned(),
            Takes::Reading,
        ),
        _ => (format!("pg_stat_statements: {trouble}"), "perftop doctor".to_owned(), Takes::Reading),
    };
    StatementsView::Missing { why, lift, takes }
}

/// From the rows of [`WHO`]: the first, and those of the others that were answered.
fn parse(
    core: &PgRow,
    [role, start, extension, available, managed]: [Option<PgRow>; 5],
    target: &Target,
    roots: &Roots,
) -> Hello {
    let mut c = Cells::of(core);
    let version_num = c.number().unwrap_or(0);
    let version = c.text();
    let standby = c.flag().unwrap_or(false);
    let name = c.text();
    let database = c.text();
    let (monitor, signal) = (c.flag().unwrap_or(false), c.flag().unwrap_or(false));
    let pid = c.number().unwrap_or(0);
    let address = c.word().parse::<std::net::IpAddr>().ok();
    let listens = address.zip(c.number()).map(|(ip, port)| std::net::SocketAddr::new(ip, port));
    let superuser = role.and_then(|row| Cells::of(&row).flag()).unwrap_or(false);
    let start = start.map(|row| {
        let mut c = Cells::of(&row);
        (c.number(), c.number())
    });
    let (backend_us, started_us) = start.map_or((0, 0), |(backend, server)| (backend.unwrap_or(0), server.unwrap_or(0)));
    let (schema, extension) = extension.map_or_else(Default::default, |row| {
        let mut c = Cells::of(&row);
        (c.word(), c.word())
    });
    let available: u32 = available.and_then(|row| Cells::of(&row).number()).unwrap_or(0);
    let managed = managed.map(|row| Cells::of(&row).word()).filter(|m| !m.is_empty());
    let statements = if !schema.is_empty() {
        StatementsView::Ready { schema, version: extension }
    } else if available > 0 || managed.is_some() {
        StatementsView::Missing {
            why: format!("pg_stat_statements is not installed in {database}"),
            lift: "CREATE EXTENSION pg_stat_statements;".into(),
            takes: Takes::Extension,
        }
    } else {
        StatementsView::Missing {
            why: "this server does not provide pg_stat_statements".into(),
            lift: "install the server's contrib package, then CREATE EXTENSION pg_stat_statements;".into(),
            takes: Takes::Restart,
        }
    };
    let (place, postmaster) = if target.near() { place::prove(roots, pid, backend_us) } else { (Place::Remote, None) };
    let server = Server {
        version_num,
        version,
        standby,
        place,
        postmaster,
        started_us,
        address: Foreign::from(target.shown().as_str()),
        database,
        login: Login { role: name, superuser, monitor: monitor || superuser, signal: signal || superuser },
        statements,
        managed,
        listens,
        dialled: Vec::new(),
        pooled: false,
        round_trip_ms: 0.0,
    };
    Hello { server, columns: Columns::default(), pid }
}
