"""Anomalies of PostgreSQL as published collections describe them, re-enacted by parameters only: fresh tables that nobody analysed, so many threads, rows and columns.

`truth` is what would cure; `label` is what the collection calls it. Those without impact must stay low: nothing of them is critical.
"""
from pgfaults import Control
from pgkinds import Loaded


class Fresh(Loaded):
    """A table of so many rows and columns, filled a moment ago."""
    rows, columns, indexes, label, kind, by_cure = 100000, 4, 0, "", None, True

    def setup(self):
        columns = ", ".join("c%d int" % n for n in range(self.columns))
        self.server.sql("CREATE TABLE out1 (id int, %s, pad text) WITH (autovacuum_enabled = off)" % columns)
        values = ", ".join("(random() * 100000)::int" for _ in range(self.columns))
        self.server.sql("INSERT INTO out1 SELECT g, %s, repeat('x', 60) FROM generate_series(1, %d) g" % (values, self.rows))
        for n in range(self.indexes):
            self.server.sql("CREATE INDEX ON out1 (c%d)" % n)


class OutConcurrentInserts(Fresh):
    """Many threads insert rows, a transaction each."""
    label, truth, clients = "INSERT_LARGE_DATA", "postgres.query.high_frequency", 16
    accept = ("postgres.wal.commit_bound", "postgres.lwlock.contention", "postgres.query.expensive", "app.workload_growth")
    text = "INSERT INTO out1 VALUES (1, 1, 2, 3, 4, repeat('y', 200));\n"


class OutConcurrentCommits(Fresh):
    """Many threads change a row of their own and commit."""
    label, truth, clients = "POOR_COMMIT", "postgres.wal.commit_bound", 16
    accept = ("postgres.query.high_frequency", "postgres.query.expensive", "app.workload_growth", "postgres.query.missing_index")
    text = "\\set id random(1, 100000)\nUPDATE out1 SET c1 = c1 + 1 WHERE id = :id;\n"

    def setup(self):
        super().setup()
        self.server.sql("CREATE UNIQUE INDEX ON out1 (id)")


class OutUpdatesOfFewRows(Fresh):
    """Many threads change the same few rows."""
    label, truth, clients, kind = "LOCK_CONTENTION", "postgres.locks.hot_row", 12, "table"
    text = "\\set id random(1, 3)\nUPDATE out1 SET c1 = c1 + 1 WHERE id = :id;\n"

    def setup(self):
        super().setup()
        self.keys.add("bench.public.out1")
        self.server.sql("CREATE UNIQUE INDEX ON out1 (id)")


class OutDeletesThenLookups(Fresh):
    """Most rows are deleted, and what is left is looked up by a scan over their remains."""
    label, truth, clients = "VACUUM", "postgres.vacuum.bloat", 3
    rows, accept = 600000, ("postgres.query.missing_index", "postgres.vacuum.overdue", "postgres.query.stale_statistics")
    text = "SELECT count(*) FROM out1 WHERE c2 > 0;\n"

    def inject(self):
        self.server.sql("DELETE FROM out1 WHERE id % 50 <> 0")
        super().inject()


class OutManyIndexes(Fresh):
    """Rows are inserted into a table with an index on each of twelve columns."""
    label, truth, clients, columns, indexes = "REDUNDANT_INDEX", "postgres.query.expensive", 6, 12, 12
    accept = ("postgres.query.high_frequency", "postgres.wal.commit_bound", "postgres.index.redundant_on_hot_table")
    text = "INSERT INTO out1 SELECT g, %s, 'x' FROM generate_series(1, 30) g;\n" % ", ".join("(random() * 100000)::int" for _ in range(12))


class OutMissingIndex(Fresh):
    """Lookups by a column without an index."""
    label, truth, clients, rows, kind = "MISSING_INDEX", "postgres.query.missing_index", 4, 500000, "table"
    text = "\\set v random(1, 100000)\nSELECT * FROM out1 WHERE c1 = :v;\n"

    def setup(self):
        super().setup()
        self.keys.add("bench.public.out1")


class OutManyColumns(Fresh):
    """Lookups of wide rows by a column without an index."""
    label, truth, clients, rows, columns, kind = "MISSING_INDEX (wide)", "postgres.query.missing_index", 3, 200000, 40, "table"
    text = "\\set v random(1, 100000)\nSELECT c1, c2, c39 FROM out1 WHERE c7 = :v;\n"

    def setup(self):
        super().setup()
        self.keys.add("bench.public.out1")


class OutJoin(Fresh):
    """A join of two tables without indexes, whole each time."""
    label, truth, clients, rows = "POOR_JOIN", "postgres.query.missing_index", 2, 60000
    accept = ("postgres.query.expensive", "postgres.query.stale_statistics", "postgres.query.temp_spill", "postgres.query.jit")
    text = "\\set v random(1, 1000)\nSELECT count(*) FROM out1 a JOIN out1 b ON a.c1 = b.c2 WHERE a.c3 = :v;\n"


class OutSubquery(Fresh):
    """A correlated subquery for each row."""
    label, truth, clients, rows = "CORRELATED_SUBQUERY", "postgres.query.expensive", 2, 2000
    accept = ("postgres.query.missing_index",)
    text = "SELECT count(*) FROM out1 a WHERE c1 > (SELECT avg(c2) FROM out1 b WHERE b.c3 < a.c3);\n"


class OutLargeFetch(Fresh):
    """Whole tables are fetched."""
    label, truth, clients = "FETCH_LARGE_DATA", "postgres.query.large_fetch", 3
    text = "SELECT * FROM out1;\n"


class ControlOutInserts(Fresh, Control):
    """Inserts, ten a second."""
    control, label, by_cure = True, "no impact", False
    text = OutConcurrentInserts.text

    def inject(self):
        self.p = self.load(self.text, clients=1, rate=10, name="load")


class ControlOutLookups(Fresh, Control):
    """Lookups without an index, one every two seconds."""
    control, label, by_cure = True, "no impact", False
    text = OutMissingIndex.text

    def inject(self):
        self.p = self.load(self.text, clients=1, rate=0.5, name="load")


class ControlOutUpdates(Fresh, Control):
    """A few rows are changed, by two sessions, five times a second each."""
    control, label, by_cure = True, "no impact", False
    text = OutUpdatesOfFewRows.text

    def setup(self):
        super().setup()
        self.server.sql("CREATE UNIQUE INDEX ON out1 (id)")

    def inject(self):
        self.p = self.load(self.text, clients=2, rate=10, name="load")


class ControlOutDeletes(Fresh, Control):
    """Most rows are deleted once, and nobody looks them up."""
    control, label, by_cure, rows = True, "no impact", False, 100000

    def inject(self):
        self.server.sql("DELETE FROM out1 WHERE id % 50 <> 0")

    def revert(self): ...


class ControlOutManyIndexes(Fresh, Control):
    """Twelve indexes, and a row now and then."""
    control, label, by_cure, columns, indexes = True, "no impact", False, 12, 12
    text = OutManyIndexes.text.replace("1, 30", "1, 1")

    def inject(self):
        self.p = self.load(self.text, clients=1, rate=5, name="load")


OUTSIDE = [OutConcurrentInserts, OutConcurrentCommits, OutUpdatesOfFewRows, OutDeletesThenLookups, OutManyIndexes, OutMissingIndex, OutManyColumns, OutJoin, OutSubquery,
           OutLargeFetch, ControlOutInserts, ControlOutLookups, ControlOutUpdates, ControlOutDeletes, ControlOutManyIndexes]
