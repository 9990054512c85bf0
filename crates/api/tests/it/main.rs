//! Black-box tests over the router, on both engines.

mod authentication;
mod client_credentials;
mod grants;
mod hostile;
mod introspection;
mod matrix;
mod metadata;
mod refresh;
mod revocation;
mod transport;
mod world;
