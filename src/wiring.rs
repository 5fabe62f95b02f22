//! Turns the configuration into what each part needs of it. Nothing is started here.

pub mod admission;
pub mod cache;
pub mod traces;

#[cfg(test)]
mod tests;
