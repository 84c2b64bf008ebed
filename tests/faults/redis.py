#!/usr/bin/env python3
"""Real faults in a real Redis beside clients whose latency is recorded, each with a server and a perftop of its own; and whether the first fix, pasted as it is,
cures them.

  tests/faults/run redis [--only NAME ...] [--variants] [--server PROGRAM] [--out DIR] [--record DIR] [--cure] [--binary BIN]

Beside it the usual ways to look: the command with the most microseconds, and what MEMORY DOCTOR and LATENCY DOCTOR say.
"""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from binary import built
import redisfaults
import redisjoined
import redisvariants
import score
from redisfaults import Wire

WARM, HOLD = 7, 16
FAULTS, CONTROLS = redisfaults.FAULTS + redisjoined.FAULTS, redisfaults.CONTROLS + redisjoined.CONTROLS
VARIANTS = redisvariants.FAULTS + redisvariants.CONTROLS


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A private server: its own directory and port; ended by its pid."""

    def __init__(self, program, options=(), place=None):
        self.program, self.port, self.dir = program, free_port(), tempfile.mkdtemp(prefix="perftop-redis-", dir=place)
        text = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        old = "v=6" in text or "v=5" in text
        argv = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir, *([] if old else ["--enable-debug-command", "yes"])]
        self.child = subprocess.Popen([*argv, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.others = []
        for _ in range(200):
            try:
                self.ask("PING")
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("%s does not start" % program)

    def ask(self, *words):
        wire = Wire(self.port)
        wire.socket.settimeout(60)
        try:
            return wire.ask(*words)
        finally:
            wire.close()

    def another(self):
        self.others.append(Server(self.program))
        return self.others[-1]

    def stop(self):
        for other in self.others:
            other.stop()
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Victims:
    """Clients that ask for little, and how long they waited: milliseconds by second; and newcomers, each of which connects, writes a key and reads it,
    and whether that failed: [when, seconds, status] as the other suites keep it."""

    def __init__(self, port, clients=8, pause=0.008):
        self.over, self.waits, self.failed, self.rows = threading.Event(), {}, 0, []
        self.threads = [threading.Thread(target=self.run, args=(port, pause), daemon=True) for _ in range(clients)]
        self.threads.append(threading.Thread(target=self.come, args=(port,), daemon=True))
        for thread in self.threads:
            thread.start()

    def come(self, port):
        while not self.over.wait(0.3):
            begin = time.time()
            try:
                wire = Wire(port, "new")
                wire.socket.settimeout(3)
                # A replica takes no writes, and that is no failure of its own.
                writes = wire.ask("ROLE")[0] == b"master"
                said = [wire.ask("SET", "newcomer", "1", "EX", "60") if writes else b"+OK", wire.ask("GET", "newcomer")]
                wire.close()
                good = not any(isinstance(word, bytes) and word.startswith(b"-") for word in said)
            except (OSError, TypeError):
                good = False
            # Of one that is served only its failures count: it pays for a connection too.
            if not good:
                self.rows.append((begin, time.time() - begin, 500))

    def run(self, port, pause):
        wire = Wire(port, "app")
        wire.socket.settimeout(30)
        while not self.over.wait(pause):
            begin = time.time()
            try:
                wire.ask("GET", "key:7")
            except OSError:
                self.failed += 1
                return
            self.waits.setdefault(int(begin), []).append((time.time() - begin) * 1000)
            self.rows.append((begin, time.time() - begin, 200))

    def mean(self, begin, end):
        all_of = [ms for second in range(int(begin), int(end)) for ms in self.waits.get(second, [])]
        return sum(all_of) / len(all_of) if all_of else float("inf")

    def stop(self):
        self.over.set()


class Perftop:
    """`check --watch`, each second's diagnosis with the moment it came."""

    def __init__(self, binary, port, more, record):
        which = ["--no-config", "--no-discover", "--redis", "redis://127.0.0.1:%d" % port, *more]
        argv = [binary, "check", "--watch", "1s", "--format", "json", *which]
        recorder = [binary, "record", "--every", "1s", *which, record]
        self.recorder = subprocess.Popen(recorder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if record else None
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.said = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.said.append((time.time(), json.loads(line)))

    def stop(self):
        for child in filter(None, (self.child, self.recorder)):
            child.terminate()
            child.wait()


def right(fault, said):
    """Whether the truth stands first (a note: is there at all), and whether the culprit is right."""
    truths = fault.truth.split()
    roots = [f for f in said["findings"] if f["explained_by"] is None and f["rank"] is not None]
    candidates = [f for f in said["findings"] if f["id"] in truths] if fault.note else [f for f in roots[:1] if f["id"] in truths and f["severity"] != "info"]
    if not candidates:
        return False, False
    keys = [candidates[0]["subject"]["key"], *[a.split(":", 1)[-1] for a in candidates[0]["subject"]["also"]]]
    return True, any(k.startswith(want) for k in keys for want in fault.keys)


def highest_usec(before, after):
    def rows(text):
        return {line.split(":")[0]: int(line.split("usec=")[1].split(",")[0]) for line in text.decode().splitlines() if line.startswith("cmdstat_")}
    old, new = rows(before), rows(after)
    grown = {name: usec - old.get(name, 0) for name, usec in new.items() if "info" not in name and "ping" not in name}
    return max(grown, key=grown.get, default="").replace("cmdstat_", "")


def doctors(server):
    """What the server's own doctors say: their first sentence of advice."""
    def said(*words):
        try:
            return server.ask(*words).decode(errors="replace").strip().splitlines()
        except (OSError, AttributeError):
            return []
    memory, latency = said("MEMORY", "DOCTOR"), [line for line in said("LATENCY", "DOCTOR") if line.startswith("- ")]
    return {"memory": " ".join(memory)[:80], "latency": latency[0][:100] if latency else ""}


def run(kind, program, binary, given, seed=1):
    """One line of results, and the raw stream as the other suites keep it."""
    fault, server = kind(), Server(program, kind.options, kind.place)
    stops, row = [], {"name": kind.__name__, "truth": fault.truth}
    try:
        fault.ready(server)
        victims = Victims(server.port)
        record = given.record and "%s/redis_%s.perftop" % (given.record, "".join("_" * (c.isupper() and n > 0) + c.lower() for n, c in enumerate(kind.__name__)))
        perftop = Perftop(binary, server.port, fault.more, record)
        server.ask("CONFIG", "SET", "latency-monitor-threshold", "5")
        time.sleep(WARM)
        begin = time.time()
        before = server.ask("INFO", "commandstats")
        stops = fault.inject(server)
        time.sleep(fault.hold)
        fix = next((f["fixes"][0]["command"] for f in (perftop.said[-1][1]["findings"] if perftop.said else []) if f["id"] in fault.truth.split() and f["fixes"]), None)
        if given.cure and fix:
            done = subprocess.run(["sh", "-c", fix], capture_output=True, text=True, timeout=20)
            row["cure"] = {"command": fix, "said": (done.stdout + done.stderr).strip()[:100]}
            pasted = time.time()
            time.sleep(12)
            late = [s for at, s in perftop.said if at > pasted + 8]
            row["cure"]["gone"] = bool(late) and not any(f["id"] in fault.truth.split() and not f["ended"] for f in late[-1]["findings"])
        end = begin + fault.hold
        row["doctors"] = doctors(server)
        for stop in stops:
            stop.stop()
        stops = []
        try:
            row["usec"] = highest_usec(before, server.ask("INFO", "commandstats"))
        except OSError:
            row["usec"] = ""
        time.sleep(given.recovery)
        victims.stop()
        perftop.stop()
        if record:
            with open(record[:-8] + ".toml", "w") as f:
                moments = [int((begin + fault.hold - 8) * 1000), int((begin + fault.hold - 1) * 1000)]
                kind_of = next((f["subject"]["type"] for _, s in reversed(perftop.said) for f in s["findings"] if f["id"] in fault.truth.split()), "")
                f.write("truth = %s\nkind = %s\nkeys = %s\nfrom_ms = %d\nto_ms = %d\n" % (*(json.dumps(x) for x in (fault.truth, kind_of, list(fault.keys))), *moments))
        inside = [(at - begin, s) for at, s in perftop.said if begin + max(5, fault.hold - 11) <= at <= end]
        outside = [s for at, s in perftop.said if at < begin]
        judged = [right(fault, s) for _, s in inside]
        row["victims_ms"] = [round(victims.mean(begin - WARM + 2, begin), 2), round(victims.mean(begin + 1, end), 2)]
        row["evaluations"] = len(judged)
        if fault.truth:
            row["right"] = sum(r for r, _ in judged) / max(1, len(judged))
            row["culprit"] = sum(c for _, c in judged) / max(1, len(judged))
            row["first_s"] = next((round(at - begin, 1) for at, s in perftop.said if at >= begin and right(fault, s)[0]), None)
        loud = outside if fault.truth else [s for _, s in perftop.said]
        row["false_criticals"] = sum(any(f["severity"] == "critical" for f in s["findings"]) for s in loud)
        row["not_healthy"] = sum(s["health"]["status"] not in ("healthy", "unknown") for s in loud)
        unexplained = [s["time"]["unexplained_s_per_s"] / max(0.05, s["time"]["foreground_s_per_s"]) for _, s in inside]
        row["unexplained"] = round(sum(unexplained) / max(1, len(unexplained)), 2)
        tops = [s["findings"][0]["id"] if s["findings"] else "" for _, s in inside]
        row["flaps"] = sum(a != b for a, b in zip(tops, tops[1:]))
        if fault.truth and row["right"] < 0.9 or not fault.truth and row["not_healthy"]:
            row["said"] = [s["findings"][0]["title"] if s["findings"] else s["health"]["status"] for _, s in (inside or [(0, s) for s in loud])][-3:]
        truths = fault.truth.split()
        raw = {"case": kind.__name__, "seed": seed, "control": not truths, "truth": truths[0] if truths else None, "accept": truths[1:], "kind": None,
               "least": "info" if fault.note else "warning", "keys": sorted(fault.keys), "victims": [1, os.getpid(), server.child.pid], "begin": begin - WARM,
               "injected": begin, "reverted": end, "ended": time.time(), "stream": [(at, score.shorten(s)) for at, s in perftop.said], "psi": [],
               "latency": score.latency(victims.rows, begin - WARM + 2, begin, end, 1)}
    finally:
        for stop in stops:
            stop.stop()
        fault.end()
        server.stop()
    return row, raw


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="*")
    options.add_argument("--variants", action="store_true", help="the second half: what was written after the thresholds were set")
    options.add_argument("--server", default=shutil.which("redis-server"))
    options.add_argument("--out")
    options.add_argument("--record", help="also record each case, with its truth, into this directory")
    options.add_argument("--cure", action="store_true")
    options.add_argument("--recovery", type=float, default=1, help="seconds after the fault")
    options.add_argument("--binary")
    given = options.parse_args()
    binary = given.binary or built("perftop")
    known = VARIANTS if given.variants else FAULTS + CONTROLS + (VARIANTS if given.only else [])
    kinds = [k for k in known if not given.only or k.__name__ in given.only]
    rows = []
    for kind in kinds:
        row, _ = run(kind, given.server, binary, given)
        rows.append(row)
        print(json.dumps(row), flush=True)
    faults, controls = [r for r in rows if r["truth"]], [r for r in rows if not r["truth"]]
    if faults:
        share = lambda name: 100 * sum(r[name] for r in faults) / len(faults)
        times = sorted(r["first_s"] for r in faults if r["first_s"] is not None)
        print("%d faults: right %.0f %%, culprit %.0f %%, median %s s" % (len(faults), share("right"), share("culprit"), times[len(times) // 2] if times else "-"))
    print("false criticals in %d of %d runs, controls not healthy in %d of %d" % (
        sum(r["false_criticals"] > 0 for r in rows), len(rows), sum(r["not_healthy"] > 0 for r in controls), len(controls)))
    if given.out:
        os.makedirs(given.out, exist_ok=True)
        with open(given.out + "/redis.json", "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
