//! What a service shows Prometheus, read back: samples by name and label, and histograms.
//!
//! The format is that of OpenMetrics 1.0, as far as the crate `prometheus-client` writes it.

use std::time::Duration;

/// Asks services of this machine over HTTP.
#[derive(Debug, Clone)]
pub struct Scraper(reqwest::Client);

impl Scraper {
    /// One that waits `timeout` for an answer at most.
    pub fn new(timeout: Duration) -> Self {
        // No proxy: the services are on this machine.
        let client = reqwest::Client::builder().no_proxy().timeout(timeout).build();
        Self(client.expect("a client without TLS settings can be made"))
    }

    /// The metrics at `url`; none if the service does not answer.
    pub async fn metrics(&self, url: &str) -> Option<Exposition> {
        let answer = self.0.get(url).send().await.ok()?.error_for_status().ok()?;
        Some(Exposition::parse(&answer.text().await.ok()?))
    }

    /// Whether `url` answers with 200.
    ///
    /// # Errors
    ///
    /// What it answers instead.
    pub async fn is_ready(&self, url: &str) -> Result<(), String> {
        let answer = self.0.get(url).send().await.map_err(|_| "it does not answer".to_owned())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(answer.text().await.unwrap_or_default())
    }
}

/// The samples that a service shows at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Exposition {
    /// Reads all samples. Comments are left out, and so is what isn't understood.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample);
        Self(samples.collect())
    }

    /// The sum of all samples of this name that have all these labels; none if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.select(name, labels).map(|sample| sample.value).reduce(|sum, value| sum + value)
    }

    /// The least of all samples of this name.
    pub fn min(&self, name: &str) -> Option<f64> {
        self.select(name, &[]).map(|sample| sample.value).reduce(f64::min)
    }

    /// The histogram of this name, all series that have these labels together.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.select(&format!("{name}_bucket"), labels) {
            let bound = sample.labels.iter().find(|(label, _)| label == "le");
            let Some(bound) = bound.and_then(|(_, bound)| number(bound)) else { continue };
            match buckets.binary_search_by(|(known, _)| known.total_cmp(&bound)) {
                Ok(at) => buckets[at].1 += sample.value,
                Err(at) => buckets.insert(at, (bound, sample.value)),
            }
        }
        Histogram(buckets)
    }

    fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let wanted = move |sample: &&Sample| {
            let has = |(name, value): &(&str, &str)| {
                sample.labels.iter().any(|(label, found)| label == name && found == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        self.0.iter().filter(wanted)
    }
}

/// `name{label="value",...} value`, with an optional timestamp or exemplar behind it.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = number(rest.split_whitespace().next()?)?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    // Rust reads `+Inf`, too.
    text.parse().ok()
}

/// How many values were at most as large as each bound, by bound; the last bound is infinite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let found = earlier.0.binary_search_by(|(known, _)| known.total_cmp(&bound));
            found.map_or(0.0, |at| earlier.0[at].1)
        };
        Self(self.0.iter().map(|(bound, count)| (*bound, count - before(*bound))).collect())
    }

    /// The value that a part `q` (0 to 1) of all don't exceed, taken to be spread evenly within their bucket, as
    /// Prometheus' `histogram_quantile` does; none if there are no values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (_, all) = self.0.last()?;
        if *all <= 0.0 {
            return None;
        }
        let rank = q * all;
        let at = self.0.iter().position(|(_, count)| *count >= rank)?;
        let (low, below) = if at == 0 { (0.0, 0.0) } else { self.0[at - 1] };
        let (high, count) = self.0[at];
        if high.is_infinite() || count <= below {
            return Some(low);
        }
        Some(low + (high - low) * (rank - below) / (count - below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP tripstream_joiner_joined Trips joined.
# TYPE tripstream_joiner_joined counter
tripstream_joiner_joined_total 12345
tripstream_joiner_joined_total_of_old 1
# TYPE tripstream_joiner_rows counter
tripstream_joiner_rows_total{side=\"trip\",fate=\"taken\"} 10
tripstream_joiner_rows_total{side=\"rider\",fate=\"taken\"} 9
tripstream_joiner_rows_total{side=\"rider\",fate=\"duplicate\"} 1
tripstream_joiner_watermark_seconds{task=\"0\"} 1795348800
tripstream_joiner_watermark_seconds{task=\"1\"} 1795348790
odd{text=\"a \\\"b\\\", {c} \\\\ d\",le=\"+Inf\"} 1.5e3 1795348800 # {trace=\"x\"} 1
unfinished{text=\"a
nothing
no_number x
# EOF
";

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let found = Exposition::parse(TEXT);
        let rows = "tripstream_joiner_rows_total";
        let cases = [
            ("tripstream_joiner_joined_total", vec![], Some(12_345.0)),
            (rows, vec![], Some(20.0)),
            (rows, vec![("fate", "taken")], Some(19.0)),
            (rows, vec![("fate", "taken"), ("side", "rider")], Some(9.0)),
            (rows, vec![("fate", "rejected")], None),
            ("tripstream_joiner_joined", vec![], None),
            ("odd", vec![("text", "a \"b\", {c} \\ d")], Some(1_500.0)),
            ("unfinished", vec![], None),
        ];
        for (name, labels, value) in cases {
            assert_eq!(found.sum(name, &labels), value, "{name} {labels:?}");
        }
        assert_eq!(found.min("tripstream_joiner_watermark_seconds"), Some(1_795_348_790.0));
        assert_eq!(Exposition::parse("# EOF\n").min("x"), None);
    }

    #[test]
    fn what_prometheus_client_writes_is_read() {
        let metrics = service::Metrics::new("a \"name\"");
        let found = Exposition::parse(&metrics.encode());
        let labels = [("service", "a \"name\"")];
        assert_eq!(found.sum("tripstream_build_info", &labels), Some(1.0));
    }

    fn histogram(counts: &[(&str, u32)]) -> Histogram {
        let line = |(le, count): &(&str, u32)| format!("t_bucket{{le=\"{le}\"}} {count}\n");
        let text: String = counts.iter().map(line).collect();
        Exposition::parse(&text).histogram("t", &[])
    }

    #[test]
    fn quantiles_lie_within_the_bucket_of_their_rank() {
        let times = histogram(&[("0.001", 0), ("0.002", 50), ("0.004", 100), ("+Inf", 100)]);
        for (q, expected) in [(0.25, 0.0015), (0.5, 0.002), (0.75, 0.003), (1.0, 0.004)] {
            let found = times.quantile(q).expect("there are values");
            assert!((found - expected).abs() < 1e-9, "{q}: {found}");
        }
        assert_eq!(histogram(&[("0.001", 0), ("+Inf", 7)]).quantile(0.5), Some(0.001));
        assert_eq!(histogram(&[("0.001", 0), ("+Inf", 0)]).quantile(0.5), None);
        assert_eq!(histogram(&[]).quantile(0.5), None);
    }

    #[test]
    fn a_histogram_since_then_has_the_new_values_only() {
        let before = histogram(&[("0.001", 90), ("0.002", 100), ("+Inf", 100)]);
        let now = histogram(&[("0.001", 90), ("0.002", 110), ("+Inf", 110)]);
        assert_eq!(now.since(&before), histogram(&[("0.001", 0), ("0.002", 10), ("+Inf", 10)]));
        assert_eq!(now.since(&Histogram::default()), now);
    }

    #[test]
    fn series_with_the_wanted_label_are_one_histogram() {
        let text = "t_bucket{le=\"1\",route=\"/a\"} 1\nt_bucket{le=\"+Inf\",route=\"/a\"} 2\n\
                    t_bucket{le=\"1\",route=\"/b\"} 4\nt_bucket{le=\"+Inf\",route=\"/b\"} 4\n";
        let found = Exposition::parse(text);
        assert_eq!(found.histogram("t", &[]), histogram(&[("1", 5), ("+Inf", 6)]));
        assert_eq!(found.histogram("t", &[("route", "/b")]), histogram(&[("1", 4), ("+Inf", 4)]));
    }
}
