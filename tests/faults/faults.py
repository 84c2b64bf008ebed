"""What is injected, and the truth about it. The truth is known before perftop starts or as soon as the culprit has a pid."""
import os
import signal
import subprocess
import sys
import time

from helpers import MIB, meminfo

CGROUP = "/sys/fs/cgroup"


def sh(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout.strip()


class Impossible(Exception):
    """This machine cannot have that fault."""


class Fault:
    """path: what the client asks for. truth: the finding's id, None for a control. kind, keys: the subject that is right."""
    path, rate, conns, truth, kind, control, hold, warm, least = "/cpu", 50, 6, None, None, False, 0, 0, "warning"
    # Verdicts that are right as well, where the truth has several names or none.
    accept = ()
    watch_inside = ()

    def __init__(self, lab):
        self.lab, self.keys = lab, set()

    def setup(self): ...
    def service_cgroups(self): return ()
    def service_args(self): return ()
    def ready(self): ...
    def inject(self): ...
    def tick(self): ...
    def revert(self): ...


class Command(Fault):
    """A load that is one command line. Started in the service's session: with autogroup a session of its own hurts nobody."""
    argv = ()

    def inject(self):
        self.p = self.lab.start(self.argv)
        self.keys.add(self.p.pid)

    def tick(self):
        self.keys |= self.lab.family(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class cpu_hog(Command):
    truth, kind, argv = "host.cpu.contention", "process", ("stress-ng", "--cpu", "4", "-t", "90")


class cpu_hog_matrix(Command):
    truth, kind, argv = "host.cpu.contention", "process", ("stress-ng", "--cpu", "8", "--cpu-method", "matrixprod", "-t", "90")


class cpu_quota_v1(Fault):
    """The service may use 0.7 of the CPU it was seen to need."""
    truth, kind, ratio = "host.cpu.throttled", "cgroup", 0.7

    def setup(self):
        self.group = self.lab.cgroup("cpu")
        self.keys.add(self.lab.cgroup_path())

    def inject(self):
        self.lab.put(self.group + "/cpu.cfs_period_us", 100000)
        self.lab.put(self.group + "/cpu.cfs_quota_us", max(1000, int(self.lab.need * self.ratio * 100000)))
        self.lab.put(self.group + "/cgroup.procs", self.lab.service.pid)

    def revert(self):
        self.lab.put(self.group + "/cpu.cfs_quota_us", -1)


class cpu_quota_half_v1(cpu_quota_v1):
    ratio = 0.5


class cpu_quota_v2(cpu_quota_v1):
    def setup(self):
        self.group = self.lab.cgroup_v2("cpu")
        self.keys.add(self.lab.cgroup_path())

    def inject(self):
        self.lab.put(self.group + "/cpu.max", "%d 100000" % max(1000, int(self.lab.need * self.ratio * 100000)))
        self.lab.put(self.group + "/cgroup.procs", self.lab.service.pid)

    def revert(self):
        self.lab.put(self.group + "/cpu.max", "max 100000")


class oom_leak_v1(Fault):
    """The service leaks 2 MiB per request under a limit, is killed and started again by its supervisor."""
    path, truth, kind, died = "/leak", "host.memory.oom", "cgroup", 0

    def setup(self):
        self.lab.put(self.lab.cgroup("memory") + "/memory.limit_in_bytes", 150 * MIB)
        self.keys.add(self.lab.cgroup_path())
        self.off()

    def off(self):
        if os.path.exists(self.lab.leak):
            os.unlink(self.lab.leak)

    def service_cgroups(self):
        return [self.lab.cgroup("memory")]

    def inject(self):
        open(self.lab.leak, "w").close()
        self.lab.undo.append(self.off)

    def tick(self):
        if self.lab.service.poll() is None:
            self.died = 0
            return
        self.died = self.died or time.time()
        if time.time() - self.died > 1.5:
            self.lab.start_service(wait=False)

    def revert(self):
        self.off()
        if self.lab.service.poll() is not None:
            self.lab.start_service()


class oom_shared_v1(Fault):
    """Service and an allocator in one group; the allocator dies again and again, the service's page cache is thrown out."""
    path, truth, kind = "/pages", "host.memory.oom", "cgroup"

    def setup(self):
        self.lab.put(self.lab.cgroup("memory") + "/memory.limit_in_bytes", 640 * MIB)
        self.keys.add(self.lab.cgroup_path())

    def service_args(self):
        return ("--cache-mb", 512)

    def service_cgroups(self):
        return [self.lab.cgroup("memory")]

    def ready(self):
        self.lab.warm_cache(512, self.service_cgroups())

    def inject(self):
        self.p = None
        self.tick()

    def tick(self):
        if self.p is None or self.p.poll() is not None:
            self.p = self.lab.me("alloc", "--mb", 1280, "--mbs", 150, "--seconds", 40, cgroups=[self.lab.cgroup("memory")])

    def revert(self):
        self.lab.stop(self.p)


class oom_leak_v2(oom_leak_v1):
    def setup(self):
        self.lab.put(self.lab.cgroup_v2("memory") + "/memory.max", 150 * MIB)
        self.keys.add(self.lab.cgroup_path())
        self.off()

    def service_cgroups(self):
        return [self.lab.cgroup_v2("memory")]


class memory_shortage(Fault):
    """An allocator holds MemAvailable at 380 MiB while the service reads a cached file of 1.5 GiB."""
    path, truth, kind = "/pages", "host.memory.reclaim", "process"

    def setup(self):
        if meminfo()["MemTotal"] < 6000 or meminfo()["SwapTotal"] > 0:
            raise Impossible("needs 6 GiB and no swap")

    def service_args(self):
        return ("--pages", 200)

    def ready(self):
        self.lab.warm_cache(1536)
        bulk = (meminfo()["MemAvailable"] - 3500) // 2
        self.bulk = self.lab.me("alloc", "--mb", bulk, "--seconds", 180)
        self.p = self.lab.me("alloc", "--prefill", 3500, "--leave", 380, "--seconds", 180)
        self.keys |= {self.p.pid, self.bulk.pid}
        start = time.time()
        while meminfo()["MemAvailable"] > 3700 and time.time() - start < 75:
            time.sleep(0.2)

    def inject(self):
        self.p.send_signal(signal.SIGUSR1)

    def tick(self):
        if meminfo()["MemAvailable"] < 180:
            self.lab.stop(self.p, signal.SIGKILL)

    def revert(self):
        self.lab.stop(self.p, signal.SIGKILL)
        self.lab.stop(self.bulk, signal.SIGKILL)
        self.lab.warm_cache(1536)


class disk_hog(Command):
    path, truth, kind, fio = "/rw", "host.io.saturated", "process", ("--rw=randrw", "--bs=64k", "--iodepth=64", "--numjobs=4")

    def setup(self):
        self.lab.data("fio", 1024)
        self.argv = ("fio", "--name=hog", "--filename=" + self.lab.data("fio", 1024), "--size=1g", "--direct=1",
                     "--ioengine=libaio", "--time_based", "--runtime=90", "--thread", "--group_reporting", "--minimal") + self.fio


class disk_hog_large(disk_hog):
    fio = ("--rw=randrw", "--bs=1m", "--iodepth=64", "--numjobs=4")


class io_limit_write_v1(Fault):
    path, truth, kind, rules = "/write", "host.io.throttled", "cgroup", (("write_iops_device", 30),)

    def setup(self):
        self.group = self.lab.cgroup("blkio")
        self.keys.add(self.lab.cgroup_path())

    def inject(self):
        self.lab.put(self.group + "/cgroup.procs", self.lab.service.pid)
        for file, value in self.rules:
            self.lab.put(self.group + "/blkio.throttle." + file, "%s %d" % (self.lab.disk, value))

    def revert(self):
        for file, _ in self.rules:
            self.lab.put(self.group + "/blkio.throttle." + file, "%s 0" % self.lab.disk)


class io_limit_read_v1(io_limit_write_v1):
    path, rules = "/read", (("read_bps_device", 262144),)


class io_limit_write_v2(io_limit_write_v1):
    def setup(self):
        self.group = self.lab.cgroup_v2("io")
        self.keys.add(self.lab.cgroup_path())

    def inject(self):
        self.lab.put(self.group + "/cgroup.procs", self.lab.service.pid)
        self.lab.put(self.group + "/io.max", "%s wiops=30" % self.lab.disk)

    def revert(self):
        self.lab.put(self.group + "/io.max", "%s wiops=max" % self.lab.disk)


class disk_full(Fault):
    """A file system of 64 MiB on a loop device; the service appends, dd takes the rest."""
    path, truth, kind, options, mb = "/append", "host.disk.full", "mount", (), 64

    def setup(self):
        image, self.mount = self.lab.dir + "/full.img", self.lab.dir + "/full"
        os.makedirs(self.mount, exist_ok=True)
        with open(image, "wb") as f:
            f.truncate(self.mb * MIB)
        try:
            sh("mkfs.ext4", "-q", "-F", *self.options, image)
            self.loop = loop = sh("losetup", "-f", "--show", image)
            sh("mount", loop, self.mount)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Impossible("no loop mounts here: %s" % error) from error
        self.lab.undo.append(lambda: (self.lab.stop(self.lab.service), sh("umount", self.mount), sh("losetup", "-d", loop)))
        self.keys.add(self.mount)

    def service_args(self):
        return ("--append", self.mount + "/log")

    def inject(self):
        for bs in ("1M", "4k"):
            subprocess.run(["dd", "if=/dev/zero", "of=%s/fill%s" % (self.mount, bs), "bs=" + bs], stderr=subprocess.DEVNULL)

    def revert(self):
        for bs in ("1M", "4k"):
            os.unlink("%s/fill%s" % (self.mount, bs))


class slow_upstream(Fault):
    """The service asks a server on another host for each request; that takes 3 ms, then 300."""
    path, conns, truth, kind, usual, slow = "/upstream", 24, "app.upstream.waiting", "peer", "3 200", "300 200"

    def setup(self):
        self.address = self.lab.namespace()
        self.delay = self.lab.dir + "/delay"
        self.lab.put(self.delay, self.usual)
        self.keys.add(self.address + ":9000")

    def service_args(self):
        return ("--upstream", self.address + ":9000")

    def ready(self):
        self.lab.start_inside("upstream", "--address", self.address, "--port", 9000, "--delay", self.delay)
        time.sleep(1)

    def inject(self):
        self.lab.put(self.delay, self.slow)

    def revert(self):
        self.lab.put(self.delay, self.usual)


class slow_upstream_hard(slow_upstream):
    """The upstream hangs: no reply for 20 s."""
    slow = "20000 200"


class lossy_upstream(slow_upstream):
    """One segment in twelve towards the upstream is dropped there."""
    truth, kind = "host.network.packet_loss", "peer"

    def setup(self):
        super().setup()
        self.keys = {self.address + ":*"}

    def inject(self):
        rule = ("table ip lab { chain c { type filter hook prerouting priority 0; tcp dport 9000 numgen random mod 12 < 1 drop; }; }")
        try:
            subprocess.run([*self.lab.inside, "nft", "-f", "-"], input=rule, text=True, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Impossible("no nftables here: %s" % error) from error

    def revert(self):
        sh(*self.lab.inside, "nft", "delete", "table", "ip", "lab")


class syn_loss(slow_upstream):
    """The service opens a connection for each request; the upstream's firewall drops every SYN."""
    path, truth, kind = "/connect", "host.network.syn_loss", "peer"

    def inject(self):
        rule = "table ip lab { chain c { type filter hook prerouting priority 0; tcp flags & (syn|ack) == syn numgen random mod 10 < 9 drop; }; }"
        try:
            subprocess.run([*self.lab.inside, "nft", "-f", "-"], input=rule, text=True, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Impossible("no nftables here: %s" % error) from error

    def revert(self):
        sh(*self.lab.inside, "nft", "delete", "table", "ip", "lab")


class listen_overflow(Fault):
    """A second server accepts with a backlog of 4 and stops accepting; its clients come on."""
    truth, kind = "host.network.listen_overflow", "port"

    def setup(self):
        self.stop = self.lab.dir + "/leak.on"

    def ready(self):
        self.port = self.lab.free_port()
        self.keys.add(self.port)
        self.server = self.lab.me("acceptor", "--port", self.port, "--stop", self.stop)
        time.sleep(0.5)
        self.callers = self.lab.me("callers", "--port", self.port, "--count", 20, "--seconds", 90)

    def inject(self):
        open(self.stop, "w").close()

    def revert(self):
        if os.path.exists(self.stop):
            os.unlink(self.stop)


class realtime_hog(Command):
    truth, kind, argv = "host.cpu.realtime_hog", "process", ("chrt", "-f", "50", "stress-ng", "--cpu", "2", "-t", "60")


class process_churn(Command):
    truth, kind = "host.cpu.process_churn", "process"
    argv = ("sh", "-c", "(while :; do /bin/true; done) & (while :; do /bin/true; done) & (while :; do /bin/true; done) & while :; do /bin/true; done")


class context_switches(Command):
    truth, kind, argv = "host.cpu.context_switches", "process", ("stress-ng", "--switch", "4", "-t", "90")


class system_time(Command):
    truth, kind, argv = "host.cpu.system_time", "process", ("stress-ng", "--get", "4", "-t", "90")


class hot_core(Command):
    """The service is pinned to CPU 0, and a hog is too; the other CPUs idle."""
    truth, kind, argv = "host.cpu.hot_core", "process", ("taskset", "-c", "0", "stress-ng", "--cpu", "2", "-t", "90")

    def ready(self):
        sh("taskset", "-a", "-cp", "0", str(self.lab.service.pid))


class cache_thrash(Fault):
    """The service's files fit into its memory limit; then the limit is lowered."""
    path, truth, kind = "/pages", "host.memory.cache_thrash", "cgroup"

    def setup(self):
        self.group = self.lab.cgroup("memory")
        self.keys.add(self.lab.cgroup_path())

    def service_args(self):
        # As many pages a request as cost a tenth of a second per second once they are read again: fewer hurt nobody.
        return ("--cache-mb", 512, "--pages", 200)

    def service_cgroups(self):
        return [self.group]

    def ready(self):
        self.lab.warm_cache(512, [self.group])

    def inject(self):
        self.lab.put(self.group + "/memory.limit_in_bytes", 160 * MIB)

    def revert(self):
        self.lab.put(self.group + "/memory.limit_in_bytes", 2048 * MIB)


class leak(Fault):
    """A process grows by 6 MiB a second without a break."""
    truth, kind, hold = "host.memory.leak", "process", 85

    def inject(self):
        self.p = self.lab.me("alloc", "--mb", 1200, "--mbs", 6, "--seconds", 200)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class inodes_exhausted(disk_full):
    """A file system with few inodes; files are made until there are none, and space is left."""
    truth, options = "host.disk.inodes_exhausted", ("-N", "600")

    def inject(self):
        n = 0
        try:
            while True:
                open("%s/small%d" % (self.mount, n), "w").close()
                n += 1
        except OSError:
            pass

    def revert(self):
        for name in os.listdir(self.mount):
            if name.startswith("small"):
                os.unlink(self.mount + "/" + name)


class read_only(disk_full):
    """The kernel makes the file system read-only, as after an error."""
    truth = "host.disk.read_only"

    def inject(self):
        trigger = "/sys/fs/ext4/%s/trigger_fs_error" % os.path.basename(self.loop)
        sh("mount", "-o", "remount,errors=remount-ro", self.mount)
        if os.path.exists(trigger):
            self.lab.put(trigger, "lab")
        else:
            sh("mount", "-o", "remount,ro", self.mount)

    def revert(self):
        self.lab.stop(self.lab.service)
        sh("umount", self.mount)
        sh("fsck.ext4", "-fy", self.loop, check=False)
        sh("mount", self.loop, self.mount)
        self.lab.start_service()


class disk_errors(disk_full):
    """The end of a loop device's file is cut off: the device cannot read what it had."""
    truth, kind = "host.disk.errors", "device"

    def setup(self):
        super().setup()
        self.keys = {os.path.basename(self.loop)}

    def tick(self):
        # Reads past the new end, round and round, without the cache.
        subprocess.run(["dd", "if=" + self.loop, "of=/dev/null", "bs=4k", "skip=8192", "count=4", "iflag=direct"], stderr=subprocess.DEVNULL)

    def inject(self):
        with open(self.lab.dir + "/full.img", "r+b") as f:
            f.truncate(16 * MIB)

    def revert(self):
        with open(self.lab.dir + "/full.img", "r+b") as f:
            f.truncate(64 * MIB)


class frozen_fs(disk_full):
    """The file system is frozen: whoever writes hangs in the kernel."""
    truth, kind = "host.tasks.hung", "process"

    def inject(self):
        self.keys.add(self.lab.service.pid)
        sh("fsfreeze", "-f", self.mount)
        self.lab.undo.append(lambda: sh("fsfreeze", "-u", self.mount, check=False))

    def revert(self):
        sh("fsfreeze", "-u", self.mount, check=False)


class files_exhausted(Fault):
    """A process opens descriptors until its limit says no."""
    truth, kind = "host.files.exhausted", "process"

    def inject(self):
        self.p = self.lab.me("hoarder", "--files", 500, "--seconds", 60)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class tasks_exhausted(Fault):
    """A group with a limit on tasks, and a program that starts threads until there are none."""
    truth, kind = "host.tasks.exhausted", "cgroup"

    def setup(self):
        self.group = self.lab.cgroup("pids")
        self.lab.put(self.group + "/pids.max", 60)
        self.keys.add(self.lab.cgroup_path())

    def inject(self):
        self.p = self.lab.me("hoarder", "--threads", 500, "--seconds", 60, cgroups=[self.group])

    def revert(self):
        self.lab.stop(self.p)


class control_chat(Fault):
    """Two thousand keep-alive connections that idle, a long poll, and an upstream that is polled for work."""
    control = True

    def ready(self):
        self.port = self.lab.free_port()
        self.address = self.lab.namespace()
        self.delay = self.lab.dir + "/delay"
        self.lab.put(self.delay, "25000 100")
        self.lab.start_inside("upstream", "--address", self.address, "--port", 9000, "--delay", self.delay)
        time.sleep(1)
        self.lab.me("chat", "--port", self.port, "--count", 2000, "--poll", self.address + ":9000", "--seconds", 120)
        time.sleep(3)


class control_download(Fault):
    """A client that reads a large download slowly, from another host's address."""
    control = True

    def ready(self):
        self.address = self.lab.namespace()
        self.port = self.lab.free_port()
        here = self.address[:-1] + "1"
        self.lab.me("download", "--address", here, "--port", self.port, "--seconds", 120)
        time.sleep(0.5)
        self.lab.start_inside("slowly", "--address", here, "--port", self.port, "--seconds", 120)


class control_neighbour(Command):
    """An un-niced neighbour that uses a quarter of a CPU and hurts nobody."""
    control, argv = True, ("stress-ng", "--cpu", "1", "--cpu-load", "25", "-t", "90")


class control_idle(Fault):
    path, control = "/rw", True


class control_nice_hog(Command):
    control, argv = True, ("nice", "-n", "19", "stress-ng", "--cpu", "4", "-t", "90")


class control_idle_class_hog(Command):
    control, argv = True, ("chrt", "-i", "0", "stress-ng", "--cpu", "4", "-t", "90")


class control_fast_disk(disk_hog):
    control, truth, fio = True, None, ("--rw=read", "--bs=256k", "--iodepth=2", "--numjobs=1", "--rate=300m")


class control_page_cache(Fault):
    """Memory is full of page cache, and more is read all the time."""
    path, control = "/pages", True

    def ready(self):
        self.lab.warm_cache(1536)
        self.file = self.lab.dir + "/sparse"
        with open(self.file, "wb") as f:
            f.truncate(2 * meminfo()["MemTotal"] * MIB)
        start, fillers = time.time(), [self.filler(3000), self.filler(3000, meminfo()["MemTotal"] * MIB)]
        while meminfo()["MemFree"] > 600 and time.time() - start < 60:
            time.sleep(0.2)
        for p in fillers:
            self.lab.stop(p)

    def filler(self, mbs, at=0):
        argv = ["nice", "-n", "19", sys.executable, self.lab.harness, "fill", "--file", self.file, "--mbs", str(mbs), "--at", str(at), "--seconds", "90"]
        return self.lab.start(argv)

    def inject(self):
        self.p = self.filler(200)

    def revert(self):
        self.lab.stop(self.p)


HOST = [cpu_hog, cpu_hog_matrix, cpu_quota_v1, cpu_quota_half_v1, cpu_quota_v2, oom_leak_v1, oom_leak_v2, oom_shared_v1, memory_shortage,
        disk_hog, disk_hog_large, io_limit_write_v1, io_limit_read_v1, io_limit_write_v2, disk_full,
        slow_upstream, slow_upstream_hard, lossy_upstream, syn_loss, listen_overflow,
        realtime_hog, hot_core, cache_thrash, leak, process_churn, context_switches, system_time, inodes_exhausted, read_only, disk_errors, frozen_fs, files_exhausted,
        tasks_exhausted, control_chat, control_download, control_neighbour,
        control_idle, control_nice_hog, control_idle_class_hog, control_fast_disk, control_page_cache]
