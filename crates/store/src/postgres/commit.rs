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
    /// Neither it nor an earlier attempt was or will be committed.
    Refused(Error),
    /// It was not committed and may be tried again; of an earlier attempt it says nothing.
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
            Attempt::Refused(error) => return Err(error),
            Attempt::Again(error) => error,
            Attempt::Unknown(seq, error) => {
                unknown = Some(seq);
                error
            }
        };
        let is_open = unknown.is_some();
        // without a record or an entry nothing in the data tells whether it was done
        if began.elapsed() > PATIENCE || pool.away().is_some() || (is_open && !traceable) {
            return Err(if is_open { Error::Unknown(Box::new(why)) } else { why });
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

/// Where the proof of a repetition stands in its answers: after BEGIN.
const PROOF: usize = 1;

/// What one statement of a flight answered.
enum Answer {
    Begun,
    Rows(u64),
    Head(u64),
}

async fn attempt(pool: &Pool, flight: &Flight<'_>, reserved: bool) -> Attempt {
    // until its proof was written, a repetition knows no more of the first attempt than before
    let undone = |error| if flight.repeated { Attempt::Again(error) } else { Attempt::Refused(error) };
    let connection = match pool.get(reserved).await {
        Ok(connection) => connection,
        Err(error) => return undone(error),
    };
    match pool.within(FLIGHT, connection.prepare(flight.steps().map(|step| step.stmt))).await {
        Ok(Ok(())) => {}
        Ok(Err((name, error))) => return lost_or(pool, name, error, undone),
        Err(error) => return undone(error),
    }
    if let Err(error) = connection.check(flight.steps()) {
        connection.give_back();
        return undone(error);
    }
    // a connection that is dropped on the way takes its transaction with it
    let answers = match pool.within(FLIGHT, send(&connection, flight)).await {
        Ok(answers) => answers,
        Err(error) => return undone(error),
    };
    let seq = match judge(pool, flight, answers) {
        Ok(seq) => seq,
        Err(outcome) => {
            // a session that refuses to work is not used again: a new one may be allowed more
            if !matches!(outcome, Attempt::Refused(Error::Unavailable(_)))
                && let Ok(Ok(())) = pool.within(FLIGHT, connection.client().batch_execute("ROLLBACK")).await
            {
                connection.give_back();
            }
            return outcome;
        }
    };
    match pool.within(FLIGHT, connection.client().batch_execute("COMMIT")).await {
        Ok(Ok(())) => {
            connection.give_back();
            Attempt::Committed(seq)
        }
        Ok(Err(error)) => match verdict(&error) {
            Verdict::Lost | Verdict::Unavailable => {
                pool.doubt();
                Attempt::Unknown(seq, Error::Unavailable(Box::new(error)))
            }
            Verdict::Again => Attempt::Again(Error::Unavailable(Box::new(error))),
            Verdict::NoSpace => Attempt::Refused(Error::NoSpace),
            Verdict::Taken(_) | Verdict::Defect => Attempt::Refused(failure("COMMIT", error)),
        },
        Err(error) => Attempt::Unknown(seq, error),
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
    for (sent, answer) in answers.into_iter().enumerate() {
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
                let is_proven = flight.repeated && sent > PROOF;
                let name = steps.next().map_or("BEGIN", |step| step.stmt.name);
                if let Verdict::Taken(constraint) = verdict(&error)
                    && flight.repeated
                    && is_proof(&constraint)
                {
                    return Err(Attempt::Already);
                }
                let undone =
                    |error| if flight.repeated && !is_proven { Attempt::Again(error) } else { Attempt::Refused(error) };
                return Err(lost_or(pool, name, error, undone));
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
fn lost_or(
    pool: &Pool,
    name: &'static str,
    error: tokio_postgres::Error,
    undone: impl FnOnce(Error) -> Attempt,
) -> Attempt {
    match verdict(&error) {
        Verdict::Lost => {
            pool.doubt();
            Attempt::Again(Error::Unavailable(Box::new(error)))
        }
        Verdict::Again => Attempt::Again(Error::Unavailable(Box::new(error))),
        Verdict::Unavailable => {
            pool.doubt();
            undone(Error::Unavailable(Box::new(error)))
        }
        _ => undone(failure(name, error)),
    }
}
