//! The two texts in which metrics are given: OpenMetrics 1.0, and Prometheus text 0.0.4 for clients
//! that do not ask for OpenMetrics.

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// OpenMetrics 1.0, with an example call in each bucket.
    OpenMetrics,
    /// Prometheus text 0.0.4, which knows no examples.
    Classic,
}

impl ExpositionFormat {
    /// The format that a field `Accept` asks for (RFC 9110, section 12.5.1): OpenMetrics if it is
    /// named and the other format is not preferred.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        let (mut open, mut text) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0_f64, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match (kind.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => open = quality.max(open),
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
                    text = quality.max(text);
                }
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Classic }
    }

    /// The field `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// `page`, which is OpenMetrics text, in this format.
    #[must_use]
    pub fn write(self, page: String) -> String {
        match self {
            Self::OpenMetrics => page,
            Self::Classic => classic(&page),
        }
    }
}

/// Turns OpenMetrics text into Prometheus text 0.0.4. There a counter's family has the name of its
/// samples, and there are no examples, units or end marks. The rest is the same in both.
fn classic(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut help = "";
    for line in page.lines() {
        let words = |key| line.strip_prefix(key).and_then(|rest: &str| rest.split_once(' '));
        if let Some((_, says)) = words("# HELP ") {
            help = says;
        } else if let Some((family, kind)) = words("# TYPE ") {
            let name = format!("{family}{}", if kind == "counter" { "_total" } else { "" });
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(without_example(line));
            text.push('\n');
        }
    }
    text
}

/// A sample's line up to its example, ` # {…}`. A label value may hold these characters, too.
fn without_example(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in line.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_like_it_at_least_as_well() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let with_protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1";
        for accept in [
            prometheus_2,
            prometheus_3,
            with_protobuf,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            "text/plain;q=0.5, application/openmetrics-text; q=0.5",
        ] {
            assert_eq!(ExpositionFormat::of(accept), ExpositionFormat::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html, */*;q=0.8",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;version=0.0.1,text/plain",
            "application/openmetrics-text;q=0.5,text/plain",
            "application/openmetrics-text;q=high,*/*",
        ] {
            assert_eq!(ExpositionFormat::of(accept), ExpositionFormat::Classic, "{accept}");
        }
    }

    #[test]
    fn the_classic_text_has_full_names_and_no_examples() {
        let page = concat!(
            "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n",
            "a_seconds_sum 0.5\na_seconds_bucket{le=\"1.0\",x=\"a # {b}\"} 1 # {call_id=\"0f\"} 0.5 1.5\n",
            "# HELP b Calls.\n# TYPE b counter\nb_total{x=\"a\\\" # {\\\\\"} 2\n",
            "# HELP c Now.\n# TYPE c gauge\nc 3\n# EOF\n",
        );
        let wanted = concat!(
            "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n",
            "a_seconds_sum 0.5\na_seconds_bucket{le=\"1.0\",x=\"a # {b}\"} 1\n",
            "# HELP b_total Calls.\n# TYPE b_total counter\nb_total{x=\"a\\\" # {\\\\\"} 2\n",
            "# HELP c Now.\n# TYPE c gauge\nc 3\n",
        );
        assert_eq!(ExpositionFormat::Classic.write(page.into()), wanted);
        assert_eq!(ExpositionFormat::OpenMetrics.write(page.into()), page);
    }
}
