//! `bastionary clock`: the business time of a tenant, which a sandbox moves forward.

use http::Method;
use serde_json::{Value, json};

use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};

/// The business time of a tenant
#[derive(clap::Args)]
pub(crate) struct Clock {
    #[command(flatten)]
    remote: Remote,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Shape,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show business time and machine time
    #[command(after_help = "Example:\n  bastionary clock get")]
    Get,
    /// Move the business time of a sandbox forward, and record what that time does
    #[command(
        after_help = "Example:\n  bastionary clock advance 30d --issuer http://127.0.0.1:8080/t/acme-test\n  bastionary clock advance 2027-01-31T00:00:00Z"
    )]
    Advance {
        /// How far, in s, m, h, d or w, or to which time, RFC 3339
        #[arg(value_name = "DURATION|TIME")]
        how_far: String,
    },
}

/// The seconds of a number with its unit; `None` for anything else.
fn seconds(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let length = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.parse::<i64>().ok()?.checked_mul(length)
}

fn body(how_far: &str) -> Value {
    // what is neither is the server's to refuse
    seconds(how_far).map_or_else(|| json!({"to": how_far}), |seconds| json!({"by_seconds": seconds}))
}

impl Clock {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let answer = match self.verb {
            Verb::Get => {
                let session = self.remote.session("billing:read").await?;
                session.call(Method::GET, "/api/clock", None).await?
            }
            Verb::Advance { how_far } => {
                let session = self.remote.session("billing:write").await?;
                session.call(Method::POST, "/api/clock/advance", Some(&body(&how_far))).await?
            }
        };
        print(&answer.unwrap_or_default(), self.output, &[]);
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_a_duration_and_anything_else_a_time() {
        for (text, expected) in [("45s", 45), ("90m", 5_400), ("36h", 129_600), ("30d", 2_592_000), ("2w", 1_209_600)] {
            assert_eq!(body(text), json!({"by_seconds": expected}), "{text}");
        }
        for text in ["2027-01-31T00:00:00Z", "30", "d", "-1d", "+1d", "1.5d", "99999999999999999d", "1 d", "é"] {
            assert_eq!(body(text), json!({"to": text}));
        }
    }
}
