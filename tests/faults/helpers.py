"""The processes of the fault lab: an HTTP service, its open-loop client, an allocator, a page-cache filler. Standard library only."""
import ctypes
import fcntl
import http.client
import http.server
import mmap
import os
import random
import signal
import socket
import threading
import time

MIB = 1 << 20


def meminfo():
    """/proc/meminfo in MiB."""
    with open("/proc/meminfo") as lines:
        return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines}


def serve(a):
    """Every request burns a.cpu_ms of CPU; the path says what else it does: /read, /write, /rw, /pages, /append, /leak."""
    direct = os.open(a.direct, os.O_RDONLY | os.O_DIRECT)
    direct_pages = os.fstat(direct).st_size // 4096
    cache = os.open(a.cache, os.O_RDONLY)
    os.posix_fadvise(cache, 0, 0, os.POSIX_FADV_RANDOM)
    cache_pages = min(os.fstat(cache).st_size, a.cache_mb * MIB) // 4096
    wal = os.open(a.wal, os.O_RDWR | os.O_CREAT, 0o600)
    log = os.open(a.append, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if a.append else -1
    local, leaked = threading.local(), []

    def burn(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            sum(range(200))

    def read(n):
        if not hasattr(local, "page"):
            local.page = mmap.mmap(-1, 4096)  # page aligned, as O_DIRECT wants
        for _ in range(n):
            os.preadv(direct, [local.page], random.randrange(direct_pages) * 4096)

    def write():
        os.pwrite(wal, b"w" * 8192, random.randrange(2048) * 8192)
        os.fdatasync(wal)

    def pages():
        for _ in range(a.pages):
            os.pread(cache, 64, random.randrange(cache_pages) * 4096)

    def append():
        os.write(log, b"a" * 4096)
        os.fdatasync(log)

    def line():
        os.pwrite(log, b"a" * 131072, random.randrange(512) * 131072)

    def leak():
        if os.path.exists(a.leak):
            leaked.append(bytes([1]) * (2 * MIB))

    def upstream():
        if not hasattr(local, "upstream"):
            host, port = a.upstream.rsplit(":", 1)
            local.upstream = http.client.HTTPConnection(host, int(port), timeout=30)
            local.upstream.connect()
            local.upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            local.upstream.request("GET", "/")
            local.upstream.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            local.upstream.close()
            del local.upstream
            raise OSError(5, "upstream") from error

    def connect():
        host, port = a.upstream.rsplit(":", 1)
        conn = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            conn.request("GET", "/")
            conn.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise OSError(5, "upstream") from error
        finally:
            conn.close()

    def lock():
        # A descriptor of its own for each request: the lock is the open file's.
        with open(a.lock, "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            time.sleep(a.lock_ms / 1e3)

    def resolve():
        """A name is asked for as the C library does: a socket for the question, 5 s of patience, twice."""
        host, port = a.upstream.rsplit(":", 1)
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.settimeout(5)
                asker.connect((host, int(port)))
                try:
                    asker.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x00\x00\x01\x00\x01")
                    asker.recv(512)
                    return
                except OSError:
                    pass
        raise OSError(5, "no answer")

    memory = mmap.mmap(-1, max(a.touch_mb, 1) * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(a.touch_mb * MIB // 4096):
        memory[page * 4096] = 1

    def touch():
        for _ in range(500):
            memory[random.randrange(max(a.touch_mb, 1) * MIB // 4096) * 4096] = 2

    work = {"/touch": touch, "/line": line, "/connect": connect, "/lock": lock, "/resolve": resolve, "/upstream": upstream, "/cpu": lambda: None, "/read": lambda: read(2), "/write": write, "/rw": lambda: (read(1), write()),
            "/pages": pages, "/append": append, "/leak": leak}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 65536  # head and body in one segment

        def do_GET(self):
            status = 200
            try:
                burn(a.cpu_ms / 1e3)
                work[self.path]()
            except OSError as error:
                status = 507 if error.errno == 28 else 500
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", a.port), Handler)
    # Workers that accept on one listener, as a preforking server has them.
    for _ in range(a.workers - 1):
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            break
    server.serve_forever()


def locker(a):
    """A job that takes the lock of a file again and again, for so many ms, and lets it go for so many."""
    end = time.time() + a.seconds
    while time.time() < end:
        with open(a.lock, "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            time.sleep(a.held_ms / 1e3)
        time.sleep(a.free_ms / 1e3)


def upstream(a):
    """The server that the service asks: answers after as many ms as the file says, with as many bytes."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 65536

        def do_GET(self):
            with open(a.delay) as f:
                delay_ms, size = (float(x) for x in f.read().split())
            time.sleep(delay_ms / 1e3)
            body = b"u" * int(size)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 1024

        def handle_error(self, *_):
            pass

    Server((a.address, a.port), Handler).serve_forever()


def client(a):
    """Open loop: latency counts from when a request was due; more than 1 s behind, arrivals are given up."""
    out, lock = open(a.csv, "w", buffering=1), threading.Lock()
    stop_at, period = time.time() + a.seconds, a.conns / a.rate

    def worker(number):
        rnd, conn, due = random.Random(a.seed * 100 + number), None, time.time() + number / a.rate
        while due < stop_at:
            now = time.time()
            if due > now:
                time.sleep(due - now)
            elif now - due > 1.0:
                due = now
            try:
                if conn is None:
                    conn = http.client.HTTPConnection("127.0.0.1", a.port, timeout=5)
                    conn.connect()
                    conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conn.request("GET", a.path)
                reply = conn.getresponse()
                reply.read()
                status = reply.status
            except (OSError, http.client.HTTPException):
                status = 0
                if conn:
                    conn.close()
                conn = None
            end = time.time()
            with lock:
                out.write("%.3f,%.6f,%d\n" % (end, end - due, status))
            due += period * rnd.uniform(0.5, 1.5)

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(a.conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def alloc(a):
    """--mb N grows to N MiB at --mbs and stays; else holds MemAvailable at --prefill, and from SIGUSR1 on at --leave."""
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write("1000")
    held, end = [], time.time() + a.seconds

    def grab(mb):
        held.append(mmap.mmap(-1, mb * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))

    if a.mb:
        start = time.time()
        for i in range(a.mb // 4):
            grab(4)
            time.sleep(max(0, (i + 1) * 4 / a.mbs - (time.time() - start)))
        time.sleep(max(0, end - time.time()))
        return
    goal = [a.prefill]
    signal.signal(signal.SIGUSR1, lambda *_: goal.__setitem__(0, a.leave))
    while time.time() < end:
        available = meminfo()["MemAvailable"]
        if available < 250 and held:
            del held[-8:]
        elif available < goal[0] - 40 and held:
            held.pop()
        elif available > goal[0] + 1500:
            grab(256)
        elif available > goal[0] + 20:
            grab(16)
        else:
            time.sleep(0.02)


def fill(a):
    """Fills the page cache from a sparse file at --mbs MiB/s; small reads, because a large one is not preempted."""
    fd = os.open(a.file, os.O_RDONLY)
    size = os.fstat(fd).st_size
    buffer, offset, start, done = bytearray(MIB // 4), a.at, time.time(), 0.0
    while time.time() - start < a.seconds:
        os.preadv(fd, [buffer], offset)
        offset = (offset + len(buffer)) % size
        done += 0.25
        time.sleep(max(0, done / a.mbs - (time.time() - start)))


def acceptor(a):
    """Accepts, answers and closes, until the file is there; then it holds the door shut."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((a.address, a.port))
    server.listen(4)
    while True:
        if os.path.exists(a.stop):
            time.sleep(0.1)
            continue
        conn, _ = server.accept()
        try:
            conn.recv(100)
            end = time.thread_time() + a.work_ms / 1e3
            while time.thread_time() < end:
                pass
            conn.sendall(b"ok")
        except OSError:
            pass
        conn.close()


def callers(a):
    """Threads that connect, ask and wait, again and again."""
    stop_at = time.time() + a.seconds

    def call():
        while time.time() < stop_at:
            try:
                with socket.create_connection((a.address, a.port), 10) as conn:
                    conn.sendall(b"hello")
                    conn.recv(100)
            except OSError:
                pass
            time.sleep(0.2)

    for _ in range(a.count):
        threading.Thread(target=call, daemon=True).start()
    time.sleep(a.seconds)


def hoarder(a):
    """Opens files or starts threads until the system says no, and keeps them."""
    import resource
    held = []
    if a.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (a.files, a.files))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
    try:
        for _ in range(a.threads):
            thread = threading.Thread(target=time.sleep, args=(a.seconds,), daemon=True)
            thread.start()
            held.append(thread)
    except RuntimeError:
        pass
    time.sleep(a.seconds)


def chat(a):
    """A server with many connections that idle, which also polls an upstream for work; and its clients."""
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    server = socket.create_server((a.address, a.port), backlog=512)
    clients, accepted = [], []
    for _ in range(a.count):
        clients.append(socket.create_connection((a.address, a.port)))
        accepted.append(server.accept()[0])
        clients[-1].sendall(b"hello")
        accepted[-1].recv(10)

    def poll():
        host, port = a.poll.rsplit(":", 1)
        while True:
            try:
                conn = http.client.HTTPConnection(host, int(port), timeout=60)
                conn.request("GET", "/")
                conn.getresponse().read()
            except (OSError, http.client.HTTPException):
                time.sleep(1)

    threading.Thread(target=poll, daemon=True).start()
    stop_at, rnd = time.time() + a.seconds, random.Random(1)
    while time.time() < stop_at:
        at = rnd.randrange(a.count)
        clients[at].sendall(b"message")
        message = accepted[at].recv(100)
        for other in rnd.sample(range(a.count), 3):
            accepted[other].sendall(message)
            clients[other].recv(100)
        time.sleep(0.05)


def download(a):
    """Sends without end to whoever connects."""
    server = socket.create_server((a.address, a.port))
    stop_at = time.time() + a.seconds
    conn, _ = server.accept()
    while time.time() < stop_at:
        try:
            conn.sendall(b"d" * 65536)
        except OSError:
            return


def slowly(a):
    """Reads a little now and then."""
    conn = socket.create_connection((a.address, a.port))
    stop_at = time.time() + a.seconds
    while time.time() < stop_at:
        conn.recv(65536)
        time.sleep(0.2)
