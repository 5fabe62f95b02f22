//! The last stage before the vendor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::call::BeforeSend;

/// Is told of a send, and takes a second to write it down.
#[derive(Debug, Default)]
struct Writes {
    fails: bool,
    written: AtomicBool,
}

impl BeforeSend for Writes {
    fn before_send(self: Arc<Self>) -> Option<BoxFuture<Result<()>>> {
        Some(Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.fails {
                return Err(Error::refused(Code::Overloaded, "the disk is full"));
            }
            self.written.store(true, Ordering::SeqCst);
            Ok(())
        }))
    }
}

fn admitted(writes: &Arc<Writes>) -> AdmittedCall {
    let mut call = send("a");
    call.before_send = Some(writes.clone());
    Attempt::first(Arc::new(call)).admitted(Instant::now())
}

#[tokio::test(start_paused = true)]
async fn what_must_be_known_of_a_send_is_written_before_it_is_sent() {
    let writes = Arc::new(Writes::default());
    let known = writes.clone();
    let vendor = Leaf::new(move |_, _| {
        assert!(known.written.load(Ordering::SeqCst));
        now(Ok(reply(202, "sent")))
    });
    let mut commit = Commit::layer().layer(vendor.clone());
    assert!(commit.call(admitted(&writes)).await.is_ok());
    assert_eq!(vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_of_which_could_not_be_written_what_must_be_known() {
    let writes = Arc::new(Writes { fails: true, ..Writes::default() });
    let vendor = Leaf::new(|_, _| now(Ok(reply(202, "sent"))));
    let refused = Commit::layer().layer(vendor.clone()).call(admitted(&writes)).await;
    assert_eq!(refused.unwrap_err().outcome, Outcome::NotSent);
    assert_eq!(vendor.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_which_nobody_must_know_is_sent_at_once() {
    let vendor = Leaf::new(|_, _| now(Ok(reply(202, "sent"))));
    let call = Attempt::first(Arc::new(send("a"))).admitted(Instant::now());
    let sent = Commit::layer().layer(vendor.clone()).call(call);
    assert_eq!(vendor.asked(), 1, "before anybody waits");
    assert!(sent.await.is_ok());
}
