//! Key figures in the configuration: the profile, what is changed in it and added to it, what is usual.

use promql_parser::parser::parse;

use crate::model::kpi::{Habits, Kpi, KpiAsk, KpiPlan, known, plain, profile};
use crate::model::unit::Unit;

use super::capacity::{Entry, UNIT, number, place, query, text, unit};
use super::keys::{Kind, Named};
use super::settings::Settings;
use super::value::{Value, nearest};

/// Their section.
pub(super) const NAMED: Named = Named {
    section: "kpi",
    keys: &[
        ("query", Kind::Text),
        ("quantile", Kind::Number(0.0, 1.0)),
        ("unit", UNIT),
        ("worse", Kind::Choice(&["higher", "lower"])),
        ("target", Kind::Number(-1e15, 1e15)),
        ("warning", Kind::Number(-1e15, 1e15)),
        ("critical", Kind::Number(-1e15, 1e15)),
        ("for", Kind::Duration(0, 3_600_000)),
        ("off", Kind::Bool),
    ],
    must: "",
};

impl Settings {
    /// The key figures and what is usual.
    ///
    /// # Errors
    /// Where one is wrong, and how it is written.
    pub fn kpis(&self) -> Result<KpiPlan, String> {
        let habits = Habits {
            sensitivity: self.number("kpis.sensitivity"),
            business: self.hours("kpis.business_hours")?,
            quiet: self.hours("kpis.quiet_hours")?,
            zone: self.zone()?,
        };
        let mut kpis = profile(self.text("kpis.profile"));
        for name in self.entries(NAMED.section) {
            let entry = self.entry(NAMED.section, name);
            let at = kpis.iter().position(|k| k.name == name);
            if let Some((Value::Bool(true), _)) = entry.get("off") {
                at.map(|at| kpis.remove(at));
                continue;
            }
            let before = at.map(|at| kpis[at].clone()).or_else(|| plain(name));
            let kpi = kpi(name, &entry, before)?;
            match at {
                Some(at) => kpis[at] = kpi,
                None => kpis.push(kpi),
            }
        }
        Ok(KpiPlan { kpis, habits })
    }

    fn written(&self, key: &str) -> String {
        self.all().find(|(k, _, _)| *k == key).map_or_else(String::new, |(_, _, origin)| format!("{origin}: "))
    }

    /// `09:00-18:00`, in minutes of the day.
    fn hours(&self, key: &str) -> Result<(u32, u32), String> {
        let written = self.text(key);
        let found = written.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        found.filter(|(from, to)| *from <= 1_440 && *to <= 1_440).ok_or_else(|| {
            let (_, name) = key.rsplit_once('.').unwrap_or(("", key));
            format!("{}{name} = {written:?}: hours such as \"09:00-18:00\"", self.written(key))
        })
    }

    /// `+05:30`, in minutes.
    fn zone(&self) -> Result<i32, String> {
        let written = self.text("kpis.zone");
        let signed = |(sign, rest): (i32, &str)| Some(sign * i32::try_from(minutes(rest)?).ok()?);
        let rest = written.strip_prefix('+').map(|r| (1, r)).or_else(|| written.strip_prefix('-').map(|r| (-1, r)));
        rest.and_then(signed)
            .filter(|m| m.abs() <= 14 * 60)
            .ok_or_else(|| format!("{}zone = {written:?}: write hours and minutes east of Greenwich, such as \"+02:00\"; names of zones are not known here", self.written("kpis.zone")))
    }
}

fn kpi(name: &str, entry: &Entry<'_>, before: Option<Kpi>) -> Result<Kpi, String> {
    let asked = query(entry, "query")?;
    let mut kpi = match (before, &asked) {
        (Some(kpi), _) => kpi,
        (None, Some(_)) => Kpi {
            name: name.to_owned(),
            says: name.to_owned(),
            unit: Unit::Count,
            lower: false,
            target: None,
            warning: None,
            critical: None,
            ask: KpiAsk::Nothing,
        },
        (None, None) => {
            let near = nearest(name, known());
            return Err(format!("{}: [kpi.{name}] is none of those that are known, and has no query{near}", place(entry)));
        }
    };
    match (asked, number(entry, "quantile")) {
        (Some(buckets), Some(of)) => {
            if parse(&format!("rate({buckets}[5m])")).is_err() {
                return Err(format!(
                    "{}: [kpi.{name}]: a quantile is of the selector of buckets, such as x_seconds_bucket{{job=\"a\"}}",
                    place(entry)
                ));
            }
            (kpi.unit, kpi.ask) = (Unit::Milliseconds, KpiAsk::Quantile { of, buckets });
        }
        (Some(_), None) if matches!(kpi.ask, KpiAsk::Quantile { .. }) && unit(entry).is_none() => {
            return Err(format!("{}: [kpi.{name}]: say the unit of that query: unit = \"s\" or \"ms\"", place(entry)));
        }
        (Some(query), None) => kpi.ask = KpiAsk::Query(query),
        (None, Some(_)) => {
            return Err(format!("{}: [kpi.{name}]: quantile needs query: the selector of the buckets", place(entry)));
        }
        (None, None) => {}
    }
    kpi.unit = unit(entry).unwrap_or(kpi.unit);
    kpi.lower = text(entry, "worse").map_or(kpi.lower, |word| word == "lower");
    kpi.target = number(entry, "target").or(kpi.target);
    let lasts = match entry.get("for") {
        Some((Value::Milliseconds(ms), _)) => Some(ms / 1000),
        _ => None,
    };
    let limit = |key: &str, before: Option<(f64, u64)>| {
        let figure = number(entry, key).or(before.map(|(figure, _)| figure))?;
        Some((figure, lasts.or(before.map(|(_, s)| s)).unwrap_or(0)))
    };
    (kpi.warning, kpi.critical) = (limit("warning", kpi.warning), limit("critical", kpi.critical));
    let crossed = |(w, _): (f64, u64), (c, _): (f64, u64)| if kpi.lower { w < c } else { w > c };
    if kpi.warning.zip(kpi.critical).is_some_and(|(w, c)| crossed(w, c)) {
        return Err(format!("{}: [kpi.{name}]: it would be critical before it is a warning", place(entry)));
    }
    Ok(kpi)
}

/// `18:30`, in minutes.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> Result<KpiPlan, String> {
        let layer = super::super::load(Path::new("c.toml"), text).map_err(|all| all[0].to_string())?;
        Settings::merge([layer]).kpis()
    }

    #[test]
    fn a_profile_is_changed_and_added_to() {
        let plan = of("").unwrap();
        assert_eq!((plan.kpis, plan.habits), (profile("runbook"), Habits::default()));
        let plan = of("[kpis]\nprofile = \"engineer\"\nbusiness_hours = \"08:30-17:00\"\nzone = \"-05:00\"\nsensitivity = 2.0\n\
                       [kpi.api_p99]\ncritical = 1500.0\nfor = \"5m\"\n[kpi.orders]\nquery = \"sum(orders)\"\nworse = \"lower\"\ntarget = 20.0\nwarning = 10.0\n\
                       [kpi.own]\nquery = 'x_seconds_bucket{job=\"a\"}'\nquantile = 0.9\n[kpi.disk_space]\ntarget = 50.0\n")
        .unwrap();
        let kpi = |name: &str| plan.kpis.iter().find(|k| k.name == name).unwrap();
        assert_eq!((kpi("api_p99").warning, kpi("api_p99").critical), (Some((800.0, 300)), Some((1500.0, 300))));
        assert_eq!((kpi("orders").lower, kpi("orders").warning), (true, Some((10.0, 0))));
        assert!(matches!(kpi("own").ask, KpiAsk::Quantile { of, .. } if of == 0.9));
        assert!(matches!(kpi("disk_space").ask, KpiAsk::Query(_)), "known, and in no profile of that name");
        assert_eq!((plan.habits.business, plan.habits.zone, plan.habits.sensitivity), ((510, 1_020), -300, 2.0));
        assert!(of("[kpis]\nprofile = \"none\"").unwrap().kpis.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let says = |text: &str, what: &str| {
            let said = of(text).unwrap_err();
            assert!(said.contains(what) && said.starts_with("c.toml:"), "{said}");
        };
        says("[kpi.api_p98]\nwarning = 5", "did you mean `api_p95`?");
        says("[kpi.api_p99]\nwarning = 5000", "critical before it is a warning");
        says("[kpi.uptime]\nwarning = 98.0", "critical before it is a warning");
        says("[kpi.mine]\nquantile = 0.5", "has no query");
        says("[kpi.api_p99]\nquery = \"my_p99_seconds\"", "say the unit");
        says("[kpi.mine]\nquery = \"sum(a)\"\nquantile = 0.5", "the selector of buckets");
        says("[kpis]\nbusiness_hours = \"nine to five\"", "hours such as");
        says("[kpis]\nzone = \"CET\"", "zone = \"CET\"");
        says("[kpis]\nprofile = \"mine\"", "runbook");
    }
}
