"""The faults of PostgreSQL: each sets itself up, is injected under load and taken back. Truth is known before perftop starts."""
import os
import signal
import subprocess
import time

import postgres
from faults import Impossible
from postgres import Psql


class Fault:
    control, truth, kind, least, cured, database, accept = False, None, None, "warning", False, "bench", ()
    scale, hold, cure_s, settings = 10, postgres.HOLD, 14, ()
    # The first fix is pasted at the end, whatever it is of.
    by_cure = False
    # As whom perftop reads: `role@`.
    watcher = ""

    def __init__(self, lab):
        self.lab, self.server, self.keys, self.queries = lab, lab.server, set(), set()

    def setup(self):
        pass

    def victims(self, log):
        """Some 550 transactions a second, below a quarter of the machine: reads, and writes that commit."""
        self.lab.pgbench("-c", "4", "-R", "100", "-b", "tpcb-like", name="orders", log=log)
        self.lab.pgbench("-c", "4", "-R", "300", "-S", name="catalog")

    def inject(self):
        pass

    def tick(self):
        pass

    def revert(self):
        for s in self.lab.sessions:
            s.end()

    def load(self, text, clients=4, rate=None, name="load", args=()):
        extra = ["-R", str(rate)] if rate else []
        return self.lab.pgbench("-c", str(clients), *extra, "-f", self.lab.script(text), *args, name=name)

    def query_key(self, like):
        """bench/queryid of the statement whose text holds that."""
        got = self.server.sql("SELECT queryid FROM pg_stat_statements WHERE query ~ '%s' AND query !~ 'pg_stat_statements|perftop' ORDER BY calls DESC LIMIT 1" % like, "postgres", check=False)
        if got:
            self.keys.add("bench/" + got)
            self.queries.add("bench/" + got)

    def backend_key(self, pid):
        got = self.server.sql("SELECT pid || '@' || round(extract(epoch FROM backend_start) * 1000000)::int8 FROM pg_stat_activity WHERE pid = %d" % pid, "postgres")
        self.keys.add(got)


class IdleTransaction(Fault):
    truth, kind, cured = "postgres.locks.idle_in_transaction", "backend", True

    def inject(self):
        s = Psql(self.lab, self.server, self.database, name="report tool")
        s.say("BEGIN; UPDATE pgbench_branches SET bbalance = bbalance;")
        self.backend_key(s.pid)


class IdleTransactionElsewhere(IdleTransaction):
    """In a second database, where the sampling connection is not."""
    database = "second"

    def setup(self):
        self.server.sql("CREATE DATABASE second TEMPLATE bench", "postgres")

    def victims(self, log):
        self.lab.pgbench("-c", "4", "-R", "100", "-b", "tpcb-like", name="orders", log=log, base=self.server.base("second"))


class IdleBehindPooler(IdleTransaction):
    """Victims and culprit come through pgbouncer in transaction mode."""

    def setup(self):
        self.pooler = Pooler(self.lab, self.server, 20)

    def victims(self, log):
        self.lab.pgbench("-c", "4", "-R", "100", "-b", "tpcb-like", name="orders", log=log, base=self.pooler.base())
        self.lab.pgbench("-c", "2", "-R", "200", "-S", name="catalog", base=self.pooler.base())

    def inject(self):
        s = Psql(self.lab, self.pooler, name="report tool")
        s.say("BEGIN; UPDATE pgbench_branches SET bbalance = bbalance;")
        time.sleep(0.5)
        pid = self.server.sql("SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%SET bbalance = bbalance;%' LIMIT 1", "postgres")
        self.backend_key(int(pid))


class Pooler:
    """pgbouncer before the server, by TCP, as its sockets must be seen."""

    def __init__(self, lab, server, size):
        if not os.path.exists("/usr/sbin/pgbouncer"):
            raise Impossible("no pgbouncer here")
        self.port, self.bin, self.dir = lab.free_port(), server.bin, server.dir
        ini = lab.dir + "/pgbouncer.ini"
        with open(ini, "w") as f:
            f.write("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nunix_socket_dir=\nauth_type=any\n"
                    "pool_mode=transaction\ndefault_pool_size=%d\nmax_client_conn=200\nadmin_users=postgres\nlogfile=%s/pgbouncer.log\n"
                    "[databases]\nbench = host=127.0.0.1 port=%d dbname=bench user=postgres\n" % (server.port, self.port, size, lab.dir, server.port))
        subprocess.run(["chown", "postgres", ini, lab.dir], check=True)
        lab.start([*postgres.USER, "/usr/sbin/pgbouncer", ini])
        for _ in range(100):
            if subprocess.run(["psql", "-X", "-Atc", "select 1", *self.base()], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("pgbouncer does not answer")

    def base(self, database="bench"):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", database]


class PoolOfTwo(Fault):
    truth, kind = "app.pool.queueing", "pool"

    def setup(self):
        self.pooler = Pooler(self.lab, self.server, 2)
        self.keys.add(self.pooler.port)

    def victims(self, log):
        self.lab.pgbench("-c", "2", "-R", "20", "-S", name="catalog", base=self.pooler.base(), log=log)

    def inject(self):
        # Each transaction thinks in between: the server has next to nothing to do.
        text = "BEGIN;\nSELECT 1;\n\\sleep 40 ms\nCOMMIT;\n"
        self.p = self.lab.pgbench("-c", "12", "-f", self.lab.script(text), name="shop", base=self.pooler.base())

    def revert(self):
        self.lab.stop(self.p)


class DdlQueue(Fault):
    truth, kind, cured = "postgres.locks.ddl_queue", "backend", True

    def inject(self):
        reader = Psql(self.lab, self.server, name="analyst")
        reader.ask("BEGIN; SELECT count(*) FROM pgbench_branches;")
        ddl = Psql(self.lab, self.server, name="migration")
        for s in (reader, ddl):
            self.backend_key(s.pid)
        ddl.say("ALTER TABLE pgbench_branches ADD COLUMN note text;")


class PreparedTransaction(Fault):
    truth, kind, cured = "postgres.locks.prepared_transaction", "prepared_transaction", True

    def inject(self):
        self.server.sql("BEGIN; UPDATE pgbench_branches SET bbalance = bbalance; PREPARE TRANSACTION 'xa''1'")
        self.keys.add("xa'1")

    def revert(self):
        self.server.sql("ROLLBACK PREPARED 'xa''1'", check=False)


class AdvisoryLock(Fault):
    truth, kind, cured = "postgres.locks.advisory", "backend", True

    def victims(self, log):
        self.lab.pgbench("-c", "4", "-R", "100", "-f", self.lab.script("SELECT pg_advisory_xact_lock(42);\n"), name="jobs", log=log)
        self.lab.pgbench("-c", "2", "-R", "200", "-S", name="catalog")

    def inject(self):
        s = Psql(self.lab, self.server, name="old leader")
        s.ask("SELECT pg_advisory_lock(42) IS NULL;")
        self.backend_key(s.pid)


class HotRow(Fault):
    truth, kind = "postgres.locks.hot_row", "table"

    def inject(self):
        self.keys.add("bench.public.pgbench_branches")
        text = "BEGIN;\nUPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;\n\\sleep 5 ms\nCOMMIT;\n"
        self.p = self.load(text, clients=8, name="counter")

    def revert(self):
        self.lab.stop(self.p)


class Deadlocks(Fault):
    truth, kind, settings = "postgres.locks.deadlocks", "database", ("deadlock_timeout=100ms",)

    def inject(self):
        self.keys.add("bench")
        one = "BEGIN;\nUPDATE pgbench_branches SET bbalance = 1 WHERE bid = %d;\n\\sleep 5 ms\nUPDATE pgbench_branches SET bbalance = 1 WHERE bid = %d;\nCOMMIT;\n"
        # pgbench of 15 goes on after a deadlock when it may try again.
        self.all = [self.load(one % pair, clients=4, name="transfer", args=("--max-tries=0",)) for pair in ((7, 8), (8, 7))]

    def revert(self):
        for p in self.all:
            self.lab.stop(p)


class MissingIndex(Fault):
    truth, kind, cured, cure_s = "postgres.query.missing_index", "table", True, 24

    def inject(self):
        self.keys.add("bench.public.pgbench_accounts")
        self.server.sql("ALTER TABLE pgbench_accounts DROP CONSTRAINT pgbench_accounts_pkey CASCADE")
        self.query_key("SELECT abalance FROM pgbench_accounts")

    def tick(self):
        self.query_key("UPDATE pgbench_accounts SET") if not self.queries else None


class MissingIndexDisk(MissingIndex):
    """The table is larger than the memory that the server's group may use."""
    scale, settings, cured = 40, ("shared_buffers=32MB",), False

    def setup(self):
        self.group = self.lab.cgroup("memory")
        self.lab.put(self.group + "/memory.limit_in_bytes", 320 << 20)
        self.lab.put(self.group + "/cgroup.procs", self.server.pid)

    def victims(self, log):
        self.lab.pgbench("-c", "4", "-R", "100", "-b", "tpcb-like", name="orders", log=log)


class StaleStatistics(Fault):
    truth, kind, cured, cure_s = "postgres.query.stale_statistics", "table", True, 24

    def setup(self):
        self.server.sql("CREATE TABLE orders (id int PRIMARY KEY, state int, note text) WITH (autovacuum_enabled = off);"
                        "CREATE TABLE lines (id int PRIMARY KEY, order_id int, amount int);"
                        "INSERT INTO orders SELECT g, 0, 'x' FROM generate_series(1, 40000) g;"
                        "INSERT INTO lines SELECT g, g % 40000 + 1, g FROM generate_series(1, 120000) g;"
                        "CREATE INDEX ON lines (order_id); CREATE INDEX ON orders (state);")

    def inject(self):
        # The planner believes that no order is open.
        self.server.sql("UPDATE orders SET state = 1 WHERE id <= 30000")
        self.keys.add("bench.public.orders")
        self.p = self.load("SELECT o.id, l.amount FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.state = 1 AND l.amount % 50 = 7;\n", clients=3, name="report")

    def tick(self):
        self.query_key("o.state =") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class TempSpill(Fault):
    truth, kind = "postgres.query.temp_spill", "query"

    def inject(self):
        self.p = self.load("SET work_mem = '64kB';\nSELECT aid FROM pgbench_accounts WHERE aid < 200000 ORDER BY filler, abalance, aid DESC OFFSET 150000 LIMIT 1;\n", clients=2, name="report")

    def tick(self):
        self.query_key("ORDER BY filler") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class Correlated(Fault):
    """A subquery for each row, each by its index: nothing is missing but another way to write it."""
    truth, kind = "postgres.query.expensive", "query"

    def setup(self):
        self.server.sql("CREATE TABLE ev (id int PRIMARY KEY, grp int, v int); INSERT INTO ev SELECT g, g % 100, g FROM generate_series(1, 30000) g; CREATE INDEX ON ev (grp);")

    def inject(self):
        self.p = self.load("SELECT count(*) FROM (SELECT a.id FROM ev a WHERE a.id < 1500 AND a.v > (SELECT avg(b.v) FROM ev b WHERE b.grp = a.grp)) x;\n", clients=3, name="report")

    def tick(self):
        self.query_key("avg.b.v") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class Flood(Fault):
    truth, kind = "postgres.query.high_frequency", "query"

    def inject(self):
        self.p = self.load("\\set b random(1, 10)\nSELECT bbalance, filler FROM pgbench_branches WHERE bid = :b;\n", clients=6, name="orm")

    def tick(self):
        self.query_key("SELECT bbalance, filler FROM pgbench_branches") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class LargeFetch(Fault):
    truth, kind = "postgres.query.large_fetch", "query"

    def inject(self):
        self.p = self.load("SELECT * FROM pgbench_accounts WHERE bid <= 2;\n", clients=2, name="export")

    def setup(self):
        self.server.sql("CREATE INDEX ON pgbench_accounts (bid)")

    def tick(self):
        self.query_key("FROM pgbench_accounts WHERE bid <=") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class Exhausted(Fault):
    truth, kind, cured = "postgres.connections.exhausted", "application", True

    def inject(self):
        self.keys.add("hoarder")
        for _ in range(60):
            p = subprocess.Popen(["env", "PGAPPNAME=hoarder", "psql", "-X", "-q", "-h", self.server.dir, "-p", str(self.server.port), "-U", "app", "bench"], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.lab.processes.append(p)

    def setup(self):
        self.server.sql("CREATE ROLE app LOGIN")


class Churn(Fault):
    truth, kind = "postgres.connections.churn", "application"

    def inject(self):
        self.keys.add("cron jobs")
        self.p = self.load("SELECT 1;\n", clients=6, name="cron jobs", args=("-C",))

    def revert(self):
        self.lab.stop(self.p)


class ForcedCheckpoints(Fault):
    truth, kind, least, hold = "postgres.checkpoints.forced", "setting", "info", 40

    def inject(self):
        self.keys.add("max_wal_size")
        self.server.sql("ALTER SYSTEM SET max_wal_size = '32MB'", "postgres")
        self.server.sql("SELECT pg_reload_conf()", "postgres")
        self.p = self.load("\\set a random(1, 1000000)\nUPDATE pgbench_accounts SET filler = 'x' || :a WHERE aid BETWEEN :a AND :a + 200;\n",
                           clients=2, rate=60, name="import")

    def revert(self):
        self.lab.stop(self.p)
        self.server.sql("ALTER SYSTEM RESET max_wal_size", "postgres")
        self.server.sql("SELECT pg_reload_conf()", "postgres")


class ThrottledCommits(Fault):
    """Commits wait behind an IO limit of the server's group: the limit is the root."""
    truth, kind = "host.io.throttled", "cgroup"

    def setup(self):
        self.group = self.lab.cgroup("blkio")
        self.lab.put(self.group + "/cgroup.procs", self.server.pid)

    def inject(self):
        self.keys.add(self.lab.cgroup_path())
        for pid in self.lab.family(self.server.pid):
            try:
                self.lab.put(self.group + "/cgroup.procs", pid)
            except OSError:
                pass
        self.lab.put(self.group + "/blkio.throttle.write_iops_device", self.lab.disk + " 25")

    def revert(self):
        self.lab.put(self.group + "/blkio.throttle.write_iops_device", self.lab.disk + " 0")


class XminHolder(Fault):
    """A report holds its snapshot while an import uses up more than a million ids."""
    truth, kind, cured, hold = "postgres.vacuum.xmin_horizon", "backend", True, 80

    def inject(self):
        s = Psql(self.lab, self.server, name="analyst")
        s.ask("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pgbench_branches;")
        self.backend_key(s.pid)
        # Each savepoint takes one.
        importer = Psql(self.lab, self.server, name="import")
        importer.say("DO $$ BEGIN FOR n IN 1..3000 LOOP FOR i IN 1..400 LOOP BEGIN INSERT INTO pgbench_history (tid) VALUES (i); "
                     "EXCEPTION WHEN others THEN NULL; END; END LOOP; COMMIT; END LOOP; END $$;")


class Bloat(Fault):
    truth, kind = "postgres.vacuum.bloat", "table"

    def setup(self):
        self.server.sql("CREATE TABLE queue (id int, payload text) WITH (autovacuum_enabled = off); INSERT INTO queue SELECT g, repeat('x', 200) FROM generate_series(1, 60000) g; ANALYZE queue")

    def inject(self):
        self.keys.add("bench.public.queue")
        for _ in range(8):
            self.server.sql("UPDATE queue SET payload = payload")
        self.p = self.load("SELECT count(*), max(payload) FROM queue;\n", clients=2, name="worker")

    def tick(self):
        self.query_key("FROM queue") if not self.queries else None

    def revert(self):
        self.lab.stop(self.p)


class Overdue(Fault):
    truth, kind, cured, hold = "postgres.vacuum.overdue", "table", True, 60

    def setup(self):
        self.server.sql("ALTER TABLE pgbench_accounts SET (autovacuum_enabled = off)")

    def inject(self):
        self.keys.add("bench.public.pgbench_accounts")
        self.server.sql("UPDATE pgbench_accounts SET abalance = 1 WHERE aid <= 500000")


class InvalidIndex(Fault):
    truth, kind, least, cured, hold, cure_s = "postgres.index.invalid", "index", "info", True, 40, 30

    def inject(self):
        # Its values are not unique, so that the build fails and leaves what it began.
        self.server.sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON pgbench_accounts (bid)", check=False)
        if self.server.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") != "1":
            raise Impossible("the build did not leave an invalid index")
        self.keys.add("bench.public.broken")


class DuplicateIndex(Fault):
    # The catalogue is read once a minute at most.
    truth, kind, least, hold = "postgres.index.duplicate", "index", "info", 80

    def inject(self):
        self.server.sql("CREATE INDEX twice ON pgbench_accounts (aid)")
        self.keys.add("bench.public.twice")


class DeadSlot(Fault):
    truth, kind, cured, hold = "postgres.replication.slot_retention", "slot", True, 40

    def inject(self):
        self.server.sql("SELECT pg_create_physical_replication_slot('standby 2'::name, true)", check=False)
        self.server.sql("SELECT pg_create_physical_replication_slot('standby_2', true)", check=False)
        self.keys.add("standby_2")
        self.server.sql("CREATE TABLE waste AS SELECT repeat('x', 1000) v FROM generate_series(1, 60000)")


class Sequence(Fault):
    truth, kind, hold = "postgres.sequence.exhaustion", "sequence", 45

    def setup(self):
        self.server.sql('CREATE TABLE tickets (id serial PRIMARY KEY, note text)')

    def inject(self):
        self.server.sql("SELECT setval('tickets_id_seq', 2147480000)")
        self.keys.add("bench.public.tickets_id_seq")
        self.p = self.load("INSERT INTO tickets (note) VALUES ('x');\n", clients=1, rate=20, name="desk")

    def revert(self):
        self.lab.stop(self.p)


class Archiver(Fault):
    truth, kind, hold = "postgres.archiver.failing", "instance", 45

    def inject(self):
        self.keys.add("postgres:%d" % self.server.port)
        self.server.sql("ALTER SYSTEM SET archive_command = 'false'", "postgres")
        self.server.sql("SELECT pg_reload_conf()", "postgres")
        self.server.sql("SELECT pg_switch_wal()", "postgres")

    def revert(self):
        self.server.sql("ALTER SYSTEM RESET archive_command", "postgres")
        self.server.sql("SELECT pg_reload_conf()", "postgres")


class NarrowLink(Fault):
    """Three sessions send large answers to another host, through an interface that a shaper holds at 2 Mbit/s: they wait for the client to take them."""
    truth, kind, accept = "host.network.link_saturated", "interface", ("app.unexplained", "host.network.link_saturated", "postgres.query.large_fetch")
    settings = ("listen_addresses='*'",)

    def setup(self):
        self.address = self.lab.namespace()
        self.keys.add(self.lab.interface)
        here = self.address[:-1] + "1"
        with open(self.server.data + "/pg_hba.conf", "a") as f:
            f.write("host all all 10.77.0.0/16 trust\n")
        self.server.sql("SELECT pg_reload_conf()", "postgres")
        subprocess.run(["tc", "qdisc", "add", "dev", self.lab.interface, "root", "tbf", "rate", "2mbit", "burst", "16k", "limit", "64k"], check=True)
        self.base = ["-h", here, "-p", str(self.server.port), "-U", "postgres", "bench"]

    def inject(self):
        query = "SELECT repeat('x', 100000) FROM generate_series(1, 100000)"
        self.readers = [self.lab.start([*self.lab.inside, "psql", "-X", "-q", "-v", "FETCH_COUNT=1000", *self.base, "-o", "/dev/null", "-c", query])
                        for _ in range(3)]

    def revert(self):
        for p in self.readers:
            self.lab.stop(p)


class Control(Fault):
    control = True


class ControlCached(Control):
    """A steady load that is all in memory."""

    def victims(self, log):
        self.lab.pgbench("-c", "2", "-R", "1500", "-S", name="catalog", log=log)


class ControlIdle(Control):
    """Forty old idle connections: opened before, and none of them is anything."""

    def setup(self):
        for _ in range(40):
            p = subprocess.Popen(["psql", "-X", "-q", *self.server.base()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.lab.processes.append(p)


class ControlNiceReport(Control):
    """One long report whose backend gives way."""

    def inject(self):
        s = Psql(self.lab, self.server, name="report")
        os.setpriority(os.PRIO_PROCESS, s.pid, 19)
        # In the list of columns: in FROM the series would be written to disk first, gigabytes of it.
        s.say("SELECT count(*) FROM (SELECT generate_series(1, 400000000) AS n) g WHERE n % 7 = 3;")


class ControlAutovacuum(Control):
    def inject(self):
        self.server.sql("UPDATE pgbench_accounts SET abalance = 2 WHERE aid <= 300000")


class ControlBulkCopy(Control):
    def inject(self):
        self.p = self.lab.start(["psql", "-X", "-q", *self.server.base(), "-c",
                                 "CREATE TABLE bulk (a int, b text); COPY bulk FROM PROGRAM 'seq 1 3000000 | sed s/$/,some-text-that-is-loaded/' (FORMAT csv)"])


ALL = [IdleTransaction, IdleTransactionElsewhere, IdleBehindPooler, PoolOfTwo, DdlQueue, PreparedTransaction, AdvisoryLock, HotRow, Deadlocks, MissingIndex,
       MissingIndexDisk, StaleStatistics, TempSpill, Correlated, Flood, LargeFetch, Exhausted, Churn, ForcedCheckpoints, ThrottledCommits, XminHolder, Bloat,
       Overdue, InvalidIndex, DuplicateIndex, DeadSlot, Sequence, Archiver, NarrowLink, ControlCached, ControlIdle, ControlNiceReport, ControlAutovacuum, ControlBulkCopy]
