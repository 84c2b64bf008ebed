"""Faults of the Redis laboratory whose cause or effect is elsewhere: on its host, on a replica, in a database behind the cache."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

import postgres
from redisfaults import Fault, Loop, Process, packed


class Psql:
    """A session of the database behind the cache: one query at a time."""

    def __init__(self, server):
        self.child = subprocess.Popen(["psql", "-X", "-q", "-At", *server.base()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, sql):
        self.child.stdin.write(sql + ";\n")
        self.child.stdin.flush()
        return self.child.stdout.readline()

    def stop(self):
        self.child.kill()
        self.child.wait()


class Refill(Fault):
    """A cache becomes too small: what it evicts is fetched from a database, by a query of some milliseconds."""
    truth, keys, options = "redis.memory.evictions", ("maxmemory",), ("--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru")
    hold = 60

    def ready(self, server):
        self.dir = tempfile.mkdtemp(prefix="perftop-refill-", dir="/var/tmp")
        self.database = postgres.Server(self.dir, postgres.newest_bin())
        self.database.sql("CREATE TABLE prices AS SELECT g % 100 AS item, md5(g::text) AS price FROM generate_series(1, 300000) g; "
                          "CREATE INDEX ON prices (item); ANALYZE prices")
        server.ask("DEBUG", "POPULATE", 60000, "item", 400)
        # What the victims ask for is there: their look-ups are no misses.
        server.ask("SET", "key:7", "there")
        self.more = ["--postgres", "postgres:///bench?host=%s&port=%d" % (self.dir, self.database.port)]

    def inject(self, server):
        server.ask("CONFIG", "SET", "maxmemory", "12mb")
        sessions = [Psql(self.database) for _ in range(3)]

        def look(session):
            def one(wire, n):
                key = "item:%d" % ((n * 7919 + id(wire)) % 60000)
                if wire.ask("GET", key) is None:
                    session.ask("SELECT max(price) FROM prices WHERE item = %d" % (n % 100))
                    wire.ask("SET", key, "x" * 400)
            return one

        return [Loop(server.port, 0.01, look(session)) for session in sessions] + sessions

    def end(self):
        self.database.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class FsyncThrottled(Fault):
    """A container's limit on its disk, and a flush with each write."""
    truth, keys, options = "host.io.throttled", (), ("--appendonly", "yes", "--appendfsync", "always")
    place = "/var/tmp"

    def inject(self, server):
        group = "/sys/fs/cgroup/blkio/perftop-lab-redis-%d" % os.getpid()
        os.makedirs(group, exist_ok=True)
        self.keys = ("/" + os.path.basename(group), "blkio")
        number = os.stat(server.dir).st_dev
        path = os.path.realpath("/sys/dev/block/%d:%d" % (os.major(number), os.minor(number)))
        while os.path.exists(path + "/partition"):
            path = os.path.dirname(path)
        disk = open(path + "/dev").read().strip()
        for task in os.listdir("/proc/%d/task" % server.child.pid):
            with open(group + "/tasks", "w") as f:
                f.write(task)
        with open(group + "/blkio.throttle.write_iops_device", "w") as f:
            f.write("%s 60" % disk)
        self.group = group
        return [Loop(server.port, 0.001, lambda w, n: w.ask("SET", "k:%d" % (n % 100), "x" * 500)) for _ in range(4)]

    def end(self):
        for _ in range(50):
            try:
                os.rmdir(self.group)
                return
            except OSError:
                time.sleep(0.1)


class CpuHog(Fault):
    """Others take the CPUs: short commands take long, and the command is not to blame."""
    truth = "host.cpu.contention"

    def inject(self, server):
        hog = Process("stress-ng", "--cpu", "6", "--cpu-method", "int64", "--quiet")
        self.keys = ("%d@" % hog.child.pid,)
        return [hog]


class ReplicaStands(Fault):
    truth, keys = "redis.replication.lag", ("127.0.0.1:",)
    hold = 28

    def ready(self, server):
        self.replica = server.another()
        self.replica.ask("REPLICAOF", "127.0.0.1", server.port)
        time.sleep(2)

    def inject(self, server):
        os.kill(self.replica.child.pid, signal.SIGSTOP)
        return [Loop(server.port, 0.01, lambda w, n: w.ask("SET", "a:%d" % (n % 50), "x" * 200)) for _ in range(2)]

    def end(self):
        os.kill(self.replica.child.pid, signal.SIGCONT)


class ResyncLoop(Fault):
    """A buffer for replicas that is smaller than what is written while they copy."""
    truth, keys = "redis.replication.resync_loop", ("redis",)
    options = ("--repl-backlog-size", "16kb", "--client-output-buffer-limit", "replica 2mb 2mb 1", "--repl-diskless-sync-delay", "0")
    hold = 75

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 300000, "item", 400)
        self.replica = server.another()

    def inject(self, server):
        self.replica.ask("REPLICAOF", "127.0.0.1", server.port)
        return [Loop(server.port, 0.002, lambda w, n: w.ask("SET", "big:%d" % (n % 20), "x" * 100000)) for _ in range(3)]


class Forks(Fault):
    """Saves one after the other, with much memory to fork."""
    truth, keys = "redis.persistence.fork", ("redis",)
    place = "/dev/shm"

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 12000, "large", 500000)

    def inject(self, server):
        def save(wire, _n):
            if b"rdb_bgsave_in_progress:0" in wire.ask("INFO", "persistence"):
                wire.ask("BGSAVE")

        return [Loop(server.port, 0.05, save)]


class Pipelines(Fault):
    """Many commands at a time, at a rate that is fine."""

    def inject(self, server):
        def batch(wire, n):
            wire.socket.sendall(packed("GET", "key:%d" % n) * 100)
            for _ in range(100):
                wire.read()

        return [Loop(server.port, 0.05, batch) for _ in range(4)]


class ReplicaFollows(Fault):
    """A replica that copies once and follows."""

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 50000, "item", 200)
        self.replica = server.another()

    def inject(self, server):
        self.replica.ask("REPLICAOF", "127.0.0.1", server.port)
        return [Loop(server.port, 0.01, lambda w, n: w.ask("SET", "a:%d" % (n % 50), "x" * 200)) for _ in range(2)]


class OtherQueries(Refill):
    """A full cache that evicts what nobody wants and is asked for what never was, beside a database that others ask about as often, slowly."""
    truth, keys = "", ()

    def inject(self, server):
        server.ask("CONFIG", "SET", "maxmemory", "12mb")
        session = Psql(self.database)

        def miss(wire, n):
            wire.ask("GET", "never:%d" % n)
            wire.ask("SET", "cold:%d" % n, "x" * 400)

        def others(_wire, n):
            session.ask("SELECT max(price) FROM prices WHERE item = %d" % (n % 100))

        return [Loop(server.port, 0.02, miss), Loop(server.port, 0.02, others), session]


FAULTS = [Refill, FsyncThrottled, CpuHog, ReplicaStands, ResyncLoop, Forks]
CONTROLS = [Pipelines, ReplicaFollows, OtherQueries]
