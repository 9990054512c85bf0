//! One probe watches the server, so that a caller learns at once what the probe has waited for. While the server is
//! away nobody else knocks: that is what keeps its return from becoming a storm.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::Timestamp;
use tokio_postgres::SimpleQueryMessage;

use crate::error::Error;
use crate::postgres::pool::{Connection, Pool};
use crate::store::{Shared, Trouble};

/// How long the pause between two looks is at least; up to a fifth is added at random.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a server that was there may keep silent. With the pause it stays below the second within which whoever
/// waits is refused.
const ANSWER: Duration = Duration::from_millis(500);

/// Why the server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No connection can be opened.
    Unreachable,
    /// An open connection keeps silent.
    Silent,
    /// The login is refused.
    LoginRefused,
    /// It takes no writes.
    ReadOnly,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::LoginRefused => "login_refused",
            Self::ReadOnly => "read_only",
        }
    }
}

/// That the server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away {
    reason: Reason,
    since: Timestamp,
}

impl Away {
    /// The same for a readiness check.
    pub(crate) const fn trouble(self) -> Trouble {
        Trouble { code: "store_unreachable", reason: Some(self.reason.name()), since: self.since }
    }
}

/// Looks at the server again and again, first through a connection that is open already.
pub(crate) async fn run(pool: Arc<Pool>, shared: Arc<Shared>, connection: Connection) {
    let mut connection = Some(connection);
    loop {
        if pool.take_doubt() {
            connection = None;
        }
        let seen = look(&pool, &mut connection).await;
        tell(&pool, &shared, seen);
        let more = Duration::from_micros(u64::from(shared.ids.jitter()).saturating_mul(195));
        tokio::time::sleep(PAUSE.saturating_add(more)).await;
    }
}

/// One look, through the same connection as the last one if that still answers.
async fn look(pool: &Pool, kept: &mut Option<Connection>) -> Result<(), (Reason, Error)> {
    let silent = || (Reason::Silent, Error::Unavailable("the server did not answer in time".into()));
    let rested = kept.take().filter(|connection| !connection.client().is_closed());
    let connection = if let Some(connection) = rested {
        connection
    } else {
        // once it is known to be away nobody waits, and it may take its time
        let patience = if pool.away().is_some() { Duration::MAX } else { ANSWER };
        let opened = tokio::time::timeout(patience, pool.open()).await.map_err(|_| silent())?;
        opened.map_err(|error| (refusal(&error), error))?
    };
    let asked = tokio::time::timeout(ANSWER, connection.client().simple_query("SHOW transaction_read_only")).await;
    let answer =
        asked.map_err(|_| silent())?.map_err(|error| (Reason::Unreachable, Error::Unavailable(error.into())))?;
    let is_read_only =
        answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on")));
    if is_read_only {
        // not kept: only a new session shows that this has ended
        return Err((Reason::ReadOnly, Error::Unavailable("its sessions are read-only".into())));
    }
    *kept = Some(connection);
    Ok(())
}

fn refusal(error: &Error) -> Reason {
    let Error::Unavailable(source) = error else { return Reason::Unreachable };
    let Some(error) = source.downcast_ref::<tokio_postgres::Error>() else { return Reason::Silent };
    match error.code() {
        Some(code) if code.code().starts_with("28") => Reason::LoginRefused,
        _ => Reason::Unreachable,
    }
}

fn tell(pool: &Pool, shared: &Shared, seen: Result<(), (Reason, Error)>) {
    match (pool.away(), seen) {
        (None, Ok(())) => {}
        (Some(_), Ok(())) => {
            tracing::info!("the database answers again");
            pool.set_away(None);
        }
        (Some(before), Err((reason, _))) if before.reason == reason => {}
        (before, Err((reason, error))) => {
            let since = before.map_or_else(|| shared.ids.now(), |away| away.since);
            tracing::error!(
                code = "store_unreachable",
                reason = reason.name(),
                error = error.chain(),
                "the database is away: what needs it is refused until it answers again"
            );
            pool.set_away(Some(Away { reason, since }));
        }
    }
}
