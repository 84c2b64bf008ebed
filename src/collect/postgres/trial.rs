//! An index that is not there, tried on the planner: HypoPG, where it is installed and only when it is asked for. The index exists in
//! this session alone and is taken away again; nothing is built, locked or written.

use crate::model::foreign::Foreign;
use crate::model::postgres::identifier;
use crate::model::postgres::plan::{Trial, TrialIndex};

use super::hello::Hello;
use super::plan;
use super::session::{Cells, Session, literal};
use super::trouble::Trouble;

fn honest(message: &str) -> Trouble {
    Trouble::Refused { code: "perftop".into(), message: message.to_owned(), asked: false }
}

/// The plan of a statement as it would be with that index. After an error the session is to be dropped: the index may still be in it.
///
/// # Errors
/// Why there is none.
pub async fn make(
    session: &mut Session,
    hello: &Hello,
    pooled: bool,
    text: &str,
    role: &Foreign,
    index: &TrialIndex,
) -> Result<Trial, Trouble> {
    if pooled {
        return Err(honest("connected through a pooler; connect to the server directly to try an index"));
    }
    let schema = extension(session).await?;
    let command = index.command().ok_or_else(|| honest("the names of this index cannot be quoted"))?;
    // To the letter this function, whatever others of its name there are.
    let create = format!(
        "SELECT h.indexrelid, h.indexname, pg_catalog.pg_backend_pid() FROM {schema}.hypopg_create_index({}::pg_catalog.text) h",
        literal(&command)
    );
    let (answers, _) = session.ask(&[create]).await?;
    let row = answers.first().and_then(|rows| rows.first()).ok_or_else(|| honest("HypoPG created no index for it"))?;
    let mut cells = Cells::of(row);
    let (oid, name, pid) = (cells.number::<u32>().unwrap_or(0), cells.text(), cells.number::<i32>());
    let planned = plan::make(session, hello, pooled, text, role).await;
    let size = format!("SELECT {schema}.hypopg_relation_size({oid}::pg_catalog.oid)");
    let bytes = session.ask(&[size]).await;
    let (reset, _) = session.ask(&[format!("SELECT pg_catalog.pg_backend_pid(), {schema}.hypopg_reset()")]).await?;
    if reset.first().and_then(|rows| Cells::of(rows.first()?).number::<i32>()) != pid {
        return Err(honest("connected through a pooler: the plan may be another session's"));
    }
    let planned = planned?;
    let bytes = bytes.ok().and_then(|(answers, _)| answers.first().and_then(|rows| Cells::of(rows.first()?).count()));
    Ok(Trial {
        index: Foreign::from(command.as_str()),
        cost: planned.cost(),
        used: planned.nodes.iter().any(|n| n.index == name),
        bytes,
    })
}

/// The schema that the extension is in, quoted.
async fn extension(session: &mut Session) -> Result<String, Trouble> {
    let sql = "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'";
    let (answers, _) = session.ask(&[sql.to_owned()]).await?;
    let name = answers.first().and_then(|rows| rows.first()).map(|row| Cells::of(row).text());
    let missing =
        || honest("HypoPG is not installed in this database: CREATE EXTENSION hypopg; (package postgresql-VERSION-hypopg)");
    identifier(&name.ok_or_else(missing)?).ok_or_else(missing)
}
