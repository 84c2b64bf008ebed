"""Faults of what programs share: the journal, the dirty limit, swap, local ports, tables, mounts; and more work than before."""
import os
import signal
import subprocess
import sys
import time

from faults import CGROUP, Fault, Impossible, disk_full, sh, slow_upstream
from helpers import MIB


def sysctl(lab, name, value):
    """Sets it until the case ends."""
    path = "/proc/sys/" + name
    # The dirty limit is either bytes or a ratio: one is 0 while the other is in force.
    back = path.replace("_bytes", "_ratio")
    try:
        with open(back) as f:
            before = f.read().strip()
        lab.put(path, value)
    except OSError as error:
        raise Impossible("%s cannot be set here: %s" % (name, error)) from error
    lab.undo.append(lambda: lab.put(back, before))


class flush_storm(Fault):
    """Eight threads write 16 MiB each and fsync, again and again, into the file system in which the service commits 8 KiB."""
    path, truth, kind, mb = "/write", "host.io.flush_storm", "process", 16

    def inject(self):
        self.p = self.lab.me("flusher", "--stop", self.lab.dir + "/flush", "--count", 8, "--mb", self.mb, "--seconds", 90)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class flush_storm_small(flush_storm):
    mb = 4


class dirty_throttling(disk_full):
    """A slow disk (a loop device held at 15 MB/s), a dirty limit of 64 MiB, and a program that writes four files as fast as it may; the
    service writes 128 KiB per request."""
    path, truth, kind, mb = "/line", "host.io.dirty_throttling", "process", 1024

    def setup(self):
        super().setup()
        self.keys.clear()
        sysctl(self.lab, "vm/dirty_bytes", 64 * MIB)
        number = os.stat(self.loop).st_rdev
        limit = "%d:%d " % (os.major(number), os.minor(number))
        file = CGROUP + "/blkio/blkio.throttle.write_bps_device"
        try:
            self.lab.put(file, limit + str(15_000_000))
        except OSError as error:
            raise Impossible("no way to slow a disk down here: %s" % error) from error
        self.lab.undo.append(lambda: self.lab.put(file, limit + "0"))

    def inject(self):
        self.p = self.lab.me("writer", "--stop", self.mount + "/bulk", "--count", 4, "--mb", 128, "--seconds", 90)
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class swap_thrash(Fault):
    """The service's memory and an allocator's do not fit into their group; both swap to a file."""
    path, truth, kind = "/touch", "host.memory.swap_thrash", "process"

    def setup(self):
        self.group = self.lab.cgroup("memory")
        file = self.lab.data("swap", 1024)
        os.chmod(file, 0o600)
        try:
            sh("mkswap", file)
            sh("swapon", file)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Impossible("no swap here: %s" % error) from error
        self.lab.undo.append(lambda: sh("swapoff", file, check=False))
        self.lab.put(self.group + "/memory.limit_in_bytes", 512 * MIB)

    def service_args(self):
        return ("--touch-mb", 256)

    def service_cgroups(self):
        return [self.group]

    def inject(self):
        self.p = self.lab.me("toucher", "--mb", 600, "--seconds", 90, cgroups=[self.group])
        self.keys.add(self.p.pid)

    def revert(self):
        self.lab.stop(self.p)


class control_quiet_swap(swap_thrash):
    """Three hundred MiB lie in swap and nobody touches them."""
    path, truth, kind, control = "/cpu", None, None, True

    def service_args(self):
        return ()

    def service_cgroups(self):
        return ()

    def ready(self):
        self.lab.put(self.group + "/memory.limit_in_bytes", 128 * MIB)
        self.p = self.lab.me("hold", "--mb", 400, "--seconds", 120, cgroups=[self.group])
        time.sleep(6)

    def inject(self): ...


class ports_exhausted(Fault):
    """A program opens a connection per request towards a server on another host and closes it: 600 ports are gone in seconds."""
    truth, kind = "host.network.ports_exhausted", "peer"

    def setup(self):
        self.address = self.lab.namespace()
        self.keys.add(self.address + ":9000")
        sysctl(self.lab, "net/ipv4/ip_local_port_range", "40000 40599")

    def ready(self):
        self.lab.start_inside("sink", "--address", self.address, "--port", 9000)
        time.sleep(1)

    def inject(self):
        self.p = self.lab.me("closers", "--address", self.address, "--port", 9000, "--count", 20, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class workload_growth(Fault):
    """Four workers, 4 ms of CPU a request; the same requests come six times as often."""
    truth, kind, rate, conns, warm = "app.workload_growth", "port", 100, 24, 48

    def service_args(self):
        self.keys.add(str(self.lab.port))
        return ("--workers", 4, "--cpu-ms", 4)

    def inject(self):
        self.p = self.lab.me("client", "--port", self.lab.port, "--path", "/cpu", "--rate", 500, "--csv", self.lab.dir + "/more.csv",
                             "--conns", 24, "--seed", 7, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class softnet_drops(slow_upstream):
    """The queue before the sockets takes two packets, and another host floods one CPU; the service asks an upstream beside it."""
    truth, kind = "host.network.softnet_drops", "host"

    def setup(self):
        super().setup()
        self.keys = {"self"}

    def inject(self):
        sysctl(self.lab, "net/core/netdev_max_backlog", 2)
        # What comes in on one CPU is handed to another: its queue is the one that overflows.
        self.lab.put("/sys/class/net/%s/queues/rx-0/rps_cpus" % self.lab.interface, 2)
        here = self.address[:-1] + "1"
        self.p = [self.lab.start_inside("flood", "--address", here, "--port", 9, "--seconds", 60) for _ in range(2)]

    def revert(self):
        for p in self.p:
            self.lab.stop(p)
        self.lab.undo.pop()()


class nic_errors(Fault):
    """Another host sends frames of a kind that nobody here takes: the interface drops them."""
    truth, kind, least = "host.network.nic_errors", "interface", "info"

    def ready(self):
        self.address = self.lab.namespace()
        self.keys.add(self.lab.interface)

    def inject(self):
        self.p = self.lab.start_inside("strangers", "--address", self.lab.interface[:-1] + "b", "--count", 500, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class link_saturated(Fault):
    """A shaper lets 2 Mbit/s through an interface, and somebody sends more."""
    truth, kind, least = "host.network.link_saturated", "interface", "info"

    def ready(self):
        self.address = self.lab.namespace()
        self.keys.add(self.lab.interface)
        sh("tc", "qdisc", "add", "dev", self.lab.interface, "root", "tbf", "rate", "2mbit", "burst", "16k", "limit", "64k")

    def inject(self):
        self.p = self.lab.me("send", "--address", self.address, "--port", 9, "--count", 1000, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class slow_receiver(Fault):
    """Another host asks for a large download and reads a little of it now and then: its window closes, and nothing here is slow."""
    truth, kind, least = "host.network.slow_receiver", "peer", "info"

    def ready(self):
        self.address = self.lab.namespace()
        self.port = self.lab.free_port()
        self.keys.add(self.address + ":*")
        self.here = self.address[:-1] + "1"
        self.lab.me("download", "--address", self.here, "--port", self.port, "--seconds", 120)
        time.sleep(0.5)

    def inject(self):
        self.p = self.lab.start_inside("slowly", "--address", self.here, "--port", self.port, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class conntrack_full(Fault):
    """A host of its own whose table of tracked connections takes 60; connections are opened and kept."""
    truth, kind = "host.network.conntrack_full", "host"

    def setup(self):
        self.address = self.lab.namespace()
        self.keys.add("self")
        rule = "table ip lab { chain c { type filter hook prerouting priority 0; ct state new accept; }; }"
        try:
            subprocess.run([*self.lab.inside, "nft", "-f", "-"], input=rule, text=True, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Impossible("no nftables here: %s" % error) from error
        sysctl(self.lab, "net/netfilter/nf_conntrack_max", 60)
        self.watch_inside = self.lab.inside

    def ready(self):
        self.lab.start_inside("sink", "--address", self.address, "--port", 9000)
        time.sleep(1)

    def inject(self):
        self.p = self.lab.me("keepers", "--address", self.address, "--port", 9000, "--count", 120, "--seconds", 60)

    def revert(self):
        self.lab.stop(self.p)


class mount_hung(Fault):
    """A FUSE file system whose server never answers, and a program that looks into it."""
    truth, kind = "host.disk.mount_hung", "mount"

    def inject(self):
        self.mount = self.lab.dir + "/dead"
        os.makedirs(self.mount, exist_ok=True)
        self.keys.add(self.mount)
        self.p = self.lab.me("deadfuse", "--stop", self.mount, "--seconds", 90)
        time.sleep(0.5)
        if self.p.poll() is not None:
            raise Impossible("no FUSE here")
        self.lab.undo.append(lambda: sh("umount", "-l", self.mount, check=False))
        self.looker = self.lab.start(["ls", self.mount])

    def revert(self):
        self.lab.stop(self.p, signal.SIGKILL)
        self.lab.stop(self.looker, signal.SIGKILL)
        sh("umount", "-l", self.mount, check=False)


SHARED = [flush_storm, flush_storm_small, dirty_throttling, swap_thrash, ports_exhausted, workload_growth, conntrack_full, mount_hung, softnet_drops,
          nic_errors, link_saturated, slow_receiver, control_quiet_swap]
