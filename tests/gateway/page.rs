//! The page of metrics, read.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::runtime::State;
use tollgate::telemetry::exposition::ExpositionFormat;

/// The samples of a page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) size: usize,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self { size: text.len(), samples: lines.map(Sample::parse).collect() }
    }

    pub(crate) async fn of(state: &State) -> Self {
        Self::parse(&state.metrics_page(ExpositionFormat::Classic).await)
    }

    /// All samples of `name` with these labels.
    pub(crate) fn find<'a>(&'a self, name: &str, labels: &[(&str, &str)]) -> Vec<&'a Sample> {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|there| there == value))
        };
        self.samples.iter().filter(has).collect()
    }

    /// Their sum.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).iter().map(|sample| sample.value).sum()
    }

    pub(crate) fn label_values(&self) -> BTreeSet<String> {
        let labels = self.samples.iter().flat_map(|sample| &sample.labels);
        labels.filter(|(name, _)| *name != "le").map(|(_, value)| value.clone()).collect()
    }
}

impl Sample {
    /// `name{a="b",c="d"} 1`; no value here has a quote or a comma.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap().split(',').filter(|one| !one.is_empty());
        let labels = labels.map(|one| {
            let (key, value) = one.split_once('=').unwrap();
            (key.to_owned(), value.trim_matches('"').to_owned())
        });
        Self { name: name.into(), labels: labels.collect(), value: value.parse().unwrap() }
    }
}
