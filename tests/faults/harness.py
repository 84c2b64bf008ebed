#!/usr/bin/env python3
"""Runs the fault cases, each with a perftop of its own: warm-up, hold, recovery; keeps the raw stream; prints the score.

Everything started is ended by its pid, and by its parent's death; cgroups, mounts and files are removed at the end.
"""
import argparse
import ctypes
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults
from binary import built
import helpers
import score
import sharers
from shared import SHARED
from trust import TRUST
from kinds import KINDS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WARM, HOLD, RECOVERY = 8, 18, 10
HELPERS = ("acceptor", "callers", "hoarder", "chat", "download", "slowly", "flusher", "writer", "toucher", "hold", "sink", "closers", "keepers", "flood", "send", "strangers", "deadfuse", "reader", "pollers")
MIB = 1 << 20


class Lab:
    """One case: its processes, groups, files, and how to undo them."""

    def __init__(self, directory, seed):
        self.dir, self.seed, self.harness = directory, seed, os.path.abspath(__file__)
        self.processes, self.groups, self.undo = [], [], []
        self.service, self.port, self.need = None, 0, 0.0
        self.leak, self.tag = directory + "/leak.on", "perftop-lab-%d" % os.getpid()
        number = os.stat(directory).st_dev
        self.disk = self.whole_disk("%d:%d" % (os.major(number), os.minor(number)))

    @staticmethod
    def whole_disk(number):
        path = os.path.realpath("/sys/dev/block/" + number)
        if os.path.exists(path + "/partition"):
            with open(os.path.dirname(path) + "/dev") as f:
                return f.read().strip()
        return number

    def start(self, argv, cgroups=(), out=None):
        libc = ctypes.CDLL(None)

        def before_exec():
            libc.prctl(1, signal.SIGKILL)  # ends with us, whatever happens
            for group in cgroups:
                with open(group + "/cgroup.procs", "w") as f:
                    f.write(str(os.getpid()))

        p = subprocess.Popen([str(x) for x in argv], preexec_fn=before_exec, stdin=subprocess.DEVNULL,
                             stdout=out or subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(p)
        return p

    def me(self, *args, **kw):
        return self.start([sys.executable, self.harness, *args], **kw)

    def stop(self, p, how=signal.SIGTERM):
        if p is None or p.poll() is not None:
            return
        children = self.family(p.pid) - {p.pid}
        p.send_signal(how)
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @staticmethod
    def family(pid):
        found, todo = {pid}, [pid]
        while todo:
            for path in glob.glob("/proc/%d/task/*/children" % todo.pop()):
                try:
                    with open(path) as f:
                        new = {int(x) for x in f.read().split()} - found
                except OSError:
                    continue
                found |= new
                todo += list(new)
        return found

    def cgroup_path(self):
        return "/" + self.tag

    def cgroup(self, controller):
        group = "%s/%s/%s" % (faults.CGROUP, controller, self.tag)
        if not os.path.isdir(os.path.dirname(group)):
            raise faults.Impossible("no cgroup v1 controller %s here" % controller)
        os.makedirs(group, exist_ok=True)
        if group not in self.groups:
            self.groups.append(group)
        return group

    def cgroup_v2(self, controller):
        for base in (faults.CGROUP, faults.CGROUP + "/unified"):
            try:
                with open(base + "/cgroup.controllers") as f:
                    if controller not in f.read().split():
                        continue
            except FileNotFoundError:
                continue
            self.put(base + "/cgroup.subtree_control", "+" + controller)
            group = "%s/%s" % (base, self.tag)
            os.makedirs(group, exist_ok=True)
            if group not in self.groups:
                self.groups.append(group)
            return group
        raise faults.Impossible("no cgroup v2 controller %s here" % controller)

    @staticmethod
    def put(path, value):
        with open(path, "w") as f:
            f.write(str(value))

    def data(self, name, mb):
        """A file that is really written: holes answer without touching the disk."""
        path = "%s/%s.bin" % (self.dir, name)
        if not os.path.exists(path):
            block = os.urandom(4 * MIB)
            with open(path, "wb") as f:
                for _ in range(mb // 4):
                    f.write(block)
                f.flush()
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return path

    def warm_cache(self, mb, groups=()):
        for _ in range(2):
            self.start(["head", "-c", mb * MIB, self.data("cache", 1536)], cgroups=groups).wait()

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def namespace(self):
        """A host of its own behind a veth: its address, and how to run something there."""
        # A namespace goes away in its own time: each has a name of its own.
        Lab.namespaces = getattr(Lab, "namespaces", 0) + 1
        name, number = "pt%dn%d" % (os.getpid() % 10000, Lab.namespaces), (os.getpid() + Lab.namespaces) % 200
        here, there = "10.77.%d.1" % number, "10.77.%d.2" % number
        try:
            faults.sh("ip", "netns", "add", name)
            self.undo.append(lambda: faults.sh("ip", "netns", "del", name))
            faults.sh("ip", "link", "add", name + "a", "type", "veth", "peer", "name", name + "b", "netns", name)
            faults.sh("ip", "addr", "add", here + "/24", "dev", name + "a")
            faults.sh("ip", "link", "set", name + "a", "up")
            for command in (("addr", "add", there + "/24", "dev", name + "b"), ("link", "set", name + "b", "up"), ("link", "set", "lo", "up")):
                faults.sh("ip", "-n", name, *command)
        except (OSError, subprocess.CalledProcessError) as error:
            raise faults.Impossible("no network namespaces here: %s" % error) from error
        self.inside = ("ip", "netns", "exec", name)
        self.interface = name + "a"
        return there

    def start_inside(self, *args):
        return self.start([*self.inside, sys.executable, self.harness, *args])

    def start_service(self, wait=True):
        if not self.port:
            self.port = self.free_port()
        args = ["serve", "--port", self.port, "--direct", self.data("direct", 512), "--cache", self.data("cache", 1536),
                "--wal", self.data("wal", 16), "--leak", self.leak, *self.fault.service_args()]
        self.service = self.me(*args, cgroups=self.fault.service_cgroups())
        deadline = time.time() + (10 if wait else 0)
        while time.time() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)

    def victims(self):
        """Pids that no fix may touch, but for what the fault itself blames."""
        mine = {1, os.getpid(), os.getppid()} | ({self.service.pid} if self.service else set())
        return sorted(mine - self.fault.keys)

    def service_cpu(self):
        total = 0
        for path in glob.glob("/proc/%d/task/*/schedstat" % self.service.pid):
            with open(path) as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def close(self):
        for undo in reversed(self.undo):
            try:
                undo()
            except Exception as error:  # the rest must be undone all the same
                print("undo: %s" % error, file=sys.stderr)
        for p in self.processes:
            self.stop(p)
        for group in self.groups:
            for _ in range(50):
                try:
                    os.rmdir(group)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.1)


def pressure():
    """Highest PSI first, the method to beat: percent over the last second by resource."""
    out = {}
    for resource in ("cpu", "memory", "io"):
        try:
            with open("/proc/pressure/" + resource) as f:
                out[resource] = int(f.readline().rsplit("=", 1)[1])
        except OSError:
            out[resource] = None
    return out


class Watch:
    """perftop's stream with the moment of arrival of each line; PSI beside it."""

    def __init__(self, lab, binary, inside=()):
        read, write = os.pipe()
        self.lines, self.psi = [], []
        self.p = lab.start([*inside, binary, "check", "--watch", "1s", "--format", "json", "--no-discover"], out=write)
        os.close(write)
        threading.Thread(target=self.read, args=(read,), daemon=True).start()

    def read(self, fd):
        before, at = pressure(), time.time()
        with os.fdopen(fd) as stream:
            for line in stream:
                now, t = pressure(), time.time()
                if t - at > 0.5:
                    self.psi.append([t, {k: (now[k] - before[k]) / 1e4 / (t - at) for k in now if now[k] is not None}])
                    before, at = now, t
                self.lines.append([t, score.shorten(json.loads(line))])


def run_case(fault_class, args, seed, directory):
    lab = Lab(directory, seed)
    lab.fault = fault = fault_class(lab)
    csv = directory + "/latency.csv"
    try:
        fault.setup()
        lab.start_service()
        fault.ready()
        client = lab.me("client", "--port", lab.port, "--path", fault.path, "--rate", fault.rate, "--csv", csv, "--seed", seed, "--conns", fault.conns,
                        "--seconds", (fault.warm or WARM) + (fault.hold or HOLD) + RECOVERY + 20)
        watch = Watch(lab, args.binary or built("perftop"), fault.watch_inside)
        if args.record:
            lab.start([*fault.watch_inside, args.binary or built("perftop"), "record", "--every", "1s", "--no-discover", "%s/%s.perftop" % (args.record, fault_class.__name__)])
        begin = time.time()
        time.sleep(2)
        cpu, t = lab.service_cpu(), time.time()
        time.sleep((fault.warm or WARM) - 2)
        lab.need = (lab.service_cpu() - cpu) / (time.time() - t)
        injected = time.time()
        fault.inject()
        while time.time() < injected + (fault.hold or HOLD):
            time.sleep(0.5)
            fault.tick()
        reverted = time.time()
        fault.revert()
        time.sleep(RECOVERY)
        ended = time.time()
        lab.stop(client)
        lab.stop(watch.p)
        if args.record:
            score.write_truth("%s/%s.toml" % (args.record, fault_class.__name__), fault, injected, reverted)
        with open(csv) as f:
            rows = [line.split(",") for line in f if line.count(",") == 2]
        return {"case": fault_class.__name__, "seed": seed, "control": fault.control, "truth": fault.truth, "kind": fault.kind, "least": fault.least, "accept": fault.accept, "victims": lab.victims(),
                "keys": sorted(map(str, fault.keys)), "begin": begin, "injected": injected, "reverted": reverted, "ended": ended,
                "latency": score.latency(rows, begin, injected, reverted), "stream": watch.lines, "psi": watch.psi}
    finally:
        lab.close()
        for name in ("latency.csv", "full.img", "leak.on", "sparse", "flush", "more.csv"):
            if os.path.exists("%s/%s" % (directory, name)):
                os.unlink("%s/%s" % (directory, name))


def run(args):
    chosen = [f for f in faults.HOST + SHARED + TRUST + KINDS if not args.only or f.__name__ in args.only]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    os.makedirs(args.out, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="perftop-lab-", dir=args.work)
    results, skipped = [], []
    try:
        for rep in range(args.reps):
            order = chosen[:]
            random.Random(args.seed + rep).shuffle(order)
            for fault_class in order:
                seed = args.seed + rep
                print("%-22s seed %d ..." % (fault_class.__name__, seed), end=" ", flush=True)
                try:
                    result = run_case(fault_class, args, seed, directory)
                except faults.Impossible as why:
                    skipped.append([fault_class.__name__, str(why)])
                    print("SKIPPED: %s" % why, flush=True)
                    continue
                result["commit"] = commit
                with open("%s/%s-%d.json" % (args.out, fault_class.__name__, seed), "w") as f:
                    json.dump(result, f, separators=(",", ":"))
                results.append(result)
                print(score.one_line(score.judge(result)), flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print()
    print(score.table(results, skipped, args.seed))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    host = commands.add_parser("host")
    host.add_argument("--reps", type=int, default=1)
    host.add_argument("--seed", type=int, default=1)
    host.add_argument("--only", nargs="*")
    host.add_argument("--out", default=HERE + "/results")
    host.add_argument("--record", help="also record each case, with its truth, into this directory")
    host.add_argument("--work", default="/var/tmp")
    host.add_argument("--binary", default=None)
    table = commands.add_parser("table", help="the table again, from the raw results")
    table.add_argument("--out", default=HERE + "/results")
    serve = commands.add_parser("serve")
    for name, default in (("direct", ""), ("cache", ""), ("wal", ""), ("append", ""), ("leak", "")):
        serve.add_argument("--" + name, default=default)
    serve.add_argument("--port", type=int)
    serve.add_argument("--cpu-ms", type=float, default=2)
    serve.add_argument("--pages", type=int, default=60)
    serve.add_argument("--cache-mb", type=int, default=1536)
    serve.add_argument("--upstream", default="")
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--touch-mb", type=int, default=0)
    serve.add_argument("--lock", default="")
    serve.add_argument("--lock-ms", type=float, default=1)
    locker = commands.add_parser("locker")
    locker.add_argument("--lock")
    locker.add_argument("--held-ms", type=float)
    locker.add_argument("--free-ms", type=float)
    locker.add_argument("--seconds", type=float, default=60)
    upstream = commands.add_parser("upstream")
    upstream.add_argument("--address")
    upstream.add_argument("--port", type=int)
    upstream.add_argument("--delay")
    for name in HELPERS:
        helper = commands.add_parser(name)
        helper.add_argument("--address", default="127.0.0.1")
        helper.add_argument("--stop", default="")
        helper.add_argument("--poll", default="")
        for number in ("work-ms", "port", "count", "files", "threads", "mb", "rate"):
            helper.add_argument("--" + number, type=int, default=0)
        helper.add_argument("--seconds", type=float, default=60)
    client = commands.add_parser("client")
    client.add_argument("--port", type=int)
    client.add_argument("--path")
    client.add_argument("--csv")
    client.add_argument("--rate", type=float)
    client.add_argument("--seconds", type=float)
    client.add_argument("--seed", type=int)
    client.add_argument("--conns", type=int, default=6)
    alloc = commands.add_parser("alloc")
    for name, default in (("mb", 0), ("mbs", 1e6), ("leave", 400), ("prefill", 4000), ("seconds", 60)):
        alloc.add_argument("--" + name, type=type(default), default=default)
    fill = commands.add_parser("fill")
    fill.add_argument("--file")
    fill.add_argument("--at", type=int, default=0)
    fill.add_argument("--mbs", type=float, default=2000)
    fill.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    if args.command == "table":
        results = [json.load(open(path)) for path in sorted(glob.glob(args.out + "/*.json"))]
        print(score.table(results, [], min(r["seed"] for r in results)))
        return
    if args.command == "host":
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, lambda *_: sys.exit("interrupted"))
        run(args)
        return
    (getattr(helpers, args.command, None) or getattr(sharers, args.command))(args)


if __name__ == "__main__":
    main()
