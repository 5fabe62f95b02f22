//! Reads a short answer whole before it is handed on; a long one streams as it came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

use super::StreamBody;
use crate::error::{Cause, Code, Error, Outcome};

/// Octets up to which an answer is short.
pub const SHORT: usize = 64 << 10;

/// What became of a body.
pub enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// More than was to be read: the same body from its beginning, not yet at its end.
    Long(StreamBody),
}

/// Octets that were read already, and the body that goes on behind them.
struct Resumed {
    read: Bytes,
    rest: StreamBody,
}

/// Reads `body` to its end, unless it is longer than `limit` octets.
///
/// # Errors
///
/// It broke off. Nothing of it was given to anybody, so that the call may still have another end.
pub async fn gather(mut body: StreamBody, limit: usize) -> Result<Gathered, Error> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(Gathered::Long(body));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let piece = match frame {
            Err(cause) => return Err(broke_off(cause)),
            // Trailers belong to the hop, and the gateway announces none.
            Ok(frame) => frame.into_data().unwrap_or_default(),
        };
        if read.is_empty() && piece.len() <= limit && body.is_end_stream() {
            return Ok(Gathered::Whole(piece));
        }
        read.extend_from_slice(&piece);
        if read.len() > limit {
            let resumed = Resumed { read: read.freeze(), rest: body };
            return Ok(Gathered::Long(super::stream(resumed)));
        }
    }
    Ok(Gathered::Whole(read.freeze()))
}

fn broke_off(cause: Cause) -> Error {
    Error::refused(Code::VendorUnreachable, "Courier's answer broke off")
        .with_outcome(Outcome::Unknown)
        .caused_by(cause)
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        if !self.read.is_empty() {
            let read = std::mem::take(&mut self.read);
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.read.len() as u64) + self.rest.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;

    /// A body of unknown length in pieces of 1000 octets.
    fn pieces(count: usize, broken: bool) -> StreamBody {
        let data = (0..count).map(|_| Ok(Frame::data(Bytes::from(vec![7; 1000]))));
        let end = broken.then(|| Err(Cause::from("cut")));
        let stream = futures_util::stream::iter(data.chain(end));
        super::super::stream(http_body_util::StreamBody::new(stream))
    }

    #[tokio::test]
    async fn a_short_body_is_read_whole_and_a_long_one_loses_nothing() {
        let gather = |body| gather(body, SHORT);
        let Ok(Gathered::Whole(all)) = gather(pieces(3, false)).await else { panic!("short") };
        assert_eq!(all.len(), 3000);
        let broken = gather(pieces(3, true)).await.err().unwrap();
        assert_eq!((broken.code, broken.outcome), (Code::VendorUnreachable, Outcome::Unknown));
        let Ok(Gathered::Long(body)) = gather(pieces(70, false)).await else { panic!("long") };
        assert!(!body.is_end_stream() && body.size_hint().lower() > SHORT as u64);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 70_000);
        let known = call::full(vec![1; SHORT + 1]);
        assert!(matches!(gather(known).await, Ok(Gathered::Long(_))));
        let nothing = gather(call::empty()).await;
        assert!(matches!(nothing, Ok(Gathered::Whole(all)) if all.is_empty()));
    }
}
