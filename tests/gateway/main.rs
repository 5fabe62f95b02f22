//! The gateway as a whole: the real stack, in process or on sockets, before the simulated Courier.

mod callers;
mod operations;
mod process;
mod sockets;
mod support;
mod vendor;
