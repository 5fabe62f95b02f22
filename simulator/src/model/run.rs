//! A run of an automation.

use serde_json::{Value, json};

use crate::time::Wall;

/// One run. Its steps are fixed when it begins. How far it is depends on the time alone.
#[derive(Clone)]
pub(crate) struct Run {
    /// The automation's id.
    pub(crate) template: String,
    /// When the run began.
    pub(crate) created: Wall,
    /// When its last step is done.
    pub(crate) ends: Wall,
    /// Actions, and when each is done.
    pub(crate) steps: Vec<(String, Wall)>,
}

impl Run {
    /// The status at `wall` of the run or the step that is done at `due`.
    pub(crate) fn status(&self, due: Wall, wall: Wall) -> &'static str {
        // A run without a delay has ended, whatever the clock does afterwards.
        if due <= wall || self.ends == self.created { "PROCESSED" } else { "WAITING" }
    }

    /// The run as the API shows it at `wall`.
    pub(crate) fn view(&self, id: &str, wall: Wall) -> Value {
        json!({
            "id": id, "run_id": id, "status": self.status(self.ends, wall), "template_id": self.template,
            "created_at": self.created.iso(), "source": ["api"],
        })
    }
}
