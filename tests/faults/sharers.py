"""The processes of the faults in shared.py. Standard library only."""
import ctypes
import mmap
import os
import random
import socket
import threading
import time

MIB = 1 << 20


def flusher(a):
    """a.count threads write a.mb MiB each (0: 8 KiB) into files of their own and fsync, again and again, or a.rate times a second."""
    block = os.urandom(a.mb * MIB or 8192)

    def flush(number):
        fd = os.open("%s%d" % (a.stop, number), os.O_RDWR | os.O_CREAT, 0o600)
        os.unlink("%s%d" % (a.stop, number))
        while True:
            os.pwrite(fd, block, 0)
            os.fsync(fd)
            if a.rate:
                time.sleep(1 / a.rate)

    for number in range(a.count):
        threading.Thread(target=flush, args=(number,), daemon=True).start()
    time.sleep(a.seconds)


def writer(a):
    """a.count threads write files of a.mb MiB over and over, into the page cache."""
    block = b"b" * MIB

    def write(number):
        fd = os.open("%s%d" % (a.stop, number), os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            for at in range(a.mb):
                os.pwrite(fd, block, at * MIB)

    for number in range(a.count):
        threading.Thread(target=write, args=(number,), daemon=True).start()
    time.sleep(a.seconds)


def toucher(a):
    """Touches a.mb MiB of its own memory at random."""
    memory = mmap.mmap(-1, a.mb * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    end, pages = time.time() + a.seconds, a.mb * MIB // 4096
    while time.time() < end:
        for _ in range(100):
            memory[random.randrange(pages) * 4096] = 1


def hold(a):
    """Writes a.mb MiB of its own memory once, and sleeps."""
    memory = mmap.mmap(-1, a.mb * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(a.mb * MIB // 4096):
        memory[page * 4096] = 1
    time.sleep(a.seconds)


def sink(a):
    """Accepts all and keeps it until the other end closes."""
    server = socket.create_server((a.address, a.port), backlog=1024)

    def hold(conn):
        with conn:
            while conn.recv(100):
                pass

    while True:
        threading.Thread(target=hold, args=(server.accept()[0],), daemon=True).start()


def closers(a):
    """Threads that open a connection, say a word and close it, again and again: each leaves its port in TIME_WAIT."""
    end = time.time() + a.seconds

    def call():
        while time.time() < end:
            try:
                with socket.create_connection((a.address, a.port), 5) as conn:
                    conn.sendall(b"hello")
            except OSError:
                time.sleep(0.05)
            time.sleep(0.01)

    for _ in range(a.count):
        threading.Thread(target=call, daemon=True).start()
    time.sleep(a.seconds)


def keepers(a):
    """Opens a.count connections, a few at a time, and keeps them."""
    kept, end = [], time.time() + a.seconds
    while time.time() < end:
        if len(kept) < a.count:
            try:
                kept.append(socket.create_connection((a.address, a.port), 1))
            except OSError:
                pass
        time.sleep(0.02)


def flood(a):
    """Small datagrams to a port that nobody listens on, as fast as one thread can, with pauses of a quarter of the time."""
    os.sched_setaffinity(0, {0})
    sock, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.time() + a.seconds
    while time.time() < end:
        for _ in range(300):
            try:
                sock.sendto(b"x", (a.address, a.port))
            except OSError:
                pass
        time.sleep(0.001)


def send(a):
    """a.count datagrams of a kilobyte a second to a port that nobody listens on."""
    sock, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.time() + a.seconds
    while time.time() < end:
        for _ in range(max(1, a.count // 100)):
            try:
                sock.sendto(b"x" * 1000, (a.address, a.port))
            except OSError:
                pass
        time.sleep(0.01)


def strangers(a):
    """a.count frames a second of an experimental kind (0x88b5) out of the interface a.address."""
    sock, end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW), time.time() + a.seconds
    sock.bind((a.address, 0))
    while time.time() < end:
        for _ in range(max(1, a.count // 100)):
            sock.send(b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5" + b"x" * 50)
        time.sleep(0.01)


def deadfuse(a):
    """Mounts a FUSE file system at a.stop and never answers."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fd
    if libc.mount(b"dead", a.stop.encode(), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    time.sleep(a.seconds)


def reader(a):
    """Reads as fast as it comes."""
    conn, end = socket.create_connection((a.address, a.port)), time.time() + a.seconds
    while time.time() < end and conn.recv(65536):
        pass


def pollers(a):
    """a.count clients, each asks again when it was answered."""
    import http.client

    def poll():
        conn = http.client.HTTPConnection(a.address, a.port, timeout=60)
        while True:
            conn.request("GET", "/")
            conn.getresponse().read()

    for _ in range(a.count):
        threading.Thread(target=poll, daemon=True).start()
    time.sleep(a.seconds)
