//! Figures in the units that Grafana names.

use crate::model::unit::{bytes, count, seconds, short};

/// A figure as people read it: `percentunit` 0.5 is `50 %`, `Bps` 315000 is `315 kB/s`.
#[must_use]
pub fn show(unit: &str, decimals: Option<usize>, value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "-".into()
        } else if value > 0.0 {
            "∞".into()
        } else {
            "-∞".into()
        };
    }
    let plain = |v: f64| decimals.map_or_else(|| short_of(v), |d| format!("{v:.*}", d.min(9)));
    let decimal = |v: f64, tail: &str| {
        let (scaled, prefix) = match v.abs() {
            a if a >= 1e12 => (v / 1e12, "T"),
            a if a >= 1e9 => (v / 1e9, "G"),
            a if a >= 1e6 => (v / 1e6, "M"),
            a if a >= 1e3 => (v / 1e3, "k"),
            _ => (v, ""),
        };
        format!("{} {prefix}{tail}", plain(scaled))
    };
    match unit {
        "" | "none" | "string" | "sci" => plain(value),
        "short" | "locale" => decimals.map_or_else(|| count(value), |d| format!("{value:.*}", d.min(9))),
        "percent" | "humidity" => format!("{} %", plain(value)),
        "percentunit" => format!("{} %", plain(value * 100.0)),
        "bytes" => bytes(value),
        "decbytes" => decimal(value, "B"),
        "bits" | "decbits" => decimal(value, "b"),
        "kbytes" | "deckbytes" => bytes(value * 1024.0),
        "mbytes" | "decmbytes" => bytes(value * 1_048_576.0),
        "gbytes" | "decgbytes" => bytes(value * 1_073_741_824.0),
        "Bps" => decimal(value, "B/s"),
        "KBs" => decimal(value * 1e3, "B/s"),
        "MBs" => decimal(value * 1e6, "B/s"),
        "GBs" => decimal(value * 1e9, "B/s"),
        "binBps" => format!("{}/s", bytes(value)),
        "KiBs" => format!("{}/s", bytes(value * 1024.0)),
        "MiBs" => format!("{}/s", bytes(value * 1_048_576.0)),
        "bps" | "binbps" => decimal(value, "b/s"),
        "opm" => format!("{}/min", count(value)),
        "ops" | "reqps" | "cps" | "eps" | "mps" | "rowsps" | "recps" => format!("{}/s", count(value)),
        "iops" => format!("{} io/s", count(value)),
        "rps" | "rds" => format!("{} rd/s", count(value)),
        "wps" | "wds" => format!("{} wr/s", count(value)),
        "pps" => format!("{} p/s", count(value)),
        "s" | "dtdurations" | "dtdhms" => duration(value, decimals),
        "ms" | "dtdurationms" => duration(value / 1e3, decimals),
        "µs" | "us" => duration(value / 1e6, decimals),
        "ns" => duration(value / 1e9, decimals),
        "m" => duration(value * 60.0, decimals),
        "h" => duration(value * 3_600.0, decimals),
        "d" => duration(value * 86_400.0, decimals),
        "hertz" | "rothz" => decimal(value, "Hz"),
        "bool" => if value == 0.0 { "false" } else { "true" }.into(),
        "bool_yes_no" => if value == 0.0 { "no" } else { "yes" }.into(),
        "bool_on_off" => if value == 0.0 { "off" } else { "on" }.into(),
        "dateTimeAsIso" | "dateTimeAsLocal" | "dateTimeFromNow" => jiff::Timestamp::from_millisecond(value as i64)
            .map_or_else(|_| plain(value), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        custom => {
            rare(custom, &plain(value), || decimal(value, custom.rsplit(':').next().unwrap_or("").trim_start_matches(['0', ' '])))
        }
    }
}

/// A time in the largest unit of which there is one.
fn duration(value: f64, decimals: Option<usize>) -> String {
    const UNITS: [(f64, &str); 7] =
        [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
    match decimals {
        Some(d) => {
            let (size, unit) = UNITS.into_iter().find(|(size, _)| value.abs() >= *size).unwrap_or((1.0, "s"));
            format!("{:.*} {unit}", d.min(9), value / size)
        }
        None if value != 0.0 && value.abs() < 1e-3 => {
            let (size, unit) = UNITS.into_iter().find(|(size, _)| value.abs() >= *size).unwrap_or((1e-9, "ns"));
            format!("{} {unit}", short(value / size))
        }
        None => seconds(value),
    }
}

/// A figure in a unit that is seldom met; `scaled`: with a prefix for its size.
fn rare(unit: &str, figure: &str, scaled: impl Fn() -> String) -> String {
    match unit {
        "celsius" => format!("{figure} °C"),
        "fahrenheit" => format!("{figure} °F"),
        "rotrpm" => format!("{figure} rpm"),
        "volt" => format!("{figure} V"),
        "watt" => format!("{figure} W"),
        "amp" => format!("{figure} A"),
        "currencyUSD" => format!("${figure}"),
        "currencyEUR" => format!("€{figure}"),
        custom => match custom.split_once(':') {
            Some(("suffix", tail)) => format!("{figure}{tail}"),
            Some(("prefix", head)) => format!("{head}{figure}"),
            Some(("si", _)) => scaled(),
            _ => format!("{figure} {custom}"),
        },
    }
}

fn short_of(value: f64) -> String {
    if value.abs() >= 10_000.0 { count(value) } else { short(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_those_of_grafana() {
        let of = |unit: &str, v: f64| show(unit, None, v);
        assert_eq!((of("percentunit", 0.5), of("percent", 97.4)), ("50 %".into(), "97 %".into()));
        assert_eq!((of("bytes", 1_048_576.0), of("decbytes", 1.5e9)), ("1.0 MiB".into(), "1.5 GB".into()));
        assert_eq!(
            (of("Bps", 315e3), of("binBps", 1_048_576.0), of("bps", 2e6)),
            ("315 kB/s".into(), "1.0 MiB/s".into(), "2.0 Mb/s".into())
        );
        assert_eq!((of("iops", 23.0), of("rps", 1.4), of("s", 340e-6)), ("23 io/s".into(), "1.4 rd/s".into(), "340 µs".into()));
        assert_eq!((show("s", Some(1), 28_343.0), show("s", Some(2), 106.0)), ("7.9 h".into(), "1.77 min".into()));
        assert_eq!((of("ms", 250.0), of("s", 0.25), of("ns", 5e6)), ("250 ms".into(), "250 ms".into(), "5.0 ms".into()));
        assert_eq!((of("reqps", 1_234.0), of("bool_on_off", 1.0)), ("1.2k/s".into(), "on".into()));
        assert_eq!((of("suffix:req", 3.0), of("widgets", 3.0)), ("3.0req".into(), "3.0 widgets".into()));
        assert_eq!(show("percent", Some(2), 97.412), "97.41 %");
        assert_eq!((of("s", f64::NAN), of("s", f64::INFINITY)), ("-".into(), "∞".into()));
    }

    proptest! {
        #[test]
        fn nothing_panics(unit in "\\PC{0,12}", decimals in proptest::option::of(0usize..40), value in any::<f64>()) {
            _ = show(&unit, decimals, value);
        }
    }
}
