//! Maps whose keys no stranger chooses: names of the configuration, and numbers that the gateway
//! counts. They need no protection against chosen keys, so they are hashed fast.

/// A map by such keys.
pub type QuickMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
