//! From OpenMetrics to Prometheus' text format 0.0.4, for whoever asks for that: the crate `prometheus-client` writes
//! OpenMetrics only.
//!
//! The two differ in the names of counters and infos (the suffix belongs to the name in 0.0.4), in types that 0.0.4
//! doesn't know, and in what only OpenMetrics has: units, exemplars, the mark of the end.

/// The content type of OpenMetrics 1.0.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the text format.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a scraper that accepts these media types, the preferred one first, is to get OpenMetrics. The first one
/// counts that names either format, as in Prometheus' own libraries (`expfmt.NegotiateIncludingOpenMetrics`); who
/// names none gets the text format.
pub(crate) fn prefers_open_metrics<'m>(
    accepted: impl IntoIterator<Item = (&'m str, Option<&'m str>)>,
) -> bool {
    let known =
        accepted.into_iter().find_map(|(media_type, version)| match (media_type, version) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => Some(true),
            ("text/plain", None | Some("0.0.4")) => Some(false),
            _ => None,
        });
    known.unwrap_or(false)
}

/// The same metrics in the text format.
pub(crate) fn from_open_metrics(text: &str) -> String {
    let mut converted = String::with_capacity(text.len());
    let mut line = |parts: &[&str]| {
        converted.extend(parts.iter().copied());
        converted.push('\n');
    };
    let mut help = None;
    for original in text.lines() {
        if let Some(described) = original.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) =
            original.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take() {
                line(&["# HELP ", name, suffix, " ", help]);
            }
            line(&["# TYPE ", name, suffix, " ", kind]);
        } else if !original.starts_with('#') {
            line(&[without_exemplar(original)]);
        }
    }
    converted
}

/// A sample up to its exemplar, which begins with a `#` outside of a label's value.
fn without_exemplar(sample: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, char) in sample.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => return sample[..at].trim_end(),
            _ => {}
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_metric_has_its_form_in_the_text_format() {
        let open_metrics = "\
# HELP requests Answered requests.
# TYPE requests counter
requests_total{path=\"/a # \\\" b\"} 3 # {trace_id=\"1\"} 0.5
# HELP build What this is.
# TYPE build info
build_info{version=\"1\"} 1
# HELP wait_seconds How long.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_sum 1.5
wait_seconds_count 2
wait_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"2\"} 0.25 1700000000.0
wait_seconds_bucket{le=\"+Inf\"} 2
# HELP open Open rows.
# TYPE open gauge
open 7
# TYPE odd unknown
odd 1
# EOF
";
        let text = "\
# HELP requests_total Answered requests.
# TYPE requests_total counter
requests_total{path=\"/a # \\\" b\"} 3
# HELP build_info What this is.
# TYPE build_info gauge
build_info{version=\"1\"} 1
# HELP wait_seconds How long.
# TYPE wait_seconds histogram
wait_seconds_sum 1.5
wait_seconds_count 2
wait_seconds_bucket{le=\"1.0\"} 1
wait_seconds_bucket{le=\"+Inf\"} 2
# HELP open Open rows.
# TYPE open gauge
open 7
# TYPE odd untyped
odd 1
";
        assert_eq!(from_open_metrics(open_metrics), text);
    }
}
