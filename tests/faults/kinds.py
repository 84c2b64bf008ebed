"""Kinds of faults that had no cause, or the wrong one: each with a near-twin that must stay quiet."""
from faults import Fault


class own_flushes(Fault):
    """A batch job writes a record and flushes it, again and again, alone: nobody else is to blame, and nobody waits for it."""
    truth, kind, least = "app.bound", "process", "info"

    def inject(self):
        self.p = self.lab.me("flusher", "--stop", self.lab.dir + "/flush", "--count", 1, "--mb", 0, "--seconds", 90)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class one_thread(Fault):
    """The service is one thread, and is asked for more than that can do from the start."""
    truth, kind, conns = "app.bound", "process", 4

    def ready(self):
        self.more = self.lab.me("client", "--port", self.lab.port, "--path", "/cpu", "--rate", 900, "--csv", self.lab.dir + "/more.csv", "--seed", 9, "--conns", 8, "--seconds", 80)
        self.keys.add(self.lab.service.pid)

    def revert(self):
        self.lab.stop(self.more)


class control_half_a_thread(Fault):
    """The same service with half of what it can do."""
    control, rate = True, 200


KINDS = [own_flushes, one_thread, control_half_a_thread]
