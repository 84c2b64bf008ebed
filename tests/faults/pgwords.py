"""Statements whose words keep an index from being used, or whose plan is another than the one that was looked at; and who holds rows while it works."""
from pgkinds import Loaded


class CastColumn(Loaded):
    """A key is compared as text: its index knows numbers."""
    truth, kind, clients, accept = "postgres.query.missing_index", "table", 3, ("postgres.query.missing_index", "postgres.query.expensive")
    text = "\\set k random(1, 200000)\nSELECT * FROM papers WHERE id::text = ':k';\n"

    def setup(self):
        self.keys.add("bench.public.papers")
        self.server.sql("CREATE TABLE papers (id bigint PRIMARY KEY, author text, mail text, pad text);"
                        "INSERT INTO papers SELECT g, 'Author ' || g, 'Mail' || g || '@Example.org', repeat('x', 60) FROM generate_series(1, 200000) g;"
                        "CREATE INDEX papers_mail ON papers (mail); ANALYZE papers")

    def inject(self):
        self.p = self.load(self.text.replace("':k'", "(:k)::text"), clients=self.clients, name="load")


class LowerColumn(CastColumn):
    """A name is looked up without regard to case: the index has it as it was written."""
    text = "\\set k random(1, 200000)\nSELECT * FROM papers WHERE lower(mail) = lower('MAIL' || :k || '@example.org');\n"


class OrColumns(CastColumn):
    """One of two columns of an OR has no index: the whole table is read for both."""
    text = "\\set k random(1, 200000)\nSELECT * FROM papers WHERE mail = 'Mail' || :k || '@Example.org' OR author = 'Author ' || :k;\n"


class QueueOneByOne(Loaded):
    """Workers take the next task of a queue with FOR UPDATE and without SKIP LOCKED: all wait for the first row."""
    truth, kind, clients, accept = "postgres.locks.hot_row", "table", 6, ("postgres.locks.hot_row", "postgres.locks.blocked")
    text = ("BEGIN;\nSELECT id AS task FROM queue WHERE NOT done ORDER BY id LIMIT 1 FOR UPDATE;\n\\gset\n\\sleep 20 ms\n"
            "UPDATE queue SET done = true WHERE id = :task;\nCOMMIT;\n")

    def setup(self):
        self.keys.add("bench.public.queue")
        self.server.sql("CREATE TABLE queue (id int PRIMARY KEY, done bool); INSERT INTO queue SELECT g, false FROM generate_series(1, 200000) g;"
                        "CREATE INDEX queue_open ON queue (id) WHERE NOT done")


class LongUpdate(Loaded):
    """One statement changes a third of a table in half a minute: whoever changes one of those rows waits for its end."""
    truth, kind, accept = "postgres.locks.blocked", "backend", ("postgres.locks.blocked", "postgres.query.expensive", "postgres.locks.hot_row")

    def inject(self):
        self.p = self.load("UPDATE pgbench_tellers SET tbalance = tbalance + length(pg_sleep(0.25)::text) WHERE tid <= 90;\n", clients=1, name="correction")

    def tick(self):
        pid = self.server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'correction' AND state = 'active' LIMIT 1", "postgres", check=False)
        if pid:
            self.backend_key(int(pid))


class RowPolicy(Loaded):
    """A policy asks for the rights of each row by a query of its own."""
    truth, kind, clients, like, accept = "postgres.query.expensive", "query", 2, "sheets", ("postgres.query.expensive", "postgres.query.missing_index")
    text = "SELECT count(*) FROM sheets;\n"

    def setup(self):
        self.keys |= {"bench.public.grants", "bench.public.sheets"}
        self.server.sql("CREATE TABLE grants (who text, sheet int); INSERT INTO grants SELECT 'reader', g FROM generate_series(1, 400) g;"
                        "CREATE TABLE sheets (id int PRIMARY KEY, pad text); INSERT INTO sheets SELECT g, repeat('x', 50) FROM generate_series(1, 2000) g;"
                        "ALTER TABLE sheets ENABLE ROW LEVEL SECURITY; CREATE ROLE reader LOGIN; GRANT SELECT ON sheets, grants TO reader;"
                        "CREATE FUNCTION may(n int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM grants WHERE sheet = n AND who = current_user); END';"
                        "CREATE POLICY own ON sheets USING (may(id)); ANALYZE grants; ANALYZE sheets")

    def inject(self):
        base = [w if w != "postgres" else "reader" for w in self.server.base()]
        self.p = self.lab.pgbench("-c", str(self.clients), "-n", "-f", self.lab.script(self.text), base=base, name="load")


class WideDocuments(Loaded):
    """Documents of some kilobytes are unpacked by the thousand for one field of each."""
    truth, kind, clients, like, accept = "postgres.query.expensive", "query", 2, "documents", ("postgres.query.expensive", "postgres.query.missing_index")
    text = "\\set k random(1, 3000)\nSELECT id FROM documents WHERE body->>'customer' = ':k';\n"

    def setup(self):
        self.keys.add("bench.public.documents")
        self.server.sql("CREATE TABLE documents (id int PRIMARY KEY, body jsonb); INSERT INTO documents SELECT g, jsonb_build_object('customer', g % 3000, 'lines',"
                        "(SELECT jsonb_agg(md5((g * n)::text)) FROM generate_series(1, 150) n)) FROM generate_series(1, 3000) g; ANALYZE documents")

    def inject(self):
        self.p = self.load(self.text.replace("':k'", "(:k)::text"), clients=self.clients, name="load")


WORDS = [CastColumn, LowerColumn, OrColumns, QueueOneByOne, LongUpdate, RowPolicy, WideDocuments]
