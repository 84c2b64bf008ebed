#!/usr/bin/env python3
"""Every fault of every suite, in random order, some times each; one line of results per run in a file, so that it can be stopped and taken up again.

  tests/faults/run all [--reps N] [--seed N] [--only PART ...] [--minutes M] [--out DIR] [--record DIR] [--runs N] [--table] [--half dev|held]

A run without any effect on the victims is void: it is listed, and not counted. Beside perftop what simpler ways would say.
"""
import argparse
import glob
import hashlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compounds
import faults
import harness
import outside
import pgfaults
import pgkinds
import pgwords
import postgres
import redis
import score
from binary import built
from kinds import KINDS
from shared import SHARED
from trust import TRUST
from ways import WAYS

HERE = os.path.dirname(os.path.abspath(__file__))
# Ten that need no tools beside Python and the servers, in some eight minutes.
TEN = ("four_hogs", "flush_storm", "listen_overflow", "full_datagrams", "full_neighbours", "IdleTransaction", "MissingIndex", "HotRow", "Keys", "Evictions")
# Nothing happens at all.
IDLE = ("control_idle", "ControlIdle")
METRICS = {"cpu": "host.cpu.contention", "memory": "host.memory.reclaim", "disk": "host.io.saturated", "retransmits": "host.network.packet_loss",
           "forks": "host.cpu.process_churn", "switches": "host.cpu.context_switches"}
STATIC = {"cpu": 80, "memory": 90, "disk": 80, "retransmits": 5}


class Machine:
    """What any monitor shows, once a second: for the simpler ways."""

    def __init__(self):
        self.rows, self.psi, self.over = [], [], threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def look():
        with open("/proc/stat") as f:
            lines = f.read().splitlines()
        words = [int(x) for x in lines[0].split()[1:9]]
        other = {w[0]: int(w[1]) for w in (line.split() for line in lines) if w and w[0] in ("ctxt", "processes")}
        with open("/proc/diskstats") as f:
            disks = {w[2]: int(w[12]) for w in (line.split() for line in f) if len(w) > 12 and not w[2].startswith(("loop", "ram"))}
        with open("/proc/net/snmp") as f:
            heads, values = [line.split() for line in f if line.startswith("Tcp:")]
        tcp = dict(zip(heads, values))
        with open("/proc/meminfo") as f:
            memory = {w[0]: int(w[1]) for w in (line.split() for line in f)}
        return words, other, disks, int(tcp["RetransSegs"]), memory, harness.pressure()

    def run(self):
        before, at = self.look(), time.time()
        while not self.over.wait(1):
            now, t = self.look(), time.time()
            d, dt = [b - a for a, b in zip(before[0], now[0])], t - at
            busy = 100 * (1 - (d[3] + d[4]) / max(1, sum(d)))
            util = max([(now[2][k] - v) / 10 / dt for k, v in before[2].items() if k in now[2]], default=0)
            self.rows.append([t, {"cpu": busy, "memory": 100 * (1 - now[4]["MemAvailable:"] / now[4]["MemTotal:"]), "disk": util,
                                  "retransmits": (now[3] - before[3]) / dt, "forks": (now[1]["processes"] - before[1]["processes"]) / dt,
                                  "switches": (now[1]["ctxt"] - before[1]["ctxt"]) / dt}])
            self.psi.append([t, {k: (now[5][k] - before[5][k]) / 1e4 / dt for k in now[5] if now[5][k] is not None}])
            before, at = now, t


def most(values):
    return max(set(values), key=values.count) if values else None


def simple(result):
    """What the simpler ways say in the decision window: static thresholds, robust z against the warm-up, largest class of wait, no edges."""
    inside = [m for t, m in result["machine"] if result["injected"] + score.SETTLE <= t <= result["reverted"]]
    warm = [m for t, m in result["machine"] if t < result["injected"]]
    static = [max(((m[k] / limit, METRICS[k]) for k, limit in STATIC.items() if m[k] >= limit), default=(0, None))[1] for m in inside]

    def z(m):
        out = []
        for k, name in METRICS.items():
            known = sorted(w[k] for w in warm)
            middle = known[len(known) // 2] if known else 0
            spread = sorted(abs(v - middle) for v in known)[len(known) // 2] if known else 0
            out.append((abs(m[k] - middle) / max(1.4826 * spread, 0.05 * abs(middle), 1.0), name))
        return max(out)[1]

    plain = []
    for t, s in result["stream"]:
        if result["injected"] + score.SETTLE <= t <= result["reverted"]:
            live = [f for f in s["findings"] if f["severity"] != "info" and f.get("class") != "outcome"] + [f for f in s["findings"] if f["explained"]]
            plain.append(max(live, key=lambda f: f["benefit"] or 0)["id"] if live else None)
    waits = [w for t, w in result.get("waits", ()) if result["injected"] + score.SETTLE <= t <= result["reverted"]]
    return {"static": most(static), "z": most([z(m) for m in inside]), "no_edges": most(plain), "waits": postgres.WAIT_SAYS.get(most(waits)) if waits else None}


def abstention(kind):
    """Which sort of nothing it is, where nothing should be said: a healthy host, one that is busy and hurts nobody, or one of which the source is hidden."""
    if getattr(kind, "hidden", False):
        return "hidden"
    return None if not getattr(kind, "control", False) else "healthy" if kind.__name__ in IDLE else "decoy"


def cured(result):
    """Of those whose first fix was pasted as it is: the victims have four fifths of what they lost again, while the load goes on; None where there was
    none to paste."""
    pasted, before, during = result.get("cure"), result["latency"]["before"]["p99_ms"], result["latency"]["during"]["p99_ms"]
    if not pasted:
        return None
    if not pasted["pasted"] or pasted["p99_ms"] is None or before is None:
        return False
    return during is None or during - pasted["p99_ms"] >= 0.8 * (during - before)


def measure(suite, result, kind):
    """One line of results."""
    j, symptoms, nothing = score.judge(result), getattr(kind, "symptoms", ()), abstention(kind)
    injected, reverted = result["injected"], result["reverted"]
    truths = set(result.get("truths") or ([result["truth"]] if result["truth"] else [])) | set(result["accept"])
    roots = lambda s: [f for f in s["findings"] if not f["explained"] and f.get("class") != "outcome" and (f["severity"] != "info" or result["least"] == "info")]
    window = [s for t, s in result["stream"] if injected + score.SETTLE <= t <= reverted]
    hit = lambda s, n: any(f["id"] in truths for f in roots(s)[:n])
    at_ten = next((s for t, s in result["stream"] if t >= injected + 10), None)
    wanted = set(result.get("truths") or ())

    def f1(s):
        said = {f["id"] for f in roots(s)[:5]}
        right = len(said & wanted)
        return 2 * right / (len(said) + len(wanted)) if said else 0.0

    def nested(s):
        place = {f["id"]: n for n, f in reversed(list(enumerate(roots(s))))}
        return all(b not in place or a in place and place[a] < place[b] for a, b in symptoms)

    share = lambda pick: sum(map(pick, window)) / len(window) if window else 0.0
    before, during = result["latency"]["before"], result["latency"]["during"]
    hurt = ((during["p99_ms"] or 1e9) >= 1.5 * (before["p99_ms"] or 0) or during["ok_per_s"] <= 0.8 * before["ok_per_s"] or during["errors_per_s"] > before["errors_per_s"] + 0.1)
    critical = lambda s: any(f["severity"] == "critical" and not f["ended"] for f in s["findings"])
    clear = next((round(t - reverted, 1) for t, s in result["stream"] if t >= reverted and not critical(s)), None)
    # Of what is hidden nothing is guessed, and it is not called healthy.
    quiet = [not roots(s) and s["status"] in (("unknown",) if nothing == "hidden" else ("healthy",)) for s in window]
    late = [s for t, s in result["stream"] if t >= result["ended"] - 2]
    seen = [s for s in window if s["T"] > 0]
    left, whole = (sum(s[what] for s in seen) / max(1, len(seen)) for what in ("unexplained", "T"))
    return {"suite": suite, "case": result["case"], "seed": result["seed"], "commit": result.get("commit"), "control": result["control"], "compound": bool(wanted),
            "truth": sorted(truths), "void": not result["control"] and result["least"] != "info" and not hurt,
            "top1": j["top1"], "top3": share(lambda s: hit(s, 3)) > 0.5, "top1_at_10": bool(at_ten) and hit(at_ten, 1), "culprit": j["culprit"],
            "f1": round(share(f1), 2) if wanted else None, "nested": round(share(nested), 2) if symptoms else None, "seconds": j["seconds"],
            "false_criticals": j["false_criticals"], "flaps": j["flaps"], "unexplained": j["unexplained"],
            "label": getattr(kind, "label", None), "cured": cured(result),
            "nothing": nothing, "quiet": sum(quiet) >= 0.9 * len(quiet) if nothing and window else None, "recovered": not any(critical(s) for s in late) if late else None,
            "left": round(left, 3), "whole": round(whole, 3), "clear_s": clear, "status": j["status"], "rank1": j["rank1"], "harm": j["harm"],
            "p99": j["p99"], "ok": j["ok"], "psi": j["psi_first"], **simple(result)}


def of_redis(row, raw, kind):
    """The line of a fault of Redis: its truth may have several names, its culprit is known by how its name begins, and a note need not stand first."""
    line = measure("redis", raw, kind)
    if not raw["control"]:
        line.update(top1=row.get("right", 0) > 0.5, culprit=row.get("culprit", 0) > 0.5, seconds=row.get("first_s"), rank1=line["rank1"] if not kind.note else raw["truth"])
    return dict(line, nothing="decoy" if raw["control"] else None, p99="%s -> %s" % (raw["latency"]["before"]["p99_ms"], raw["latency"]["during"]["p99_ms"]))


def cases():
    host = faults.HOST + SHARED + TRUST + KINDS + WAYS + compounds.HOST
    pg = pgfaults.ALL + pgkinds.KINDS + pgwords.WORDS + compounds.POSTGRES + outside.OUTSIDE
    return [("host", k) for k in host] + [("postgres", k) for k in pg] + [("redis", k) for k in redis.FAULTS + redis.CONTROLS + redis.VARIANTS]


def half(name):
    """Which half a case belongs to: thresholds are set with the one and judged by the other."""
    return "dev" if hashlib.sha256(name.encode()).digest()[0] % 2 else "held"


def run_one(suite, kind, seed, args, commit):
    watch = Machine()
    work = tempfile.mkdtemp(prefix="perftop-all-", dir=args.work)
    os.chmod(work, 0o755)  # a server runs as a user of its own
    record = work + "/recorded"
    os.mkdir(record)
    try:
        row, raw = run_in(suite, kind, seed, args, commit, work, record, watch)
        row["grounded"] = grounded(args.binary, record)
        if args.record:
            shutil.copytree(record, args.record, dirs_exist_ok=True)
        return row, raw
    finally:
        watch.over.set()
        shutil.rmtree(work, ignore_errors=True)


def grounded(binary, record):
    """Every figure that was published while recording is the one that is recomputed from the recording, byte for byte; None without a recording."""
    files = glob.glob(record + "/*.perftop")
    verified = [subprocess.run([binary, "replay", "--verify", "--json", "--speed", "1000x", f], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode for f in files]
    return all(code == 0 for code in verified) if files else None


def run_in(suite, kind, seed, args, commit, work, record, watch):
    if suite == "redis":
        given = argparse.Namespace(record=record, cure=False, recovery=harness.RECOVERY)
        row, result = redis.run(kind, shutil.which("redis-server"), args.binary, given, seed)
        result.update(machine=watch.rows, psi=watch.psi, commit=commit, truths=None)
        return of_redis(row, result, kind), result
    if suite == "host":
        given = argparse.Namespace(binary=args.binary, record=record)
        result = harness.run_case(kind, given, seed, work)
    else:
        given = argparse.Namespace(bin=postgres.newest_bin(), binary=args.binary, record=record, cure=False)
        result = postgres.run_case(kind, given, seed, work)
    result.update(machine=watch.rows, psi=result["psi"] or watch.psi, commit=commit, truths=getattr(kind, "truths", None) or sorted({p.truth for p in getattr(kind, "parts", ())}))
    return measure(suite, result, kind), result


def wilson(bad, n):
    """The upper end of the 95 % interval of a share."""
    if n == 0:
        return 1.0
    p, z = bad / n, 1.96
    return (p + z * z / 2 / n + z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)) / (1 + z * z / n)


def summary(rows, title):
    real = [r for r in rows if not r["control"] and not r["void"]]
    if not real:
        return ["%s: nothing counted." % title]
    n, times = len(real), sorted(r["seconds"] if r["seconds"] is not None else 30.0 for r in real)
    share = lambda name, of=real: 100 * sum(bool(r[name]) for r in of if r[name] is not None) / max(1, sum(r[name] is not None for r in of))
    says = lambda name: 100 * sum(r[name] in r["truth"] for r in real) / max(1, n)
    sets, nests = [r["f1"] for r in real if r["f1"] is not None], [r["nested"] for r in real if r["nested"] is not None]
    alarmed, counted = sum(r["false_criticals"] > 0 for r in rows if r["control"]), [r for r in rows if not r["void"] and r["whole"] > 0]
    well = lambda of, floor: 100 * sum(r["left"] <= max(0.1 * r["whole"], floor) for r in of) / max(1, len(of))
    controls = sum(r["control"] for r in rows)
    catalogue = sum(line.startswith("| ") and "." in line.split()[1] for line in open(harness.ROOT + "/docs/findings.md"))
    return ["**%s**: %d runs of faults, %d of controls, %d void." % (title, n, controls, sum(r["void"] for r in rows)), "",
            "| top-1 | top-3 | top-1 at 10 s | culprit | set-F1 | nested | median s | p90 s | criticals on controls (95 % at most) | flaps/min | unexplained <= 10 % of T |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            "| %.0f %% | %.0f %% | %.0f %% | %.0f %% | %s | %s | %.1f | %.1f | %d of %d (%.0f %%) | %.2f | %.0f %% (%.0f %%) of the runs of faults |" % (
                share("top1"), share("top3"), share("top1_at_10"), share("culprit"), "%.0f %%" % (100 * sum(sets) / len(sets)) if sets else "-",
                "%.0f %%" % (100 * sum(nests) / len(nests)) if nests else "-", times[n // 2], times[min(n - 1, int(0.9 * n))], alarmed, controls,
                100 * wilson(alarmed, controls), sum(r["flaps"] for r in rows) / len(rows), *(well([r for r in counted if not r["control"]], floor) for floor in (0.0, 0.05))), "",
            "Top-1 of simpler ways on the same runs: a finding at random %.1f %%, highest PSI %.0f %%, static thresholds of 80 and 90 %% %.0f %%, robust z %.0f %%, "
            "largest class of wait (PostgreSQL) %.0f %%, the ledger without edges %.0f %%." % (100 / max(1, catalogue), says("psi"), says("static"), says("z"),
            100 * sum(r["waits"] in r["truth"] for r in real if r["suite"] == "postgres") / max(1, sum(r["suite"] == "postgres" for r in real)), says("no_edges")), "",
            "Abstention: %s. Recovered (nothing is critical any more %.0f to %.0f seconds after the end): %s. Grounded (the recording gives every published figure again, byte for byte): %s." % (
                ", ".join("%s %s" % (what, ratio([r["quiet"] for r in rows if r.get("nothing") == what])) for what in ("healthy", "decoy", "hidden")),
                harness.RECOVERY - 2, harness.RECOVERY, ratio([r.get("recovered") for r in rows if not r["control"]]), ratio([r.get("grounded") for r in rows]))]


def outside_table(rows):
    """The re-enacted anomalies, by what would cure, and by whether the first fix did."""
    mine = [r for r in rows if r.get("label") and not r["control"]]
    if not mine:
        return []
    out = ["", "**Anomalies as published**: %d runs; the cause that would cure first in %s; pasted as it is, the first fix cured in %s." % (
        len(mine), ratio([r["top1"] for r in mine]), ratio([bool(r["cured"]) for r in mine])), "", "| label | case | said first | right | first fix cures |", "|---|---|---|---|---|"]
    return out + ["| %s | %s (%d) | %s | %s | %s |" % (r["label"], r["case"], r["seed"], r["rank1"], "yes" if r["top1"] else "**no**",
                                                       {None: "nothing to paste", True: "yes", False: "**no**"}[r["cured"]]) for r in mine]


def ratio(answers):
    known = [a for a in answers if a is not None]
    return "%d of %d" % (sum(known), len(known))


def table(rows):
    out = summary(rows, "All") + [""] + summary([r for r in rows if half(r["case"]) == "dev"], "First half") + [""]
    out += summary([r for r in rows if half(r["case"]) == "held"], "Second half") + ["", "| suite | case | half | truth | rank 1 | culprit | seconds | false criticals | unexplained | flaps/min | victims |",
                                                                                   "|---|---|---|---|---|---|---|---|---|---|---|"]
    for r in sorted(rows, key=lambda r: (r["control"], r["suite"], r["case"], r["seed"])):
        said = (r["rank1"] or "none") if r["suite"] != "redis" else ("right" if r["top1"] else "wrong") if not r["control"] else r["status"]
        said = said if r["control"] or r["top1"] else "**%s**" % said
        out.append("| %s | %s (%d)%s | %s | %s | %s | %s | %s | %d | %.0f %% | %.1f | %s |" % (
            r["suite"], r["case"], r["seed"], " void" if r["void"] else "", half(r["case"]), ", ".join(r["truth"]) or "nothing", said,
            "-" if r["control"] else "yes" if r["culprit"] else "**no**", "-" if r["seconds"] is None else r["seconds"], r["false_criticals"],
            100 * r["unexplained"], r["flaps"], r["p99"]))
    return "\n".join(out + outside_table(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="parts of the names of cases or suites")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no new run after that")
    parser.add_argument("--runs", type=int, default=1 << 30, help="end after so many runs")
    parser.add_argument("--ten", action="store_true", help="ten of them, once; fails where more than four of those that count are wrong")
    parser.add_argument("--half", choices=("dev", "held"))
    parser.add_argument("--out", default=HERE + "/results_all")
    parser.add_argument("--raw", help="keep the raw stream of each run there")
    parser.add_argument("--record", help="record each run, with its truth, into that directory")
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--binary", default=None)
    parser.add_argument("--table", action="store_true", help="the table again, from the results")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    path = args.out + "/results.jsonl"
    rows = [json.loads(line) for line in open(path)] if os.path.exists(path) else []
    if args.table:
        print(table(rows))
        return
    args.binary = args.binary or built("perftop")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=harness.ROOT, capture_output=True, text=True).stdout.strip()
    known = {(r["suite"], r["case"], r["seed"]) for r in rows}
    end, done = time.time() + 60 * args.minutes, 0
    for rep in range(args.reps):
        seed = args.seed + rep
        order = [(s, k) for s, k in cases() if not args.only or any(part in s + ":" + k.__name__ for part in args.only)]
        order = [(s, k) for s, k in order if not args.half or half(k.__name__) == args.half]
        order = [(s, k) for s, k in order if not args.ten or k.__name__ in TEN]
        random.Random(seed).shuffle(order)
        for suite, kind in order:
            if (suite, kind.__name__, seed) in known:
                continue
            if time.time() > end or done >= args.runs:
                print(table(rows))
                return
            print("%-9s %-24s seed %d ..." % (suite, kind.__name__, seed), end=" ", flush=True)
            try:
                row, raw = run_one(suite, kind, seed, args, commit)
            except (faults.Impossible, pgfaults.Impossible) as why:
                print("SKIPPED: %s" % why, flush=True)
                continue
            except Exception as error:  # the laboratory failed, not perftop: the others are run all the same
                print("FAILED: %r" % error, flush=True)
                continue
            rows.append(row)
            done += 1
            with open(path, "a") as f:
                f.write(json.dumps(row, separators=(",", ":")) + "\n")
            if raw is not None and args.raw:
                with open("%s/%s-%d.json" % (args.raw, kind.__name__, seed), "w") as f:
                    json.dump(raw, f, separators=(",", ":"))
            verdict = "%d false criticals" % row["false_criticals"] if row["control"] else "top-1 %s culprit %s after %s s%s" % (
                row["top1"], row["culprit"], row["seconds"], ", void" if row["void"] else "")
            print("rank 1 %s; %s" % (row["rank1"], verdict), flush=True)
    print(table(rows))
    if args.ten:
        counted = [r for r in rows if not r["control"] and not r["void"]]
        sys.exit(len(counted) >= 5 and sum(r["top1"] for r in counted) < 0.6 * len(counted))


if __name__ == "__main__":
    main()
