//! Capacity in the configuration: resources that run out, needs with their prices, triggers.

use promql_parser::parser::parse;
use promql_parser::parser::value::ValueType;

use crate::model::capacity::plan::{CapacityPlan, Need, Resource, Statistic, Trigger};
use crate::model::unit::Unit;

use super::keys::{Kind, Named};
use super::settings::Settings;
use super::value::{Origin, Value, nearest};

/// The section of resources that may run out.
pub(super) const RESOURCES: Named =
    Named { section: "resources", keys: &[("left", Kind::Text), ("all", Kind::Text), ("unit", UNIT)], must: "left" };
/// The section of needs.
pub(super) const NEEDS: Named = Named {
    section: "needs",
    keys: &[
        ("used", Kind::Text),
        ("have", Kind::Text),
        ("unit", Kind::Text),
        ("buffer", Kind::Number(0.0, 1_000.0)),
        ("price", Kind::Number(0.0, 1e9)),
        ("whole", Kind::Bool),
    ],
    must: "",
};
/// The section of triggers.
pub(super) const TRIGGERS: Named = Named {
    section: "triggers",
    keys: &[
        ("query", Kind::Text),
        ("statistic", Kind::Choice(&["p50", "p95", "p99", "mean", "max"])),
        ("above", Kind::Number(-1e15, 1e15)),
        ("unit", UNIT),
        ("action", Kind::Text),
        ("buckets", Kind::Bool),
        ("over", Kind::Duration(600_000, 30 * 86_400_000)),
    ],
    must: "",
};
/// Units by their words.
pub(super) const UNIT: Kind = Kind::Choice(&["B", "%", "count", "s", "ms", "1/s", "B/s"]);

pub(super) type Entry<'s> = std::collections::BTreeMap<&'s str, (&'s Value, &'s Origin)>;

impl Settings {
    /// What may run out, what is needed, what calls for more: what is built in, with what the configuration changes and adds.
    ///
    /// # Errors
    /// Where one is wrong, and how it is written.
    pub fn capacity(&self) -> Result<CapacityPlan, String> {
        let seconds = |key: &str| self.duration(key).as_secs();
        let limits_s = (seconds("capacity.warning"), seconds("capacity.critical"));
        if limits_s.0 < limits_s.1 {
            let at = self.all().find(|(k, _, _)| *k == "capacity.critical").map_or(Origin::Default, |(_, _, at)| at.clone());
            return Err(format!("{at}: [capacity] would be critical before it is a warning"));
        }
        let mut plan = CapacityPlan { ahead_s: seconds("capacity.ahead"), limits_s, ..CapacityPlan::default() };
        for name in self.entries(RESOURCES.section) {
            let entry = self.entry(RESOURCES.section, name);
            let own = Resource {
                name: name.to_owned(),
                unit: unit(&entry).unwrap_or(Unit::Count),
                left: query(&entry, "left")?.unwrap_or_default(),
                all: query(&entry, "all")?,
            };
            plan.resources.retain(|r| r.name != name);
            plan.resources.push(own);
        }
        for name in self.entries(NEEDS.section) {
            let entry = self.entry(NEEDS.section, name);
            let known = plan.needs.iter().position(|n| n.name == name);
            let mut need = match (known, query(&entry, "used")?) {
                (Some(at), None) => plan.needs.remove(at),
                (at, Some(used)) => {
                    at.map(|at| plan.needs.remove(at));
                    Need { name: name.to_owned(), unit: String::new(), used, have: None, buffer: 20.0, price: None, whole: true }
                }
                (None, None) => return Err(unknown(&entry, NEEDS.section, name, "used", plan.needs.iter().map(|n| &*n.name))),
            };
            need.have = query(&entry, "have")?.or(need.have);
            need.unit = text(&entry, "unit").map_or(need.unit, ToOwned::to_owned);
            need.buffer = number(&entry, "buffer").unwrap_or(need.buffer);
            need.price = number(&entry, "price").or(need.price);
            if let Some((Value::Bool(whole), _)) = entry.get("whole") {
                need.whole = *whole;
            }
            plan.needs.push(need);
        }
        for name in self.entries(TRIGGERS.section) {
            let entry = self.entry(TRIGGERS.section, name);
            let known = plan.triggers.iter().position(|t| t.name == name).map(|at| plan.triggers.remove(at));
            let all = plan.triggers.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
            plan.triggers.push(trigger(name, &entry, known, &all)?);
        }
        Ok(plan)
    }
}

fn trigger(name: &str, entry: &Entry<'_>, known: Option<Trigger>, all: &[String]) -> Result<Trigger, String> {
    let mut trigger = match (known, query(entry, "query")?, number(entry, "above")) {
        (Some(known), asked, above) => Trigger {
            buckets: known.buckets && asked.is_none(),
            query: asked.unwrap_or(known.query.clone()),
            above: above.unwrap_or(known.above),
            ..known
        },
        (None, Some(asked), Some(above)) => Trigger {
            name: name.to_owned(),
            query: asked,
            statistic: Statistic::P95,
            above,
            unit: Unit::Count,
            action: String::new(),
            over_s: 86_400,
            buckets: false,
        },
        (None, Some(_), None) => return Err(format!("{}: [triggers.{name}] has no above", place(entry))),
        (None, None, _) => return Err(unknown(entry, TRIGGERS.section, name, "query", all.iter().map(String::as_str))),
    };
    if let Some(word) = text(entry, "statistic") {
        trigger.statistic = Statistic::ALL.into_iter().find(|s| s.word() == word).unwrap_or(trigger.statistic);
    }
    trigger.unit = unit(entry).unwrap_or(trigger.unit);
    trigger.action = text(entry, "action").map_or(trigger.action, ToOwned::to_owned);
    if let Some((Value::Milliseconds(ms), _)) = entry.get("over") {
        trigger.over_s = ms / 1000;
    }
    if let Some((Value::Bool(buckets), _)) = entry.get("buckets") {
        trigger.buckets = *buckets;
    }
    if trigger.buckets && trigger.statistic.quantile().is_none() {
        return Err(format!("{}: [triggers.{name}]: of buckets the statistic is p50, p95 or p99", place(entry)));
    }
    Ok(trigger)
}

pub(super) fn text<'s>(entry: &Entry<'s>, key: &str) -> Option<&'s str> {
    match entry.get(key) {
        Some((Value::Text(text), _)) => Some(text),
        _ => None,
    }
}

pub(super) fn number(entry: &Entry<'_>, key: &str) -> Option<f64> {
    match entry.get(key) {
        Some((Value::Number(number), _)) => Some(*number),
        _ => None,
    }
}

pub(super) fn unit(entry: &Entry<'_>) -> Option<Unit> {
    use Unit::{Bytes, BytesPerSecond, Count, Milliseconds, PerSecond, Percent, Seconds};
    let word = text(entry, "unit")?;
    [Bytes, Percent, Count, Seconds, Milliseconds, PerSecond, BytesPerSecond].into_iter().find(|u| u.word() == word)
}

pub(super) fn place(entry: &Entry<'_>) -> Origin {
    entry.values().next().map_or(Origin::Default, |(_, at)| (*at).clone())
}

/// A query that can be read and gives series; or a number where `have` and `all` are asked.
pub(super) fn query(entry: &Entry<'_>, key: &str) -> Result<Option<String>, String> {
    let Some(written) = text(entry, key) else { return Ok(None) };
    match parse(written) {
        Ok(parsed) => match parsed.value_type() {
            // As it was understood: without comments, which would swallow what is written behind it.
            ValueType::Vector => Ok(Some(parsed.to_string())),
            ValueType::Scalar if ["have", "all"].contains(&key) => Ok(Some(format!("vector({parsed})"))),
            other => {
                let at = entry.get(key).map_or(Origin::Default, |(_, at)| (*at).clone());
                Err(format!("{at}: {key} = {written:?}: it gives a {other}, and series are asked for"))
            }
        },
        Err(why) => {
            Err(format!("{}: {key} = {written:?}: {why}", entry.get(key).map_or(Origin::Default, |(_, at)| (*at).clone())))
        }
    }
}

fn unknown<'n>(entry: &Entry<'_>, section: &str, name: &str, must: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = nearest(name, known);
    format!("{}: [{section}.{name}] is none of those that are built in, and has no {must}{near}", place(entry))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> Result<CapacityPlan, String> {
        let layer = super::super::load(Path::new("c.toml"), text).map_err(|all| all[0].to_string())?;
        Settings::merge([layer]).capacity()
    }

    #[test]
    fn what_is_built_in_is_changed_and_added_to() {
        assert_eq!(of("").unwrap(), CapacityPlan::default());
        let plan = of("[capacity]\nahead = \"30d\"\n[needs.cpu]\nprice = 50\n[needs.licences]\nused = \"sum(seats)\"\nunit = \"seat\"\nbuffer = 0\n\
                       [triggers.cpu]\nabove = 60\nover = \"7d\"\n[triggers.jobs]\nquery = \"jobs\"\nabove = 5\nstatistic = \"max\"\n\
                       [resources.quota]\nleft = \"limit - used\"\nunit = \"B\"\n")
        .unwrap();
        let need = |name: &str| plan.needs.iter().find(|n| n.name == name).unwrap();
        let trigger = |name: &str| plan.triggers.iter().find(|t| t.name == name).unwrap();
        assert_eq!((plan.ahead_s, need("cpu").price, need("cpu").buffer), (30 * 86_400, Some(50.0), 20.0));
        assert_eq!((need("licences").unit.as_str(), need("licences").buffer), ("seat", 0.0));
        assert_eq!((trigger("cpu").above, trigger("cpu").over_s, trigger("cpu").statistic), (60.0, 604_800, Statistic::P95));
        assert_eq!((trigger("jobs").above, trigger("jobs").statistic), (5.0, Statistic::Max));
        assert_eq!(plan.resources.last().map(|r| (r.name.as_str(), r.unit)), Some(("quota", Unit::Bytes)));
        let commented = of("[resources.a]\nleft = \"sum(up) # all\"\nall = \"1000\"\n").unwrap();
        let a = commented.resources.last().unwrap();
        assert_eq!((a.left.as_str(), a.all.as_deref()), ("sum(up)", Some("vector(1000)")));
        assert_eq!((plan.needs.len(), plan.triggers.len()), (5, 5));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let says = |text: &str, what: &str| {
            let said = of(text).unwrap_err();
            assert!(said.contains(what) && said.starts_with("c.toml:"), "{said}");
        };
        says("[needs.cpus]\nprice = 5", "did you mean `cpu`?");
        says("[triggers.mine]\nabove = 5", "has no query");
        says("[triggers.mine]\nquery = \"a\"", "has no above");
        says("[resources.mine]\nleft = \"a{\"", "c.toml:2: left");
        says("[resources.mine]\nall = \"a\"", "[resources.mine] has no left");
        says("[resources.mine]\nleft = \"up[5m]\"", "series are asked for");
        says("[resources.mine]\nleft = \"5\"", "series are asked for");
        says("[triggers.cpu]\nstatistic = \"p90\"", "p95");
        says("[needs.cpu]\nprise = 5", "did you mean `price`?");
    }
}
