"""Kinds of faults of PostgreSQL that nobody claimed, or for which the wrong cure was said; and their near-twins."""
from pgfaults import Control, Fault, IdleTransaction, Pooler, ThrottledCommits


class Loaded(Fault):
    """A load that is one script."""
    text, clients, like = "", 4, None

    def inject(self):
        self.p = self.load(self.text, clients=self.clients, name="load")

    def tick(self):
        if self.like and not self.queries:
            self.query_key(self.like)

    def revert(self):
        self.lab.stop(self.p)


class Jit(Loaded):
    """A short query whose estimate is huge: compiled anew for each call, for nothing."""
    truth, kind, clients, like = "postgres.query.jit", "query", 2, "jitted"
    text = "SELECT count(*) AS jitted, %s FROM jitted WHERE id < 5;\n" % ", ".join("sum(CASE WHEN v %% %d = 0 THEN v * %d ELSE v END)" % (n + 2, n) for n in range(40))

    def setup(self):
        self.server.sql("CREATE TABLE jitted (id int PRIMARY KEY, v int); INSERT INTO jitted SELECT g, g FROM generate_series(1, 100000) g")
        self.server.sql("CREATE ROLE reports LOGIN SUPERUSER")
        for name, value in (("jit", "on"), ("jit_above_cost", "0"), ("jit_optimize_above_cost", "0"), ("jit_inline_above_cost", "0")):
            self.server.sql("ALTER ROLE reports SET %s = %s" % (name, value))

    def inject(self):
        base = [w if w != "postgres" else "reports" for w in self.server.base()]
        self.p = self.lab.pgbench("-c", str(self.clients), "-f", self.lab.script(self.text), base=base, name="load")


class Planning(Loaded):
    """A query over a thousand partitions that needs one row: planned for 20 ms and more, executed in one."""
    truth, kind, clients, like = "postgres.query.planning", "query", 3, "parted"
    text = "\\set k random(1, 1000000)\nSELECT * FROM parted p JOIN parted q USING (k) WHERE p.v = :k LIMIT 1;\n"

    def setup(self):
        self.server.sql("CREATE TABLE parted (k int, v int) PARTITION BY HASH (k)")
        for first in range(0, 400, 100):
            self.server.sql("".join("CREATE TABLE parted%d PARTITION OF parted FOR VALUES WITH (MODULUS 400, REMAINDER %d);" % (n, n) for n in range(first, first + 100)))
        self.server.sql("CREATE INDEX ON parted (v)")


class BulkInserts(Loaded):
    """Many sessions fill one table with wide rows: each waits to extend it."""
    truth, kind, clients, accept = "postgres.lwlock.contention", "instance", 16, ("postgres.lwlock.contention", "postgres.wal.commit_bound", "host.io.saturated")
    text = "INSERT INTO bulk SELECT g, repeat(md5(g::text), 120) FROM generate_series(1, 500) g;\n"

    def setup(self):
        self.server.sql("CREATE UNLOGGED TABLE bulk (id int, pad text); ALTER TABLE bulk ALTER pad SET STORAGE PLAIN")
        self.keys.add("postgres:%d" % self.server.port)

    def revert(self):
        super().revert()
        self.server.sql("TRUNCATE bulk")


class Subtransactions(Loaded):
    """Loops of savepoints beside a long transaction: every reader looks up subtransactions."""
    truth, kind, clients = "postgres.lwlock.contention", "instance", 8
    text = "SELECT savepoints(300);\n"

    def setup(self):
        self.keys.add("postgres:%d" % self.server.port)
        self.server.sql("CREATE TABLE subs (id int PRIMARY KEY, v int); INSERT INTO subs SELECT g, 0 FROM generate_series(1, 2000) g;")
        self.server.sql("CREATE FUNCTION savepoints(n int) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN FOR i IN 1..n LOOP BEGIN "
                        "UPDATE subs SET v = v + 1 WHERE id = 1 + (random() * 1999)::int AND false; INSERT INTO subs VALUES (1, 1); "
                        "EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $f$")


class ListsOfAnyLength(Loaded):
    """No index for what stands in a list, and each length of a list is a statement of its own before PostgreSQL 18."""
    truth, kind, clients, cured, cure_s = "postgres.query.missing_index", "table", 3, True, 24

    def setup(self):
        self.server.sql("CREATE TABLE listed (id serial PRIMARY KEY, customer int, pad text);"
                        "INSERT INTO listed (customer, pad) SELECT random() * 100000, md5(g::text) FROM generate_series(1, 300000) g; ANALYZE listed")

    def inject(self):
        self.keys.add("bench.public.listed")
        scripts = []
        for n in range(1, 121):
            scripts += ["-f", self.lab.script("SELECT id, pad FROM listed WHERE customer IN (%s);\n" % ", ".join(str(k * 7919 % 100000) for k in range(n)))]
        self.p = self.lab.pgbench("-c", str(self.clients), *scripts, name="load")


class SearchedText(Loaded):
    """A piece of text is searched for in all rows."""
    truth, kind, clients, like = "postgres.query.expensive", "query", 3, "searched"
    text = "\\set k random(10000, 99999)\nSELECT count(id) AS searched FROM texts WHERE pad ILIKE '%' || :k || '%';\n"

    def setup(self):
        self.server.sql("CREATE TABLE texts AS SELECT g AS id, md5(g::text) AS pad FROM generate_series(1, 200000) g; ANALYZE texts")


class ControlLists(Control):
    """The same lists, a few a second, by an index."""

    def setup(self):
        self.server.sql("CREATE TABLE listed (id serial PRIMARY KEY, customer int, pad text);"
                        "INSERT INTO listed (customer, pad) SELECT random() * 100000, md5(g::text) FROM generate_series(1, 300000) g; CREATE INDEX ON listed (customer); ANALYZE listed")

    def inject(self):
        scripts = []
        for n in range(1, 61):
            scripts += ["-f", self.lab.script("SELECT id, pad FROM listed WHERE customer IN (%s);\n" % ", ".join(str(k * 7919 % 100000) for k in range(n)))]
        self.p = self.lab.pgbench("-c", "2", "-R", "40", *scripts, name="load")

    def revert(self):
        self.lab.stop(self.p)


class SortSpill(Loaded):
    """Whole tables are sorted: an index as large as the table would serve as well, but more memory for the sort is the first cure."""
    truth, kind, clients, like = "postgres.query.temp_spill", "query", 2, "sorted_by"
    text = "SET work_mem = '1MB';\nSELECT sum(sorted_by) FROM (SELECT abalance AS sorted_by, filler FROM pgbench_accounts ORDER BY abalance + aid, filler OFFSET 0) s;\n"


class FreshTable(Loaded):
    """A table that was filled a moment ago and never analysed is read by an id without an index: the index is what is missing."""
    truth, kind, clients = "postgres.query.missing_index", "table", 3
    text = "\\set id random(1, 400000)\nSELECT pad FROM fresh WHERE id = :id;\n"

    def setup(self):
        self.keys.add("bench.public.fresh")

    def inject(self):
        self.server.sql("CREATE TABLE fresh (id int, pad text) WITH (autovacuum_enabled = off); INSERT INTO fresh SELECT g, repeat('x', 80) FROM generate_series(1, 400000) g")
        super().inject()


class ManyIndexes(Loaded):
    """A table with fourteen indexes is written to: what each insert costs is their upkeep."""
    truth, kind, clients, like = "postgres.query.expensive", "query", 6, "INSERT INTO wide"
    accept = ("postgres.query.expensive", "postgres.wal.commit_bound", "postgres.index.redundant_on_hot_table", "postgres.query.high_frequency")
    text = "INSERT INTO wide SELECT %s FROM generate_series(1, 20) g;\n" % ", ".join("(random() * 1000000)::int" for _ in range(14))

    def setup(self):
        self.server.sql("CREATE TABLE wide (%s)" % ", ".join("c%d int" % n for n in range(14)))
        for n in range(14):
            self.server.sql("CREATE INDEX ON wide (c%d)" % n)
        self.server.sql("INSERT INTO wide SELECT %s FROM generate_series(1, 200000)" % ", ".join("(random() * 1000000)::int" for _ in range(14)))


class ControlJit(Control):
    """Long analytic queries that are compiled: what that takes is little of what they take."""

    def setup(self):
        self.server.sql("ALTER ROLE postgres SET jit_above_cost = 1000")

    def inject(self):
        self.p = self.load("SELECT sum(abalance + aid), avg(aid) FROM pgbench_accounts WHERE abalance < 100 AND bid > 0;\n", clients=1, rate=0.5, name="report")

    def revert(self):
        self.lab.stop(self.p)


class ControlPartitions(Control):
    """Prepared statements over four hundred partitions, few of them a second."""

    def setup(self):
        Planning.setup(self)

    def inject(self):
        self.p = self.load(Planning.text, clients=1, rate=1, name="report", args=("-M", "prepared"))

    def revert(self):
        self.lab.stop(self.p)


class HiddenLocks(IdleTransaction):
    """All wait for a lock, and perftop may see neither the sessions nor the statements of others: it cannot tell, and says so."""
    truth, kind, control, hidden, cured, watcher = None, None, True, True, False, "watcher@"

    def setup(self):
        super().setup()
        self.server.sql("CREATE ROLE watcher LOGIN", "postgres")

    def inject(self):
        super().inject()
        self.keys.clear()


class HoldsWhileScanning(Loaded):
    """Transactions change one of a few rows, look something up without an index and commit: the lookup is what the others wait for."""
    truth, kind, clients = "postgres.query.missing_index", "table", 4
    text = "\\set k random(1, 200000)\n\\set t random(1, 3)\nBEGIN;\nUPDATE tills SET v = v + 1 WHERE id = :t;\nSELECT * FROM slips WHERE k = :k;\nCOMMIT;\n"

    def setup(self):
        self.keys.add("bench.public.slips")
        self.server.sql("CREATE TABLE tills (id int PRIMARY KEY, v int); INSERT INTO tills SELECT g, 0 FROM generate_series(1, 3) g;"
                        "CREATE TABLE slips (k int, pad text); INSERT INTO slips SELECT g, repeat('x', 80) FROM generate_series(1, 200000) g")


class RowsBehindSlowDisk(ThrottledCommits):
    """Transactions that change the same row commit to a disk behind an IO limit: the queue for the row is a trace of the limit."""

    def inject(self):
        super().inject()
        self.p = self.load("UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;\n", clients=6, name="counter")

    def revert(self):
        super().revert()
        self.lab.stop(self.p)


class MissingIndexBehindPooler(Loaded):
    """Lookups without an index keep the few connections of a pooler: who queues there waits for them."""
    truth, kind, clients = "postgres.query.missing_index", "table", 8
    text = "\\set k random(1, 300000)\nSELECT * FROM slips WHERE k = :k;\n"

    def setup(self):
        self.pooler = Pooler(self.lab, self.server, 4)
        self.keys.add("bench.public.slips")
        self.server.sql("CREATE TABLE slips (k int, pad text); INSERT INTO slips SELECT g, repeat('x', 80) FROM generate_series(1, 300000) g")

    def victims(self, log):
        self.lab.pgbench("-c", "2", "-R", "50", "-S", name="catalog", log=log, base=self.pooler.base())

    def inject(self):
        self.p = self.lab.pgbench("-c", str(self.clients), "-f", self.lab.script(self.text), name="load", base=self.pooler.base())


KINDS = [HiddenLocks, Jit, Planning, BulkInserts, Subtransactions, SortSpill, FreshTable, ManyIndexes, HoldsWhileScanning, RowsBehindSlowDisk, MissingIndexBehindPooler, ListsOfAnyLength, SearchedText, ControlJit, ControlPartitions, ControlLists]
