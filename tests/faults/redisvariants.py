"""The second half of the Redis laboratory: other commands, rates and shapes of the same kinds of faults, written after the thresholds were set."""
import threading

from redisfaults import Fault, Loop, Process, Wire, packed


class Sort(Fault):
    """A list is sorted as a whole, again and again."""
    truth, keys = "redis.command.slow", ("sort",)

    def ready(self, server):
        server.ask("EVAL", "for i=1,200000 do redis.call('RPUSH',KEYS[1],i*7919%200000) end", 1, "list")
        server.ask("CONFIG", "RESETSTAT")

    def inject(self, server):
        return [Loop(server.port, 0.4, lambda w, n: w.ask("SORT", "list", "LIMIT", "0", "1"), "ranking")]


class Union(Fault):
    """Large sets are united and stored."""
    truth, keys = "redis.command.slow", ("sunionstore",)

    def ready(self, server):
        for name in "ab":
            server.ask("EVAL", "for i=1,150000 do redis.call('SADD',KEYS[1],ARGV[1]..i) end", 1, name, name)
        server.ask("CONFIG", "RESETSTAT")

    def inject(self, server):
        return [Loop(server.port, 0.5, lambda w, n: w.ask("SUNIONSTORE", "c", "a", "b"), "segments")]


class Function(Fault):
    """A function of the server that takes its time."""
    truth, keys = "redis.command.script", ("fcall",)

    def ready(self, server):
        code = "#!lua name=lab\nredis.register_function('spin', function() local n=0 for i=1,5000000 do n=n+i end return n end)"
        server.ask("FUNCTION", "LOAD", code)

    def inject(self, server):
        return [Loop(server.port, 0.3, lambda w, n: w.ask("FCALL", "spin", 0), "billing")]


class WrongType(Fault):
    """A deploy writes lists where texts are."""
    truth, keys = "redis.errors", ("WRONGTYPE",)

    def ready(self, server):
        server.ask("SET", "text", "1")

    def inject(self, server):
        return [Loop(server.port, 0.01, lambda w, n: w.ask("LPUSH", "text", "x")) for _ in range(3)]


class StuckSubscriber(Fault):
    """A subscriber that reads nothing, without a limit for its buffer."""
    truth, options = "redis.memory.client_buffers", ("--client-output-buffer-limit", "pubsub 0 0 0")

    def inject(self, server):
        wire = Wire(server.port, "dashboard")
        self.keys = (wire.ask("CLIENT", "ID").decode().lstrip(":"),)
        wire.send("SUBSCRIBE", "prices")
        text = "x" * 20000

        class Stop:
            def stop(self):
                wire.close()

        return [Loop(server.port, 0.004, lambda w, n: w.ask("PUBLISH", "prices", text)) for _ in range(2)] + [Stop()]


class FanOut(Fault):
    """Each message goes to two hundred subscribers, who read it: what the thread writes is in no command's time."""
    truth, keys = "redis.main_thread.saturated", ("redis",)
    LISTEN = """
import selectors, socket, sys
all = selectors.DefaultSelector()
for _ in range(200):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"SUBSCRIBE news\\r\\n")
    all.register(s, selectors.EVENT_READ)
while True:
    for key, _ in all.select():
        key.fileobj.recv(1 << 20)
"""

    def inject(self, server):
        text = "x" * 200
        return [Process("python3", "-c", self.LISTEN, str(server.port))] + [
            Loop(server.port, 0, lambda w, n: w.ask("PUBLISH", "news", text), "publisher") for _ in range(3)]


class VolatileFull(Fault):
    """Evicts only what expires, and nothing does."""
    truth, keys, options = "redis.memory.oom_refused", ("maxmemory",), ("--maxmemory", "60mb", "--maxmemory-policy", "volatile-lru")

    def ready(self, server):
        server.ask("DEBUG", "POPULATE", 60000, "item", 200)

    def inject(self, server):
        server.ask("CONFIG", "SET", "maxmemory", "8mb")
        return [Loop(server.port, 0.03, lambda w, n: w.ask("SET", "order:%d" % n, "x" * 100)) for _ in range(3)]


class Fills(Fault):
    """Memory grows towards its limit, and writes will be refused."""
    truth, keys, options, hold = "redis.memory.near_limit", ("maxmemory",), ("--maxmemory", "120mb"), 85

    def inject(self, server):
        return [Loop(server.port, 0.02, lambda w, n: w.ask("SET", "log:%d" % n, "x" * 5000)) for _ in range(2)]


class ReadersOnReplica(Fault):
    """After a failover the readers went along: a replica that is read from and follows."""

    def ready(self, server):
        self.primary = server.another()
        self.primary.ask("SET", "key:7", "there")
        server.ask("REPLICAOF", "127.0.0.1", self.primary.port)

    def inject(self, server):
        write = Loop(self.primary.port, 0.01, lambda w, n: w.ask("SET", "a:%d" % (n % 50), "x" * 200))
        return [write] + [Loop(server.port, 0.005, lambda w, n: w.ask("GET", "a:%d" % (n % 50))) for _ in range(4)]


class Subscribers(Fault):
    """Many who are subscribed and read."""

    def inject(self, server):
        wires = [Wire(server.port) for _ in range(50)]

        def drain(wire):
            try:
                while wire.read() is not None:
                    pass
            except (OSError, ValueError):
                pass

        for wire in wires:
            wire.send("SUBSCRIBE", "prices")
            threading.Thread(target=drain, args=(wire,), daemon=True).start()

        class Stop:
            def stop(self):
                for wire in wires:
                    wire.close()

        return [Loop(server.port, 0.05, lambda w, n: w.ask("PUBLISH", "prices", "x" * 200)), Stop()]


class ShortScripts(Fault):
    """Scripts, but short ones."""

    def inject(self, server):
        return [Loop(server.port, 0.005, lambda w, n: w.ask("EVAL", "return redis.call('GET',KEYS[1])", 1, "key:7")) for _ in range(4)]


class Batches(Fault):
    """Large replies now and then, that fit into the loop."""

    def ready(self, server):
        server.ask("EVAL", "for i=1,2000 do redis.call('RPUSH',KEYS[1],i) end", 1, "page")

    def inject(self, server):
        def page(wire, n):
            wire.socket.sendall(packed("LRANGE", "page", "0", "99"))
            wire.read()

        return [Loop(server.port, 0.02, page) for _ in range(3)]


FAULTS = [Sort, Union, Function, WrongType, StuckSubscriber, FanOut, VolatileFull, Fills]
CONTROLS = [ReadersOnReplica, Subscribers, ShortScripts, Batches]
