//! The table of errors as a page for people.

use std::fmt::Write as _;

use super::Code;

/// `docs/errors.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Errors\n\n\
        Made from the table in `src/error.rs` by `UPDATE=1 cargo test --test errors`; do not edit it.\n\n\
        What the gateway answers by itself is a problem document (RFC 9457, `application/problem+json`). What \
        Courier answers passes as it is, errors among it. Majors 4 and 5 of Courier's npm package read no such \
        type: they get the document as `application/json`.\n\n\
        | member | says |\n| --- | --- |\n\
        | `code` | One of the codes below. `type` is `urn:tollgate:` and the code. |\n\
        | `title`, `status` | The code in a few words, and the status of the answer. |\n\
        | `detail` | What is wrong with this call and what would be right. `message` repeats it for Courier's SDKs, which print that. |\n\
        | `outcome` | `not-sent`: nothing reached Courier, so that sending it again can't do it twice. `unknown`: Courier may have acted on it. |\n\
        | `call_id` | The id of the call; `GET /.tollgate/me?call=…` says why it waited or was refused. |\n\
        | `retry_after_ms` | When to come back, in milliseconds from now; only where it is known. |\n\n\
        Answers of the admin port have no `outcome` and no `call_id`.\n\n\
        ## When to come back\n\n\
        `Retry-After` (whole seconds) and `retry-after-ms` say when a call like the refused one can be expected \
        to start. Those who are refused one after the other are told later times, so that they do not come back \
        together for one slot. `t` of `RateLimit` says when the next slot comes back, whoever takes it. It is \
        therefore often earlier than `Retry-After`, and never later.\n\n\
        Courier's Python SDK takes a time of more than 60 s for a mistake and comes back at once. It alone is told \
        45 to 60 s instead, by chance. All others are told the whole time.\n\n\
        `x-should-retry: false` tells Courier's SDKs not to send a call again by themselves: it may have been done, \
        or it would fail in the same way each time.\n\n\
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
