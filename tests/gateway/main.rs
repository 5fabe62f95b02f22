//! The gateway as a whole: the real stack, in process or on sockets, before the simulated Courier.

mod callers;
mod operations;
mod support;
mod vendor;
