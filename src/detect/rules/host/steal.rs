//! host.cpu.steal: the hypervisor takes CPU away.

use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::confidence;
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

pub const STEAL: Param = Param {
    name: "steal",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 100.0,
    what: "share of CPU time stolen by the hypervisor",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.steal",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "the hypervisor takes CPU away",
    params: &[STEAL],
    origins: &["host.cpu", "ledger"],
    page: "\
Virtual CPUs were ready and the hypervisor ran someone else: steal in `/proc/stat`. Nothing on this host can change
it. The loss is modelled: steal x CPUs x the foreground's share of the CPU time that is used here. Burstable instances
that ran out of credit show it too. Not every hypervisor reports it.

**Relief**: by hand: move work to another host. **Cure**: by hand, at the provider: CPU credits, another instance
type, a dedicated host.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match &facts.world.host.cpu {
        Ok(cpu) => cpu,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let percent = cpu.steal * 100.0;
    if percent < params.limit(STEAL, held) {
        return Judged::clear(host, format!("{} % of the CPU time is stolen", short(percent)));
    }
    let lost = facts.ledger.state(State::CpuSteal);
    let mut found =
        Found::new(Class::Live, format!("The hypervisor takes {} % of the CPU time away from this host", short(percent)));
    found.losses = vec![(State::CpuSteal, lost)];
    found.victims_time = facts.ledger.sum(|_| true, Actor::time) + lost;
    found.evidence = vec![
        params.row("stolen", percent, STEAL, "host.cpu"),
        evidence("CPUs stolen", cpu.steal * facts.world.cpus(), Unit::Cores, None, "host.cpu"),
        evidence("foreground time lost to steal", lost, Unit::SecondsPerSecond, None, "ledger"),
    ];
    found.against = vec![evidence("CPU busy", cpu.busy * 100.0, Unit::Percent, None, "host.cpu")];
    found.confidence = confidence(facts.ledger, lost, 0);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "Move to another host or a larger instance; on burstable instances check the CPU credits",
        Command::note("# the provider's console: CPU credits, instance type, placement"),
    );
    cure.target = "the hypervisor".into();
    cure.takes_s = None;
    found.fixes = vec![cure];
    Judged::found(host, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::unread;
    use crate::detect::bench::{Bench, Table};

    fn stolen(steal: f64) -> Bench {
        Bench::quiet().with_cpu(|cpu| cpu.steal = steal)
    }

    #[test]
    fn stolen_time_is_found_and_held() {
        let found = stolen(0.051);
        found.must_say(&RULE, "found The hypervisor takes 5.1 % of the CPU time away from this host");
        Table {
            clear: stolen(0.034),
            unknown: Some(Bench::quiet().on(|host| host.cpu = Err(unread()))),
            found,
            held: Some(stolen(0.04)),
        }
        .check(&RULE);
    }
}
