//! A flood of wrong secrets for one client, sent at a fixed rate whatever the answers do (P15).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::LocalSet;

use crate::arguments::Arguments;
use crate::client::Connection;
use crate::workload::token_request;

/// What a server may say to a wrong secret: that it is wrong, that there were too many, or that it is full.
const EXPECTED: [u16; 3] = [401, 429, 503];

/// Floods until it is ended from outside, or until an answer is another one.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let address = arguments.required("addr")?.parse().context("--addr")?;
    let request = Rc::new(token_request(arguments.required("id")?, "not the secret that somebody chose"));
    let rate: u32 = arguments.value("rate", 200)?;
    let pause = Duration::from_secs(1).checked_div(rate).context("--rate takes at least 1")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // It sleeps between two requests: the generator of the load beside it has the core.
    runtime.block_on(LocalSet::new().run_until(async move {
        let mut ticks = tokio::time::interval(pause);
        let idle = Rc::new(RefCell::new(Vec::<Connection>::new()));
        let failed = Rc::new(RefCell::new(None));
        loop {
            ticks.tick().await;
            if let Some(error) = failed.borrow_mut().take() {
                return Err(error);
            }
            let (request, idle, failed) = (Rc::clone(&request), Rc::clone(&idle), Rc::clone(&failed));
            tokio::task::spawn_local(async move {
                // An answer that takes long holds up its own connection alone.
                let kept = idle.borrow_mut().pop();
                let sent = async {
                    let mut connection = match kept {
                        Some(connection) => connection,
                        None => Connection::open(address).await?,
                    };
                    let answer = connection.exchange(&request).await?;
                    ensure!(EXPECTED.contains(&answer.status), "in the flood: {}", answer.describe());
                    idle.borrow_mut().push(connection);
                    Ok(())
                };
                if let Err(error) = sent.await {
                    *failed.borrow_mut() = Some(error);
                }
            });
        }
    }))
}
