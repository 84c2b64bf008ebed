//! Index advice for statements: one a line on standard input, one JSON object a line out. `advise URL DATABASE`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for tests may fail loudly")]

use std::io::BufRead;

use perftop::collect::postgres::plan_once;
use perftop::collect::postgres::target::Target;
use perftop::detect::postgres::advice;
use perftop::model::postgres::{identifier, qualified};

fn main() {
    let mut args = std::env::args().skip(1);
    let target = Target::parse(&args.next().expect("a URL")).expect("a URL of a server");
    let database = args.next().expect("a database");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut fields = line.splitn(3, '\t');
        let mut figure =
            || fields.next().and_then(|f| f.parse().ok()).expect("milliseconds and rows of a call, the statement, by tabs");
        let (mean_ms, rows) = (figure(), figure());
        let sql = fields.next().expect("the statement");
        let plan = runtime.block_on(plan_once(&target, &database, None, sql));
        let answer = match plan {
            Err(why) => serde_json::json!({ "error": why }),
            Ok(plan) => match advice::best(&plan, advice::Call::new(mean_ms, Some(rows), sql)) {
                None => serde_json::json!({ "advice": null, "cost": plan.cost() }),
                Some(a) => {
                    let mut tables = a.targets(&plan);
                    if tables.is_empty() {
                        tables = vec![&plan.tables[a.table]];
                    }
                    let command = |t: &&perftop::model::postgres::plan::PlannedTable| {
                        let name = identifier(&a.name(t)?)?;
                        let on = qualified(&t.schema, &t.name)?;
                        let drop = format!("DROP INDEX {}.{name}", identifier(&t.schema)?);
                        Some((format!("CREATE INDEX CONCURRENTLY {name} ON {on} ({});", a.columns.join(", ")), drop, name))
                    };
                    let commands: Vec<_> = tables.iter().filter_map(command).collect();
                    serde_json::json!({
                        "advice": commands.iter().map(|c| &c.0).collect::<Vec<_>>(), "drop": commands.iter().map(|c| &c.1).collect::<Vec<_>>(),
                        "names": commands.iter().map(|c| c.2.trim_matches('"').to_owned()).collect::<Vec<_>>(), "cost": plan.cost(),
                        "cost_after": a.cost_after, "low": a.gain_low, "high": a.gain_high, "bytes": a.bytes(tables[0]),
                    })
                }
            },
        };
        println!("{answer}");
    }
}
