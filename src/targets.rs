//! What lines carry as their target where it is not the name of their module. Operators set levels
//! by these names (`logs.levels`): they stay, wherever the code goes.

/// Why calls failed.
pub const EDGE: &str = "tollgate::edge";

/// The vendor and its tokens.
pub const VENDOR: &str = "tollgate::stage";

/// What operators did, and what was refused to them. Its lines are always JSON.
pub const AUDIT: &str = "audit";

/// Usage files.
pub const USAGE: &str = "tollgate::telemetry";

/// Keys, and what becomes of them.
pub const KEYS: &str = "tollgate::identity";
