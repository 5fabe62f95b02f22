//! The sockets of one connection to its host; no other connection ever uses them.
//!
//! HTTP/1.1 sockets rest in a list, newest on top; HTTP/2 sockets stay here while calls are on
//! them, and a further one is opened when those that are there carry what they may. A socket that
//! rested too long or is too old takes no new call, so that the vendor never closes first and a
//! changed address is followed.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::uri::Scheme;
use tokio::sync::Notify;
use tokio::time::{timeout, timeout_at};

use super::dial::Line;
use super::places::{SocketPlace, Spares};
use super::shares::Member;
use super::site::{HostLimits, Site};
use super::socket::{Load, VendorSocket};
use crate::clock::Instant;
use crate::error::Cause;
use crate::record::Shortage;

/// Streams that a socket is expected to carry before one was open.
const EXPECTED: usize = 64;

/// The sockets of one connection.
pub struct SocketPool {
    site: Arc<Site>,
    member: Member,
    /// std, not tokio: each section is a push, a pop or a clone and never awaits.
    sockets: Mutex<Sockets>,
    /// A socket or a stream came free, or an opening is over.
    news: Notify,
}

struct Sockets {
    h1: Vec<(VendorSocket, Instant)>,
    /// Each with the time since when it carries what it carries.
    h2: Vec<(VendorSocket, Instant)>,
    /// What the host spoke last; unknown before the first line.
    speaks_h2: Option<bool>,
    /// Streams that the last HTTP/2 socket took.
    streams: usize,
    /// Calls that have no socket yet.
    waiting: usize,
    /// Of those, the ones that open a socket or wait for a place to open it.
    opening: usize,
    /// Of those, the ones that have their place.
    connecting: usize,
}

/// What a call without a socket does next.
enum Next {
    Take(VendorSocket),
    Open,
    Wait { connecting: bool },
}

/// Why there is no socket.
#[derive(Debug)]
pub(super) enum NoSocket {
    /// The gateway itself had too little of something.
    Short(Shortage, Option<Cause>),
    /// The vendor refused the connection, or it broke at once.
    Unreachable(Cause),
    /// It took too long to open one.
    Late,
}

/// A socket on loan to a call. What is dropped without having been finished is not used again, or
/// its stream is reset.
pub(super) struct Lease {
    pool: Arc<SocketPool>,
    socket: Option<VendorSocket>,
}

impl SocketPool {
    /// No socket yet of one more connection to `site`.
    pub(super) fn at(site: Arc<Site>) -> Arc<Self> {
        let plain = *site.scheme() == Scheme::HTTP;
        let sockets = Sockets {
            h1: Vec::new(),
            h2: Vec::new(),
            // Nothing is agreed on without TLS.
            speaks_h2: plain.then_some(false),
            streams: EXPECTED,
            waiting: 0,
            opening: 0,
            connecting: 0,
        };
        let member = site.places().join();
        let pool =
            Arc::new(Self { site, member, sockets: Mutex::new(sockets), news: Notify::new() });
        let spares: Weak<Self> = Arc::downgrade(&pool);
        pool.site.places().spares(spares);
        pool
    }

    /// The host behind it.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// A socket for one call: one that is there or a new one. Waits for it until `end`; the time to
    /// open one is bounded by the host's limit, too.
    pub(super) async fn socket(self: &Arc<Self>, end: Instant) -> Result<Lease, NoSocket> {
        let _waiting = Waiting::begin(self);
        loop {
            let mut news = pin!(self.news.notified());
            news.as_mut().enable();
            let next = self.with(|sockets| sockets.next(self.site.limits()));
            match next {
                Next::Take(socket) => {
                    let lease = self.lease(socket);
                    if let Some(lease) = lease.ready().await {
                        return Ok(lease);
                    }
                }
                Next::Open => {
                    let _opening = Counted(self, |sockets| &mut sockets.opening);
                    let place = tokio::select! {
                        biased;
                        place = self.place(end) => place?,
                        // One that was in use came free first.
                        () = news => continue,
                    };
                    return self.open(place).await;
                }
                Next::Wait { connecting: false } => {
                    let came = timeout_at(end, news).await;
                    came.map_err(|_| NoSocket::Short(Shortage::Places, None))?;
                }
                Next::Wait { connecting: true } => {
                    let late = Instant::now() + self.site.limits().connect;
                    timeout_at(end.min(late), news).await.map_err(|_| NoSocket::Late)?;
                }
            }
        }
    }

    /// Sockets that carry no call.
    pub(super) fn idle(&self) -> usize {
        self.with(|sockets| sockets.idle().count())
    }

    /// A place among the sockets of the host.
    async fn place(&self, end: Instant) -> Result<SocketPlace, NoSocket> {
        let places = self.site.places();
        match places.ask(self.member) {
            Ok(place) => Ok(place),
            Err(coming) => {
                places.make_room();
                let place = timeout_at(end, coming).await.ok().and_then(Result::ok);
                place.ok_or(NoSocket::Short(Shortage::Places, None))
            }
        }
    }

    async fn open(self: &Arc<Self>, place: SocketPlace) -> Result<Lease, NoSocket> {
        self.with(|sockets| sockets.connecting += 1);
        let _connecting = Counted(self, |sockets| &mut sockets.connecting);
        let opened = timeout(self.site.limits().connect, async {
            let Line { io, h2 } = self.site.dial().await?;
            let opened = if h2 {
                VendorSocket::h2(io, place).await
            } else {
                VendorSocket::h1(io, place).await
            };
            opened.map_err(Cause::from)
        });
        let socket = match opened.await {
            Ok(Ok(socket)) => socket,
            Ok(Err(cause)) => {
                return Err(match Shortage::of(&*cause) {
                    Some(shortage) => NoSocket::Short(shortage, Some(cause)),
                    None => NoSocket::Unreachable(cause),
                });
            }
            Err(_) => return Err(NoSocket::Late),
        };
        self.with(|sockets| sockets.opened(&socket));
        // Others may find room on it, or know by now how many sockets they need.
        self.news.notify_waiters();
        Ok(self.lease(socket))
    }

    fn lease(self: &Arc<Self>, socket: VendorSocket) -> Lease {
        Lease { pool: self.clone(), socket: Some(socket) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Sockets) -> T) -> T {
        act(&mut self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call has read its answer to the end: its HTTP/1.1 socket may carry another.
    fn put_back(&self, socket: VendorSocket) {
        let idle = self.with(|sockets| sockets.waiting == 0);
        let now = Instant::now();
        if socket.takes_calls(self.site.limits().max_age, now)
            && !self.site.places().owes(self.member, idle)
        {
            self.with(|sockets| sockets.h1.push((socket, now)));
            self.news.notify_one();
        }
    }

    /// A call on an HTTP/2 socket is over.
    fn stream_ended(&self, load: &Arc<Load>) {
        if load.end() == 0 {
            let idle = self.with(|sockets| sockets.waiting == 0);
            let close = self.site.places().owes(self.member, idle);
            let closed = self.with(|sockets| sockets.rests(load, close));
            drop(closed);
        }
        self.news.notify_one();
    }
}

impl Spares for SocketPool {
    fn spare_since(&self) -> Option<Instant> {
        let spare = self.site.places().has_more_than_its_part(self.member);
        self.with(|sockets| sockets.idle().map(|(_, since)| *since).min()).filter(|_| spare)
    }

    fn close_one(&self) {
        let closed = self.with(Sockets::take_oldest);
        drop(closed);
    }
}

impl fmt::Debug for SocketPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?}, {:?})", self.site, self.member)
    }
}

impl Drop for SocketPool {
    fn drop(&mut self) {
        self.site.places().leave(self.member);
    }
}

// === impl Sockets ===

impl Sockets {
    fn next(&mut self, limits: &HostLimits) -> Next {
        if let Some(socket) = self.take(limits) {
            return Next::Take(socket);
        }
        if self.too_few_open() {
            self.opening += 1;
            Next::Open
        } else {
            Next::Wait { connecting: self.connecting > 0 }
        }
    }

    /// The sockets that are being opened will not do for all that wait.
    fn too_few_open(&self) -> bool {
        let each = if self.speaks_h2 == Some(false) { 1 } else { self.streams };
        self.opening.saturating_mul(each) < self.waiting
    }

    /// A socket that may take a new call; those that may not are dropped on the way.
    fn take(&mut self, limits: &HostLimits) -> Option<VendorSocket> {
        // Read once: there may be as many sockets as calls.
        let now = Instant::now();
        self.h2.retain(|(socket, _)| socket.takes_calls(limits.max_age, now));
        let room =
            |(socket, _): &&(VendorSocket, Instant)| socket.load().is_some_and(|load| load.begin());
        if let Some(socket) = self.h2.iter().find(room).and_then(|(socket, _)| socket.shared()) {
            return Some(socket);
        }
        self.h1.retain(|(socket, since)| {
            socket.takes_calls(limits.max_age, now)
                && now.saturating_duration_since(*since) < limits.idle
        });
        let near = self.h1.iter().rposition(|(socket, _)| socket.is_near());
        let at = near.or(self.h1.len().checked_sub(1))?;
        Some(self.h1.remove(at).0)
    }

    /// Takes a new socket in, whose first call is that of its opener.
    fn opened(&mut self, socket: &VendorSocket) {
        self.speaks_h2 = Some(socket.is_h2());
        if let (Some(shared), Some(load)) = (socket.shared(), socket.load()) {
            self.streams = load.most().max(1);
            self.h2.push((shared, Instant::now()));
        }
    }

    /// An HTTP/2 socket carries nothing from now on. Gives it, if it has to be closed.
    fn rests(&mut self, load: &Arc<Load>, close: bool) -> Option<VendorSocket> {
        let same = |(socket, _): &(VendorSocket, Instant)| {
            socket.load().is_some_and(|known| Arc::ptr_eq(known, load) && known.is_idle())
        };
        let at = self.h2.iter().position(same)?;
        if close {
            return Some(self.h2.swap_remove(at).0);
        }
        self.h2[at].1 = Instant::now();
        None
    }

    fn idle(&self) -> impl Iterator<Item = &(VendorSocket, Instant)> {
        let idle =
            |(socket, _): &&(VendorSocket, Instant)| socket.load().is_some_and(|l| l.is_idle());
        self.h1.iter().chain(self.h2.iter().filter(idle))
    }

    fn take_oldest(&mut self) -> Option<VendorSocket> {
        let oldest = self.idle().map(|(_, since)| *since).min()?;
        let is_oldest = |idle: &(VendorSocket, Instant)| {
            idle.1 == oldest && idle.0.load().is_none_or(|load| load.is_idle())
        };
        if let Some(at) = self.h1.iter().position(is_oldest) {
            return Some(self.h1.remove(at).0);
        }
        let at = self.h2.iter().position(is_oldest)?;
        Some(self.h2.swap_remove(at).0)
    }
}

/// A call without a socket. When it has one, or leaves, another may have to open one in its place.
struct Waiting<'a>(&'a SocketPool);

impl<'a> Waiting<'a> {
    fn begin(pool: &'a SocketPool) -> Self {
        pool.with(|sockets| sockets.waiting += 1);
        Self(pool)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let unattended = self.0.with(|sockets| {
            sockets.waiting -= 1;
            sockets.too_few_open()
        });
        if unattended {
            self.0.news.notify_one();
        }
    }
}

/// What was counted for a call until now.
struct Counted<'a>(&'a SocketPool, fn(&mut Sockets) -> &mut usize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.with(|sockets| *(self.1)(sockets) -= 1);
    }
}

// === impl Lease ===

impl Lease {
    pub(super) fn socket(&mut self) -> &mut VendorSocket {
        self.socket.as_mut().expect("a lease has its socket until it is finished")
    }

    /// The answer was read to its end: the socket may carry another call.
    pub(super) fn finished(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        match socket.load() {
            Some(load) => self.pool.stream_ended(load),
            None => self.pool.put_back(socket),
        }
    }

    async fn ready(mut self) -> Option<Self> {
        let socket = self.socket.take()?;
        if let Some(load) = socket.load() {
            debug_assert!(!load.is_idle(), "its stream was counted when it was taken");
            self.socket = Some(socket);
        } else {
            self.socket = Some(socket.ready().await?);
        }
        Some(self)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(load) = self.socket.take().as_ref().and_then(VendorSocket::load) {
            self.pool.stream_ended(load);
        }
    }
}
