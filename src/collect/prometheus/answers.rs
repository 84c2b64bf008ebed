//! Answers of the HTTP API, read without a tree of their JSON: series with their points, alerts, who it is. Values are texts there (`NaN`,
//! `+Inf`); a native histogram is a series without points, and said to be one.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::foreign::{Foreign, tamed};
use crate::model::prometheus::Alert;

use super::trouble::Trouble;

/// So much of a warning is kept.
const SAID: usize = 200;

/// A series, or one value of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its labels: few, so a list.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Milliseconds since 1970, and the value; in the order of time.
    pub points: Vec<(i64, f64)>,
    /// It holds native histograms.
    pub native: bool,
}

impl Series {
    /// A label; empty where it has none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| **n == *name).map_or("", |(_, value)| value)
    }

    /// Its newest value.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<T> {
    /// The answer.
    pub data: T,
    /// What the server says is wrong with it: parts are missing.
    pub warnings: Vec<Foreign>,
    /// Its length.
    pub bytes: usize,
}

#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    #[serde(default = "none")]
    data: Option<T>,
    #[serde(default, rename = "errorType")]
    kind: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics: some of its storage did not answer.
    #[serde(default, rename = "isPartial")]
    partial: bool,
}

fn none<T>() -> Option<T> {
    None
}

/// What stands in the envelope of every answer.
///
/// # Errors
/// The error that the server reports; or that the body is not an answer of this API.
pub fn open<T: DeserializeOwned>(body: &[u8]) -> Result<Told<T>, Trouble> {
    let cut = |text: &str| tamed(text).chars().take(SAID).collect::<String>();
    let envelope: Envelope<T> =
        serde_json::from_slice(body).map_err(|e| Trouble::Other(format!("its JSON: {}", cut(&e.to_string()))))?;
    if envelope.status != "success" {
        return Err(Trouble::Refused { kind: cut(&envelope.kind), says: cut(&envelope.error) });
    }
    let data = envelope.data.ok_or_else(|| Trouble::Other("an answer without data".into()))?;
    let mut warnings: Vec<Foreign> = envelope.warnings.iter().take(8).map(|w| Foreign::from(cut(w).as_str())).collect();
    if envelope.partial {
        warnings.push(Foreign::from("isPartial: some of its storage did not answer"));
    }
    Ok(Told { data, warnings, bytes: body.len() })
}

#[derive(Deserialize)]
struct Queried {
    result: Items,
}

/// The series of a query.
///
/// # Errors
/// As [`open`].
pub fn series(body: &[u8]) -> Result<Told<Vec<Series>>, Trouble> {
    let told = open::<Queried>(body)?;
    Ok(Told { data: told.data.result.0, warnings: told.warnings, bytes: told.bytes })
}

/// A list of series; or the time and the value of a scalar.
struct Items(Vec<Series>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("series, or a time and a value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
                let (mut all, mut time) = (Vec::new(), None);
                while let Some(item) = seq.next_element::<Item>()? {
                    match item {
                        Item::Series(series) => all.push(series),
                        Item::Time(at) => time = Some(at),
                        Item::Value(value) => {
                            let point = time.and_then(|at| Some((at, value.parse().ok()?)));
                            all.push(Series { points: point.into_iter().collect(), ..Series::default() });
                        }
                    }
                }
                Ok(Items(all))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

enum Item {
    Series(Series),
    Time(i64),
    Value(String),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, a time or a value")
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Item, E> {
                Ok(Item::Time((v * 1e3) as i64))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Item, E> {
                Ok(Item::Time(i64::try_from(v).unwrap_or(i64::MAX).saturating_mul(1000)))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Item, E> {
                Ok(Item::Time(v.saturating_mul(1000)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Item, E> {
                Ok(Item::Value(v.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let mut series = Series::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "metric" => series.labels = map.next_value::<Labels>()?.0,
                        "value" => series.points.push(map.next_value::<Point>()?.0),
                        "values" => series.points = map.next_value::<Vec<Point>>()?.into_iter().map(|p| p.0).collect(),
                        other => {
                            series.native |= other.starts_with("histogram");
                            map.next_value::<de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Item::Series(series))
            }
        }
        deserializer.deserialize_any(One)
    }
}

struct Labels(Box<[(Box<str>, Box<str>)]>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(label) = map.next_entry()? {
                    all.push(label);
                }
                Ok(Labels(all.into()))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

struct Point((i64, f64));

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, value) = <(f64, std::borrow::Cow<'de, str>)>::deserialize(deserializer)?;
        let value = value.parse().map_err(|_| de::Error::custom("a value that is no number"))?;
        Ok(Self(((at * 1e3).round() as i64, value)))
    }
}

/// Who it is, as `/api/v1/status/buildinfo` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// The program, where it is named.
    pub application: String,
}

#[derive(Deserialize)]
struct Alerts {
    #[serde(default)]
    alerts: Vec<RawAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlert {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    state: String,
    active_at: Option<String>,
    #[serde(default)]
    value: String,
}

/// The alerts of `/api/v1/alerts`.
///
/// # Errors
/// As [`open`].
pub fn alerts(body: &[u8]) -> Result<Told<Vec<Alert>>, Trouble> {
    const MOST: usize = 500;
    let told = open::<Alerts>(body)?;
    let text = |text: &str| Foreign::from(text.chars().take(SAID * 2).collect::<String>().as_str());
    let alert = |raw: &RawAlert| {
        let says = ["summary", "description", "message"].iter().find_map(|name| raw.annotations.get(*name));
        let labels = raw.labels.iter().filter(|(name, _)| *name != "alertname");
        Alert {
            name: text(raw.labels.get("alertname").map_or("", String::as_str)),
            labels: labels.map(|(name, value)| (text(name), text(value))).collect(),
            firing: raw.state == "firing",
            since_ms: raw.active_at.as_deref().and_then(|at| Some(at.parse::<jiff::Timestamp>().ok()?.as_millisecond())),
            says: text(says.map_or("", |s| s.trim())),
            value: raw.value.parse().ok(),
        }
    };
    let mut alerts: Vec<Alert> = told.data.alerts.iter().filter(|a| a.state != "inactive").map(alert).collect();
    alerts.sort_by(|a, b| b.firing.cmp(&a.firing).then(a.name.cmp(&b.name)).then(a.labels.cmp(&b.labels)));
    alerts.truncate(MOST);
    Ok(Told { data: alerts, warnings: told.warnings, bytes: told.bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors_matrices_and_scalars_are_series() {
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1700000000.5,"+Inf"]}]}}"#;
        let told = series(vector).unwrap();
        assert_eq!(told.data[0].label("job"), "a");
        assert_eq!(told.data[0].points, [(1_700_000_000_500, f64::INFINITY)]);
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3.5,"NaN"]]}]},"infos":["x"]}"#;
        let told = series(matrix).unwrap();
        assert!(told.warnings.is_empty(), "what is only information");
        assert!(told.data[0].points[1].1.is_nan() && told.data[0].points[0] == (1000, 2.0));
        let scalar = series(br#"{"status":"success","data":{"resultType":"scalar","result":[1,"2.5"]}}"#).unwrap();
        assert_eq!(scalar.data[0].value(), Some(2.5));
        let native = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3","sum":"1","buckets":[[0,"1","2","3"]]}]}]}}"#;
        assert!(series(native).unwrap().data[0].native);
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let refused =
            series(br#"{"status":"error","errorType":"execution","error":"many-to-many \u001b[2J","data":{"result":[]}}"#);
        assert_eq!(refused.unwrap_err(), Trouble::Refused { kind: "execution".into(), says: "many-to-many \u{fffd}[2J".into() });
        let partial = br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["store 3 timed out"],"isPartial":true}"#;
        assert_eq!(series(partial).unwrap().warnings.len(), 2);
        assert!(matches!(series(b"{\"a\":1}"), Err(Trouble::Other(_))));
        assert!(matches!(series(b"[1,2"), Err(Trouble::Other(_))));
    }

    #[test]
    fn alerts_are_sorted_those_that_fire_first() {
        let body = br#"{"status":"success","data":{"alerts":[
            {"labels":{"alertname":"B","severity":"page"},"annotations":{"summary":"it burns"},"state":"firing","activeAt":"2026-11-20T03:12:07.5Z","value":"1e+00"},
            {"labels":{"alertname":"A"},"annotations":{},"state":"pending","activeAt":null,"value":"x"}]}}"#;
        let all = alerts(body).unwrap().data;
        assert_eq!((all[0].name.shown(), all[0].firing, all[0].value), ("B", true, Some(1.0)));
        assert_eq!((all[0].says.shown(), all[0].since_ms), ("it burns", Some(1_795_144_327_500)));
        assert_eq!((all[1].name.shown(), all[1].since_ms), ("A", None));
    }

    proptest! {
        #[test]
        fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = (series(&body), alerts(&body), open::<Build>(&body));
        }
    }
}
