//! Which brands and templates a token sees.

/// Which brands and templates a token sees (EK). Draft keys see drafts.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// What was published.
    #[default]
    Published,
    /// Drafts, and all that was published.
    Draft,
}
