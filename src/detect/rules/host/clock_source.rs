//! host.clock.source: reading the clock is a call into the kernel, or worse, into a device.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::Params;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// Those that a program cannot read by itself.
const SLOW: [&str; 6] = ["acpi_pm", "hpet", "jiffies", "pit", "refined-jiffies", "xen"];
/// The quick one of the same machines.
const QUICK: &str = "tsc";

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.clock.source",
    class: Class::Hygiene,
    culprit: Culprit::One,
    says: "the clock source is slow: reading the clock takes a system call",
    params: &[],
    origins: &["host.clock"],
    page: "\
Programs read the clock often: a database twice for each node of a plan that it times, a service for each line of its log. With a
quick clock source (tsc, kvm-clock, hyperv_clocksource_tsc_page, arch_sys_counter) that takes some 25 ns, without the kernel. With
`xen`, `hpet` or `acpi_pm` it is a system call of up to some microseconds, and `hpet` and `acpi_pm` ask a device that all CPUs share.
It shows as kernel time of whatever is busy.

Info: what it costs is not measured here. The kernel falls back to such a source when the quick one proved unstable: its log says why.

**Relief**: read why the kernel chose it. **Cure**: choose `tsc` where the kernel offers it and the machine's clock is stable; else see why it does not.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let Some(clock) = facts.world.identity.as_ref().and_then(|i| i.clock.as_ref()) else {
        return Judged::unknown(Subject::host(), &Lack::new(Why::Absent, "clocksource0 below /sys/devices/system/clocksource"));
    };
    if !SLOW.contains(&clock.current.as_str()) {
        return Judged::clear(Subject::host(), format!("the clock source is {}", clock.current));
    }
    let subject = Subject::new(SubjectType::Setting, "clocksource", "clocksource");
    let takes = if clock.current == "xen" { "may take" } else { "takes" };
    let title = format!("The clock source is {}: reading the clock {takes} a system call", clock.current);
    let mut found = Found::new(Class::Hygiene, title);
    let quick = clock.available.split_whitespace().any(|name| name == QUICK);
    found.evidence = vec![evidence("tsc is offered (1) or not (0)", f64::from(quick), Unit::Count, None, "host.clock")];
    let mut look = fix::look(
        "See what the kernel says of the clocks, and why it chose this one",
        sh!(
            "grep . /sys/devices/system/clocksource/clocksource0/*_clocksource; journalctl -k --grep 'clocksource|tsc' --no-pager"
        ),
    );
    look.needs = "root, or the group systemd-journal".into();
    found.fixes = vec![look];
    if quick {
        let mut cure = fix::shell_fix(
            Phase::Cure,
            Horizon::ShortTerm,
            "Choose tsc, where the kernel's log calls it stable",
            sh!("echo {} > /sys/devices/system/clocksource/clocksource0/current_clocksource", QUICK),
        );
        let before = Word::operand(clock.current.as_bytes());
        cure.undo =
            before.map(|before| sh!("echo {} > /sys/devices/system/clocksource/clocksource0/current_clocksource", before));
        cure.needs = "root".into();
        cure.risk = "clocks of CPUs that differ make time jump".into();
        found.fixes.push(cure);
    }
    Judged { verdicts: vec![(subject, Verdict::Found(Box::new(found)))], demands: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::identity;
    use crate::model::host::{Clock, Identity};

    #[test]
    fn a_slow_source_is_found_and_its_cure_depends_on_what_there_is() {
        let with = |current: &str, available: &str| {
            let clock = Some(Clock { current: current.into(), available: available.into() });
            Bench::quiet().with(|world| world.identity = Some(Arc::new(Identity { clock, ..identity() })))
        };
        with("tsc", "tsc hpet acpi_pm").must_say(&RULE, "clear");
        with("kvm-clock", "kvm-clock tsc").must_say(&RULE, "clear");
        with("arch_sys_counter", "arch_sys_counter").must_say(&RULE, "clear");
        let xen = with("xen", "xen tsc hpet");
        xen.must_say(&RULE, "found The clock source is xen");
        assert_eq!(xen.pastes(&RULE)[1], "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource");
        assert_eq!(with("hpet", "hpet acpi_pm").pastes(&RULE).len(), 1, "there is no quick one");
    }
}
