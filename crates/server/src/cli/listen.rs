//! `bastionary listen`: hands the tenant's events on to a program on this machine, signed as webhooks are.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::{HeaderName, Method, Uri};
use jose::SystemEntropy;
use kernel::clock::Clock as _;
use webhook::signature::Signer;

use super::follow::{Told, follow, line};
use super::remote::Remote;
use crate::clock::WallClock;
use crate::failure::{Exit, Failure};
use crate::outbound::{Message, Outbound};
use crate::terminal;

/// How long the program may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hand events on to a program on this machine, signed as webhooks are
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bastionary listen --forward-to http://127.0.0.1:3000/hook --types 'client.*'")]
pub(crate) struct Listen {
    #[command(flatten)]
    remote: Remote,
    /// Where the program listens, on loopback
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// Types between commas; `client.*` for all that begin so
    #[arg(long)]
    types: Option<String>,
}

impl Listen {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        check(&self.forward_to)?;
        let (signer, secret) = Signer::fresh(&mut SystemEntropy::new())
            .map_err(|error| Failure::new("no signing secret could be made", error, ""))?;
        terminal::line(&format!("Signing secret: {}", secret.reveal()));
        let target = Outbound::new(&self.forward_to, None);
        follow(&self.remote, self.types.as_deref(), async |told| {
            if told.id.is_empty() {
                terminal::line(&line(&told));
                return Ok(());
            }
            let (outcome, took) = forward(&target, &signer, &told).await;
            terminal::line(&format!("{}  {outcome} in {} ms", line(&told), took.as_millis()));
            Ok(())
        })
        .await?;
        Ok(Exit::Done)
    }
}

/// Posts an event once; what came of it in a word.
async fn forward(target: &Outbound, signer: &Signer, told: &Told) -> (String, Duration) {
    let started = Instant::now();
    let at = WallClock::new().now();
    let Ok(signature) = signer.sign(&told.id, at, told.data.as_bytes()) else {
        return ("not signed".to_owned(), started.elapsed());
    };
    let fields = [
        ("webhook-id", told.id.clone()),
        ("webhook-timestamp", at.as_seconds().to_string()),
        ("webhook-signature", signature),
    ];
    let message = Message {
        fields: fields.map(|(name, value)| (HeaderName::from_static(name), value)).to_vec(),
        body: Some(("application/json", told.data.clone().into_bytes())),
        ..Message::default()
    };
    let sent = tokio::time::timeout(PATIENCE, target.send_to(Method::POST, target.base(), message)).await;
    let outcome = match sent {
        Ok(Ok(answer)) => answer.status.as_u16().to_string(),
        Ok(Err(failure)) => format!("no answer ({})", failure.why),
        Err(_) => "no answer within 10 s".to_owned(),
    };
    (outcome, started.elapsed())
}

/// Refuses everything but HTTP to this machine: what leads elsewhere is an endpoint, with its retries and its log.
fn check(url: &str) -> Result<(), Failure> {
    let refuse = |why: &str| {
        let remedy = "Name a program on this machine, for example http://127.0.0.1:3000/hook; `bastionary webhooks create` is for others.";
        Failure::new(format!("{url} is not taken"), why, remedy).exit(Exit::Usage)
    };
    let uri: Uri = url.parse().map_err(|_| refuse("it is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(refuse("it does not begin with http://"));
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if is_here && !has_user { Ok(()) } else { Err(refuse("it does not lead to this machine")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_handed_on_to_this_machine_alone() {
        for here in ["http://127.0.0.1:3000/hook", "http://localhost:1/", "http://[::1]:9/x", "http://127.9.9.9"] {
            assert!(check(here).is_ok(), "{here}");
        }
        for elsewhere in [
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://127.0.0.1@example.com/",
            "http://localhost.example/",
            "http://user@127.0.0.1/",
            "127.0.0.1:3000",
            "http://0.0.0.0/",
            "http:///x",
            "http://2130706433/",
            "",
        ] {
            assert_eq!(check(elsewhere).unwrap_err().exit, Exit::Usage, "{elsewhere}");
        }
    }
}
