//! What an environment holds: plain data, and how the API shows it at a given time.

mod audience;
mod fate;
mod job;
mod list;
mod message;
mod release;
mod run;

pub(crate) use audience::{Audience, Due, Member};
pub(crate) use fate::Fate;
pub(crate) use job::{Job, JobUser};
pub(crate) use list::{List, Subscription};
pub(crate) use message::Message;
pub use release::Release;
pub(crate) use run::Run;
