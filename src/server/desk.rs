//! Answers the requests of one connection.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Answering};
use super::keep_alive::KeepAlive;
use super::socket::{Glance, Leaving, Reset};
use super::streams::Streams;
use super::watched::Watched;
use super::{Answer, Limits, RequestBody};
use crate::proof::SendProof;

/// What can end a connection.
pub(super) struct ConnectionEnd<'a> {
    pub(super) reset: Reset,
    pub(super) leaving: Leaving,
    pub(super) limits: &'a Limits,
    pub(super) drain: CancellationToken,
}

/// Answers the requests of one connection.
pub(super) struct RequestDesk<A> {
    pub(super) answer: A,
    pub(super) activity: Arc<Activity>,
    keep_alive: KeepAlive,
    drain: CancellationToken,
    pub(super) streams: Streams,
    glance: Arc<Glance>,
}

impl<A: Answer> RequestDesk<A> {
    pub(super) fn new(answer: A, activity: Arc<Activity>, end: &ConnectionEnd<'_>) -> Self {
        Self {
            answer,
            activity,
            keep_alive: KeepAlive::of(end.limits.keep_alive),
            drain: end.drain.clone(),
            streams: Streams::default(),
            glance: Arc::new(end.leaving.glance()),
        }
    }

    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Watched<A::Body>>, Infallible>> + use<A> {
        let version = request.version();
        let end = (version == Version::HTTP_2).then(|| self.streams.begin());
        let answering = Answering::begin(self.activity.clone(), end);
        let told = self.keep_alive.asked_by(&request);
        let (answer, drain) = (self.answer.clone(), self.drain.clone());
        let glance = self.glance.clone();
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, ());
            let proof = if version < Version::HTTP_2 {
                let proof = Arc::new(SendProof::seen_by(glance));
                answering.waits(Some(proof.clone()));
                proof
            } else {
                Arc::default()
            };
            let (body, rest) = RequestBody::of(&request, body, &answering);
            let mut response = answer.answer(request.map(|()| body), proof).await;
            answering.waits(None);
            rest.answered(&mut response);
            let stays = !drain.is_cancelled() && !answering.is_last();
            if let Some(told) = told.filter(|_| stays) {
                told.tell(&mut response);
            }
            Ok(response.map(|inner| Watched::new(inner, answering, version)))
        }
    }
}
