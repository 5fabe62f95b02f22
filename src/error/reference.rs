//! The table of errors as a page for people.

use std::fmt::Write as _;

use super::Code;

/// `docs/errors.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Errors\n\n\
        Made from the table in `src/error.rs` by `UPDATE=1 cargo test --test errors`; do not edit it.\n\n\
        Each error of the gateway itself is a problem document (RFC 9457, `application/problem+json`). Courier's \
        own errors are passed on as they are. Majors 4 and 5 of Courier's npm package can't read that type: they get the \
        document as `application/json`.\n\n\
        | member | says |\n| --- | --- |\n\
        | `code` | One of the codes below. `type` is `urn:tollgate:` followed by the code. |\n\
        | `title`, `status` | The code in a few words, and the status of the answer. |\n\
        | `detail` | What is wrong with this call and what would be right. `message` has the same text, because Courier's SDKs print that member. |\n\
        | `outcome` | `not-sent`: nothing reached Courier, so it is safe to send the call again. `unknown`: Courier may have acted on it. |\n\
        | `call_id` | The id of the call. `GET /.tollgate/me?call=…` says why it waited or was refused. |\n\
        | `retry_after_ms` | When to come back, in milliseconds from now. Absent if that is not known. |\n\n\
        Answers of the admin port have no `outcome` and no `call_id`.\n\n\
        ## When to come back\n\n\
        `Retry-After` (whole seconds) and `retry-after-ms` say when a call like the refused one can be expected \
        to start. Callers that are refused one after the other get later and later times, so that they do not \
        come back together for one slot. `t` of `RateLimit` says when the next slot comes back, whoever takes \
        it. So it is often earlier than `Retry-After`, and never later.\n\n\
        Courier's Python SDK ignores a time of more than 60 s and comes back at once. So it alone is told a random \
        time of 45 to 60 s instead. All others are told the real time.\n\n\
        `x-should-retry: false` tells Courier's SDKs not to send a call again by themselves. Either it may have \
        been done, or it would fail in the same way each time.\n\n\
        ## Codes\n\n\
        | code | status | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let (word, status, title) = (code.as_str(), code.status().as_u16(), code.title());
        writeln!(page, "| `{word}` | {status} | {title}. | {} |", code.what_to_do())
            .expect("writing to a string does not fail");
    }
    page
}
