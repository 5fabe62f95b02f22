//! Keeps a token that a careless vendor repeats from reaching the caller. Lengths stay.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use hyper::body::{Body, Frame, SizeHint};

use crate::call::StreamBody;
use crate::error::Cause;
use crate::secret::VendorToken;

/// Blanks `token` out of an answer's fields.
pub(super) fn fields(headers: &mut HeaderMap, token: &VendorToken) {
    for value in headers.values_mut().filter(|value| token.is_in(value.as_bytes())) {
        let mut octets = value.as_bytes().to_vec();
        token.blank(&mut octets);
        *value = HeaderValue::from_bytes(&octets).expect("stars stand where visible ASCII stood");
    }
}

/// True when the body is sent as it is, so that it can be looked at.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A body on its way, without the token.
pub(super) struct Blanked {
    inner: StreamBody,
    token: VendorToken,
    /// What may be the beginning of the token.
    held: BytesMut,
    ended: bool,
}

impl Blanked {
    pub(super) fn new(inner: StreamBody, token: VendorToken) -> Self {
        Self { inner, token, held: BytesMut::new(), ended: false }
    }

    /// What can be handed on of `piece` and all that was held.
    fn pass(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        self.token.blank(&mut self.held);
        let keep = self.token.begins_in(&self.held);
        self.held.split_to(self.held.len() - keep).freeze()
    }
}

impl Body for Blanked {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        while !self.ended {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            let piece = match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(piece))) => self.pass(&piece),
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(cause)) => {
                    self.ended = true;
                    self.held.clear();
                    return Poll::Ready(Some(Err(cause)));
                }
                None => {
                    self.ended = true;
                    self.held.split().freeze()
                }
            };
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = SizeHint::with_exact(self.held.len() as u64);
        if self.ended { held } else { held + self.inner.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;
    use http_body_util::BodyExt;

    fn token() -> VendorToken {
        VendorToken::parse("pk_aab_aac").unwrap()
    }

    async fn blanked(pieces: Vec<Vec<u8>>) -> Vec<u8> {
        let frames =
            pieces.into_iter().map(|piece| Ok::<_, Cause>(Frame::data(Bytes::from(piece))));
        let stream = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let body = Blanked::new(call::stream(stream), token());
        body.collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn the_token_is_found_across_every_border_and_lengths_stay() {
        let text = b"{\"message\":\"pk_aapk_aab_aac and pk_aab_aacpk_aab_aa\"}";
        let clean = b"{\"message\":\"pk_aa********** and **********pk_aab_aa\"}";
        for a in 0..text.len() {
            for b in a..text.len() {
                let pieces = [&text[..a], &text[a..b], &text[b..]].map(<[u8]>::to_vec);
                assert_eq!(blanked(pieces.into()).await, clean, "{a} {b}");
            }
        }
    }

    #[tokio::test]
    async fn a_long_body_is_looked_at_to_its_end_and_nothing_is_lost() {
        let mut long = vec![b'p'; 200_000];
        for at in [65_530, 150_000, 199_990] {
            long[at..at + 10].copy_from_slice(b"pk_aab_aac");
        }
        let pieces: Vec<_> = long.chunks(777).map(<[u8]>::to_vec).collect();
        assert!(token().blank(&mut long));
        assert_eq!(blanked(pieces).await, long);
    }

    #[test]
    fn the_length_is_known_before_and_between() {
        let body = Blanked::new(call::full("0123456789"), token());
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(10), false));
        assert!(Blanked::new(call::empty(), token()).is_end_stream());
    }
}
