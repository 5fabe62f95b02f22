//! From the configuration to what each part wants of it. Nothing is started here.

pub mod admission;
pub mod cache;
pub mod traces;

#[cfg(test)]
mod tests;
