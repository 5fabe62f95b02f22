//! One authenticated and matched call, as its operation sees it.

use serde_json::{Map, Value, json};

use crate::catalogue::{Envelope, Row};
use crate::ids::Ids;
use crate::model::Release;
use crate::reply::Reply;
use crate::state::State;
use crate::switches::{AuditTarget, Switches};
use crate::table::{BadCursor, Page};
use crate::target::Query;
use crate::time::Wall;

/// Everything an operation may look at or change.
pub(crate) struct Call<'a> {
    /// The matched row.
    pub(crate) row: &'a Row,
    /// The raw path.
    pub(crate) path: &'a str,
    /// The parameters, decoded.
    pub(crate) params: Vec<String>,
    /// The query, decoded.
    pub(crate) query: &'a Query,
    /// The body, raw.
    pub(crate) body: &'a [u8],
    /// The environment's data.
    pub(crate) state: &'a mut State,
    /// Which side of brands and templates the token sees.
    pub(crate) release: Release,
    /// Whether the token is a `mock` key: messages go through all steps, but no provider is called
    /// (EK).
    pub(crate) mock: bool,
    /// The caller's name in audit events. It is never the token itself.
    pub(crate) actor: &'a str,
    /// Source of ids.
    pub(crate) ids: &'a mut Ids,
    /// The vendor's time.
    pub(crate) wall: Wall,
    /// Disputed behaviours.
    pub(crate) switches: &'a Switches,
}

/// The result of a successful operation. The row says under which status it is sent.
#[derive(Debug)]
pub(crate) enum Success {
    /// No document: `{"status":"SUCCESS"}` under 200, no body under 202 and 204.
    Done,
    /// A document. It is left out under 204.
    Json(Value),
    /// A text that isn't JSON.
    Text(String),
}

/// Why an operation failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) status: u16,
    /// The `type` of the error body.
    pub(crate) kind: &'static str,
    /// The `message` of the error body.
    pub(crate) message: String,
    /// A body of another shape. A cancel that comes too late answers 409 with the message's record
    /// (OA).
    pub(crate) record: Option<Value>,
}

/// What an operation returns.
pub(crate) type Outcome = Result<Success, Failure>;

impl Failure {
    /// 400, a validation failure.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_request_error", message: message.into(), record: None }
    }

    /// 404 with the usual message.
    pub(crate) fn not_found() -> Self {
        Self { status: 404, ..Self::invalid("Not Found") }
    }

    /// 409.
    pub(crate) fn conflict(message: &str) -> Self {
        Self { status: 409, ..Self::invalid(message) }
    }

    /// 507: the simulator's own limit of rows is reached. Courier has no such answer.
    pub(crate) fn full() -> Self {
        Self {
            status: 507,
            kind: "simulator_error",
            message: "the simulator holds its limit of rows (capacity.rows)".into(),
            record: None,
        }
    }

    /// The answer.
    pub(crate) fn reply(&self) -> Reply {
        match &self.record {
            Some(record) => Reply::json(self.status, record),
            None => Reply::error(self.status, self.kind, &self.message),
        }
    }
}

impl From<BadCursor> for Failure {
    fn from(_: BadCursor) -> Self {
        Self::invalid("Invalid cursor format")
    }
}

impl Call<'_> {
    /// The nth parameter, decoded.
    pub(crate) fn param(&self, n: usize) -> String {
        self.params.get(n).cloned().unwrap_or_default()
    }

    /// The body as any JSON. Anything else is a 400.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(self.body)
            .map_err(|_| Failure::invalid("Invalid JSON in request body"))
    }

    /// The body as an object. An absent body counts as an empty object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Failure> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match self.json()? {
            Value::Object(map) => Ok(map),
            _ => Err(Failure::invalid("request body should be object")),
        }
    }

    /// The cursor asked for. An empty one counts as absent.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.query.get("cursor").filter(|c| !c.is_empty())
    }

    /// The page size asked for.
    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.query.get("limit") else {
            return Ok(self.switches.page_size);
        };
        match text.parse::<usize>() {
            Ok(n) if n > self.switches.max_limit && self.switches.reject_large_limit => {
                Err(Failure::invalid(format!("limit should be <= {}", self.switches.max_limit)))
            }
            Ok(n) if n > 0 => Ok(n.min(self.switches.max_limit)),
            _ => Err(Failure::invalid("limit should be a positive integer")),
        }
    }

    /// Wraps the rows of a page as the row's envelope says.
    pub(crate) fn wrap(&self, rows: Vec<Value>, cursor: Option<String>) -> Success {
        let more = cursor.is_some();
        let mut paging = json!({ "more": more });
        if let Some(cursor) = &cursor {
            paging["cursor"] = json!(cursor);
        }
        let envelope = match self.row.envelope {
            Some(Envelope::Items) if self.connector_says_results() => Envelope::Results,
            envelope => envelope.unwrap_or(Envelope::Results),
        };
        Success::Json(match envelope {
            Envelope::Results => json!({ "paging": paging, "results": rows }),
            Envelope::Items => json!({ "items": rows, "paging": paging }),
            Envelope::Tenants => {
                json!({ "cursor": cursor, "has_more": more, "items": rows, "type": "list", "url": self.path })
            }
            Envelope::Templates => json!({ "cursor": cursor, "templates": rows }),
            Envelope::Tokens => json!({ "tokens": rows }),
            Envelope::Runs if more => json!({ "next_cursor": cursor, "runs": rows }),
            Envelope::Runs => json!({ "runs": rows }),
            Envelope::Steps => json!({ "steps": rows }),
            Envelope::Checks => json!({ "checks": rows }),
            Envelope::Versions => json!({ "paging": paging, "versions": rows }),
        })
    }

    /// Whether this is the one listing that the connector wraps in another envelope.
    fn connector_says_results(&self) -> bool {
        self.switches.lists_results && self.row.id == "lists.list"
    }

    /// Writes one audit event. Drops the oldest one if there are too many.
    pub(crate) fn audit(&mut self, kind: &str, target: &str) {
        let id = self.ids.nano();
        let email = format!("{}@example.com", self.actor);
        let target = match self.switches.audit_target {
            AuditTarget::Text => json!(target),
            AuditTarget::Object => json!({ "id": target, "email": email }),
        };
        let event = json!({
            "auditEventId": id, "actor": { "id": self.actor, "email": email },
            "target": target, "source": "api", "timestamp": self.wall.iso(), "type": kind,
        });
        self.state.audit.insert(&id, event);
        if self.state.audit.len() > self.state.capacity {
            self.state.audit.pop_oldest();
        }
    }

    /// Whether a collection of `len` rows may grow.
    pub(crate) const fn room(&self, len: usize) -> bool {
        len < self.state.capacity
    }
}

/// Maps the rows of a page to values. Also returns the page's cursor.
pub(crate) fn rows_of<T>(
    page: Page<'_, T>,
    view: impl Fn(&str, &T) -> Value,
) -> (Vec<Value>, Option<String>) {
    (page.rows.into_iter().map(|(id, row)| view(id, row)).collect(), page.cursor)
}
