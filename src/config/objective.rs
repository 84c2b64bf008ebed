//! Objectives in the configuration.

use promql_parser::parser::{Expr, parse};

use crate::model::objective::{Objective, Sli};

use super::keys::{Kind, Named};
use super::settings::Settings;
use super::value::{Origin, Value, parse_duration};

/// Their section.
const SECTION: &str = "objectives";
/// The same, with their keys.
pub(super) const NAMED: Named = Named {
    section: SECTION,
    keys: &[
        ("target", Kind::Number(0.0, 100.0)),
        ("period", Kind::Text),
        ("errors", Kind::Text),
        ("total", Kind::Text),
        ("latency", Kind::Text),
        ("within", Kind::Text),
        ("error_query", Kind::Text),
        ("total_query", Kind::Text),
        ("prometheus", Kind::Text),
    ],
    must: "target",
};

/// What is kept unless a period is given.
const PERIOD_MS: u64 = 30 * 86_400_000;
const LONGEST_MS: u64 = 92 * 86_400_000;

impl Settings {
    /// The objectives.
    ///
    /// # Errors
    /// Where one is wrong, and how it is written.
    pub fn objectives(&self) -> Result<Vec<Objective>, String> {
        self.entries(SECTION).into_iter().map(|name| self.objective(name)).collect()
    }

    fn objective(&self, name: &str) -> Result<Objective, String> {
        let entry = self.entry(SECTION, name);
        let text = |key: &str| match entry.get(key) {
            Some((Value::Text(text), at)) => Some((text.as_str(), *at)),
            _ => None,
        };
        let at = |key: &str| entry.get(key).or_else(|| entry.values().next()).map_or(Origin::Default, |(_, at)| (*at).clone());
        let Some((Value::Number(target), _)) = entry.get("target") else {
            return Err(format!("{}: [objectives.{name}] has no target", at("target")));
        };
        if *target <= 0.0 || *target >= 100.0 {
            return Err(format!("{}: target = {target}: a percentage above 0 and below 100, such as 99.9", at("target")));
        }
        // What sloth and OpenSLO write as a ratio.
        if *target < 50.0 {
            return Err(format!("{}: target = {target}: it is a percentage: 99.9, not 0.999", at("target")));
        }
        let period_ms = match text("period") {
            None => PERIOD_MS,
            Some((text, at)) => parse_duration(text)
                .filter(|ms| (3_600_000..=LONGEST_MS).contains(ms))
                .ok_or_else(|| format!("{at}: period = {text:?}: a duration from 1h to 92d"))?,
        };
        let sli = match (text("errors"), text("total"), text("latency"), text("error_query"), text("total_query")) {
            (Some(errors), Some(total), None, None, None) => {
                Sli::Ratio { errors: selector("errors", errors)?, total: selector("total", total)? }
            }
            (None, None, Some(histogram), None, None) => {
                let (within, at) =
                    text("within").ok_or_else(|| format!("{}: latency needs within, such as \"300ms\"", at("latency")))?;
                let ms = parse_duration(within)
                    .filter(|ms| *ms > 0)
                    .ok_or_else(|| format!("{at}: within = {within:?}: a duration"))?;
                let (written, place) = histogram;
                if ["_bucket", "_count", "_sum"]
                    .iter()
                    .any(|end| written.split('{').next().is_some_and(|n| n.trim().ends_with(end)))
                {
                    return Err(format!("{place}: latency = {written:?}: the histogram's name without _bucket"));
                }
                Sli::Latency { histogram: selector("latency", histogram)?, within_s: ms as f64 / 1e3 }
            }
            (None, None, None, Some(errors), Some(total)) => {
                Sli::Rates { errors: query("error_query", errors)?, total: query("total_query", total)? }
            }
            (None, None, None, Some(errors), None) => Sli::Share { errors: query("error_query", errors)? },
            _ => {
                return Err(format!(
                    "{}: [objectives.{name}] needs either errors and total (counters), or latency and within (a histogram), \
                     or error_query and total_query",
                    at("target")
                ));
            }
        };
        Ok(Objective {
            name: name.to_owned(),
            target: target / 100.0,
            period_s: period_ms / 1000,
            sli,
            at: text("prometheus").map(|(name, _)| name.to_owned()),
        })
    }
}

/// A selector of counters: nothing around it, for they are read as raw samples.
fn selector(key: &str, (text, at): (&str, &Origin)) -> Result<String, String> {
    match parse(text) {
        Ok(Expr::VectorSelector(selector)) if selector.name.is_some() && selector.offset.is_none() && selector.at.is_none() => {
            Ok(text.trim().to_owned())
        }
        Ok(_) => Err(format!(
            "{at}: {key} = {text:?}: the name of a counter with its labels, without a function around it; \
             for queries there are error_query and total_query"
        )),
        Err(why) => Err(format!("{at}: {key} = {text:?}: {why}")),
    }
}

/// A query with a place for the window.
fn query(key: &str, (text, at): (&str, &Origin)) -> Result<String, String> {
    let places = ["{{.window}}", "{{ .window }}"];
    if !places.iter().any(|place| text.contains(place)) {
        return Err(format!("{at}: {key}: it needs {} where the window stands: rate(x[{}])", places[0], places[0]));
    }
    let whole = places.iter().fold(text.to_owned(), |text, place| text.replace(place, "5m"));
    parse(&whole).map(|_| text.trim().to_owned()).map_err(|why| format!("{at}: {key}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> Result<Vec<Objective>, String> {
        let layer = super::super::load(Path::new("c.toml"), text).map_err(|all| all[0].to_string())?;
        Settings::merge([layer]).objectives()
    }

    #[test]
    fn three_ways_to_write_one() {
        let all = of("[objectives.shop]\ntarget = 99.9\nerrors = 'http_requests_total{code=~\"5..\"}'\ntotal = \"http_requests_total\"\n\
                      [objectives.fast]\ntarget = 95\nperiod = \"7d\"\nlatency = 'http_seconds{job=\"a\"}'\nwithin = \"300ms\"\nprometheus = \"main\"\n\
                      [objectives.own]\ntarget = 99\nerror_query = 'sum(rate(a[{{.window}}]))'\ntotal_query = 'sum(rate(b[{{.window}}]))'\n")
        .unwrap();
        assert_eq!(all.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["fast", "own", "shop"]);
        assert_eq!((all[0].period_s, all[0].at.as_deref()), (604_800, Some("main")));
        assert_eq!(all[0].sli, Sli::Latency { histogram: "http_seconds{job=\"a\"}".into(), within_s: 0.3 });
        assert!(matches!(&all[1].sli, Sli::Rates { .. }));
        assert!((all[2].allowance() - 0.001).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let says = |text: &str, what: &str| {
            let said = of(&format!("[objectives.a]\n{text}")).unwrap_err();
            assert!(said.contains(what) && said.starts_with("c.toml:"), "{said}");
        };
        says("errors = \"a\"\n", "[objectives.a] has no target");
        says("target = 100\nerrors = \"a\"\ntotal = \"b\"", "c.toml:2: target = 100");
        says("target = 0.999\nerrors = \"a\"\ntotal = \"b\"", "it is a percentage: 99.9");
        says("target = 99\n", "needs either errors and total");
        says("target = 99\nerrors = \"rate(a[5m])\"\ntotal = \"b\"", "c.toml:3: errors");
        says("target = 99\nerrors = \"a{\"\ntotal = \"b\"", "c.toml:3: errors");
        says("target = 99\nlatency = \"a_bucket\"\nwithin = \"1s\"", "without _bucket");
        says("target = 99\nlatency = \"a\"\nwithin = \"soon\"", "within = \"soon\"");
        says("target = 99\nlatency = \"a\"", "latency needs within");
        says("target = 99\nerror_query = \"rate(a[5m])\"", "where the window stands");
        says("target = 99\nperiod = \"1y\"\nerrors = \"a\"\ntotal = \"b\"", "from 1h to 92d");
        says("target = 99\nerors = \"a\"", "did you mean `errors`?");
    }
}
