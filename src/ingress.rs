//! From an HTTP request to a [`Call`](crate::call::Call), and from a reply to what its client
//! reads.

pub mod cors;
pub mod finish;
pub mod route;
pub mod validate;

#[cfg(test)]
mod tests;
