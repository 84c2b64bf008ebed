//! host.memory.kernel: memory is short, and it is the kernel that holds it: huge pages set aside, slab, page tables.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State, refault_share};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::programs;
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::host::MemoryRaw;
use crate::model::seen::{Lack, Why};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const AVAILABLE: Param = Param {
    name: "available",
    unit: Unit::Percent,
    default: 10.0,
    min: 1.0,
    max: 50.0,
    what: "memory that is available, of all: above it nothing is short",
};
const HOLDS: Param = Param {
    name: "holds",
    unit: Unit::Percent,
    default: 25.0,
    min: 5.0,
    max: 100.0,
    what: "memory that the kernel holds and does not give back, of all; and more than any program has",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.kernel",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "kernel memory (slab, page tables, huge pages reserved) is what is missing, not a process",
    params: &[AVAILABLE, HOLDS],
    origins: &["host.memory", "host.psi.memory", "ledger"],
    page: "\
Little memory is available, and the largest program has not got it: the kernel holds `holds` of all memory and more than any program.
Counted are huge pages that are set aside and that nobody uses or has reserved, slab that cannot be given back (`SUnreclaim`), page
tables, stacks of threads, memory per CPU. What can be given back (`SReclaimable`, page cache) is available and does not count.

The loss is what waits for memory, and for data that is read again because there was no room to keep it. Where that is little it is a
warning while anybody waits at all (PSI memory, direct reclaim), else info. While it is found `host.memory.reclaim` stands under it:
the largest program is not to blame.

**Relief**: give huge pages back that nobody uses; else see which slab it is. **Cure**, by hand: fewer huge pages at boot; huge pages
for shared memory that many processes map; fewer processes or threads.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let memory = match &facts.world.host.memory {
        Ok(memory) => memory,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let machine = facts.world.identity.as_ref().map_or(0, |i| i.memory_bytes);
    if memory.raw.total < machine / 100 * 98 {
        // The limit is a container's, what the kernel holds the machine's.
        return Judged::unknown(host, &Lack::new(Why::Absent, "kernel memory of this container alone"));
    }
    let total = memory.raw.total.max(1) as f64;
    let available = 100.0 * memory.available_bytes as f64 / total;
    let held = is_held(prev, &host);
    if available > params.most(AVAILABLE, held) {
        return Judged::clear(host, format!("{} % of the memory is available", short(available)));
    }
    let parts = parts(&memory.raw);
    let kernel: f64 = parts.iter().map(|(_, b)| b).sum();
    let largest = programs(facts.world, |p| p.private_bytes as f64).first().map_or(0.0, |p| p.amount);
    let shared = memory.raw.shmem.unwrap_or(0) as f64;
    let share = 100.0 * kernel / total;
    let Some((most, of_most)) = parts.first().filter(|_| share >= params.limit(HOLDS, held) && kernel > largest.max(shared))
    else {
        return Judged::clear(host, format!("the kernel holds {} % of the memory, a program {}", short(share), bytes(largest)));
    };
    let title = format!(
        "Memory is short ({} available): the kernel holds {}, most of it {most} ({})",
        bytes(memory.available_bytes as f64),
        bytes(kernel),
        bytes(*of_most)
    );
    let mut found = Found::new(Class::Live, title);
    let stalled = facts.ledger.state(State::MemoryStalled);
    let reread = facts.ledger.sum(|_| true, Actor::disk_wait) * refault_share(facts.world).unwrap_or(0.0);
    found.losses = vec![(State::MemoryStalled, stalled), (State::IoWait, reread)];
    found.victims_time = facts.ledger.total();
    // Set aside on purpose, for what is still to come, it costs nobody anything. Where it costs more than a little, time decides.
    let pressed = facts.world.host.psi.memory.as_ref().is_ok_and(|psi| psi.best() >= PRESSED);
    let reclaims = memory.direct_reclaims_per_s.is_some_and(|r| r > 0.0);
    let little = stalled + reread < (LITTLE * found.victims_time).max(LITTLE);
    // What is evicted for lack of room is read again; the kernel forgets soon that it had it, where it has so little left.
    let again = refault_share(facts.world).is_some_and(|share| share >= AGAIN);
    let waits = facts.ledger.sum(|_| true, Actor::disk_wait) >= READS_S;
    let reads = again && waits && memory.read_bytes_per_s.is_some_and(|b| b >= READS);
    found.standing = little.then_some(pressed || reclaims || reads);
    found.evidence = vec![
        params.row_below("memory available", available, AVAILABLE, "host.memory"),
        params.row("held by the kernel", share, HOLDS, "host.memory"),
        evidence("largest program", largest, Unit::Bytes, None, "host.processes"),
    ];
    found.evidence.extend(parts.iter().take(4).map(|(what, b)| evidence(*what, *b, Unit::Bytes, None, "host.memory")));
    found.fixes = fixes(most, memory.raw.huge_unused);
    Judged::found(host, found)
}

/// PSI memory, 0..1, from which someone waits.
const PRESSED: f64 = 0.005;
/// Waiting for disks, s/s, and bytes read per second, from which files do not fit into what is left.
const READS_S: f64 = 0.05;
/// Of what is read, what is known to have been evicted before.
const AGAIN: f64 = 0.01;
const READS: f64 = 1_048_576.0;
/// Seconds per second, and as a part of the foreground time: below both the loss alone is no warning.
const LITTLE: f64 = 0.1;

const HUGE: &str = "huge pages that nobody uses";
const SLAB: &str = "slab that cannot be given back";
const TABLES: &str = "page tables";
const STACKS: &str = "stacks of threads";

/// What the kernel holds, the most first.
fn parts(raw: &MemoryRaw) -> Vec<(&'static str, f64)> {
    let all = [
        (HUGE, raw.huge_unused),
        (SLAB, raw.slab_kept),
        (TABLES, raw.page_tables),
        (STACKS, raw.kernel_stacks),
        ("memory per CPU", raw.per_cpu),
    ];
    let mut known: Vec<(&str, f64)> = all.into_iter().filter_map(|(what, b)| Some((what, b? as f64))).collect();
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    known
}

fn fixes(most: &str, unused: Option<u64>) -> Vec<Fix> {
    let see = match most {
        SLAB => fix::look("See which slabs are the largest", sh!("slabtop -o -s c | head -n 20")),
        TABLES => fix::look(
            "See whose page tables they are",
            sh!("grep -H VmPTE /proc/[0-9]*/status 2>/dev/null | sort -t: -k3 -n -r | head; ipcs -m -u"),
        ),
        STACKS => fix::look("See who has most threads", sh!("ps -eo nlwp,pid,comm --sort=-nlwp | head")),
        _ => fix::look(
            "See what the kernel holds",
            sh!("grep -E 'HugePages|Hugetlb|Slab|SUnreclaim|PageTables|KernelStack|Percpu' /proc/meminfo"),
        ),
    };
    if most != HUGE {
        return vec![see];
    }
    let mut give = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        format!("Give back the huge pages that nobody uses ({})", bytes(unused.unwrap_or(0) as f64)),
        sh!(
            "echo \"before: $(sysctl -n vm.nr_hugepages)\"; sysctl -w vm.nr_hugepages=$(awk '/^HugePages_Total/{t=$2} /^HugePages_Free/{f=$2} /^HugePages_Rsvd/{r=$2} END{print t-f+r}' /proc/meminfo)"
        ),
    );
    give.undo = Some(sh!("sysctl -w vm.nr_hugepages=OLD   # OLD: what was printed as before"));
    give.needs = "root".into();
    give.risk =
        "a server that is started later and wants them (a database, a virtual machine) does without, or does not start".into();
    let mut cure = give.clone();
    (cure.phase, cure.horizon) = (Phase::Cure, Horizon::ShortTerm);
    cure.title = "Set fewer aside at boot".into();
    cure.command = Command::note("# /etc/sysctl.d/*: vm.nr_hugepages, or hugepages= on the kernel's command line");
    (cure.undo, cure.takes_s) = (None, None);
    vec![give, see, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    const GIB: u64 = 1 << 30;

    fn holds(available: u64, huge: u64, program: u64) -> Bench {
        let largest = ProcFacts { private_bytes: program * GIB, rss_bytes: program * GIB, ..process(200, "java") };
        Bench::quiet().running(vec![largest]).with_memory(|m| {
            m.raw.total = 100 * GIB;
            m.available_bytes = available * GIB;
            m.raw.huge_unused = Some(huge * GIB);
            m.raw.slab_kept = Some(GIB);
            m.direct_reclaims_per_s = Some(5.0);
        })
    }

    #[test]
    fn memory_that_the_kernel_holds_is_found_and_held() {
        let found = holds(5, 60, 20);
        found.must_say(
            &RULE,
            "found Memory is short (5.0 GiB available): the kernel holds 61 GiB, most of it huge pages that nobody uses (60 GiB)",
        );
        assert!(found.stands(&RULE));
        assert!(!holds(5, 60, 20).with_memory(|m| m.direct_reclaims_per_s = Some(0.0)).stands(&RULE), "nobody waits for it");
        let reads = |again: f64| {
            let waits = |host: &mut crate::model::facts::HostFacts| {
                host.psi.io = pressure(0.2);
                host.processes = Ok(vec![ProcFacts { io_wait: Some(0.1), private_bytes: GIB, ..service(200, "backup", 80) }]);
            };
            holds(5, 60, 20).on(waits).with_memory(|m| {
                (m.direct_reclaims_per_s, m.read_bytes_per_s, m.refault_bytes_per_s) = (Some(0.0), Some(1e8), Some(1e8 * again));
            })
        };
        assert!(reads(0.04).stands(&RULE), "what was evicted is read again");
        assert!(!reads(0.0).stands(&RULE), "a backup reads what nobody had");
        Table { clear: holds(30, 60, 20), unknown: None, found, held: Some(holds(13, 60, 20)) }.check(&RULE);
        // The largest program has more, or the kernel has little.
        holds(5, 60, 70).must_say(&RULE, "clear");
        holds(5, 10, 5).must_say(&RULE, "clear");
    }
}
