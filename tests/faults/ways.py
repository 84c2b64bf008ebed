"""How services are held up by what stands between programs: pipes, locks of their own, workers behind a unix socket, a debugger's stop, one CPU."""
import os
import signal
import sys
import time

from faults import Fault

# A service of so many threads behind a unix socket or a port; each request takes a lock, works, and writes a line to standard output.
SERVE = """
import os, socket, sys, threading, time
where, workers, work_s, held_s, stop = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
if where.isdigit():
    s = socket.create_server(("127.0.0.1", int(where)), backlog=128)
else:
    s = socket.socket(socket.AF_UNIX)
    s.bind(where)
    s.listen(128)
lock = threading.Lock()
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))
def serve():
    while True:
        c, _ = s.accept()
        while c.recv(4096):
            burn(work_s)
            if os.path.exists(stop):
                with lock:
                    time.sleep(held_s)
            if os.environ.get("LOG"):
                os.write(1, b"x" * int(os.environ["LOG"]))
            c.sendall(b"ok")
        c.close()
for _ in range(workers - 1):
    threading.Thread(target=serve, daemon=True).start()
serve()
"""
# So many callers that ask, think and ask again; by a port each keeps its connection, at a unix socket each request has its own.
CALL = """
import socket, sys, threading, time
where, callers, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
def connect():
    if where.isdigit():
        s = socket.create_connection(("127.0.0.1", int(where)))
    else:
        s = socket.socket(socket.AF_UNIX)
        s.connect(where)
    s.settimeout(60)
    return s
def call():
    s = connect()
    while True:
        s.sendall(b"get")
        s.recv(10)
        if not where.isdigit():
            s.close()
        time.sleep(pause)
        if not where.isdigit():
            s = connect()
for _ in range(callers - 1):
    threading.Thread(target=call, daemon=True).start()
call()
"""
# Reads what a service logs, and stops to read.
COLLECT = """
import os, sys, time
while True:
    if os.path.exists(sys.argv[1]):
        time.sleep(0.1)
        continue
    if not os.read(0, 65536):
        break
"""


class Way(Fault):
    """A service of the lab's own beside the one whose latency is recorded."""
    where, workers, work_s, held_s, callers, pause, warm = None, 8, 0.001, 0.1, 8, 0.05, 16

    def ready(self):
        self.where = self.lab.dir + "/app.sock" if self.where == "unix" else str(self.lab.free_port())
        self.stop = self.lab.dir + "/stop.on"
        self.begin()
        if self.kind in ("port", "service"):
            self.keys = {self.where}
        time.sleep(0.5)
        self.lab.start([sys.executable, "-c", CALL, self.where, self.callers, self.pause])

    def begin(self):
        self.service = self.lab.start([sys.executable, "-c", SERVE, self.where, self.workers, self.work_s, self.held_s, self.stop])
        self.keys.add(self.service.pid)

    def inject(self):
        open(self.stop, "w").close()

    def revert(self):
        os.unlink(self.stop)


class own_lock(Way):
    """All threads of a service wait for a lock of its own, which each holds for a tenth of a second."""
    truth, kind, accept = "app.service.stalled", "port", ("app.service.stalled", "app.bound")


class few_workers(Way):
    """A backend of two workers behind a unix socket sleeps for a third of a second in each request: the others queue."""
    truth, kind, where, workers, held_s = "app.service.stalled", "service", "unix", 2, 0.3


class log_pipe(Way):
    """What reads the log of a service does not any more: the service stands in its next line."""
    truth, kind, accept = "app.service.stalled", "port", ("app.service.stalled", "app.bound")

    def begin(self):
        pipe = self.lab.dir + "/log.pipe"
        os.mkfifo(pipe)
        ends = os.open(pipe, os.O_RDWR)
        os.environ["LOG"] = "2000"
        try:
            self.service = self.lab.start([sys.executable, "-c", SERVE, self.where, self.workers, self.work_s, 0, self.stop + "ped"], out=ends)
        finally:
            del os.environ["LOG"]
        self.collector = self.lab.start(["sh", "-c", "exec \"$0\" -c \"$1\" \"$2\" <\"$3\"", sys.executable, COLLECT, self.stop, pipe])
        time.sleep(0.3)
        os.close(ends)


class stopped_again(Way):
    """A service is stopped for four fifths of the time, as a debugger or a snapshot of its memory does."""
    warm = 30
    truth, kind, accept = "app.service.stalled", "port", ("app.service.stalled", "app.bound")

    def inject(self):
        self.beat = self.lab.start(["sh", "-c", "while :; do kill -STOP %d; sleep 0.8; kill -CONT %d; sleep 0.2; done" % (self.service.pid, self.service.pid)])

    def revert(self):
        self.lab.stop(self.beat)
        self.service.send_signal(signal.SIGCONT)


class one_cpu(Way):
    """A service is bound to one CPU, and a loop to the same; the other CPU is idle."""
    truth, kind, work_s, accept = "host.cpu.hot_core", "process", 0.004, ("host.cpu.hot_core", "host.cpu.contention")

    def begin(self):
        super().begin()
        os.sched_setaffinity(self.service.pid, {0})
        self.keys.clear()

    def inject(self):
        self.loop = self.lab.start(["taskset", "-c", "0", "sh", "-c", "while :; do :; done"])
        self.keys.add(self.loop.pid)

    def revert(self):
        self.lab.stop(self.loop)


class control_own_lock(Way):
    """The same lock, held for a millisecond."""
    control, held_s = True, 0.001


class control_workers(Way):
    """As many workers as callers, which sleep as long."""
    control, where, workers, held_s, callers = True, "unix", 16, 0.3, 12

WAYS = [own_lock, few_workers, log_pipe, stopped_again, one_cpu, control_own_lock, control_workers]
