//! What a replica and the ledger tell each other, as JSON.
//!
//! All times are lengths, in milliseconds: no clock of one side means anything to the other. A
//! length that keeps a slot back is rounded up. An empty list of the ledger may be `{}`, since Lua
//! knows one kind of table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A replica's books, for the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// A name that was made at the start of the process.
    #[serde(rename = "r")]
    pub replica: String,
    /// Rises with each request.
    pub seq: u64,
    /// The last request of this epoch whose reply was read; 0 if there is none.
    pub ack: u64,
    /// No more than the time since that request ran.
    #[serde(rename = "el")]
    pub elapsed: u64,
    /// The state that the books belong to; empty if there are no books.
    #[serde(rename = "ep")]
    pub epoch: String,
    /// The highest number of a state that this replica saw.
    #[serde(rename = "en")]
    pub epoch_number: u64,
    /// The store that `age` is about.
    #[serde(rename = "inc")]
    pub incarnation: String,
    /// For how long that store has surely been there.
    pub age: u64,
    /// For how long the replica may take slots without a further reply.
    pub lease: u64,
    /// For how long a call of a replica that is gone may matter: the lease, the hard limit and a
    /// rest.
    #[serde(rename = "q")]
    pub trace: u64,
    /// Names a new state if this request makes one.
    pub nonce: String,
    /// The last request for now: every slot is given back.
    pub bye: bool,
    /// Calls were made without the ledger before this: nothing that it knows is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// The books of each pool.
    pub pools: Vec<PoolReport>,
}

/// A replica's books of one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// The pool's name.
    #[serde(rename = "p")]
    pub pool: String,
    /// How many blocks it has by the replica's settings.
    #[serde(rename = "n")]
    pub blocks: u32,
    /// Which settings are newer.
    #[serde(rename = "v")]
    pub version: u64,
    /// Blocks held, and when each is surely usable if this replica is never heard of again.
    #[serde(with = "pairs")]
    pub hold: Vec<(u32, u64)>,
    /// Blocks given back, and the rest of each.
    #[serde(with = "pairs")]
    pub ret: Vec<(u32, u64)>,
    /// What each app wants here.
    pub apps: Vec<AppDemand>,
}

/// What one app wants of a pool: its name, its weight, its calls in blocks, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppDemand(pub String, pub u32, pub f64, pub DemandClass);

/// In this order demand is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum DemandClass {
    /// Calls of the interactive lane.
    #[default]
    Interactive,
    /// What is kept for interactive calls that are likely to come before slots come back.
    Kept,
    /// Calls of the bulk lane. A twentieth of the pool is theirs before all.
    Bulk,
}

impl DemandClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Kept, Self::Bulk];
}

impl From<DemandClass> for u8 {
    fn from(class: DemandClass) -> Self {
        class as Self
    }
}

impl TryFrom<u8> for DemandClass {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        let known = Self::ALL.get(usize::from(number)).copied();
        known.ok_or_else(|| format!("there is no class {number}"))
    }
}

/// What the ledger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "st", rename_all = "lowercase")]
pub enum SyncReply {
    /// The books were taken in.
    Ok {
        /// The answered request.
        seq: u64,
        /// The state.
        #[serde(rename = "ep")]
        epoch: String,
        /// Its number.
        #[serde(rename = "en")]
        epoch_number: u64,
        /// The store.
        #[serde(rename = "inc")]
        incarnation: String,
        /// For each pool of the request.
        #[serde(with = "list")]
        pools: Vec<PoolGrant>,
    },
    /// There is another state than the books belong to.
    Epoch {
        /// The answered request.
        seq: u64,
        /// The state.
        #[serde(rename = "ep")]
        epoch: String,
        /// Its number.
        #[serde(rename = "en")]
        epoch_number: u64,
        /// The store.
        #[serde(rename = "inc")]
        incarnation: String,
    },
    /// A later request of this replica ran before.
    Old {
        /// The answered request.
        seq: u64,
    },
}

impl SyncReply {
    /// The request that this answers.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Ok { seq, .. } | Self::Epoch { seq, .. } | Self::Old { seq } => *seq,
        }
    }
}

/// Asks a store which one it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookRequest {
    /// Names the store if nobody did before.
    pub nonce: String,
}

/// Which store it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookReply {
    /// The store.
    #[serde(rename = "inc")]
    pub incarnation: String,
}

/// What the ledger says of one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolGrant {
    /// The pool's name.
    #[serde(rename = "p")]
    pub pool: String,
    /// How many blocks it has.
    #[serde(rename = "n")]
    pub blocks: u32,
    /// By which settings.
    #[serde(rename = "v")]
    pub version: u64,
    /// How many blocks this replica shall have.
    #[serde(rename = "t")]
    pub target: u32,
    /// How many blocks it shall give back, resting ones too.
    pub give: u32,
    /// Blocks that are this replica's now, and the rest of each.
    #[serde(with = "pairs")]
    pub grant: Vec<(u32, u64)>,
    /// Blocks of `hold` that are not this replica's.
    #[serde(with = "list")]
    pub lost: Vec<u32>,
    /// How many blocks each app may fill here: its weight on this replica.
    #[serde(rename = "eff")]
    pub shares: BTreeMap<String, f64>,
    /// 1 if some replica has less than its target.
    pub hot: u8,
    /// How many blocks of these are for interactive calls, those to come included.
    #[serde(default, rename = "i")]
    pub interactive: u32,
    /// 1 if interactive calls lack slots elsewhere: what is given back are those that come back first.
    #[serde(default)]
    pub soon: u8,
}

/// A list; Lua writes the empty one as `{}`.
mod list {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::{MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        list: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        if list.is_empty() { to.collect_map::<u8, u8, _>([]) } else { list.serialize(to) }
    }

    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or an empty object")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = seq.next_element()? {
                list.push(item);
            }
            Ok(list)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
            match map.next_key::<String>()? {
                None => Ok(Vec::new()),
                Some(_) => Err(serde::de::Error::custom("an object that is not empty")),
            }
        }
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        from.deserialize_any(List(PhantomData))
    }
}

/// Pairs of a number and a length, one after the other in one list.
mod pairs {
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(pairs: &[(u32, u64)], to: S) -> Result<S::Ok, S::Error> {
        let flat: Vec<u64> = pairs.iter().flat_map(|(id, rest)| [u64::from(*id), *rest]).collect();
        super::list::serialize(&flat, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(u32, u64)>, D::Error> {
        let flat: Vec<u64> = super::list::deserialize(from)?;
        let (pairs, []) = flat.as_chunks::<2>() else {
            return Err(Error::custom("a number without its length"));
        };
        let pair = |[id, rest]: &[u64; 2]| Ok((u32::try_from(*id).map_err(Error::custom)?, *rest));
        pairs.iter().map(pair).collect()
    }
}
