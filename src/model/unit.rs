//! Units of figures and how people read them. Pure.

use serde::{Deserialize, Serialize};

/// The unit of a figure; closed, because it stands in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see `word`")]
pub enum Unit {
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "s/s")]
    SecondsPerSecond,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "B")]
    Bytes,
    #[serde(rename = "B/s")]
    BytesPerSecond,
    #[serde(rename = "1/s")]
    PerSecond,
    #[serde(rename = "count")]
    Count,
    #[serde(rename = "ratio")]
    Ratio,
    #[serde(rename = "cores")]
    Cores,
}

impl Unit {
    /// The word in the JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::SecondsPerSecond => "s/s",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::PerSecond => "1/s",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Cores => "cores",
        }
    }

    /// The figure with its unit as people read it: `1.2 GiB`, `350 ms`, `97 %`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{} %", short(value)),
            Self::SecondsPerSecond => format!("{} s/s", short(value)),
            Self::Seconds => seconds(value),
            Self::Milliseconds => format!("{} ms", short(value)),
            Self::Bytes => bytes(value),
            Self::BytesPerSecond => format!("{}/s", bytes(value)),
            Self::PerSecond => format!("{}/s", count(value)),
            Self::Count => count(value),
            Self::Ratio => {
                if value.abs() < 999.5 {
                    format!("{}x", short(value))
                } else {
                    format!("{} x", count(value))
                }
            }
            Self::Cores => format!("{} cores", short(value)),
        }
    }
}

/// Two or three significant digits: 0.04, 4.2, 42, 421.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 9.95 => format!("{value:.0}"),
        v if v >= 0.0995 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        v if v >= 0.005 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Bytes with a binary prefix: 512 B, 1.5 KiB, 31 GiB.
#[must_use]
pub fn bytes(value: f64) -> String {
    let mut scaled = value;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if scaled.abs() < 999.5 {
            let text = if unit == "B" { format!("{scaled:.0}") } else { short(scaled) };
            return format!("{text} {unit}");
        }
        scaled /= 1024.0;
    }
    format!("{} PiB", short(scaled))
}

/// Counts with a decimal suffix: 950, 12k, 2.1M.
#[must_use]
pub fn count(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 999.5 {
        return if magnitude < 5e-4 {
            "0".to_owned()
        } else if magnitude == magnitude.trunc() {
            format!("{value:.0}")
        } else {
            short(value)
        };
    }
    let (scaled, suffix) = match magnitude {
        v if v < 999_500.0 => (value / 1e3, "k"),
        v if v < 999_500_000.0 => (value / 1e6, "M"),
        _ => (value / 1e9, "G"),
    };
    format!("{}{suffix}", short(scaled))
}

/// A duration: 40 ms, 3.2 s, 12 min, 5 h, 3 d.
#[must_use]
pub fn seconds(value: f64) -> String {
    match value.abs() {
        v if v < 0.9995 => format!("{} ms", short(value * 1e3)),
        v if v < 120.0 => format!("{} s", short(value)),
        v if v < 7_200.0 => format!("{:.0} min", value / 60.0),
        v if v < 172_800.0 => format!("{:.0} h", value / 3_600.0),
        _ => format!("{:.0} d", value / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_like_an_operator_says_them() {
        assert_eq!(Unit::Bytes.show(33_554_432_000.0), "31 GiB");
        assert_eq!(Unit::Bytes.show(1023.0), "1.0 KiB");
        assert_eq!(Unit::PerSecond.show(12_345.0), "12k/s");
        assert_eq!(Unit::Percent.show(97.4), "97 %");
        assert_eq!(Unit::Milliseconds.show(0.11), "0.1 ms");
        assert_eq!((Unit::Ratio.show(1.5), Unit::Ratio.show(4_000_014.0)), ("1.5x".into(), "4.0M x".into()));
        assert_eq!(Unit::Seconds.show(5_400.0), "90 min");
        assert_eq!(short(0.04), "0.04");
    }
}
