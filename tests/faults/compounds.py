"""Two causes at once, and causes whose symptom is louder than themselves. The truth is a set; of a cause and its symptom, the symptom must not stand above."""
import faults
import pgfaults
import pgkinds
import shared


class Both(faults.Fault):
    """Several faults of the host at once: what the client asks for is what the first of them needs."""
    parts, symptoms, kind = (), (), None

    def __init__(self, lab):
        super().__init__(lab)
        self.all = [part(lab) for part in self.parts]
        self.truths = sorted({p.truth for p in self.all})
        self.truth = self.truths[0]
        self.accept = tuple(self.truths) + tuple(a for p in self.all for a in p.accept)

    def setup(self): [p.setup() for p in self.all]
    def service_cgroups(self): return [g for p in self.all for g in p.service_cgroups()]
    def service_args(self): return [a for p in self.all for a in p.service_args()]
    def ready(self): [p.ready() for p in self.all]
    def inject(self): [p.inject() for p in self.all]
    def revert(self): [p.revert() for p in reversed(self.all)]

    def tick(self):
        [p.tick() for p in self.all]
        self.keys = set().union(*(p.keys for p in self.all))


def both(name, *parts, **more):
    first = parts[0]
    common = {"parts": parts, "path": first.path, "rate": first.rate, "conns": first.conns, "hold": max(p.hold for p in parts), "warm": max(p.warm for p in parts)}
    return type(name, (Both,), dict(common, **more))


class PgBoth(pgfaults.Fault):
    """The same of PostgreSQL."""
    parts, symptoms = (), ()

    def __init__(self, lab):
        super().__init__(lab)
        self.all = [part(lab) for part in self.parts]
        self.truths = sorted({p.truth for p in self.all})
        self.truth = self.truths[0]
        self.accept = tuple(self.truths) + tuple(a for p in self.all for a in p.accept)

    def setup(self): [p.setup() for p in self.all]
    def inject(self): [p.inject() for p in self.all]

    def tick(self):
        [p.tick() for p in self.all]
        self.keys = set().union(*(p.keys for p in self.all))

    def revert(self): [p.revert() for p in reversed(self.all)]


class Hog(pgfaults.Fault):
    """A CPU hog beside the server."""
    truth, kind = "host.cpu.contention", "process"

    def inject(self):
        self.p = self.lab.start(("stress-ng", "--cpu", "4", "-t", "90"))

    def tick(self):
        self.keys |= {str(pid) for pid in self.lab.family(self.p.pid)}

    def revert(self):
        self.lab.stop(self.p)


def pg_both(name, *parts, **more):
    return type(name, (PgBoth,), dict({"parts": parts, "settings": tuple(s for p in parts for s in p.settings)}, **more))


HOST = [
    both("both_disk_and_cpu", faults.disk_hog, faults.cpu_hog),
    both("both_flushes_and_cpu", shared.flush_storm, faults.cpu_hog),
    both("both_link_and_cpu", faults.lossy_upstream, faults.cpu_hog),
    both("both_quota_and_disk", faults.cpu_quota_v1, faults.disk_hog, path="/read"),
    both("both_queue_and_cpu", faults.listen_overflow, faults.cpu_hog),
]
POSTGRES = [
    pg_both("BothIndexAndHog", pgfaults.MissingIndex, Hog, symptoms=(("postgres.query.missing_index", "postgres.lwlock.contention"),)),
    pg_both("BothLocksAndFlood", pgfaults.IdleTransaction, pgfaults.Flood),
    pg_both("BothLinkAndIndex", pgfaults.NarrowLink, pgfaults.MissingIndex),
    pg_both("BothJitAndLocks", pgkinds.Jit, pgfaults.AdvisoryLock),
]
