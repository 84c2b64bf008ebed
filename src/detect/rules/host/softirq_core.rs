//! host.network.softirq_core: one CPU takes all receive work, and is full with it.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::CoreFacts;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 70.0,
    min: 10.0,
    max: 100.0,
    what: "time of one CPU in software interrupts",
};
const OTHERS: Param = Param {
    name: "others",
    unit: Unit::Percent,
    default: 30.0,
    min: 0.0,
    max: 100.0,
    what: "the same of all other CPUs together, on average: above it the work is spread",
};
const PACKETS: Param = Param {
    name: "packets",
    unit: Unit::PerSecond,
    default: 10_000.0,
    min: 1.0,
    max: 1e9,
    what: "packets taken in by all CPUs: below it something else is served",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.softirq_core",
    class: Class::Live,
    culprit: Culprit::One,
    says: "one core takes all receive work",
    params: &[FULL, OTHERS, PACKETS],
    origins: &["host.cpu", "host.softnet"],
    page: "\
A card with one receive queue interrupts one CPU, and that CPU takes every packet through the kernel. The average of all CPUs looks
idle while that one is full: packets wait, then are dropped (`host.network.softnet_drops`), and a process that runs there crawls.

Found when one CPU spends `full` of its time in software interrupts, the others `others` on average at most, and `packets` come in.
What it costs nobody's clock counts, so it is a warning once it has stood in three of four evaluations, never critical; on a host that
only forwards packets, where nothing waits, it stays info.

**Relief**: spread the packets over the CPUs by their flow (RPS). **Cure**: as many receive queues as CPUs, and irqbalance.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match &facts.world.host.cpu {
        Ok(cpu) => cpu,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let held = is_held(prev, &host);
    let share = |c: &CoreFacts| c.softirq.unwrap_or(0.0) * 100.0;
    let Some(worst) = cpu.cores.iter().max_by(|a, b| share(a).total_cmp(&share(b))).filter(|_| cpu.cores.len() > 1) else {
        return Judged::clear(host, "there is one CPU only");
    };
    let others = cpu.cores.iter().filter(|c| c.number != worst.number).map(share).sum::<f64>() / (cpu.cores.len() - 1) as f64;
    let packets = facts.world.host.limits.packets_per_s.unwrap_or(0.0);
    let spread = others > params.most(OTHERS, held);
    if share(worst) < params.limit(FULL, held) || spread || packets < params.limit(PACKETS, held) {
        let why = format!(
            "CPU {} spends {} % in software interrupts, the others {} %",
            worst.number,
            short(share(worst)),
            short(others)
        );
        return Judged::clear(host, why);
    }
    let title = format!(
        "CPU {} takes all packets: {} % of its time in software interrupts, the others {} %",
        worst.number,
        short(share(worst)),
        short(others)
    );
    let mut found = Found::new(Class::Live, title);
    found.standing = Some(true);
    found.never_critical = true;
    found.evidence = vec![
        params.row("software interrupts of that CPU", share(worst), FULL, "host.cpu"),
        params.row_below("software interrupts of the others, mean", others, OTHERS, "host.cpu"),
        params.row("packets taken in", packets, PACKETS, "host.softnet"),
        evidence(
            "squeezes (budget ran out)",
            facts.world.host.limits.squeezes_per_s.unwrap_or(0.0),
            Unit::PerSecond,
            None,
            "host.softnet",
        ),
    ];
    let Some(mask) = Word::operand(every(cpu.cores.len()).as_bytes()) else { return Judged::found(host, found) };
    let mut relief = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Spread packets over all CPUs by their flow",
        sh!(
            "for d in /sys/class/net/*/device; do for q in \"${d%/device}\"/queues/rx-*/rps_cpus; do echo \"$q $(cat \"$q\")\"; echo {} > \"$q\"; done; done",
            mask
        ),
    );
    relief.undo = Some(sh!("echo OLD > FILE   # each FILE with its OLD value was printed before"));
    relief.needs = "root".into();
    relief.risk = "the work moves to other CPUs; caches are shared less".into();
    let mut cure = relief.clone();
    (cure.phase, cure.horizon) = (Phase::Cure, Horizon::ShortTerm);
    cure.title = "See the queues of the cards and their interrupts".into();
    cure.command = sh!(
        "grep -E 'CPU|eth|ens|enp|virtio|mlx|ixgbe' /proc/interrupts; for i in /sys/class/net/*; do ethtool -l \"${i##*/}\" 2>/dev/null; done"
    );
    cure.undo = None;
    cure.risk = "none: read-only".into();
    found.fixes = vec![relief, cure];
    Judged::found(host, found)
}

/// The mask of that many CPUs: words of 32, the highest first.
fn every(cpus: usize) -> String {
    let full = std::iter::repeat_n("ffffffff".to_owned(), cpus / 32);
    let rest = cpus % 32;
    let first = (rest > 0).then(|| format!("{:x}", (1_u64 << rest) - 1));
    first.into_iter().chain(full).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn softirq(first: f64, second: f64, packets: f64) -> Bench {
        Bench::quiet()
            .with_cpu(|cpu| {
                cpu.cores[0].softirq = Some(first);
                cpu.cores[1].softirq = Some(second);
            })
            .on(|host| host.limits.packets_per_s = Some(packets))
    }

    #[test]
    fn a_mask_has_a_word_for_each_32() {
        assert_eq!([every(2), every(32), every(40), every(64)], ["3", "ffffffff", "ff,ffffffff", "ffffffff,ffffffff"]);
    }

    #[test]
    fn one_cpu_that_takes_all_packets_is_found_and_held() {
        let found = softirq(0.85, 0.02, 90_000.0);
        found.must_say(&RULE, "found CPU 0 takes all packets: 85 % of its time in software interrupts, the others 2.0 %");
        assert!(found.stands(&RULE));
        let unknown = Bench::quiet().on(|host| host.cpu = Err(crate::detect::bench::host::unread()));
        Table { clear: softirq(0.3, 0.02, 90_000.0), unknown: Some(unknown), found, held: Some(softirq(0.55, 0.02, 90_000.0)) }
            .check(&RULE);
        softirq(0.85, 0.7, 90_000.0).must_say(&RULE, "clear");
        softirq(0.85, 0.02, 9_000.0).must_say(&RULE, "clear");
    }
}
