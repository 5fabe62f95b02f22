//! Labels, and what a bucket's example says of its call.

use std::sync::Arc;

use opentelemetry::trace::TraceId;
use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder,
};

use crate::ids::RandomId;
use crate::record::Record;

/// A label value: from the code, from the catalogue or from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A word of the code.
    Word(&'static str),
    /// A name of the catalogue or the configuration.
    Id(Arc<str>),
}

/// The labels of one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels<const N: usize>(pub [(&'static str, Value); N]);

/// A call that fell into a bucket. OpenMetrics calls it an exemplar.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    call_id: RandomId,
    trace: Option<TraceId>,
}

impl Value {
    /// A name.
    #[must_use]
    pub fn id(name: &str) -> Self {
        Self::Id(name.into())
    }
}

impl EncodeLabelValue for Value {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => word.encode(encoder),
            Self::Id(id) => id.encode(encoder),
        }
    }
}

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }
}

impl Example {
    /// The call of `record`, which is found in `trace`.
    pub(super) fn of(record: &Record, trace: Option<TraceId>) -> Self {
        Self { call_id: record.call_id, trace }
    }
}

impl EncodeLabelSet for Example {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        ("call_id", self.call_id.to_string()).encode(encoder.encode_label())?;
        match self.trace {
            Some(id) => ("trace_id", id.to_string()).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}
