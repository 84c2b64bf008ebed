//! host.memory.leak: one process grows steadily; when memory runs out; never critical.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

const GROWTH: Param = Param {
    name: "growth",
    unit: Unit::BytesPerSecond,
    default: 262_144.0,
    min: 1024.0,
    max: 1e10,
    what: "growth of a process, median over a minute or more; three quarters of the steps must rise",
};
const HORIZON: Param = Param {
    name: "horizon",
    unit: Unit::Seconds,
    default: 86_400.0,
    min: 60.0,
    max: 2_592_000.0,
    what: "memory that lasts longer than this is not a risk yet",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.leak",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "a process's memory grows steadily; estimates when memory runs out; never critical",
    params: &[GROWTH, HORIZON],
    origins: &["host.processes", "host.memory"],
    page: "\
One process' private memory (resident, without files and shared memory) has grown for a minute or longer, in three
quarters of the steps at least: Theil-Sen over up to ninety points. The time is that until MemAvailable is used up at
the median rate; severity goes by its late end. Up to twelve processes are followed, the fastest growing first.

A cache that fills looks the same until it is full. That is why this is never critical: the operator decides. A
process under a memory limit of its own group meets that limit first; the estimate does not include it.

**Relief**: see what grows; by hand: plan a restart. **Cure**: a memory limit, so that only it suffers; by hand: a
heap profile.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let memory = match &facts.world.host.memory {
        Ok(memory) => memory,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let available = memory.available_bytes as f64;
    let mut judged = Judged::default();
    for (id, series) in &facts.learned.resident {
        let Some(p) = facts.world.processes().iter().find(|p| p.id.to_string() == *id) else { continue };
        let subject = Subject::new(SubjectType::Process, p.id.to_string(), p.label());
        let Some((slope, least)) = series.growth() else { continue };
        let held = is_held(prev, &subject);
        if slope < params.limit(GROWTH, held) || available / least.max(1.0) > params.get(HORIZON) {
            continue;
        }
        let eta = available / slope;
        let title =
            format!("{} grows steadily by {}/s: memory runs out in {} at this rate", p.label(), bytes(slope), seconds(eta));
        let mut found = Found::new(Class::Risk, title);
        found.eta_s = Some(eta);
        found.eta_late_s = Some(available / least.max(1.0));
        found.never_critical = true;
        found.confidence = 0.6;
        found.evidence = vec![
            params.row("growth, median", slope, GROWTH, "host.processes"),
            evidence("growth, lower bound", least, Unit::BytesPerSecond, None, "host.processes"),
            evidence("private memory", p.private_bytes as f64, Unit::Bytes, None, "host.processes"),
            evidence("resident memory, incl. shared", p.rss_bytes as f64, Unit::Bytes, None, "host.processes"),
            evidence("observed for", series.span_s(), Unit::Seconds, None, "host.processes"),
        ];
        found.against = vec![evidence("memory available", available, Unit::Bytes, None, "host.memory")];
        let pid = p.id.pid;
        let mut look = fix::shell_fix(
            Phase::Relief,
            Horizon::ShortTerm,
            "See what grows: heap, mapped files or threads",
            sh!("grep -E 'Rss|Anon|Swap' /proc/{}/smaps_rollup; ls /proc/{}/task | wc -l", pid, pid),
        );
        look.risk = "none: read-only".into();
        let mut cure = look.clone();
        cure.phase = Phase::Cure;
        cure.title = "A limit, so that only it suffers; then a heap profile".into();
        let total = facts.world.host.memory.as_ref().map_or(f64::INFINITY, |m| m.raw.total as f64);
        cure.command = Command::note(format!(
            "# [Service] MemoryMax={:.0}M, Restart=on-failure",
            (p.rss_bytes as f64 * 2.0).min(total * 0.8) / 1_048_576.0
        ));
        cure.needs = "root; its unit".into();
        cure.risk = "it is OOM-killed when it reaches the limit".into();
        found.fixes = vec![look, cure];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no process grows steadily enough to exhaust memory within the horizon");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{service, trend, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::detect::series::Series;

    fn grew(series: Series) -> Bench {
        let id = service(100, "api", 8080).id.to_string();
        Bench::quiet().knowing(|learned| drop(learned.resident.insert(id, series)))
    }

    fn grows(kib_per_s: f64) -> Bench {
        grew(trend(1e9, kib_per_s * 1024.0))
    }

    #[test]
    fn steady_growth_is_a_leak_and_a_cache_that_fills_is_none() {
        let filled = Series((0..90).map(|at| (f64::from(at), 1e9 + 1e8 * f64::from(at.min(20)))).collect());
        let found = grows(260.0);
        found.must_say(&RULE, "found api (pid 100) grows steadily by 260 KiB/s: memory runs out in 7 h at this rate");
        Table {
            clear: grew(filled),
            unknown: Some(grows(260.0).on(|host| host.memory = Err(unread()))),
            found,
            held: Some(grows(200.0)),
        }
        .check(&RULE);
    }

    #[test]
    fn memory_that_lasts_for_a_day_is_no_risk_yet() {
        let lasts = |gib: u64| grows(300.0).with_memory(|memory| memory.available_bytes = gib << 30);
        lasts(24).must_say(&RULE, "found");
        lasts(26).must_say(&RULE, "clear");
    }
}
