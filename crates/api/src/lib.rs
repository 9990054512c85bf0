//! HTTP surfaces: OAuth endpoints, metadata and the admin API.

pub mod peer;
