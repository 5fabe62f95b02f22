//! What is kept under one configuration: which rows, for how long, cleared by what.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method};

use super::Cache;
use super::generations::{Clearing, End, Name, TagPlace, VersionSnapshot};
use super::key::{CacheKey, Parts};
use super::policy::{self, LISTED, Wants};
use super::replicas::Telling;
use super::store::{Copy, Store};
use super::versions::ReadStanding;
use crate::call::BufferedCall;
use crate::catalog::{Access, Freshness, Operation};
use crate::clock::Instant;
use crate::ids::ConnectionId;
use crate::numbers::{ConnectionIx, OperationIx, Table};
use crate::record::{Kept, Unkept};
use crate::secret::Tokens;

/// Stands for every collection of a workspace: what is changed by a path that the catalogue does
/// not know.
const EVERYTHING: &str = "*";

/// What the configuration asks for.
pub struct Plan {
    /// What all copies may take.
    pub capacity: usize,
    /// How long a copy may stand in for the vendor when it is no longer fresh.
    pub stale_if_error: Duration,
    /// How long effects may follow a write's answer.
    pub settle: Duration,
    /// How long a call may be under way at the vendor.
    pub hard_limit: Duration,
    /// How old what is read may be for writes through other replicas.
    pub bound: Duration,
    /// The rows, in the order of their numbers.
    pub rows: Vec<RowPlan>,
    /// The connections, in the order of their numbers.
    pub connections: Vec<ConnectionPlan>,
    /// Their tokens.
    pub tokens: Tokens,
}

/// One row.
pub struct RowPlan {
    /// As the catalogue has it.
    pub operation: Arc<Operation>,
    /// Its answers are kept.
    pub on: bool,
}

/// One connection.
#[derive(Clone)]
pub struct ConnectionPlan {
    /// Its name.
    pub id: ConnectionId,
    /// Whose writes it sees.
    pub workspace: String,
    /// Where its API is.
    pub base_url: String,
}

/// A connection's place.
#[derive(Clone, PartialEq)]
pub(super) struct CacheSeat {
    pub(super) workspace: Name,
    base_url: Name,
    place: TagPlace,
    pub(super) epoch: u64,
}

/// What is done for one operation.
pub struct CacheRow {
    /// What kind of call it is for the cache.
    pub kind: RowKind,
    tags: Box<[Name]>,
    /// Stands for all of `tags`.
    reads: u64,
}

/// What kind of call an operation is for the cache.
pub enum RowKind {
    /// A read whose answers are kept for so long. It is sent with the fields in [`LISTED`] and with
    /// these of its own only, each value of which has its copies.
    Kept(Duration, Box<[HeaderName]>),
    /// A read that goes by the vendor's fields alone.
    Headers,
    /// A read whose answers callers of the same moment share.
    Shared,
    /// A write that clears.
    Write,
}

/// Where each call stands under one configuration.
pub struct Shelf {
    cache: Cache,
    store: Arc<Store>,
    rows: Table<OperationIx, Option<Arc<CacheRow>>>,
    seats: Table<ConnectionIx, CacheSeat>,
    stale_if_error: Duration,
    settle: Duration,
    hard_limit: Duration,
    bound: Duration,
}

// === impl CacheSeat ===

impl CacheSeat {
    pub(super) fn new(plan: &ConnectionPlan, epoch: u64) -> Self {
        Self {
            workspace: Name::of(&plan.workspace),
            base_url: Name::of(&plan.base_url),
            place: TagPlace::of_connection(Name::of(plan.id.as_str())),
            epoch,
        }
    }

    /// True when `plan` means the same place.
    pub(super) fn is_at(&self, plan: &ConnectionPlan) -> bool {
        *self == Self::new(plan, self.epoch)
    }
}

// === impl CacheRow ===

impl CacheRow {
    fn of(plan: &RowPlan) -> Option<Self> {
        let row = &plan.operation;
        let names = |tags: &[String]| tags.iter().map(|tag| Name::of(tag)).collect::<Vec<_>>();
        if row.access == Access::Write {
            let listed = row.group != "unlisted";
            let tags = if listed { names(&row.clears) } else { vec![Name::of(EVERYTHING)] };
            return (!tags.is_empty()).then(|| Self::new(RowKind::Write, tags));
        }
        let kind = match row.cache {
            _ if row.freshness == Freshness::Headers && plan.on => RowKind::Headers,
            Some(rule) if plan.on => RowKind::Kept(rule.ttl(), own_fields(row)),
            _ if row.share => RowKind::Shared,
            _ => return None,
        };
        let mut tags = names(&row.reads);
        tags.push(Name::of(EVERYTHING));
        Some(Self::new(kind, tags))
    }

    fn new(kind: RowKind, tags: Vec<Name>) -> Self {
        let reads = Name::all(&tags);
        Self { kind, tags: tags.into(), reads }
    }
}

/// The fields that a kept read is sent with beside those in [`LISTED`].
fn own_fields(row: &Operation) -> Box<[HeaderName]> {
    let own = row.headers.iter().map(|name| {
        HeaderName::from_bytes(name.as_bytes()).expect("the catalogue refuses other names")
    });
    let mut names: Vec<_> = own.filter(|name| !LISTED.contains(name)).collect();
    names.sort_unstable_by(|one, two| one.as_str().cmp(two.as_str()));
    names.dedup();
    names.into()
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(
        cache: Cache,
        store: Arc<Store>,
        seats: Table<ConnectionIx, CacheSeat>,
        plan: &Plan,
    ) -> Self {
        let rows = plan.rows.iter().map(|row| CacheRow::of(row).map(Arc::new));
        Self {
            cache,
            store,
            rows: rows.collect(),
            seats,
            stale_if_error: plan.stale_if_error,
            settle: plan.settle,
            hard_limit: plan.hard_limit,
            bound: plan.bound,
        }
    }

    /// What is done for `call`, if the cache has any part in it.
    #[must_use]
    pub fn row(&self, call: &BufferedCall) -> Option<&Arc<CacheRow>> {
        let row = self.rows[call.operation.ix].as_ref()?;
        let reads = [Method::GET, Method::HEAD].contains(&call.method);
        let write = matches!(row.kind, RowKind::Write);
        // A path outside the catalogue is taken for a write unless its method says otherwise.
        (reads != write).then_some(row)
    }

    /// What the client asks of the cache, if its app has a say in it.
    #[must_use]
    pub fn wants(&self, call: &BufferedCall) -> Wants {
        if call.caller.asks_cache { policy::wants(&call.headers) } else { Wants::default() }
    }

    /// The wall time, as the gateway's own clock goes: for the vendor's dates.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        let (start, wall) = self.cache.0.start;
        wall + start.elapsed()
    }

    /// The key of a read, told apart from others by the fields `names` only, or by all of its
    /// fields.
    #[must_use]
    pub fn key(
        &self,
        call: &BufferedCall,
        row: &CacheRow,
        names: Option<&[HeaderName]>,
    ) -> CacheKey {
        let parts = Parts {
            connection: &call.caller.connection,
            epoch: self.seats[call.caller.ix].epoch,
            operation: &call.operation.id,
            reads: row.reads,
            target: &call.target,
        };
        match names {
            Some(names) => CacheKey::listed(parts, &call.headers, names),
            None => CacheKey::whole(parts, &call.headers),
        }
    }

    /// How a read that begins now stands to the writes of other replicas, if nobody has to be asked.
    #[must_use]
    pub fn known_standing(&self) -> Option<ReadStanding> {
        match &self.cache.0.replicas {
            Some(replicas) => replicas.known(self.bound),
            None => Some(ReadStanding::ALONE),
        }
    }

    /// How a read that begins now stands to the writes of other replicas.
    pub async fn standing(&self) -> ReadStanding {
        match &self.cache.0.replicas {
            Some(replicas) => replicas.standing(self.bound).await,
            None => ReadStanding::ALONE,
        }
    }

    /// What a read of `row` that stands like this and begins now may join; `None`: nothing.
    #[must_use]
    pub fn joins(
        &self,
        connection: ConnectionIx,
        row: &CacheRow,
        standing: ReadStanding,
    ) -> Option<VersionSnapshot> {
        let apart = standing.joins(self.cache.0.start.0.elapsed())?;
        Some(VersionSnapshot { apart, ..self.moment(connection, row) })
    }

    /// What a read of `row` that begins now sees.
    #[must_use]
    pub fn moment(&self, connection: ConnectionIx, row: &CacheRow) -> VersionSnapshot {
        self.cache.0.generations.moment(self.places(connection, row), Instant::now())
    }

    /// True while nothing was written since `copy`, an answer of `row`, was fetched.
    #[must_use]
    pub fn is_current(&self, copy: &Copy, connection: ConnectionIx, row: &CacheRow) -> bool {
        let generation = self.cache.0.generations.generation(self.places(connection, row));
        copy.generation() == generation
    }

    fn places(&self, connection: ConnectionIx, row: &CacheRow) -> impl Iterator<Item = TagPlace> {
        let seat = &self.seats[connection];
        let tags = row.tags.iter().map(|tag| TagPlace::of_tag(seat.workspace, *tag));
        tags.chain([seat.place])
    }

    /// Where the answer to a request for `url` with the fields `request` is kept, by what is known
    /// of that URL, and the copy that is there, if the client reads its codings and nothing has
    /// been written since it was fetched.
    pub async fn find(
        &self,
        url: CacheKey,
        request: &HeaderMap,
        connection: ConnectionIx,
        row: &CacheRow,
    ) -> (CacheKey, Option<Arc<Copy>>) {
        let (key, copy) = self.store.find(url, request).await;
        let copy = copy.filter(|copy| {
            // After the wait: a write that ended during it counts.
            self.is_current(copy, connection, row)
                && copy.variant().is_read(&url, request, copy.headers())
        });
        (key, copy)
    }

    /// Keeps `copy` among those of `url`, which was fetched from `began` on, unless something was
    /// written since or its effects may still come.
    pub async fn keep(
        &self,
        url: CacheKey,
        copy: Arc<Copy>,
        began: VersionSnapshot,
        now: VersionSnapshot,
    ) -> Kept {
        self.store.learn(url, copy.variant().varies()).await;
        if began.generation != now.generation {
            Kept::Not(Unkept::WrittenSince)
        } else if !began.settled {
            Kept::Not(Unkept::WriteUnderWay)
        } else if self.store.put(copy).await {
            Kept::Stored
        } else {
            Kept::Not(Unkept::TooLarge)
        }
    }

    /// Clears for a write that is about to be sent.
    pub fn open(&self, connection: ConnectionIx, row: &CacheRow) -> Clearing {
        self.cache.0.generations.open(self.written(connection, row))
    }

    /// Where other replicas are told of a write, if there are any.
    #[must_use]
    pub fn telling(&self, connection: ConnectionIx, row: &CacheRow) -> Option<Telling> {
        let replicas = self.cache.0.replicas.as_ref()?;
        Some(replicas.write(self.written(connection, row)))
    }

    /// How long a write may be under way.
    #[must_use]
    pub fn hard_limit(&self) -> Duration {
        self.hard_limit
    }

    fn written(&self, connection: ConnectionIx, row: &CacheRow) -> Box<[TagPlace]> {
        let workspace = self.seats[connection].workspace;
        row.tags.iter().map(|tag| TagPlace::of_tag(workspace, *tag)).collect()
    }

    /// A write is done: its effects may follow for a while.
    #[must_use]
    pub fn done(&self) -> End {
        End::Done(self.settle)
    }

    /// Nobody knows what became of a write: it may be done as long as it may be under way.
    #[must_use]
    pub fn unknown(&self) -> End {
        End::Unknown(self.hard_limit.max(self.settle))
    }

    /// How long a copy may stand in for the vendor.
    #[must_use]
    pub fn stale_if_error(&self) -> Duration {
        self.stale_if_error
    }

    /// The octets of the largest body that is kept.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.store.largest()
    }

    /// The cache itself.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
