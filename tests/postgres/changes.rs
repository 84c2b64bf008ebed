//! What is new, and the way back: a query that nobody sent before is offered its deploy's way back, a role's setting its value of before.

use std::io::Write;
use std::time::Duration;

use super::server::{Server, installed};
use super::{PRELOAD, found};

#[test]
fn a_query_that_comes_up_while_watched_can_be_rolled_back_and_an_old_one_cannot() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN");
    let old = "SELECT count(*) AS old FROM generate_series(1, 4000) a, generate_series(1, 200) b WHERE a * b % 7 > 3";
    let fresh = "SELECT max(a - b) AS fresh FROM generate_series(1, 4000) a, generate_series(1, 200) b WHERE a + b % 9 > 4";
    // The old one was sent once before anyone looked.
    let sent = server.psql("postgres").args(["-U", "app", "-c", old]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let check = {
        let url = server.url("postgres", "postgres");
        let mut senders: Vec<std::process::Child> = (0..2)
            .map(|_| {
                let mut psql = server.psql("postgres");
                psql.args(["-U", "app"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        // A session each, so that both are busy however busy the machine is.
        let inputs: Vec<_> = senders.iter_mut().map(|psql| psql.stdin.take().unwrap()).zip([old, fresh]).collect();
        let writer = std::thread::spawn(move || {
            // After the readings that say what is usual.
            std::thread::sleep(Duration::from_secs(18));
            let each = inputs.into_iter().map(|(mut input, query)| {
                let queries = format!("{query};\n").repeat(800);
                std::thread::spawn(move || _ = input.write_all(queries.as_bytes()))
            });
            each.collect::<Vec<_>>().into_iter().for_each(|one| _ = one.join());
        });
        let d = server.check(&url, 32);
        for psql in &mut senders {
            _ = psql.kill();
            _ = psql.wait();
        }
        _ = writer.join();
        d
    };
    let of = |word: &str| {
        let all = check["findings"].as_array().unwrap().iter();
        let mut mine = all.filter(|f| {
            // By its title: the evidence of another one tells of it too.
            f["id"].as_str().unwrap().starts_with("postgres.query.") && f["title"].to_string().contains(&format!("AS {word}"))
        });
        mine.next()
            .unwrap_or_else(|| {
                panic!(
                    "no finding about {word}: {:#?}",
                    check["findings"].as_array().unwrap().iter().map(|f| &f["title"]).collect::<Vec<_>>()
                )
            })
            .clone()
    };
    let offered = |f: &serde_json::Value| {
        f["fixes"].as_array().unwrap().iter().any(|x| x["title"] == "Roll back what was deployed with it")
    };
    assert!(offered(&of("fresh")), "{:#}", of("fresh"));
    assert!(!offered(&of("old")), "{:#}", of("old"));
}

/// The plan of a busy query is a minute old at most; an index that goes meanwhile makes it slower, and the plan of before must not hide why.
#[test]
fn a_query_that_becomes_slower_is_planned_again_soon() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE TABLE goods AS SELECT g AS id, md5(g::text) AS name FROM generate_series(1, 300000) g; \
         ALTER TABLE goods ADD PRIMARY KEY (id); ANALYZE goods",
    );
    // For as long as it takes, however fast the machine is.
    for _ in 0..3 {
        server.session("postgres", "SELECT name FROM goods WHERE id = 7\n\\watch 0.001\n");
    }
    let url = server.url("postgres", "postgres");
    let d = std::thread::scope(|scope| {
        let check = scope.spawn(|| server.check(&url, 50));
        // After the readings that say what is usual, and the plan.
        std::thread::sleep(Duration::from_secs(20));
        server.sql("postgres", "ALTER TABLE goods DROP CONSTRAINT goods_pkey");
        check.join().unwrap()
    });
    let f = found(&d, "postgres.query.missing_index");
    assert!(f.to_string().contains("goods"), "{f:#}");
}

#[test]
fn the_way_back_of_a_roles_setting_is_what_the_role_had() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN; ALTER ROLE app SET work_mem = '333kB'; \
         CREATE TABLE t AS SELECT g, md5(g::text) AS v FROM generate_series(1, 200000) g; GRANT SELECT ON t TO app; ANALYZE t",
    );
    for _ in 0..2 {
        server.session_as(
            "app",
            "postgres",
            &"SELECT count(*) FROM (SELECT md5(v || g) AS w FROM t ORDER BY 1 OFFSET 1) s;\n".repeat(300),
        );
    }
    let d = server.check(&server.url("postgres", "postgres"), 9);
    let f = found(&d, "postgres.query.temp_spill");
    let fix = &f["fixes"][0];
    assert!(fix["command"].as_str().unwrap().starts_with("ALTER ROLE app SET work_mem = '"), "{f:#}");
    assert_eq!(fix["undo"], "ALTER ROLE app SET work_mem = '333kB';", "{f:#}");
}
