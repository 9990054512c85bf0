//! The server engine.

use std::sync::Arc;

use kernel::audit::Entry;
use kernel::id::Entropy;

use crate::batch::Batch;
use crate::error::Error;
use crate::stmt::Stmt;
use crate::value::{Row, Value};
use crate::{Committed, Lane, Proof, Shared};

/// The server engine.
pub(crate) struct Server(std::convert::Infallible);

impl Server {
    pub(crate) async fn open(_: &str, _: Arc<Shared>, _: Box<dyn Entropy>, _: bool) -> Result<Self, Error> {
        Err(Error::Refused("the server engine is not part of this build".to_owned()))
    }
    pub(crate) async fn read(&self, _: Vec<(&'static Stmt, Vec<Value>)>) -> Result<Vec<Vec<Row>>, Error> {
        match self.0 {}
    }
    pub(crate) async fn prepare(&self, _: Vec<&'static Stmt>) -> Result<(), Error> {
        match self.0 {}
    }
    pub(crate) async fn commit(&self, _: Batch, _: Proof, _: Lane) -> Result<Committed, Error> {
        match self.0 {}
    }
    pub(crate) async fn journal(&self, _: Entry) -> Result<(), Error> {
        match self.0 {}
    }
    pub(crate) fn queue_depth(&self) -> usize {
        match self.0 {}
    }
    pub(crate) async fn close(&self) {
        match self.0 {}
    }
}
