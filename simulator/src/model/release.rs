//! Which side of brands and templates a token sees.

/// Which side of brands and templates a token sees (EK): draft keys see drafts.
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
    /// What is being edited; contains all that was published, too.
    Draft,
}
