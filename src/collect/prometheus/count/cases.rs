//! Objectives counted by a server whose counters are functions of time.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::*;
    use crate::collect::prometheus::question::{part, with_window};

    /// Series of one moment.
    type Row = Vec<(Vec<(&'static str, String)>, Option<f64>)>;

    /// A server whose counters are functions of time.
    struct Stub<F>(F, Vec<String>);

    impl<F: FnMut(&str, i64) -> Row + Send> Answers for Stub<F> {
        async fn ask(&mut self, _: &str, question: Question) -> Result<Told<Vec<Series>>, Trouble> {
            self.1.push(question.query.clone());
            let now = clock::now().wall_ms / 1000;
            let raw = question.query.ends_with("[5m]");
            let (begin, end, step) = question.range.unwrap_or((if raw { now - 300 } else { now }, now, 15));
            let mut all: BTreeMap<_, Series> = BTreeMap::new();
            for s in (begin..=end).step_by(step as usize) {
                for (labels, value) in grown(&mut self.0, &question.query, s) {
                    let labels: Box<[(Box<str>, Box<str>)]> = labels.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
                    let series = all.entry(labels.clone()).or_insert_with(|| Series { labels, ..Series::default() });
                    series.points.extend(value.map(|v| (s * 1000, v)));
                }
            }
            Ok(Told { data: all.into_values().collect(), warnings: Vec::new(), bytes: 0 })
        }
    }

    /// `sum(increase(x[30m]))` is what x grew by within that; all else is the counter itself.
    fn grown<F>(counter: &mut F, query: &str, s: i64) -> Row
    where
        F: FnMut(&str, i64) -> Row,
    {
        let Some((inner, window)) = query.strip_prefix("sum(increase(").and_then(|q| q.strip_suffix("]))")?.rsplit_once('['))
        else {
            return counter(query.trim_end_matches("[5m]"), s);
        };
        let (number, unit) = window.split_at(window.len() - 1);
        let seconds = number.parse::<i64>().unwrap() * if unit == "h" { 3_600 } else { 60 };
        let mut sum = |s: i64| counter(inner, s).into_iter().filter_map(|(_, v)| v).reduce(|a, b| a + b);
        let (now, before) = (sum(s), sum(s - seconds));
        now.map(|now| (Vec::new(), Some(now - before.unwrap_or(0.0)))).into_iter().collect()
    }

    fn objective(sli: Sli) -> Objective {
        Objective { name: "shop".into(), target: 0.99, period_s: 30 * 86_400, sli, at: None }
    }

    async fn all(counting: &mut Counting, server: &mut impl Answers) -> Counted {
        let mut last = None;
        for _ in 0..5 {
            last = Some(counting.step(server).await.unwrap());
        }
        last.unwrap()
    }

    #[tokio::test]
    async fn counters_give_the_share_that_failed_over_each_window() {
        let ratio = Sli::Ratio { errors: "bad".into(), total: "all".into() };
        let mut counting = Counting::new(&objective(ratio));
        // Ten requests a second, of which one in twenty fails.
        let mut server = Stub(
            |query: &str, s: i64| {
                let n = (s - 1_700_000_000) as f64 * 10.0;
                vec![(vec![("job", "shop".into())], Some(if query == "bad" { n / 20.0 } else { n }))]
            },
            Vec::new(),
        );
        let counted = all(&mut counting, &mut server).await;
        for (window, seen) in &counted.windows {
            let share = seen.as_ref().unwrap_or_else(|e| panic!("{window}: {e}"));
            assert!((share.failed - 0.05).abs() < 1e-6, "{window}: {share:?}");
            assert!((share.requests.unwrap() / (*window as f64 * 10.0) - 1.0).abs() < 0.1, "{window}: {share:?}");
            assert!((counted.burn(*window).unwrap() - 5.0).abs() < 1e-3);
        }
        let point = counted.recent[30];
        assert!((f64::from(point.per_s.unwrap()) - 10.0).abs() < 0.1 && (f64::from(point.failed.unwrap()) - 0.05).abs() < 1e-3);
        assert_eq!(server.1.len(), 10, "two questions for each width");
    }

    #[tokio::test]
    async fn no_series_no_traffic_and_a_birth_at_one_are_told_apart() {
        let ratio = || objective(Sli::Ratio { errors: "bad".into(), total: "all".into() });
        let nothing = all(&mut Counting::new(&ratio()), &mut Stub(|_: &str, _| Vec::new(), Vec::new())).await;
        assert!(matches!(nothing.window(300), Some(Err(lack)) if lack.why == Why::Absent));
        // Requests stand still; no error was ever counted.
        let idle = |query: &str, _| if query == "bad" { Vec::new() } else { vec![(vec![("job", "a".into())], Some(7.0))] };
        let idle = all(&mut Counting::new(&ratio()), &mut Stub(idle, Vec::new())).await;
        assert_eq!(idle.window(300).unwrap().as_ref().unwrap().requests, Some(0.0));
        assert_eq!(idle.burn(300), None);
        // The first error makes a series that is born at 1.
        let now = clock::now().wall_ms / 1000;
        let born = move |query: &str, s: i64| match query {
            "bad" if s < now - 60 => Vec::new(),
            "bad" => vec![(vec![("job", "a".into()), ("code", "500".into())], Some(1.0))],
            _ => vec![(vec![("job", "a".into())], Some((s - now + 9_000_000) as f64))],
        };
        let born = all(&mut Counting::new(&ratio()), &mut Stub(born, Vec::new())).await;
        let share = born.window(300).unwrap().as_ref().unwrap();
        assert!((share.failed * share.requests.unwrap() - 1.0).abs() < 1e-6, "{share:?}");
    }

    #[tokio::test]
    async fn a_limit_within_a_bucket_gives_an_interval() {
        let latency = |within_s| objective(Sli::Latency { histogram: "http_seconds{job=\"shop\"}".into(), within_s });
        // Of ten a second six are done within 0.1 s, nine within 0.5 s.
        let buckets = |query: &str, s: i64| {
            let n = (s - 1_700_000_000) as f64;
            let rows = [("0.1", 6.0), ("0.5", 9.0), ("+Inf", 10.0)];
            let all: Vec<_> = rows
                .iter()
                .filter(|(le, _)| !query.contains("le=~") || query.contains(&le.replace('.', "\\\\.").replace('+', "\\\\+")))
                .collect();
            match query.contains("_count") {
                true => vec![(vec![("job", "shop".into())], Some(n * 10.0))],
                false => all
                    .into_iter()
                    .map(|(le, per_s)| (vec![("le", (*le).to_owned()), ("job", "shop".into())], Some(n * per_s)))
                    .collect(),
            }
        };
        let exact = all(&mut Counting::new(&latency(0.5)), &mut Stub(buckets, Vec::new())).await;
        let share = exact.window(3_600).unwrap().as_ref().unwrap();
        assert!((share.failed - 0.1).abs() < 1e-6 && (share.failed_most - 0.1).abs() < 1e-6, "{share:?}");
        let within = all(&mut Counting::new(&latency(0.3)), &mut Stub(buckets, Vec::new())).await;
        let share = within.window(3_600).unwrap().as_ref().unwrap();
        assert!((share.failed - 0.1).abs() < 1e-6 && (share.failed_most - 0.4).abs() < 1e-6, "{share:?}");
        assert_eq!(
            within.quantiles.iter().map(|q| (q.low_s, q.high_s)).collect::<Vec<_>>(),
            [(0.0, 0.1), (0.5, f64::INFINITY), (0.5, f64::INFINITY)]
        );
    }

    #[tokio::test]
    async fn queries_of_rates_are_asked_for_each_window() {
        let rates = Sli::Rates { errors: "bad[{{.window}}]".into(), total: "all[{{.window}}]".into() };
        let mut server =
            Stub(|query: &str, _| vec![(Vec::new(), Some(if query.starts_with("bad") { 1.0 } else { 20.0 }))], Vec::new());
        let counted = all(&mut Counting::new(&objective(rates)), &mut server).await;
        assert!((counted.burn(21_600).unwrap() - 5.0).abs() < 1e-9 && (counted.burn(300).unwrap() - 5.0).abs() < 1e-9);
        assert!(server.1.contains(&"bad[30d]".to_owned()) && server.1.contains(&"all[5m]".to_owned()));
        let share = Sli::Share { errors: "share[{{.window}}]".into() };
        let nan =
            all(&mut Counting::new(&objective(share)), &mut Stub(|_: &str, _| vec![(Vec::new(), Some(f64::NAN))], Vec::new()))
                .await;
        assert_eq!(nan.burn(300), None, "0 / 0 is no traffic");
    }

    #[test]
    fn parts_of_a_histogram_keep_its_labels() {
        assert_eq!(part("h", "_count", ""), "h_count{}");
        assert_eq!(part("h{job=\"a\",}", "_bucket", "le=~\"0\\\\.5\""), "h_bucket{job=\"a\",le=~\"0\\\\.5\"}");
        assert_eq!(with_window("a[{{.window}}] / b[{{ .window }}]", 7_200), "a[2h] / b[2h]");
    }
}
