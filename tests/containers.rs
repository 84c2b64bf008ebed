//! Inside namespaces and control groups of their own: another /proc is read from a second network and pid namespace, and the
//! limits of a container are its measure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use perftop::engine::Engine;
use perftop::record::format::Record;
use perftop::record::reader::Recording;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("perftop-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a script; false (a loud skip) where this machine does not allow what its first line asks for.
fn allowed(script: &str) -> bool {
    let ok = Command::new("sh").args(["-c", script]).output().is_ok_and(|o| o.status.success());
    if !ok {
        eprintln!("SKIPPED: not allowed here: {script}");
    }
    ok
}

#[test]
fn another_proc_is_read_from_a_second_network_and_pid_namespace() {
    if !allowed("unshare -m -n -p -f --mount-proc true") {
        return;
    }
    let dir = Dir::new("namespaces");
    let (proc, file) = (dir.0.join("proc"), dir.0.join("seen.perftop"));
    std::fs::create_dir(&proc).unwrap();
    let perftop = env!("CARGO_BIN_EXE_perftop");
    let script = format!(
        "mount --bind /proc {proc} && exec unshare -n -p -f --mount-proc {perftop} record {file} --every 1s --for 3s \
         --no-config --procfs-root {proc}",
        proc = proc.display(),
        file = file.display(),
    );
    let done = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut samples = Recording::open(&file).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let first = samples.next().unwrap();
    let identity = first.host.identity.as_ref().unwrap();
    let sweep = first.host.sweep.as_ref().unwrap();
    // The host's processes, this one among them, by the host's pids; and perftop knows itself among them.
    let rows = &sweep.processes.as_ref().unwrap().rows;
    let me = i32::try_from(std::process::id()).unwrap();
    assert!(rows.iter().any(|r| r.id.pid == me), "the test's own pid");
    let own = rows.iter().find(|r| r.id.pid == identity.self_pid).expect("perftop's pid on the host");
    assert_eq!(own.comm.shown(), "perftop");
    // The host's network, not the empty one that perftop runs in.
    let host = std::fs::read_to_string("/proc/net/dev").unwrap();
    let named =
        |text: &str| text.lines().skip(2).filter_map(|l| Some(l.split(':').next()?.trim().to_owned())).collect::<Vec<_>>();
    let mut seen: Vec<String> = sweep.interfaces.as_ref().unwrap().iter().map(|i| i.name.shown().to_owned()).collect();
    let mut expected = named(&host);
    seen.sort();
    expected.sort();
    // Other tests make and remove interfaces of their own.
    expected.retain(|name| Path::new("/sys/class/net").join(name).exists());
    assert!(expected.iter().all(|name| seen.contains(name)), "{expected:?} in {seen:?}");
}

#[test]
fn the_limits_of_a_container_are_its_measure() {
    const LIMIT: u64 = 256 << 20;
    let group = format!("perftop-test-{}", std::process::id());
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let (parent, limit) = if v2 { ("/sys/fs/cgroup", "memory.max") } else { ("/sys/fs/cgroup/memory", "memory.limit_in_bytes") };
    let dir = format!("{parent}/{group}");
    if !allowed(&format!("mkdir {dir} && echo {LIMIT} > {dir}/{limit}")) || !allowed("unshare -m -C -p -f --mount-proc true") {
        _ = std::fs::remove_dir(&dir);
        return;
    }
    let work = Dir::new("container");
    let file = work.0.join("seen.perftop");
    let options = if v2 { "-t cgroup2 none" } else { "-t cgroup -o memory none" };
    let mount = if v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" };
    // As a container runtime does it: into the group, a namespace of its own, and the tree mounted anew from there.
    let script = format!(
        "echo $$ > {dir}/cgroup.procs && exec unshare -m -C sh -c 'umount {mount}; mount {options} {mount} && exec {perftop} record {file} \
         --every 1s --for 3s --no-config'",
        perftop = env!("CARGO_BIN_EXE_perftop"),
        file = file.display(),
    );
    let done = Command::new("sh").args(["-c", &script]).output().unwrap();
    _ = std::fs::remove_dir(&dir);
    assert!(done.status.success(), "{done:?}");
    let mut engine = Engine::default();
    let mut newest = None;
    for record in Recording::open(&file).unwrap() {
        if let Record::Sample(sample) = record {
            newest = Some(engine.fold(&sample).evaluation);
        }
    }
    let newest = newest.unwrap();
    let memory = newest.facts.host.memory.as_ref().unwrap();
    if let Some(cpu) = newest.facts.host.cpu.as_ref().unwrap().own {
        assert!(cpu.of <= newest.facts.cpus() && cpu.used <= cpu.of * 1.2, "{cpu:?}");
    }
    assert_eq!((memory.raw.total, newest.diagnosis.host.memory_bytes), (LIMIT, LIMIT));
    assert!(memory.available_bytes < LIMIT && memory.used > 0.0, "{memory:?}");
}

#[test]
fn the_cpu_of_a_container_is_measured_by_its_quota() {
    let group = format!("perftop-cpu-{}", std::process::id());
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let parent = if v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/cpu" };
    let dir = format!("{parent}/{group}");
    let limit = if v2 { format!("echo '50000 100000' > {dir}/cpu.max") } else { format!("echo 50000 > {dir}/cpu.cfs_quota_us") };
    if !allowed(&format!("mkdir {dir} && {limit}")) || !allowed("unshare -m -C -p -f --mount-proc true") {
        _ = std::fs::remove_dir(&dir);
        return;
    }
    let work = Dir::new("quota");
    let file = work.0.join("seen.perftop");
    let (options, mount) =
        if v2 { ("-t cgroup2 none", "/sys/fs/cgroup") } else { ("-t cgroup -o cpu none", "/sys/fs/cgroup/cpu") };
    // A loop beside perftop in the group takes all that the quota gives, half a CPU, until perftop is done.
    let script = format!(
        "echo $$ > {dir}/cgroup.procs; exec unshare -m -C -p -f --mount-proc sh -c 'umount {mount}; mount {options} {mount} || exit 77; \
         timeout 60 sh -c \"while :; do :; done\" & loop=$!; {perftop} record {file} --every 1s --for 4s --no-config; code=$?; \
         kill $loop; exit $code'",
        perftop = env!("CARGO_BIN_EXE_perftop"),
        file = file.display(),
    );
    let done = Command::new("sh").args(["-c", &script]).output().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::fs::remove_dir(&dir).is_err() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    if done.status.code() == Some(77) {
        eprintln!("SKIPPED: the cpu tree cannot be mounted anew here");
        return;
    }
    assert!(done.status.success(), "{done:?}");
    let mut engine = Engine::default();
    let mut seen = Vec::new();
    for record in Recording::open(&file).unwrap() {
        if let Record::Sample(sample) = record {
            seen.extend(engine.fold(&sample).evaluation.facts.host.cpu.as_ref().ok().cloned());
        }
    }
    assert!(seen.iter().filter_map(|cpu| cpu.own).all(|own| (own.of - 0.5).abs() < 1e-9), "{seen:?}");
    // However little of it a busy machine leaves: what the group used is measured, and by its quota.
    let busy = |cpu: &perftop::model::facts::CpuFacts| {
        cpu.own.is_some_and(|own| own.used > 0.01 && (cpu.seen_busy() - own.used / own.of).abs() < 0.05)
    };
    assert!(seen.iter().any(busy), "{seen:?}");
}

#[test]
fn sockets_of_another_network_namespace_are_seen_and_their_server_is_known() {
    let number = std::process::id() % 200;
    let (name, here, there) = (format!("ptt{}", std::process::id()), format!("10.79.{number}.1"), format!("10.79.{number}.2"));
    struct Namespace(String);
    impl Drop for Namespace {
        fn drop(&mut self) {
            _ = Command::new("ip").args(["netns", "del", &self.0]).status();
        }
    }
    let set_up = format!(
        "ip netns add {name} && ip link add {name}a type veth peer name eth0 netns {name} && ip addr add {here}/24 dev {name}a && \
         ip link set {name}a up && ip -n {name} addr add {there}/24 dev eth0 && ip -n {name} link set eth0 up"
    );
    let namespace = Namespace(name.clone());
    if !allowed(&set_up) {
        return;
    }
    // It accepts, reads, and never answers.
    let script = format!(
        "import socket\ns=socket.create_server(('{there}',9000))\nkept=[]\nprint('ready',flush=True)\n\
         while True:\n  c,_=s.accept()\n  kept.append(c)"
    );
    let mut server = Command::new("ip")
        .args(["netns", "exec", &name, "python3", "-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let mut question = std::net::TcpStream::connect((there.as_str(), 9000)).unwrap();
    std::io::Write::write_all(&mut question, b"question").unwrap();
    let dir = Dir::new("elsewhere");
    let file = dir.0.join("seen.perftop");
    // The first look at whose the sockets are finds the namespace; the next dump visits it.
    let done = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["record", file.to_str().unwrap(), "--every", "1s", "--for", "5s", "--no-config"])
        .output()
        .unwrap();
    let pid = i32::try_from(server.id()).unwrap();
    _ = server.kill();
    _ = server.wait();
    drop(namespace);
    assert!(done.status.success(), "{done:?}");
    let samples = Recording::open(&file).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let peers: Vec<_> = samples.filter_map(|s| s.host.peers?.ok()).collect();
    let at: std::net::SocketAddr = format!("{there}:9000").parse().unwrap();
    let link = peers.iter().flat_map(|p| &p.links).rfind(|l| l.peer == at && !l.local).expect("the connection to the namespace");
    assert_eq!(link.here.map(|id| id.pid), Some(pid));
    assert!(peers.iter().flat_map(|p| &p.listeners).any(|l| l.at == at && l.namespace != 0 && l.accepted == 1));
}
