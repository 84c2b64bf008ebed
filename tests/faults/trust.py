"""Faults whose cause is not simple, and healthy hosts that look sick: what perftop does not know it may not call healthy, and the other way round."""
import os
import sys
import time

from faults import Command, Fault, frozen_fs

SPIN = "while True: pass"


class frozen_beside(frozen_fs):
    """The file system of the service is frozen, and another program writes 60 fsyncs a second to another disk file: the disk works."""

    def inject(self):
        self.p = self.lab.me("flusher", "--stop", self.lab.dir + "/flush", "--count", 1, "--mb", 0, "--rate", 60, "--seconds", 90)
        super().inject()

    def revert(self):
        super().revert()
        self.lab.stop(self.p)


class four_hogs(Fault):
    """Four copies of one CPU hog, each started by itself: none of them has half of what competes."""
    truth, kind, accept = "host.cpu.contention", "process", ("app.unexplained", "host.cpu.contention")

    def inject(self):
        self.hogs = []
        for _ in range(4):
            self.hogs.append(self.lab.start([sys.executable, "-c", SPIN]))
            time.sleep(0.3)
        self.keys |= {p.pid for p in self.hogs}

    def revert(self):
        for p in self.hogs:
            self.lab.stop(p)


class stopped_service(Fault):
    """The service is stopped as a whole: nobody reads what comes. No cause is known to any rule."""
    truth, kind, accept = None, None, ("app.service.stalled",)
    stalls = True

    def inject(self):
        os.kill(self.lab.service.pid, 19)

    def revert(self):
        os.kill(self.lab.service.pid, 18)


class control_batch(Command):
    """A batch job works alone at night: hardly anybody asks the service for anything."""
    control, rate, argv = True, 0.5, ("stress-ng", "--cpu", "1", "--hdd", "1", "--hdd-bytes", "256m", "-t", "90")


class control_warmup(Fault):
    """The service is started anew and reads its files for the first time."""
    control, path, rate = True, "/pages", 20

    def inject(self):
        self.lab.stop(self.lab.service)
        cache = os.open(self.lab.data("cache", 1536), os.O_RDONLY)
        os.posix_fadvise(cache, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(cache)
        self.lab.start_service()


class control_long_polls(Fault):
    """Sixteen long polls beside the quick requests of the service, at a port of their own: each is answered after 25 s."""
    control = True

    def ready(self):
        self.delay = self.lab.dir + "/delay"
        self.lab.put(self.delay, "25000 100")
        self.port = self.lab.free_port()
        self.lab.me("upstream", "--address", "127.0.0.1", "--port", self.port, "--delay", self.delay)
        time.sleep(1)
        self.lab.me("pollers", "--address", "127.0.0.1", "--port", self.port, "--count", 16, "--seconds", 120)


TRUST = [frozen_beside, four_hogs, stopped_service, control_batch, control_warmup, control_long_polls]
