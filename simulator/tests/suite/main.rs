//! The simulator from outside. Each module holds one family of promises.

mod admin;
mod audiences;
mod bounds;
mod catalogue;
mod common;
mod determinism;
mod faults;
mod http1;
mod http2;
mod keys;
mod likeness;
mod limits;
mod million;
mod promises;
mod raw;
mod readme;
mod resources;
mod robustness;
mod sending;
mod shapes;
mod sockets;
mod state_model;
