//! Black-box tests over the router, on both engines.

mod authentication;
mod client_credentials;
mod grants;
mod refresh;
mod revocation;
mod transport;
mod world;
