//! A bulk job.

use serde_json::Value;

use crate::table::Table;
use crate::time::Wall;

/// One job.
#[derive(Clone)]
pub(crate) struct Job {
    /// What is sent to each user, as the call gave it.
    pub(crate) definition: Value,
    /// When the job was run.
    pub(crate) started: Option<Wall>,
    /// The users taken in, by name.
    pub(crate) users: Table<JobUser>,
}

/// One user of a job.
#[derive(Clone)]
pub(crate) struct JobUser {
    /// The user as the call gave it.
    pub(crate) sent: Value,
    /// The message that the run made for the user.
    pub(crate) message: Option<String>,
}
