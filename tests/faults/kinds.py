"""Kinds of faults that had no cause, or the wrong one: each with a near-twin that must stay quiet."""
import sys
import time

from faults import Fault, sh, slow_upstream
from helpers import meminfo

# Asks for the hardware address of each host of a network, again and again.
KNOCK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
while True:
    for n in range(int(sys.argv[3]), int(sys.argv[2])):
        try: s.sendto(b'x', ('%s.%d' % (sys.argv[1], n), 9))
        except OSError: pass
    time.sleep(0.2)
"""
# Takes datagrams at a port, with so many microseconds of work for each.
READ = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', int(sys.argv[1])))
while True:
    s.recv(2048)
    time.sleep(float(sys.argv[2]))
"""
SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for _ in range(int(sys.argv[2]) // 100):
        try: s.sendto(b'x' * 500, ('127.0.0.1', int(sys.argv[1])))
        except OSError: pass
    time.sleep(0.01)
"""
# So many connections to itself whose reader does not read.
FILL = """
import socket, sys, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(512)
kept = []
for n in range(int(sys.argv[1])):
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    a.setblocking(False)
    kept += [a, b]
end = time.time() + 120
while time.time() < end:
    for a in kept[::2]:
        try:
            a.send(b'x' * 65536)
        except OSError:
            pass
    time.sleep(0.5)
"""


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
    truth, kind, conns, accept = "app.bound", "process", 4, ("app.bound", "host.cpu.contention")

    def ready(self):
        self.more = self.lab.me("client", "--port", self.lab.port, "--path", "/cpu", "--rate", 900, "--csv", self.lab.dir + "/more.csv", "--seed", 9, "--conns", 8, "--seconds", 80)
        self.keys.add(self.lab.service.pid)

    def revert(self):
        self.lab.stop(self.more)


class accept_behind_hog(Fault):
    """A server of one thread and a short queue, a third of a CPU busy; loops take the CPUs: who waits for its accept waits for them."""
    truth, kind = "host.cpu.contention", "process"
    symptoms = (("host.cpu.contention", "host.network.listen_overflow"),)

    def ready(self):
        port = self.lab.free_port()
        self.server = self.lab.me("acceptor", "--port", port, "--stop", self.lab.dir + "/leak.on", "--work-ms", 4)
        time.sleep(0.5)
        self.callers = self.lab.me("callers", "--port", port, "--count", 20, "--seconds", 90)

    def inject(self):
        self.loops = [self.lab.start(("sh", "-c", "while :; do :; done")) for _ in range(8)]
        self.keys |= {p.pid for p in self.loops}

    def revert(self):
        for p in self.loops:
            self.lab.stop(p)


class control_half_a_thread(Fault):
    """The same service with half of what it can do."""
    control, rate = True, 200


class Setting(Fault):
    """A limit of the kernel is lowered, and put back."""
    name, value, kind = "", "", "setting"

    def lower(self):
        before = sh("sysctl", "-n", self.name).replace("\t", " ")
        self.lab.undo.append(lambda: sh("sysctl", "-w", "%s=%s" % (self.name, before)))
        sh("sysctl", "-w", "%s=%s" % (self.name, self.value))
        self.keys.add(self.name)
        self.before = before

    def restore(self):
        sh("sysctl", "-w", "%s=%s" % (self.name, self.before))


class full_neighbours(Setting):
    """More hosts of one network are asked for than the table of neighbours may hold."""
    truth, name, value = "host.kernel.table_full", "net.ipv4.neigh.default.gc_thresh3", "64"

    def setup(self):
        self.net = self.lab.namespace().rsplit(".", 1)[0]

    def inject(self):
        self.lower()
        self.p = self.lab.start([sys.executable, "-c", KNOCK, self.net, 250, 3])

    def revert(self):
        self.lab.stop(self.p)
        self.restore()


class control_some_neighbours(full_neighbours):
    """Half of what it may hold."""
    truth, kind, control = None, None, True

    def inject(self):
        self.lower()
        self.keys.clear()
        self.p = self.lab.start([sys.executable, "-c", KNOCK, self.net, 30, 3])


class tcp_memory(Setting):
    """All sockets together hold what they may: each has to save."""
    truth, name, value = "host.kernel.table_full", "net.ipv4.tcp_mem", "3000 4000 12000"

    def inject(self):
        self.lower()
        self.p = self.lab.start([sys.executable, "-c", FILL, 60])

    def revert(self):
        self.lab.stop(self.p)
        self.restore()


class full_datagrams(Fault):
    """A collector of metrics reads 200 datagrams a second, and 2,000 come."""
    truth, kind, work = "host.network.queue_full", "process", 0.005

    def inject(self):
        port = self.lab.free_port()
        self.reader = self.lab.start([sys.executable, "-c", READ, port, self.work])
        self.keys.add(self.reader.pid)
        time.sleep(0.5)
        self.p = self.lab.start([sys.executable, "-c", SEND, port, 2000])

    def revert(self):
        self.lab.stop(self.p)
        self.lab.stop(self.reader)


class control_datagrams(full_datagrams):
    """The same, where it keeps up."""
    truth, kind, control, work = None, None, True, 0

    def inject(self):
        super().inject()
        self.keys.clear()


class huge_pages(Fault):
    """Nearly all memory is set aside as huge pages that nobody uses: the files of the service do not fit into what is left."""
    path, truth, kind, leave = "/pages", "host.memory.kernel", "host", 380

    def service_args(self):
        return ("--pages", 200)

    def ready(self):
        self.lab.warm_cache(1536)

    def inject(self):
        self.keys.add("self")
        self.lab.undo.append(lambda: sh("sysctl", "-w", "vm.nr_hugepages=0"))
        pages = (meminfo()["MemAvailable"] - self.leave) // 2
        # Page cache lies in the way of large pages: until as many are there as are wanted, or it does not get better.
        for _ in range(8):
            for name in ("drop_caches", "compact_memory"):
                with open("/proc/sys/vm/" + name, "w") as f:
                    f.write("1")
            sh("sysctl", "-w", "vm.nr_hugepages=%d" % pages)
            with open("/proc/sys/vm/nr_hugepages") as f:
                if int(f.read()) >= pages:
                    break

    def revert(self):
        sh("sysctl", "-w", "vm.nr_hugepages=0")


class control_huge_pages(huge_pages):
    """Half of the memory: enough is left."""
    truth, kind, control = None, None, True

    def inject(self):
        self.leave = meminfo()["MemAvailable"] // 2
        super().inject()
        self.keys.clear()


# A name server that answers after so many ms, by a file; below zero not at all.
NAMES = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
while True:
    question, asker = s.recvfrom(512)
    ms = float(open(sys.argv[2]).read())
    if ms >= 0:
        time.sleep(ms / 1e3)
        s.sendto(question, asker)
"""
# Opens so many instances of inotify, with so many watches each.
WATCH = """
import ctypes, os, sys, tempfile, time
libc = ctypes.CDLL(None, use_errno=True)
kept = []
for n in range(int(sys.argv[1])):
    fd = libc.inotify_init()
    if fd < 0: break
    kept.append(fd)
time.sleep(120)
"""


class dead_resolver(slow_upstream):
    """The service asks a name server for each request; that answers within 1 ms, then not at all."""
    path, usual, slow = "/resolve", "1", "-1"

    def setup(self):
        super().setup()
        self.keys = {self.address + ":53"}

    def service_args(self):
        return ("--upstream", self.address + ":53")

    def ready(self):
        self.lab.start([*self.lab.inside, sys.executable, "-c", NAMES, self.address, self.delay])
        time.sleep(1)


class control_resolver(dead_resolver):
    """It takes 10 ms: names are slow, and nobody waits for long."""
    truth, kind, control, slow = None, None, True, "10"

    def inject(self):
        super().inject()
        self.keys.clear()


class inotify_instances(Setting):
    """A program opens all the instances of inotify that its user may have: nobody else gets one."""
    truth, name, value, many = "host.kernel.table_full", "fs.inotify.max_user_instances", "128", 200

    def inject(self):
        self.lower()
        self.p = self.lab.start([sys.executable, "-c", WATCH, self.many])

    def revert(self):
        self.lab.stop(self.p)
        self.restore()


class control_inotify(inotify_instances):
    """Half of them."""
    truth, kind, control, many = None, None, True, 60

    def inject(self):
        super().inject()
        self.keys.clear()


class idle_upstream(slow_upstream):
    """The service asks another program of this host for each request; that sleeps for 3 ms, then for 300."""

    def setup(self):
        self.address = "127.0.0.1:%d" % self.lab.free_port()
        self.delay = self.lab.dir + "/delay"
        self.lab.put(self.delay, self.usual)
        self.keys.add(self.address)

    def service_args(self):
        return ("--upstream", self.address)

    def ready(self):
        self.lab.me("upstream", "--address", "127.0.0.1", "--port", self.address.rsplit(":", 1)[1], "--delay", self.delay)
        time.sleep(1)


class control_idle_upstream(idle_upstream):
    """It takes eight milliseconds instead of three: nobody waits long, and most of that is how it works."""
    truth, kind, control, slow = None, None, True, "8 200"

    def inject(self):
        super().inject()
        self.keys.clear()


class file_lock(Fault):
    """Each request takes the lock of a file for a millisecond; then a job of another program holds it most of the time."""
    path, truth, kind = "/lock", "host.locks.file", "process"

    def setup(self):
        self.lock = self.lab.dir + "/store.lock"

    def service_args(self):
        return ("--lock", self.lock)

    def inject(self):
        self.p = self.lab.me("locker", "--lock", self.lock, "--held-ms", 300, "--free-ms", 10)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class lock_convoy(file_lock):
    """Two services share a file; what each does while it has the lock takes as long as there is time for both."""
    path, conns = "/lock", 12

    def service_args(self):
        return ("--lock", self.lock, "--lock-ms", 1)

    def inject(self):
        # Six of them, each as long as the other: none holds it most of the time.
        self.p = [self.lab.me("locker", "--lock", self.lock, "--held-ms", 12, "--free-ms", 1) for _ in range(6)]
        self.keys |= {self.lab.service.pid, *(p.pid for p in self.p)}

    def revert(self):
        for p in self.p:
            self.lab.stop(p)


class control_standby(file_lock):
    """Stand-bys that wait for their turn, for as long as it takes: nobody asks anything of them."""
    path, truth, kind, control = "/cpu", None, None, True

    def inject(self):
        self.p = [self.lab.me("locker", "--lock", self.lock, "--held-ms", 60000, "--free-ms", 1) for _ in range(4)]
        self.keys.clear()

    def revert(self):
        for p in self.p:
            self.lab.stop(p)


KINDS = [file_lock, lock_convoy, control_standby, idle_upstream, control_idle_upstream, dead_resolver, control_resolver, inotify_instances, control_inotify, own_flushes, one_thread, accept_behind_hog, control_half_a_thread, full_neighbours, control_some_neighbours, tcp_memory, full_datagrams, control_datagrams, huge_pages,
         control_huge_pages]
