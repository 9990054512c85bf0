//! What an attempt means for its delivery and for its endpoint.

use kernel::clock::Timestamp;
use kernel::id::Entropy;

use crate::delivery::DeliveryState;
use crate::schedule;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The head of an answer.
    Status {
        /// Its status code.
        code: u16,
        /// Its field `Retry-After`.
        retry_after: Option<&'a str>,
    },
    /// None: the code of what went wrong.
    None(&'a str),
}

/// What the attempt means for the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub state: DeliveryState,
    /// When it is tried next; `None` once it has ended.
    pub next_at: Option<Timestamp>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it means for the endpoint.
    pub effect: Effect,
}

/// What an attempt means for the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A message arrived: whatever was wrong is over.
    Arrived,
    /// It failed.
    Failed,
    /// It failed, and the receiver is overburdened: one message at a time from here on.
    Slowed,
    /// It failed, as all others have for five days: no more messages until somebody resumes it.
    Paused,
    /// The receiver says that it is gone for good.
    Gone,
}

/// Why an answer was no success.
const fn refusal(code: u16) -> &'static str {
    match code {
        300..=399 => "redirected",
        400..=499 => "client_error",
        500..=599 => "server_error",
        _ => "unexpected_status",
    }
}

/// Decides what an attempt means that ended now, the one after `tries` others of its delivery. `failing_since` is the time
/// of the first failure since a message last arrived at the endpoint.
pub fn decide(
    answer: Answer<'_>,
    tries: i64,
    failing_since: Option<Timestamp>,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Outcome {
    let (status, error, asked) = match answer {
        Answer::Status { code: code @ 200..=299, .. } => {
            let (state, effect) = (DeliveryState::Delivered, Effect::Arrived);
            return Outcome { state, next_at: None, status: Some(code), error: None, effect };
        }
        Answer::Status { code, retry_after } => {
            (Some(code), refusal(code), retry_after.and_then(|text| seconds_of(text, now)))
        }
        Answer::None(error) => (None, error, None),
    };
    let next_at = schedule::next(tries.saturating_add(1), now, asked, entropy);
    let is_silent = failing_since.is_some_and(|since| now.seconds_since(since) >= schedule::PAUSED_AFTER_SECONDS);
    let effect = match (status, error) {
        (Some(410), _) => Effect::Gone,
        _ if is_silent => Effect::Paused,
        // a receiver that lets us wait is as full as one whose gateway says so
        (Some(429 | 502 | 504), _) | (None, "timeout") => Effect::Slowed,
        _ => Effect::Failed,
    };
    let state = if next_at.is_some() { DeliveryState::Pending } else { DeliveryState::Failed };
    Outcome { state, next_at, status, error: Some(error.to_owned()), effect }
}

/// The seconds that `Retry-After` asks for (RFC 9110 §10.2.3); `None` when it cannot be read.
fn seconds_of(text: &str, now: Timestamp) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(i64::MAX));
    }
    Timestamp::parse_http_date(text).ok().map(|at| at.seconds_since(now))
}

#[cfg(test)]
mod tests {
    use testkit::entropy::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn status(code: u16) -> Answer<'static> {
        Answer::Status { code, retry_after: None }
    }

    fn decided(answer: Answer<'_>, tries: i64, failing_for: Option<i64>) -> Outcome {
        let since = failing_for.map(|seconds| NOW.plus_seconds(seconds.saturating_neg()));
        decide(answer, tries, since, NOW, &mut SeededEntropy::new(1))
    }

    #[test]
    fn each_answer_means_what_the_table_says() {
        use DeliveryState::{Delivered, Failed, Pending};
        let table = [
            (status(200), 0, Delivered, None, Effect::Arrived),
            (status(204), 9, Delivered, None, Effect::Arrived),
            (status(299), 0, Delivered, None, Effect::Arrived),
            (status(199), 0, Pending, Some("unexpected_status"), Effect::Failed),
            (status(300), 0, Pending, Some("redirected"), Effect::Failed),
            (status(302), 0, Pending, Some("redirected"), Effect::Failed),
            (status(400), 0, Pending, Some("client_error"), Effect::Failed),
            (status(404), 8, Pending, Some("client_error"), Effect::Failed),
            (status(410), 0, Pending, Some("client_error"), Effect::Gone),
            (status(410), 9, Failed, Some("client_error"), Effect::Gone),
            (status(429), 0, Pending, Some("client_error"), Effect::Slowed),
            (status(500), 0, Pending, Some("server_error"), Effect::Failed),
            (status(500), 9, Failed, Some("server_error"), Effect::Failed),
            (status(502), 0, Pending, Some("server_error"), Effect::Slowed),
            (status(503), 0, Pending, Some("server_error"), Effect::Failed),
            (status(504), 0, Pending, Some("server_error"), Effect::Slowed),
            (status(600), 0, Pending, Some("unexpected_status"), Effect::Failed),
            (Answer::None("timeout"), 0, Pending, Some("timeout"), Effect::Slowed),
            (Answer::None("tls_failed"), 0, Pending, Some("tls_failed"), Effect::Failed),
            (Answer::None("address_not_allowed"), 9, Failed, Some("address_not_allowed"), Effect::Failed),
        ];
        for (answer, tries, state, error, effect) in table {
            let found = decided(answer, tries, None);
            assert_eq!((found.state, found.error.as_deref(), found.effect), (state, error, effect), "{answer:?}");
            assert_eq!(found.next_at.is_some(), state == Pending, "{answer:?}");
        }
    }

    #[test]
    fn the_next_attempt_follows_the_schedule_or_what_the_receiver_asks_for() {
        let wait = |answer: Answer<'_>, tries| decided(answer, tries, None).next_at.map(|at| at.seconds_since(NOW));
        for (tries, seconds) in (0_i64..).zip(schedule::AFTER_SECONDS.into_iter().skip(1)) {
            let found = wait(status(500), tries).unwrap();
            assert!((seconds * 9 / 10 - 1..=seconds * 11 / 10).contains(&found), "{tries}: {found}");
        }
        assert_eq!(wait(status(500), 9), None);
        let asked = |text: &str| wait(Answer::Status { code: 503, retry_after: Some(text) }, 0).unwrap();
        assert_eq!(asked("120"), 120);
        assert_eq!(asked(" 120 "), 120);
        let date = NOW.plus_seconds(3_600).to_http_date();
        assert_eq!(asked(&date), 3_600);
        assert_eq!(asked("99999999999999999999"), schedule::MAX_RETRY_AFTER_SECONDS);
        for odd in ["", "-1", "soon", "1.5", "Thu, 01 Jan 1970 00:00:00 GMT", "0"] {
            assert!((4..=5).contains(&asked(odd)), "{odd}");
        }
    }

    #[test]
    fn an_endpoint_that_has_failed_for_five_days_is_paused_by_the_next_failure_alone() {
        let five_days = schedule::PAUSED_AFTER_SECONDS;
        assert_eq!(decided(status(500), 3, Some(five_days)).effect, Effect::Paused);
        assert_eq!(decided(Answer::None("timeout"), 3, Some(five_days)).effect, Effect::Paused);
        assert_eq!(decided(status(500), 3, Some(five_days - 1)).effect, Effect::Failed);
        assert_eq!(decided(status(200), 3, Some(five_days)).effect, Effect::Arrived);
        assert_eq!(decided(status(410), 3, Some(five_days)).effect, Effect::Gone);
        assert_eq!(decided(status(500), 9, Some(five_days)).state, DeliveryState::Failed);
    }
}
