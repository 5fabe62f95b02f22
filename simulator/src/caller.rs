//! The caller: the token and what it stands for.

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
    /// Reads the credential. Returns the refusal if it is absent or isn't accepted.
    pub(crate) fn of(
        request: &Request,
        operation: &str,
        options: &Options,
    ) -> Result<Self, Box<Reply>> {
        let status = options.switches.auth_statuses.get(operation);
        let status = status.copied().unwrap_or(options.switches.auth_status);
        let refuse = || Box::new(refusal::credential(status));
        let token = request.bearer().ok_or_else(refuse)?;
        // A key of the gateway must never reach the vendor. No workspace belongs to it.
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
