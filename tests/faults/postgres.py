#!/usr/bin/env python3
"""Real faults in a real PostgreSQL under a rate-limited load, each with a server and a perftop of its own; and whether the first fix, pasted as it is, cures them.

  tests/faults/run postgres [--only NAME ...] [--seed N] [--bin DIR] [--out DIR]

Beside it the two usual ways to look: the largest class of wait, and the top of pg_stat_statements.
"""
import argparse
import collections
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import score
from binary import built
from harness import Lab

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WARM, HOLD, RECOVERY = 12, 22, 10
USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
WAIT_SAYS = {"Lock": "postgres.locks.blocked", "IO": "postgres.io.read_bound", "LWLock": "postgres.wal.commit_bound", "CPU": "postgres.query.expensive",
             "IPC": "postgres.wal.sync_replica"}


def newest_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: float(p.split("/")[4]))
    if not found:
        sys.exit("no PostgreSQL here: install postgresql and postgresql-contrib")
    return found[-1]


class Server:
    """A private cluster: its own directory and port; ended by its pid."""

    def __init__(self, directory, binaries, extra=()):
        self.dir, self.bin, self.port = directory, binaries, Lab.free_port()
        shutil.chown(directory, "postgres", "postgres")
        os.chmod(directory, 0o755)
        self.data = directory + "/data"
        self.run(["initdb", "-A", "trust", "-N", "-U", "postgres", "-D", self.data])
        lines = ["port=%d" % self.port, "listen_addresses='127.0.0.1'", "unix_socket_directories='%s'" % directory, "track_io_timing=on",
                 "shared_preload_libraries='pg_stat_statements'", "max_prepared_transactions=5", "shared_buffers=128MB", "max_connections=60",
                 "archive_mode=on", "archive_command='true'", "autovacuum_naptime=5s", *extra]
        with open(self.data + "/postgresql.conf", "a") as f:
            f.write("\n".join(lines) + "\n")
        self.run(["pg_ctl", "-D", self.data, "-l", directory + "/log", "-w", "-t", "60", "start"])
        with open(self.data + "/postmaster.pid") as f:
            self.pid = int(f.readline())
        self.sql("CREATE EXTENSION pg_stat_statements", "postgres")
        self.sql("CREATE DATABASE bench", "postgres")

    def run(self, argv):
        subprocess.run([*USER, self.bin + "/" + argv[0], *argv[1:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd="/")

    def base(self, database="bench"):
        return ["-h", self.dir, "-p", str(self.port), "-U", "postgres", database]

    def sql(self, text, database="bench", check=True):
        p = subprocess.run(["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *self.base(database), "-c", text], capture_output=True, text=True)
        if check and p.returncode:
            raise RuntimeError("%s: %s" % (text, p.stderr))
        return p.stdout.strip()

    def stop(self):
        subprocess.run([*USER, self.bin + "/pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd="/")


class Psql:
    """A session that is kept open: statements go in one by one."""

    def __init__(self, lab, server, database="bench", name="lab"):
        env = dict(os.environ, PGAPPNAME=name)
        self.p = subprocess.Popen(["psql", "-X", "-q", "-At", *server.base(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, env=env)
        lab.sessions.append(self)
        self.pid = int(self.ask("SELECT pg_backend_pid();"))

    def say(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def ask(self, text):
        self.say(text)
        return self.p.stdout.readline().strip()

    def end(self):
        try:
            self.p.kill()
            self.p.wait(5)
        except OSError:
            pass


class PgLab(Lab):
    def __init__(self, directory, seed, server):
        super().__init__(directory, seed)
        self.server, self.sessions, self.loads, self.number = server, [], [], 0

    def pgbench_init(self, scale):
        subprocess.run([self.server.bin + "/pgbench", "-i", "-q", "-s", str(scale), *self.server.base()], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def script(self, text):
        self.number += 1
        path = "%s/script%d.sql" % (self.dir, self.number)
        with open(path, "w") as f:
            f.write(text)
        return path

    def pgbench(self, *args, name="pgbench", base=None, log=None, prefix=()):
        env = ["env", "PGAPPNAME=" + name]
        extra = ["--log", "--log-prefix=" + log] if log else []
        return self.start([*prefix, *env, self.server.bin + "/pgbench", "-n", "-T", "600", *extra, *args, *(base or self.server.base())])

    def latency_rows(self, prefix):
        rows = []
        for path in glob.glob(prefix + ".*"):
            with open(path) as f:
                for line in f:
                    w = line.split()
                    if len(w) >= 6 and w[2].isdigit():
                        rows.append((int(w[4]) + int(w[5]) / 1e6, int(w[2]) / 1e6, 200))
        return rows

    def close(self):
        for s in self.sessions:
            s.end()
        super().close()


class Watch:
    """perftop's stream; beside it what the two usual looks say each second."""

    def __init__(self, lab, binary, record=None):
        url = "postgres://%s/postgres?host=%s&port=%d" % (lab.fault.watcher, lab.server.dir, lab.server.port)
        read, write = os.pipe()
        self.lines, self.full, self.waits, self.done = [], [], [], False
        self.p = lab.start([binary, "check", "--watch", "1s", "--format", "json", "--no-config", "--no-discover", "--postgres", url], out=write)
        self.recorder = record and lab.start([binary, "record", "--every", "1s", "--no-config", "--no-discover", "--postgres", url, record])
        os.close(write)
        threading.Thread(target=self.read, args=(read,), daemon=True).start()
        threading.Thread(target=self.look, args=(lab.server,), daemon=True).start()

    def read(self, fd):
        with os.fdopen(fd) as stream:
            for line in stream:
                d = json.loads(line)
                self.full = (self.full + [d])[-90:]
                self.lines.append([time.time(), dict(score.shorten(d), resolved=d["resolved"])])

    def look(self, server):
        p = subprocess.Popen(["psql", "-X", "-q", "-At", *server.base("postgres")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        sql = ("SELECT coalesce((SELECT wait_event_type FROM (SELECT coalesce(wait_event_type, 'CPU') AS wait_event_type, count(*) n FROM pg_stat_activity "
               "WHERE state = 'active' AND pid <> pg_backend_pid() GROUP BY 1 ORDER BY 2 DESC LIMIT 1) s), 'none');\n")
        try:
            while not self.done:
                p.stdin.write(sql)
                p.stdin.flush()
                self.waits.append([time.time(), p.stdout.readline().strip()])
                time.sleep(1)
        except (OSError, ValueError):
            pass
        finally:
            p.kill()
            p.wait()


def top_statement(server):
    """Query id of what pg_stat_statements has on top, perftop left out."""
    return server.sql("SELECT queryid FROM pg_stat_statements WHERE query !~ 'perftop|pg_catalog' ORDER BY total_exec_time DESC LIMIT 1", "postgres", check=False)


def paste(server, fix, database):
    """The command as it is, as an operator pastes it; and what its own verification says."""
    where = database if "any database" in fix["target"] else fix["target"].split(" on ")[0]
    out = {"command": fix["command"], "language": fix["language"]}
    if fix["language"] != "sql":
        return dict(out, pasted=False)
    p = subprocess.run(["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", *server.base(where)], input=fix["command"] + "\n", capture_output=True, text=True, timeout=120)
    out.update(pasted=p.returncode == 0, error=p.stderr.strip()[:300])
    v = subprocess.run(["psql", "-X", "-At", *server.base(where), "-c", fix["verify"]], capture_output=True, text=True)
    out["verify"] = (v.stdout.strip() or v.stderr.strip())[:200]
    return out


def run_case(kind, args, seed, work):
    directory = tempfile.mkdtemp(prefix="perftop-pg-", dir=work)
    server = Server(directory, args.bin, kind.settings)
    lab = PgLab(directory, seed, server)
    lab.fault = fault = kind(lab)
    watch = None
    try:
        lab.pgbench_init(kind.scale)
        fault.setup()
        server.sql("VACUUM ANALYZE")
        server.sql("SELECT pg_stat_statements_reset()", "postgres")
        log = directory + "/lat"
        fault.victims(log)
        name = getattr(args, "record", None) and "%s/pg_%s" % (args.record, "".join("_" * (c.isupper() and n > 0) + c.lower() for n, c in enumerate(kind.__name__)))
        watch = Watch(lab, args.binary, name and name + ".perftop")
        begin = time.time()
        time.sleep(WARM)
        injected = time.time()
        fault.inject()
        pasted, end = None, injected + fault.hold
        while time.time() < end:
            time.sleep(0.5)
            fault.tick()
            found = watch.full and watch.full[-1]["findings"]
            known = args.cure and fault.cured and time.time() > injected + fault.hold / 2 and found and found[0]["id"] == fault.truth
            # Whatever it is called: does what is said first help?
            if pasted is None and (known or fault.by_cure and time.time() > injected + fault.hold - 1 and found and found[0]["fixes"]):
                # A deployment to be taken back is none to paste: the first that is.
                first = [f for f in found[0]["fixes"] if not fault.by_cure or f["language"] == "sql"] or found[0]["fixes"]
                pasted = dict(paste(server, first[0], fault.database), at=time.time(), key=found[0]["key"])
                end = time.time() + fault.cure_s
        reverted = time.time() if pasted is None else pasted["at"]
        top = top_statement(server)
        fault.revert()
        time.sleep(RECOVERY)
        ended = time.time()
        watch.done = True
        lab.stop(watch.p)
        if name:
            lab.stop(watch.recorder)
            score.write_truth(name + ".toml", fault, injected, reverted)
        if pasted is not None:
            outcomes = [r for t, s in watch.lines if t > pasted["at"] for r in s["resolved"] if r["key"].split("|")[0] == fault.truth]
            after = [s for t, s in watch.lines if t > ended - 4]
            pasted["resolved"] = outcomes[-1]["outcome"] if outcomes else None
            pasted["before"], pasted["after"] = (outcomes[-1]["before"], outcomes[-1]["after"]) if outcomes else (None, None)
            pasted["gone"] = not any(f["id"] == fault.truth and f["severity"] != "info" for s in after for f in s["findings"])
        rows = lab.latency_rows(log)
        if pasted is not None:
            good = sorted(float(lat) for t, lat, status in rows if pasted["at"] + 5 <= float(t) < end and int(status) == 200)
            pasted["p99_ms"] = round(1e3 * good[int(0.99 * len(good))], 2) if good else None
        return {"case": kind.__name__, "seed": seed, "control": fault.control, "truth": fault.truth, "kind": fault.kind, "least": fault.least,
                "accept": fault.accept, "victims": [1, os.getpid(), server.pid],
                "keys": sorted(map(str, fault.keys)), "begin": begin, "injected": injected, "reverted": reverted, "ended": ended, "cure": pasted,
                "latency": score.latency(rows, begin, injected, reverted), "stream": watch.lines, "psi": [], "waits": watch.waits,
                "top_statement": "bench/" + top if top else None, "wants": sorted(map(str, fault.queries))}
    finally:
        if watch:
            watch.done = True
        lab.close()
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def judge(r):
    j = score.judge(r)
    waits = [w for t, w in r["waits"] if r["injected"] + score.SETTLE <= t <= r["reverted"]]
    j["wait"] = WAIT_SAYS.get(collections.Counter(waits).most_common(1)[0][0], None) if waits else None
    j["wait_right"] = bool(r["truth"]) and (j["wait"] == r["truth"] or (j["wait"] == "postgres.locks.blocked" and r["truth"].startswith("postgres.locks.")))
    j["top_right"] = bool(r["truth"]) and r["truth"].startswith("postgres.query.") and r["top_statement"] in r["wants"]
    j["cure"] = r["cure"]
    return j


def table(results, skipped):
    judged = [judge(r) for r in sorted(results, key=lambda r: (r["control"], r["case"], r["seed"]))]
    mark = lambda yes: "yes" if yes else "**no**"
    out = ["Commit %s, PostgreSQL %s, `tests/faults/run postgres --cure`; made from the raw results in tests/faults/results_postgres." %
           (", ".join(sorted({r["commit"] for r in results})), ", ".join(sorted({r["version"] for r in results}))), "",
           "| fault | truth | rank 1 | culprit | seconds | false criticals | status | unexplained | flaps/min | victim p99 ms | largest wait class | top statement | first fix pasted |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for j in judged:
        rank1 = j["rank1"] or "none"
        rank1 = rank1 if j["control"] or j["top1"] else "**%s**" % rank1
        cure = "-" if not j["cure"] else "cured: %s, %s" % (mark(j["cure"].get("gone")), j["cure"].get("resolved"))
        out.append("| %s (%d) | %s | %s | %s | %s | %d | %s | %.0f %% | %.1f | %s | %s | %s | %s |" % (
            j["case"], j["seed"], j["truth"] or "nothing", rank1, "-" if j["control"] else mark(j["culprit"]), "-" if j["seconds"] is None else j["seconds"],
            j["false_criticals"], j["status"], 100 * j["unexplained"], j["flaps"], j["p99"], "-" if j["control"] else "right" if j["wait_right"] else "wrong", "-" if j["control"] else "right" if j["top_right"] else "wrong", cure))
    real = [j for j in judged if not j["control"]]
    if real:
        n, times = len(real), sorted(j["seconds"] if j["seconds"] is not None else 30.0 for j in real)
        out += ["", "Faults %d: top-1 %.0f %%, culprit %.0f %%, median %.1f s (undetected count 30 s); false criticals in %d of %d runs; largest wait class %.0f %%, top statement %.0f %%."
                % (n, 100 * sum(j["top1"] for j in real) / n, 100 * sum(j["culprit"] for j in real) / n, times[n // 2],
                   sum(j["false_criticals"] > 0 for j in judged), len(judged), 100 * sum(j["wait_right"] for j in real) / n, 100 * sum(j["top_right"] for j in real) / n),
                "Healthy while a fault was on: %d of %d. First fixes that touch a victim: %d. Flaps per minute: %.2f on average, %.1f at most. Unexplained: %.0f %% on average."
                % (sum(j["status"] == "healthy" for j in real), n, sum(j["harm"] for j in judged), sum(j["flaps"] for j in judged) / len(judged),
                   max(j["flaps"] for j in judged), 100 * sum(j["unexplained"] for j in judged) / len(judged))]
    out += ["SKIPPED %s: %s" % (name, why) for name, why in skipped]
    return "\n".join(out)


def one_line(j):
    cure = "" if not j["cure"] else "; cure pasted %s gone %s resolved %s verify %s %s" % (
        j["cure"].get("pasted"), j["cure"].get("gone"), j["cure"].get("resolved"), j["cure"].get("verify"), j["cure"].get("error") or "")
    return score.one_line(j) + cure


def main():
    import pgfaults
    import pgkinds
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--out", default=HERE + "/results_postgres")
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--bin", default=None)
    parser.add_argument("--binary", default=None)
    parser.add_argument("--cure", action="store_true", help="paste the first fix into each fault that one statement can cure")
    parser.add_argument("--table", action="store_true", help="the table again, from the raw results")
    args = parser.parse_args()
    if args.table:
        results = [json.load(open(path)) for path in sorted(glob.glob(args.out + "/*.json"))]
        print(table(results, []))
        return
    args.bin = args.bin or newest_bin()
    args.binary = args.binary or built("perftop")
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: sys.exit("interrupted"))
    os.makedirs(args.out, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    version = subprocess.run([args.bin + "/postgres", "--version"], capture_output=True, text=True).stdout.split()[2]
    chosen = [f for f in pgfaults.ALL + pgkinds.KINDS if not args.only or f.__name__ in args.only]
    results, skipped = [], []
    for rep in range(args.reps):
        order = chosen[:]
        random.Random(args.seed + rep).shuffle(order)
        for kind in order:
            print("%-22s seed %d ..." % (kind.__name__, args.seed + rep), end=" ", flush=True)
            try:
                result = run_case(kind, args, args.seed + rep, args.work)
            except pgfaults.Impossible as why:
                skipped.append([kind.__name__, str(why)])
                print("SKIPPED: %s" % why, flush=True)
                continue
            result.update(commit=commit, version=version)
            with open("%s/%s-%d.json" % (args.out, kind.__name__, args.seed + rep), "w") as f:
                json.dump(result, f, separators=(",", ":"))
            results.append(result)
            print(one_line(judge(result)), flush=True)
    print()
    print(table(results, skipped))


if __name__ == "__main__":
    main()
