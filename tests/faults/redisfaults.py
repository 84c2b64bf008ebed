"""The faults of the Redis laboratory: each with its server's options, what makes it ready, what is injected, and the truth."""
import os
import socket
import subprocess
import threading
import time


class Wire:
    """A connection that speaks the protocol by hand."""

    def __init__(self, port, name=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        if name:
            self.ask("CLIENT", "SETNAME", name)

    def send(self, *words):
        self.socket.sendall(packed(*words))

    def read(self):
        line = self.file.readline()
        if not line:
            raise OSError("closed")
        kind, rest = line[:1], line[1:].strip()
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(max(0, int(rest)))]
        return line.strip()

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def close(self):
        # A reader of another thread holds the file: the connection itself is shut.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def packed(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Loop:
    """Something that is done again and again on a thread of its own until it is stopped; one that is thrown out connects no more."""

    def __init__(self, port, pause, action, name=None):
        self.over = threading.Event()
        self.wire = Wire(port, name)
        self.thread = threading.Thread(target=self.run, args=(pause, action), daemon=True)
        self.thread.start()

    def run(self, pause, action):
        number = 0
        while not self.over.wait(pause):
            try:
                action(self.wire, number)
            except (OSError, ValueError):
                return
            number += 1

    def stop(self):
        self.over.set()
        self.wire.close()
        self.thread.join(timeout=2)


class Process:
    """A program, ended by its pid."""

    def __init__(self, *argv):
        self.child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def stop(self):
        self.child.kill()
        self.child.wait()


class Fault:
    truth, keys, options, victims = "", (), (), True
    # Findings that are notes: they must be there, not first.
    note = False
    # What else perftop is told to watch, for how many seconds the fault is there, where the server's files are.
    more, hold, place = (), 16, None

    def ready(self, server):
        pass

    def inject(self, server):
        return []

    def end(self):
        pass


class Keys(Fault):
    truth, keys = "redis.command.slow", ("keys",)

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 700000, "key", 16)

    def inject(self, server):
        return [Loop(server.port, 0.25, lambda w, n: w.ask("KEYS", "nomatch*"), "report")]


class HugeHash(Fault):
    truth, keys = "redis.command.slow", ("hgetall",)

    def ready(self, server):
        server.ask("EVAL", "for i=1,300000 do redis.call('HSET',KEYS[1],i,i) end", 1, "big")
        server.ask("CONFIG", "RESETSTAT")

    def inject(self, server):
        return [Loop(server.port, 0.3, lambda w, n: w.ask("HGETALL", "big"), "profile")]


class BigDelete(Fault):
    truth, keys = "redis.command.slow", ("del",)

    def ready(self, server):
        script = "for i=1,150000 do redis.call('SADD',KEYS[1],i..'x') end"
        for number in range(40):
            server.ask("EVAL", script, 1, "set%d" % number)
        server.ask("CONFIG", "RESETSTAT")

    def inject(self, server):
        return [Loop(server.port, 0.5, lambda w, n: w.ask("DEL", "set%d" % n))]


class LuaLoop(Fault):
    truth, keys = "redis.command.script", ("eval",)

    def inject(self, server):
        script = "local n=0 for i=1,4000000 do n=n+i end return n"
        return [Loop(server.port, 0.4, lambda w, n: w.ask("EVAL", script, 0))]


class LongScript(Fault):
    """One that does not end: nobody is answered, and after five seconds everybody is told BUSY."""

    truth, keys = "redis.command.slow redis.command.script", ("redis", "eval")

    def inject(self, server):
        wire = Wire(server.port)
        wire.send("EVAL", "while true do end", 0)
        stopper = Wire(server.port)

        class Stop:
            def stop(self):
                stopper.send("SCRIPT", "KILL")
                time.sleep(0.3)

        return [Stop()]


class Unthrottled(Fault):
    truth, keys = "redis.main_thread.saturated", ("redis",)

    def inject(self, server):
        return [Process("redis-benchmark", "-p", str(server.port), "-t", "get", "-P", "16", "-c", "40", "-n", "100000000", "-q")]


class Evictions(Fault):
    truth, keys, options = "redis.memory.evictions", ("maxmemory",), ("--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru")

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 300000, "item", 400)

    def inject(self, server):
        server.ask("CONFIG", "SET", "maxmemory", "40mb")

        def look(wire, n):
            for _ in range(10):
                key = "item:%d" % ((n * 7919 + id(wire)) % 300000)
                n += 13
                if wire.ask("GET", key) is None:
                    wire.ask("SET", key, "x" * 400)

        return [Loop(server.port, 0.01, look) for _ in range(4)]


class Refused(Fault):
    truth, keys, options = "redis.memory.oom_refused", ("maxmemory",), ("--maxmemory", "60mb")

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 60000, "item", 200)

    def inject(self, server):
        server.ask("CONFIG", "SET", "maxmemory", "8mb")
        return [Loop(server.port, 0.05, lambda w, n: w.ask("SET", "new:%d" % n, "x" * 100)) for _ in range(2)]


class FsyncAlways(Fault):
    truth, keys, options = "redis.persistence.fsync", ("appendfsync",), ("--appendonly", "yes", "--appendfsync", "everysec")

    def inject(self, server):
        server.ask("CONFIG", "SET", "appendfsync", "always")
        return [Loop(server.port, 0.0005, lambda w, n: w.ask("SET", "k:%d" % (n % 100), "x" * 500)) for _ in range(8)]


class SaveFails(Fault):
    truth, keys = "redis.persistence.failing", ("redis",)

    def ready(self, server):
        # Where the file would be there is a directory.
        os.mkdir(server.dir + "/dump.rdb")
        server.ask("SET", "a", "1")

    def inject(self, server):
        server.ask("CONFIG", "SET", "save", "1 1")
        return [Loop(server.port, 0.05, lambda w, n: w.ask("SET", "b", n))]


class ExpireStorm(Fault):
    truth, keys = "redis.expire.storm", ("redis",)

    def inject(self, server):
        def fill(wire, n):
            until = int(time.time() * 1000) + 1500
            wire.socket.sendall(b"".join(packed("SET", "e:%d:%d" % (n, i), "x", "PXAT", until) for i in range(20000)))
            for _ in range(20000):
                wire.read()

        return [Loop(server.port, 0.01, fill) for _ in range(2)]


class Monitor(Fault):
    truth, keys, note = "redis.clients.monitor", ("",), True

    def inject(self, server):
        return [Process("redis-cli", "-p", str(server.port), "MONITOR")]


class StuckMonitor(Fault):
    truth = "redis.memory.client_buffers redis.clients.monitor"

    def inject(self, server):
        wire = Wire(server.port, "forgotten")
        self.keys = (wire.ask("CLIENT", "ID").decode().lstrip(":"),)
        wire.send("MONITOR")
        value = "x" * 20000
        feed = [Loop(server.port, 0.002, lambda w, n: w.ask("SET", "k", value)) for _ in range(2)]

        class Stop:
            def stop(self):
                wire.close()

        return [*feed, Stop()]


class MaxClients(Fault):
    """A pool that is too large has every connection, and gives one back now and then, as pools with a lifetime do."""
    truth, keys, options = "redis.clients.exhausted", ("",), ("--maxclients", "40")

    def inject(self, server):
        over, held = threading.Event(), []

        def connect():
            try:
                held.append(Wire(server.port))
            except OSError:
                pass

        def knock():
            while not over.wait(0.1):
                try:
                    wire = Wire(server.port)
                    try:
                        wire.ask("PING")
                    finally:
                        wire.close()
                except OSError:
                    pass

        def rotate():
            while not over.wait(2):
                if held:
                    held.pop(0).close()
                over.wait(0.3)
                connect()

        for _ in range(40):
            connect()

        class Stop:
            def __init__(self):
                self.threads = [threading.Thread(target=does, daemon=True) for does in (knock, rotate)]
                for thread in self.threads:
                    thread.start()

            def stop(self):
                over.set()
                for thread in self.threads:
                    thread.join(timeout=3)
                for wire in held:
                    wire.close()

        return [Stop()]


class Churn(Fault):
    truth, keys, note = "redis.clients.churn", ("redis",), True

    def inject(self, server):
        return [Process("redis-benchmark", "-p", str(server.port), "-t", "get", "-c", "5", "-k", "0", "-n", "100000000", "-q")]


class NoPermission(Fault):
    truth, keys = "redis.errors", ("NOPERM",)

    def ready(self, server):
        server.ask("ACL", "SETUSER", "app", "on", ">word", "~*", "+get", "+ping")

    def inject(self, server):
        def denied(wire, n):
            if n == 0:
                wire.ask("AUTH", "app", "word")
            wire.ask("SET", "a", "1")

        return [Loop(server.port, 0.02, denied) for _ in range(3)]


class WritesToReplica(Fault):
    truth, keys = "redis.replication.writes_to_replica", ("redis",)

    def ready(self, server):
        self.primary = server.another()
        server.ask("REPLICAOF", "127.0.0.1", self.primary.port)
        time.sleep(2)

    def inject(self, server):
        return [Loop(server.port, 0.05, lambda w, n: w.ask("SET", "a", n)) for _ in range(2)]


class PrimaryLost(Fault):
    truth, keys = "redis.replication.down", ("127.0.0.1:",)

    def ready(self, server):
        self.primary = server.another()
        server.ask("REPLICAOF", "127.0.0.1", self.primary.port)
        time.sleep(2)

    def inject(self, server):
        self.primary.stop()
        return []


class Busy(Fault):
    """A third of the thread, short commands."""

    def inject(self, server):
        def many(wire, n):
            wire.socket.sendall(packed("GET", "key:%d" % n) * 400)
            for _ in range(400):
                wire.read()

        return [Loop(server.port, 0.02, many) for _ in range(2)]


class FullAndWell(Fault):
    options = ("--maxmemory", "60mb")

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 180000, "item", 200)

    def inject(self, server):
        return [Loop(server.port, 0.005, lambda w, n: w.ask("GET", "item:%d" % (n % 1000))) for _ in range(3)]


class SteadyCache(Fault):
    options = ("--maxmemory", "30mb", "--maxmemory-policy", "allkeys-lru")

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 60000, "item", 400)

    def inject(self, server):
        def mostly_hits(wire, n):
            wire.ask("GET", "hot:%d" % (n % 50))
            if n % 50 == 0:
                wire.ask("SET", "hot:%d" % (n // 50 % 50), "y" * 100)
                wire.ask("SET", "cold:%d" % n, "x" * 400)

        return [Loop(server.port, 0.002, mostly_hits) for _ in range(3)]


class IdleClients(Fault):
    def inject(self, server):
        held = [Wire(server.port) for _ in range(500)]

        class Stop:
            def stop(self):
                for wire in held:
                    wire.close()

        return [Stop()]


class Blocked(Fault):
    def inject(self, server):
        waits = [Loop(server.port, 0.01, lambda w, n: w.ask("BLPOP", "nothing", "1")) for _ in range(20)]
        return waits


FAULTS = [Keys, HugeHash, BigDelete, LuaLoop, LongScript, Unthrottled, Evictions, Refused, FsyncAlways, SaveFails, ExpireStorm, Monitor, StuckMonitor,
          MaxClients, Churn, NoPermission, WritesToReplica, PrimaryLost]
CONTROLS = [Busy, FullAndWell, SteadyCache, IdleClients, Blocked]
