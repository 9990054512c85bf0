//! One batch on PostgreSQL: all statements in one flight, then COMMIT; tried again where that is safe.

use std::time::{Duration, Instant};

use crate::batch::Step;
use crate::error::Error;
use crate::plan::Plan;
use crate::postgres::pool::{Boxed, Connection, Pool, join};
use crate::postgres::value::{Verdict, failure, verdict};
use crate::sql;
use crate::store::Shared;
use crate::value::Value;

/// How long one flight may take.
const FLIGHT: Duration = Duration::from_secs(10);
/// How long a batch is tried again after other transactions or a lost connection were in its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How an attempt ended.
enum Attempt {
    /// It was committed, under this feed number if it took one.
    Committed(Option<u64>),
    /// An earlier attempt had been committed.
    Already,
    /// It was rolled back for good.
    Refused(Error),
    /// It was rolled back, or never began, and may be tried again.
    Again(Error),
    /// COMMIT was sent and no answer came.
    Unknown(Option<u64>, Error),
}

/// Commits a plan; the feed number it took.
pub(crate) async fn commit(pool: &Pool, shared: &Shared, plan: &Plan, reserved: bool) -> Result<Option<u64>, Error> {
    let mut segments = crate::segment::Segments::default();
    if let Some(entry) = &plan.entry {
        segments.add(entry);
    }
    // made once: a second attempt carries the same ids, so that it can tell whether the first was committed
    let segments = segments.take_steps(&shared.ids);
    let traceable = plan.record.is_some() || !segments.is_empty();
    let began = Instant::now();
    let mut unknown = None;
    loop {
        let flight = Flight::new(plan, &segments, unknown.is_some());
        let why = match attempt(pool, &flight, reserved).await {
            Attempt::Committed(seq) => return Ok(seq),
            Attempt::Already => return Ok(unknown.flatten()),
            Attempt::Again(error) => error,
            Attempt::Unknown(seq, error) if traceable => {
                unknown = Some(seq);
                error
            }
            // after an unknown end the proof was written first and found no other: what was refused was never done
            Attempt::Refused(error) | Attempt::Unknown(_, error) => return Err(error),
        };
        if began.elapsed() > PATIENCE {
            return Err(why);
        }
        let jitter = u64::from(shared.ids.jitter());
        tokio::time::sleep(Duration::from_millis(jitter.saturating_add(2) / 2)).await;
    }
}

/// The statements of a plan in the order they are sent.
struct Flight<'p> {
    before: Vec<&'p Step>,
    head: Option<Step>,
    after: Vec<&'p Step>,
    /// Whether an earlier attempt may have been committed.
    repeated: bool,
}

impl<'p> Flight<'p> {
    fn new(plan: &'p Plan, segments: &'p [Step], repeated: bool) -> Self {
        let proof = plan.record.iter().chain(segments);
        let decision = plan.steps.iter();
        // in a repetition the proof goes first: it waits for the first attempt to end and then shows how it ended
        let before: Vec<&Step> = if repeated {
            proof.chain(decision).chain(&plan.events).collect()
        } else {
            decision.chain(proof).chain(&plan.events).collect()
        };
        let head = plan.stamp.as_ref().map(|stamp| Step {
            stmt: &sql::HEAD_TAKE,
            params: vec![Value::Int(stamp.shard)],
            expect_rows: Some(1),
        });
        let after = plan.stamp.iter().flat_map(|stamp| &stamp.steps).collect();
        Self { before, head, after, repeated }
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.before.iter().copied().chain(&self.head).chain(self.after.iter().copied())
    }
}

/// What one statement of a flight answered.
enum Answer {
    Begun,
    Rows(u64),
    Head(u64),
}

async fn attempt(pool: &Pool, flight: &Flight<'_>, reserved: bool) -> Attempt {
    let connection = match pool.get(reserved).await {
        Ok(connection) => connection,
        // whether the first attempt was committed is still open, so the batch cannot be called refused
        Err(error) if flight.repeated => return Attempt::Again(Error::Unavailable(Box::new(error))),
        Err(error) => return Attempt::Refused(error),
    };
    let prepared = tokio::time::timeout(FLIGHT, connection.prepare(flight.steps().map(|step| step.stmt))).await;
    match prepared {
        Err(_) => return Attempt::Refused(Error::Unavailable("the server did not answer in time".into())),
        Ok(Err((name, error))) => return lost_or(pool, name, error),
        Ok(Ok(())) => {}
    }
    if let Err(error) = connection.check(flight.steps()) {
        connection.give_back();
        return Attempt::Refused(error);
    }
    let Ok(answers) = tokio::time::timeout(FLIGHT, send(&connection, flight)).await else {
        return Attempt::Refused(Error::Unavailable("the server did not answer in time".into()));
    };
    let seq = match judge(pool, flight, answers) {
        Ok(seq) => seq,
        Err(outcome) => {
            if tokio::time::timeout(FLIGHT, connection.client().batch_execute("ROLLBACK"))
                .await
                .is_ok_and(|r| r.is_ok())
            {
                connection.give_back();
            }
            return outcome;
        }
    };
    match tokio::time::timeout(FLIGHT, connection.client().batch_execute("COMMIT")).await {
        Ok(Ok(())) => {
            connection.give_back();
            Attempt::Committed(seq)
        }
        Ok(Err(error)) => match verdict(&error) {
            Verdict::Lost | Verdict::Unavailable => {
                pool.flush();
                Attempt::Unknown(seq, Error::Unavailable(Box::new(error)))
            }
            Verdict::Again => Attempt::Again(Error::Unavailable(Box::new(error))),
            Verdict::NoSpace => Attempt::Refused(Error::NoSpace),
            Verdict::Taken(_) | Verdict::Defect => Attempt::Refused(failure("COMMIT", error)),
        },
        Err(_) => Attempt::Unknown(seq, Error::Unavailable("the server did not answer in time".into())),
    }
}

async fn send(connection: &Connection, flight: &Flight<'_>) -> Vec<Result<Answer, tokio_postgres::Error>> {
    let mut futures: Vec<Boxed<'_, Result<Answer, tokio_postgres::Error>>> = Vec::new();
    futures.push(Box::pin(async { connection.client().batch_execute("BEGIN").await.map(|()| Answer::Begun) }));
    for step in &flight.before {
        futures.push(Box::pin(async move { connection.execute(step).await.map(Answer::Rows) }));
    }
    if let Some(head) = &flight.head {
        futures.push(Box::pin(async move { connection.take_head(head).await.map(Answer::Head) }));
    }
    for step in &flight.after {
        futures.push(Box::pin(async move { connection.execute(step).await.map(Answer::Rows) }));
    }
    join(futures).await
}

/// The feed number when every statement did what it must; otherwise what the first that did not means.
fn judge(
    pool: &Pool,
    flight: &Flight<'_>,
    answers: Vec<Result<Answer, tokio_postgres::Error>>,
) -> Result<Option<u64>, Attempt> {
    let mut seq = None;
    let mut steps = flight.steps();
    for answer in answers {
        match answer {
            Ok(Answer::Begun) => {}
            Ok(Answer::Head(taken)) => {
                steps.next();
                seq = Some(taken);
            }
            Ok(Answer::Rows(rows)) => {
                let Some(step) = steps.next() else { break };
                if step.expect_rows.is_some_and(|expected| expected != rows) {
                    return Err(Attempt::Refused(Error::Conflict(step.stmt.name)));
                }
            }
            Err(error) => {
                let name = steps.next().map_or("BEGIN", |step| step.stmt.name);
                if let Verdict::Taken(constraint) = verdict(&error)
                    && flight.repeated
                    && is_proof(&constraint)
                {
                    return Err(Attempt::Already);
                }
                return Err(lost_or(pool, name, error));
            }
        }
    }
    Ok(seq)
}

/// Whether a unique key shows that a commit id is already in the data.
pub(crate) fn is_proof(constraint: &str) -> bool {
    ["audit_record_pkey", "journal_segment_pkey"].contains(&constraint)
}

/// Before COMMIT was sent nothing has happened, so a lost connection only costs another attempt.
fn lost_or(pool: &Pool, name: &'static str, error: tokio_postgres::Error) -> Attempt {
    match verdict(&error) {
        Verdict::Lost => {
            pool.flush();
            Attempt::Again(Error::Unavailable(Box::new(error)))
        }
        Verdict::Again => Attempt::Again(Error::Unavailable(Box::new(error))),
        _ => Attempt::Refused(failure(name, error)),
    }
}
