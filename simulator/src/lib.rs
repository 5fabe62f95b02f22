//! A stand-in for the Courier API.
