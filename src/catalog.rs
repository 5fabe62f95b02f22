//! The catalogue: what the gateway knows about the operations of the vendor's API, as data.
//!
//! `config/courier.toml` is embedded; `[vendor] catalog` names a file of the same form that
//! replaces or extends it. Columns are closed enums and plain values, never expressions.

mod file;
mod matcher;
mod operation;
mod prices;

pub use file::{Catalog, CatalogError};
pub use matcher::Match;
pub use operation::{
    Access, CONNECTION_POOL, CacheRule, Freshness, KeySupport, Lane, MOST_CALLS, MOST_PAID,
    MOST_PRICES, MethodPattern, Operation, Pool, Shim,
};
