//! Who calls: the token and what it stands for.

use crate::options::{Credential, Environment, Options};
use crate::refusal;
use crate::reply::Reply;
use crate::request::Request;

/// An accepted token.
pub(crate) struct Caller {
    /// The token.
    pub(crate) token: String,
    /// What it stands for.
    pub(crate) credential: Credential,
    /// `workspace/production` or `workspace/test`.
    pub(crate) environment: String,
}

impl Caller {
    /// Reads the credential; the refusal if there is none, or one that isn't accepted.
    pub(crate) fn of(
        request: &Request,
        operation: &str,
        options: &Options,
    ) -> Result<Self, Box<Reply>> {
        let status = options.switches.auth_statuses.get(operation);
        let status = status.copied().unwrap_or(options.switches.auth_status);
        let refuse = || Box::new(refusal::credential(status));
        let token = request.bearer().ok_or_else(refuse)?;
        // A key of the gateway itself must never get this far: no workspace is behind it.
        if token.starts_with("tg_") || options.rejected_tokens.contains(token) {
            return Err(refuse());
        }
        let credential = options.tokens.get(token).cloned();
        let credential = credential
            .unwrap_or_else(|| Credential { workspace: token.to_owned(), ..Credential::default() });
        let kind = match credential.environment {
            Environment::Production => "production",
            Environment::Test => "test",
        };
        let environment = format!("{}/{kind}", credential.workspace);
        Ok(Self { token: token.to_owned(), credential, environment })
    }
}
