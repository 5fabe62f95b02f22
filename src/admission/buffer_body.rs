//! Reads the request body before anything is spent on the call: bounded in octets, in time, and
//! over all calls together. A slow client holds its own socket and the octets that it has sent, out
//! of its connection's part; a call that the quota would refuse is refused before its body is asked
//! for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::timeout;
use tokio_util::either::Either;

use crate::admission::Desk;
use crate::call::{
    BoxFuture, Buffered, BufferedCall, Call, Held, Next, Reply, Result, Stage, StageLayer, Staged,
    StreamBody, Unread, Uploader,
};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::numbers::{ConnectionIx, Table};
use crate::quota::QuotaRefusal;
use crate::record::Wait;

/// What a request body may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Octets of one body, inclusive.
    pub size: usize,
    /// Time for the whole body.
    pub total: Duration,
    /// Time between two pieces of it.
    pub idle: Duration,
}

/// Reads bodies.
pub struct BufferBody {
    limits: BodyLimits,
    uploads: Table<ConnectionIx, Uploader>,
    desk: Arc<Desk>,
}

impl BufferBody {
    /// `uploads` counts what is held over all calls; `desk` is asked before a body is read.
    #[must_use]
    pub fn layer(
        limits: BodyLimits,
        uploads: Table<ConnectionIx, Uploader>,
        desk: Arc<Desk>,
    ) -> StageLayer<Self> {
        StageLayer::new(Self { limits, uploads, desk })
    }

    /// `call` with all of `body`.
    async fn buffer(&self, mut call: BufferedCall, body: StreamBody) -> Result<BufferedCall> {
        let (preview, rate_limit) = self.desk.preview(&call, None);
        call.notes.rate_limit(rate_limit);
        self.may_be_read(&body)?;
        preview.map_err(|refusal| self.refused(&call, refusal))?;
        call.record.mark(|marks| marks.timeline.upload_begins(Instant::now()));
        let (bytes, held) = self.read(body, &self.uploads[call.caller.ix]).await?;
        call.record.mark(|marks| {
            marks.bytes_in = bytes.len() as u64;
            marks.timeline.upload_ends(Instant::now());
        });
        call.body = Buffered::new(bytes, held);
        Ok(call)
    }

    /// A body that announces too much is refused before the quota is asked: waiting does not help
    /// it.
    fn may_be_read(&self, body: &StreamBody) -> Result<()> {
        let fits = body.size_hint().lower() <= self.limits.size as u64;
        fits.then_some(()).ok_or_else(|| self.too_large())
    }

    /// Reads `body`. What is announced must fit at this moment; what is held is what has arrived.
    async fn read(&self, body: StreamBody, uploads: &Uploader) -> Result<(Bytes, Held)> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if !uploads.fits(announced) {
            return Err(no_room());
        }
        let mut held = uploads.begin();
        let reading = self.pieces(body, &mut held);
        let bytes = timeout(self.limits.total, reading).await.map_err(|_| late())??;
        Ok((bytes, held))
    }

    async fn pieces(&self, mut body: StreamBody, held: &mut Held) -> Result<Bytes> {
        let mut read = BytesMut::new();
        while let Some(frame) = timeout(self.limits.idle, body.frame()).await.map_err(|_| late())? {
            let cut = |cause| Error::malformed("the request body was cut short").caused_by(cause);
            let Ok(piece) = frame.map_err(cut)?.into_data() else {
                continue;
            };
            if read.len() + piece.len() > self.limits.size {
                return Err(self.too_large());
            }
            if !held.more(piece.len()) {
                return Err(no_room());
            }
            if read.is_empty() && body.is_end_stream() {
                return Ok(piece);
            }
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    }

    /// `call` is refused unread: what there is to say of its waiting is that there was none.
    fn refused(&self, call: &BufferedCall, refusal: QuotaRefusal) -> Error {
        let mut wait = Wait::begins(Instant::now(), self.desk.stood(call, refusal.standing));
        wait.refused(&refusal);
        call.record.mark(|marks| marks.timeline.waited(wait));
        self.desk.refused(call, &refusal)
    }

    fn too_large(&self) -> Error {
        let detail = format!("a request body must not exceed {} octets", self.limits.size);
        Error::refused(Code::BodyTooLarge, detail)
    }
}

fn no_room() -> Error {
    let detail = "the request bodies that are held leave no room for this one; try again";
    Error::refused(Code::Overloaded, detail).with_retry_after(Duration::from_secs(1))
}

fn late() -> Error {
    Error::refused(Code::RequestTimeout, "the request body came too slowly")
}

impl<S: Next<BufferedCall>> Stage<S> for BufferBody {
    type Call = Call;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture>;

    fn call(this: &Staged<Self, S>, call: Call) -> Self::Future {
        let desk = &this.stage().desk;
        let (Unread(body), call) = call.with_body(Buffered::default());
        let Some(body) = body else {
            // It is refused where it would wait: a copy may answer it first.
            call.notes.rate_limit(desk.lately(&call.caller, &call.operation));
            return Either::Left(this.pass(call));
        };
        let this = this.clone();
        Either::Right(Box::pin(async move {
            let call = this.stage().buffer(call, body).await?;
            this.pass(call).await
        }))
    }
}

#[cfg(test)]
mod tests;
