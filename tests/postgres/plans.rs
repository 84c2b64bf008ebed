//! Plans are made for queries that cost, and nothing that others wrote runs while a superuser makes them.

use std::path::Path;

use perftop::collect::postgres::target::Target;
use perftop::collect::postgres::{plan_once, trial_once};
use perftop::detect::postgres::advice;
use perftop::model::postgres::plan::TrialIndex;

use super::server::{Server, installed};
use super::{PRELOAD, found, source};

/// A table without the index that two sessions of `app` would need, all the time.
fn searched(server: &mut Server) {
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN; CREATE TABLE big (k int, v text)");
    server.sql(
        "postgres",
        "INSERT INTO big SELECT g, repeat('x', 50) FROM generate_series(1, 1000000) g; GRANT SELECT ON big TO app",
    );
    server.sql("postgres", "VACUUM ANALYZE big");
}

fn load(server: &mut Server) {
    for _ in 0..2 {
        server.session_as("app", "postgres", "SELECT v FROM public.big WHERE k = 77 \\watch 0.01");
    }
}

#[test]
fn a_query_without_its_index_is_planned_and_the_index_is_named() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    searched(&mut server);
    load(&mut server);
    let d = server.check(&server.url("postgres", "postgres"), 9);
    let f = found(&d, "postgres.query.missing_index");
    assert!(f["fixes"][0]["command"].as_str().unwrap().contains("ON public.big (k)"), "{f:#}");
}

/// Before PostgreSQL 18 each length of a list is a statement of its own, none of which costs much.
#[test]
fn lists_of_a_hundred_lengths_are_one_query() {
    // The oldest; one client, and no worker beside it: others test meanwhile.
    for bin in installed().into_iter().take(1) {
        let mut server = Server::start(&bin, &[PRELOAD]);
        searched(&mut server);
        server.sql("postgres", "ALTER ROLE app SET max_parallel_workers_per_gather = 0");
        let each = "SELECT format('SELECT v FROM public.big WHERE k IN (%s)', string_agg((n * 7919 % 100000)::text, ', ')) \
                    FROM generate_series(1, 100) list, generate_series(1, list) n GROUP BY list \\gexec\n";
        server.session_as("app", "postgres", &each.repeat(40));
        let d = server.check(&server.url("postgres", "postgres"), 14);
        let f = found(&d, "postgres.query.missing_index");
        assert!(f["fixes"][0]["command"].as_str().unwrap().contains("ON public.big (k)"), "{f:#}");
        let kept = f["evidence"].as_array().unwrap().iter().find(|e| e["claim"].as_str().unwrap().starts_with("share of total"));
        assert!(kept.unwrap()["value"].as_f64().unwrap() > 70.0, "{f:#}");
    }
}

#[test]
fn what_others_wrote_does_not_run_behind_a_superuser() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    searched(&mut server);
    server.sql("postgres", "CREATE SCHEMA evil AUTHORIZATION app");
    // An operator that catches names, and a function that planning would evaluate.
    server.sql(
        "postgres",
        "SET ROLE app; CREATE FUNCTION evil.same(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'caught %', session_user; RETURN true; END $$; \
         CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same); \
         CREATE FUNCTION evil.constant() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'caught %', session_user; RETURN 77; END $$",
    );
    server.sql("postgres", "ALTER ROLE app SET search_path = evil, public, pg_catalog");
    for _ in 0..2 {
        server.session_as("app", "postgres", "SELECT v FROM public.big WHERE k = evil.constant() \\watch 0.01");
    }
    let d = server.check(&server.url("postgres", "postgres"), 9);
    assert_eq!(source(&d)["state"], "ok");
    // Its time is known all the same; only why is not.
    found(&d, "postgres.query.expensive");
    let log = std::fs::read_to_string(server.dir.join("log")).unwrap();
    assert!(log.contains("caught app"), "the functions of this test work");
    assert!(!log.contains("caught postgres"), "they ran behind a superuser");
}

#[test]
fn an_index_is_tried_without_being_there_and_the_real_one_is_then_used_at_that_cost() {
    let extension = |bin: &Path| {
        bin.join("../../../../share/postgresql").join(bin.parent().unwrap().file_name().unwrap()).join("extension/hypopg.control")
    };
    let Some(bin) = installed().into_iter().find(|bin| extension(bin).exists()) else {
        assert!(std::env::var_os("CI").is_none(), "no server here has hypopg, and CI must have one");
        return eprintln!("SKIPPED: no server here has hypopg");
    };
    let mut server = Server::start(&bin, &[PRELOAD]);
    searched(&mut server);
    server.sql("postgres", "CREATE SCHEMA \"Odd\"; CREATE EXTENSION hypopg SCHEMA \"Odd\"");
    let target = Target::parse(&server.url("postgres", "postgres")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sql = "SELECT v FROM public.big WHERE k = $1";
    let plan = runtime.block_on(plan_once(&target, "postgres", None, sql)).unwrap();
    let advice = advice::best(&plan, advice::Call::new(50.0, None, "")).unwrap();
    let index = advice.trial(&plan.tables[advice.table]).unwrap();
    let trial = runtime.block_on(trial_once(&target, "postgres", sql, &index)).unwrap();
    assert!(trial.used && trial.cost * 100.0 < plan.cost(), "{trial:?} against {}", plan.cost());
    assert_eq!(
        server.sql("postgres", "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass"),
        "0",
        "nothing was built"
    );
    server.sql("postgres", "CREATE INDEX ON big (k)");
    let real = runtime.block_on(plan_once(&target, "postgres", None, sql)).unwrap();
    assert!((trial.cost / real.cost()).ln().abs() < 0.7, "{} tried, {} built", trial.cost, real.cost());
    // One that does not help is not used; where the extension is missing, that is said.
    let other = TrialIndex { columns: vec![("v".into(), true)], ..index.clone() };
    assert!(!runtime.block_on(trial_once(&target, "postgres", sql, &other)).unwrap().used);
    server.sql("postgres", "DROP EXTENSION hypopg");
    let missing = runtime.block_on(trial_once(&target, "postgres", sql, &index)).unwrap_err();
    assert!(missing.contains("CREATE EXTENSION hypopg"), "{missing}");
}

#[test]
fn a_plan_is_made_with_the_settings_of_the_role_that_runs_it() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    searched(&mut server);
    server.sql("postgres", "CREATE INDEX ON big (k); CREATE SCHEMA app; CREATE TABLE app.mine (k int)");
    server.sql(
        "postgres",
        "GRANT USAGE ON SCHEMA app TO app; GRANT SELECT ON app.mine TO app; ALTER ROLE app SET search_path = 'app', public",
    );
    let target = Target::parse(&server.url("postgres", "postgres")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let kind = |role: Option<&str>, sql: &str| {
        runtime.block_on(plan_once(&target, "postgres", role, sql)).unwrap().nodes[0].kind.clone()
    };
    let by_key = "SELECT v FROM public.big WHERE k = $1";
    assert!(kind(Some("app"), by_key).contains("Index"), "{}", kind(Some("app"), by_key));
    server.sql("postgres", "ALTER ROLE app SET enable_indexscan = off; ALTER ROLE app SET enable_bitmapscan = off");
    assert_eq!(kind(Some("app"), by_key), "Seq Scan");
    assert!(kind(None, by_key).contains("Index"), "another role plans as before");
    assert_eq!(kind(Some("app"), "SELECT * FROM mine"), "Seq Scan", "its search path names its table");
}

/// What an index cannot give: a side of which all rows are wanted, conditions that it does not serve, an order behind several values.
#[test]
fn no_index_is_advised_that_the_statement_could_not_use() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD, "random_page_cost = 1.1"]);
    server.sql(
        "postgres",
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, status int, tags text[], note text, at int); CREATE TABLE vip (customer int); \
         INSERT INTO orders SELECT g, g % 20000, g % 5, ARRAY['t' || g % 50], 'note ' || g, g FROM generate_series(1, 200000) g; \
         INSERT INTO vip SELECT g FROM generate_series(1, 100) g",
    );
    server.sql("postgres", "VACUUM ANALYZE");
    let target = Target::parse(&server.url("postgres", "postgres")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let columns = |sql: &str, rows: f64| {
        let plan = runtime.block_on(plan_once(&target, "postgres", None, sql)).unwrap();
        advice::best(&plan, advice::Call::new(50.0, Some(rows), sql)).map(|a| a.columns.join(", "))
    };
    for sql in [
        "SELECT o.id, v.customer FROM orders o LEFT JOIN vip v ON v.customer = o.customer",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM vip v WHERE v.customer = o.customer)",
        "SELECT o.id FROM orders o FULL JOIN vip v ON v.customer = o.customer",
        "SELECT id FROM orders WHERE status = $1 AND tags @> $2",
        "SELECT id FROM orders WHERE status = $1 AND note LIKE $2",
    ] {
        assert_eq!(columns(sql, 100.0), None, "{sql}");
    }
    let some = |sql: &str| columns(sql, 20.0).unwrap_or_default();
    assert_eq!(some("SELECT v.customer, o.id FROM vip v JOIN orders o ON o.customer = v.customer"), "customer");
    assert_eq!(some("SELECT v.customer, o.id FROM vip v LEFT JOIN orders o ON o.customer = v.customer"), "customer");
    assert_eq!(some("SELECT id FROM orders WHERE status = ANY ($1) ORDER BY at DESC LIMIT 50"), "at");
    assert_eq!(
        some("SELECT v.customer FROM vip v WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = v.customer)"),
        "customer"
    );
}

#[test]
fn what_others_wrote_does_not_run_with_the_rights_of_a_monitor() {
    // Earlier ones have no such role.
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD]);
    if server.version() < 14 {
        return;
    }
    server.sql(
        "postgres",
        "CREATE ROLE app LOGIN; CREATE ROLE watch LOGIN IN ROLE pg_monitor, pg_read_all_data; CREATE TABLE secret (v text); CREATE TABLE t (v text); \
         GRANT SELECT ON t TO app; GRANT CREATE ON SCHEMA public TO app; SET ROLE app; \
         CREATE FUNCTION public.peek() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'peeked %', current_user; RETURN 'x'; END $$",
    );
    let target = Target::parse(&server.url("watch", "postgres")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let plan = || runtime.block_on(plan_once(&target, "postgres", Some("app"), "SELECT v FROM public.t WHERE v = public.peek()"));
    let why = plan().unwrap_err();
    assert!(why.contains("GRANT app TO watch"), "{why}");
    let log = || std::fs::read_to_string(server.dir.join("log")).unwrap();
    assert!(!log().contains("peeked watch"));
    server.sql("postgres", "GRANT app TO watch");
    assert!(plan().is_ok(), "as the role itself");
    assert!(log().contains("peeked app") && !log().contains("peeked watch"));
}
