//! host.disk.errors: the kernel reports IO errors.

use std::collections::BTreeMap;

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::foreign::Foreign;
use crate::model::host::{KernelMessage, MessageKind};
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, seconds};

const FRESH: Param = Param {
    name: "fresh",
    unit: Unit::Seconds,
    default: 10.0,
    min: 1.0,
    max: 600.0,
    what: "an error younger than this is ongoing",
};
const TAIL: Param = Param {
    name: "tail",
    unit: Unit::Seconds,
    default: 60.0,
    min: 1.0,
    max: 3600.0,
    what: "how long an error stays shown after the last one, marked as ended",
};

/// Its id.
pub const ID: &str = RULE.id;

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.disk.errors",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "the kernel reports IO errors",
    params: &[FRESH, TAIL],
    origins: &["host.kmsg"],
    page: "\
The kernel reports that a device failed to read or write, or that a file system found corruption. Data may be lost;
retries make the device slow before it fails. Read from `/dev/kmsg`, by the device that the message names; without the
rights for that it is unknown. An error younger than `fresh` is ongoing; up to `tail` it is shown as ended.

**Relief**: see what failed and the device's own report (`smartctl`); by hand: stop writing to it, move the service to
a replica. **Cure**: copy what is still readable; by hand: replace the device, and check cables and controllers when
several fail at once.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, _: Option<&Prev>) -> Judged {
    let Some(messages) = &facts.world.host.messages else {
        let lack = Lack::new(Why::Denied, "/dev/kmsg").lifted_by("sudo perftop, or sysctl kernel.dmesg_restrict=0");
        return Judged::unknown(Subject::host(), &lack);
    };
    let now_us = facts.world.at.mono_ns / 1000;
    let age_s = |m: &KernelMessage| now_us.saturating_sub(m.at_us) as f64 / 1e6;
    let bad = |m: &&KernelMessage| matches!(m.kind, MessageKind::IoError | MessageKind::FsError);
    let mut by_device: BTreeMap<Foreign, Vec<&KernelMessage>> = BTreeMap::new();
    for m in messages.iter().filter(bad).filter(|m| age_s(m) <= params.get(TAIL)) {
        by_device.entry(m.device.clone().unwrap_or_else(|| "unknown".into())).or_default().push(m);
    }
    let mut judged = Judged::default();
    for (device, said) in by_device {
        let youngest = said.iter().map(|m| age_s(m)).fold(f64::INFINITY, f64::min);
        let subject = Subject::new(SubjectType::Device, device.shown(), device.shown());
        let last = said.iter().max_by_key(|m| m.at_us).map_or("", |m| m.text.shown());
        let mut found = Found::new(Class::Error, format!("{device} fails: {last}"));
        found.ended = youngest > params.get(FRESH);
        found.failed_per_s = (!found.ended).then(|| said.len() as f64 / params.get(TAIL));
        found.evidence = vec![
            evidence(
                format!("kernel messages in {}", seconds(params.get(TAIL))),
                said.len() as f64,
                Unit::Count,
                NONE_IS_FINE,
                "host.kmsg",
            ),
            params.row_below("time since the last one", youngest, FRESH, "host.kmsg"),
        ];
        found.fixes = fixes(&device);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "the kernel reports no IO error");
    }
    judged
}

fn fixes(device: &Foreign) -> Vec<Fix> {
    let Some(name) = Word::path(&[b"/dev/", device.raw()]) else { return Vec::new() };
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See what failed, and the device's own report",
        sh!("dmesg -T | grep -iE 'error|fail|reset|timeout' | tail -n 30; smartctl -a {}", name),
    );
    look.risk = "none: read-only".into();
    look.needs = "root".into();
    let mut cure = look.clone();
    cure.phase = Phase::Cure;
    cure.title = "Copy what can be read to another device, then replace it".into();
    cure.command = sh!("ddrescue -n {} /path/on/another/disk.img /path/on/another/disk.map", name);
    cure.risk = "reads the whole device; a dying one may get worse".into();
    cure.takes_s = None;
    // A controller's name is no device that could be read.
    let whole = device.shown().strip_prefix("nvme").is_none_or(|rest| rest.contains('n'));
    if device.raw() == b"unknown" || !whole { vec![look] } else { vec![look, cure] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    /// The kernel said that so many seconds ago.
    fn said(kind: MessageKind, ago_s: u64) -> Bench {
        Bench::quiet().with(|world| {
            let at_us = world.at.mono_ns / 1000 - ago_s * 1_000_000;
            let text = "I/O error, dev vda, sector 2048".into();
            world.host.messages = Some(vec![KernelMessage { at_us, kind, device: Some("vda".into()), text }]);
        })
    }

    #[test]
    fn an_io_error_is_found_for_a_minute() {
        let found = said(MessageKind::IoError, 5);
        found.must_say(&RULE, "found vda fails: I/O error, dev vda, sector 2048");
        said(MessageKind::FsError, 59).must_say(&RULE, "found vda fails");
        said(MessageKind::HungTask, 5).must_say(&RULE, "clear");
        Table {
            clear: said(MessageKind::IoError, 61),
            unknown: Some(Bench::quiet().on(|host| host.messages = None)),
            found,
            held: None,
        }
        .check(&RULE);
    }
}
