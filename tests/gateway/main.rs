//! The gateway as a whole: the real stack, in process or on sockets, before the simulated Courier.

mod callers;
mod clients;
mod operations;
mod process;
mod rig;
mod sockets;
mod support;
mod vendor;
