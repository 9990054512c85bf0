//! Black-box tests over the router, on both engines.

mod grants;
mod world;
