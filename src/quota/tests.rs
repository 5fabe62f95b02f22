//! The promises of the quota, one file a family, in virtual time against counters of their own.

mod counters;
mod exact;
mod fair;
mod figures;
mod honest;
mod lanes;
mod measure;
mod neighbours;
mod pausing;
mod people;
mod pools;
pub(in crate::quota) mod random;
mod slots;
mod standing;
mod steer;
mod steps;
mod windows_file;
mod world;
