"""The score of a raw result: top-1, culprit, seconds to the right verdict, false criticals, what stays unexplained, how calm the verdict is, and
whether its first fix would touch a victim; beside "highest PSI first"."""
import collections
import json
import re

SETTLE = 10  # the decision window begins so many seconds after the injection
PERSISTS = 5
PSI_SAYS = {"cpu": "host.cpu.contention", "memory": "host.memory.reclaim", "io": "host.io.saturated"}


def shorten(d):
    """Of a diagnosis what the score needs."""
    keep = [{"id": f["id"], "severity": f["severity"], "type": f["subject"]["type"], "key": f["subject"]["key"], "also": f["subject"]["also"],
             "score": f["score"], "benefit": f["impact"]["benefit_s_per_s"], "ended": f["ended"], "explained": f["explained_by"] is not None,
             "class": f["class"], "fix": f["fixes"][0]["command"] if f["fixes"] else ""}
            for f in d["findings"] if not f["id"].startswith("source.")]
    return {"at": d["at"], "status": d["health"]["status"], "T": d["time"]["foreground_s_per_s"],
            "unexplained": d["time"]["unexplained_s_per_s"], "findings": keep}


def latency(rows, begin, injected, reverted, after=4):
    """p50, p99 (ms), answers and errors per second, before and during: from so many seconds after the injection."""
    out = {}
    for name, start, end in (("before", begin, injected), ("during", injected + after, reverted)):
        mine = [(float(lat), int(status)) for t, lat, status in rows if start <= float(t) < end]
        good = sorted(lat for lat, status in mine if status == 200)
        at = lambda q: round(good[min(len(good) - 1, int(q * len(good)))] * 1e3, 2) if good else None
        out[name] = {"p50_ms": at(0.5), "p99_ms": at(0.99), "ok_per_s": round(len(good) / (end - start), 1),
                     "errors_per_s": round((len(mine) - len(good)) / (end - start), 1)}
    return out


def first(sample, least="warning"):
    """The rank-1 finding, if it is at warning or above; at info for what is never more by itself. An outcome has no rank: it counts where there is no cause."""
    found = [f for f in sample["findings"] if (least == "info" or f["severity"] != "info") and not f["explained"]]
    causes = [f for f in found if f.get("class") != "outcome"]
    return (causes or found or [None])[0]


def right(result, finding):
    return finding is not None and (finding["id"] == result["truth"] or finding["id"] in result.get("accept", ()))


def harms(result, finding):
    """The first fix touches a process that is a victim, a supervisor or the laboratory itself."""
    touches = re.search(r"\b(renice|ionice|chrt|kill)\b", finding.get("fix", ""))
    named = {int(pid) for pid in re.findall(r"\b(\d+)(?::\d+)?\b", finding.get("fix", ""))}
    return bool(touches) and bool(named & set(result.get("victims", ())))


def blamed(result, finding):
    """The subject is the culprit: its type and one of its keys; a process by pid."""
    # One of several verdicts that are right names its own kind of subject.
    if right(result, finding) and finding["id"] != result["truth"]:
        return True
    # Of several causes at once each has a kind of its own.
    if not right(result, finding) or result["kind"] is not None and finding["type"] != result["kind"]:
        return False
    keys = [finding["key"]] + [a.split(":", 1)[1] for a in finding["also"]]
    keys = [k.split("@")[0] for k in keys] if result["kind"] == "process" else keys + [k.split("@")[0] for k in keys]
    return any(k in result["keys"] for k in keys)


def write_truth(path, fault, injected, reverted):
    """Beside a recording: what is true of it, and when."""
    with open(path, "w") as f:
        f.write('truth = "%s"\nkind = "%s"\nkeys = %s\nfrom_ms = %d\nto_ms = %d\n' % (fault.truth or "", fault.kind or "",
                json.dumps(sorted(map(str, fault.keys))), (injected + SETTLE) * 1000, reverted * 1000))
        if fault.least == "info":
            f.write('least = "info"\n')


def judge(result):
    injected, reverted, least = result["injected"], result["reverted"], result.get("least", "warning")
    # A trend needs its minute of history: such a case is held for longer, and judged by its last twenty seconds.
    settle = max(SETTLE, reverted - injected - 20) if reverted - injected > 60 else SETTLE
    window = [s for t, s in result["stream"] if injected + settle <= t <= reverted]
    hold = [(t, s) for t, s in result["stream"] if injected <= t <= reverted]
    share = lambda pick: sum(map(pick, window)) / len(window) if window else 0.0
    seconds = None
    for i, (t, s) in enumerate(hold):
        rest = [x for u, x in hold[i:] if u <= t + PERSISTS]
        if right(result, first(s, least)) and all(right(result, first(x, least)) for x in rest):
            seconds = round(t - injected, 1)
            break
    psi = []
    for t, p in result["psi"]:
        if injected + SETTLE <= t <= reverted and p:
            top = max(p, key=p.get)
            psi.append(PSI_SAYS[top] if p[top] >= 10 else None)
    critical = lambda s: any(f["severity"] == "critical" and not f["explained"] and not (not result["control"] and (f["id"] == result["truth"] or f["id"] in result.get("accept", ()))) for f in s["findings"])
    wrong = [s for t, s in result["stream"] if critical(s) and (result["control"] or not injected <= t <= reverted + 6)]
    tail = [s for t, s in result["stream"] if t > result["ended"] - 2]
    mean = lambda of: round(sum(map(of, window)) / len(window), 3) if window else 0.0
    ids = [(first(s, least) or {"id": None})["id"] for s in window]
    flaps = sum(a != b for a, b in zip(ids, ids[1:])) * 60 / max(1, len(ids))
    states = collections.Counter(s["status"] for s in window)
    rank1 = [first(s, least)["id"] if first(s, least) else None for s in window]
    before, during = result["latency"]["before"], result["latency"]["during"]
    return {"case": result["case"], "seed": result["seed"], "control": result["control"], "truth": result["truth"],
            "rank1": max(set(rank1), key=rank1.count) if rank1 else None,
            "top1": share(lambda s: right(result, first(s, least))) > 0.5, "culprit": share(lambda s: blamed(result, first(s, least))) > 0.5,
            "seconds": seconds, "false_criticals": len(wrong),
            "unexplained": mean(lambda s: s.get("unexplained", 0) / s["T"] if s["T"] > 0 else 0.0), "status": states.most_common(1)[0][0] if states else "-",
            "flaps": round(flaps, 1), "harm": sum(harms(result, f) for t, s in hold for f in s["findings"] if f["severity"] != "info"),
            "psi_first": (max(set(psi), key=psi.count) if psi else None),
            "cleared": not any(f["severity"] == "critical" and not f["ended"] for s in tail for f in s["findings"]),
            "p99": "%s -> %s" % (before["p99_ms"], during["p99_ms"]), "ok": "%s -> %s" % (before["ok_per_s"], during["ok_per_s"])}


def one_line(j):
    verdict = ("%d false criticals" % j["false_criticals"]) if j["control"] else ("top-1 %s culprit %s after %s s" % (j["top1"], j["culprit"], j["seconds"]))
    verdict += "; status %s, unexplained %.0f %%, %.1f flaps/min%s" % (j["status"], 100 * j["unexplained"], j["flaps"], ", HARM %d" % j["harm"] if j["harm"] else "")
    return "rank 1 %-22s %s; p99 ms %s, ok/s %s; PSI says %s" % (j["rank1"], verdict, j["p99"], j["ok"], j["psi_first"])


def table(results, skipped, seed):
    judged = [judge(r) for r in sorted(results, key=lambda r: (r["control"], r["case"], r["seed"]))]
    commits = sorted({r["commit"] for r in results})
    mark = lambda yes: "yes" if yes else "**no**"
    out = ["Commit %s, seed %d, `tests/faults/run host`; made from the raw results in tests/faults/results by `python3 tests/faults/harness.py table`." % (", ".join(commits), seed), "",
           "| fault | truth | rank 1 | culprit | seconds | false criticals | cleared | status | unexplained | flaps/min | victim p99 ms | victim ok/s | highest PSI first |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for j in judged:
        ok = mark(j["culprit"]) if not j["control"] else "-"
        rank1 = j["rank1"] or "none"
        rank1 = rank1 if j["control"] or j["top1"] else "**%s**" % rank1
        psi = (j["psi_first"] or "none") + ("" if j["control"] else " (right)" if j["psi_first"] == j["truth"] else " (wrong)")
        out.append("| %s (%d) | %s | %s | %s | %s | %d | %s | %s | %.0f %% | %.1f | %s | %s | %s |" % (j["case"], j["seed"], j["truth"] or "nothing", rank1, ok,
                   j["seconds"] if j["seconds"] is not None else "-", j["false_criticals"], mark(j["cleared"]), j["status"],
                   100 * j["unexplained"], j["flaps"], j["p99"], j["ok"], psi))
    real = [j for j in judged if not j["control"]]
    if real:
        n, times = len(real), sorted(j["seconds"] if j["seconds"] is not None else 25.0 for j in real)
        out += ["", "Faults %d: top-1 %.0f %%, culprit %.0f %%, median %.1f s (undetected count 25 s); false criticals in %d of %d runs; highest PSI first: top-1 %.0f %%."
                % (n, 100 * sum(j["top1"] for j in real) / n, 100 * sum(j["culprit"] for j in real) / n, times[n // 2],
                   sum(j["false_criticals"] > 0 for j in judged), len(judged), 100 * sum(j["psi_first"] == j["truth"] for j in real) / n),
                "Healthy while a fault was on: %d of %d. First fixes that touch a victim: %d. Flaps per minute: %.2f on average, %.1f at most. Unexplained: %.0f %% on average."
                % (sum(j["status"] == "healthy" for j in real), n, sum(j["harm"] for j in judged), sum(j["flaps"] for j in judged) / len(judged),
                   max(j["flaps"] for j in judged), 100 * sum(j["unexplained"] for j in judged) / len(judged))]
    out += ["SKIPPED %s: %s" % (name, why) for name, why in skipped]
    return "\n".join(out)
