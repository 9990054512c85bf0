//! The pages of the console: each a function over plain data, beside the structs that it takes.

pub mod access;
pub mod account;
pub mod api;
pub mod apis;
pub mod audit;
pub mod client;
pub mod clients;
pub mod home;
pub mod keys;
pub mod refused;
pub mod reveal;
pub mod run;
pub mod sign_in;
pub mod team;
