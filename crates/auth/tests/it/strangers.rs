//! Strangers who try passphrases never keep a browser out that signed in before.

use std::net::IpAddr;

use auth::operator::role::Role;
use auth::operator::{Browser, OperatorError};
use kernel::id::Entropy as _;
use kernel::secret::Secret;
use testkit::SeededEntropy;

use crate::on_both_engines;
use crate::world::{ANOTHER, Engine, OWNER, PASSPHRASE, World, browser};

/// Addresses of the strangers; the first is the one behind which the owner sits as well.
const ADDRESSES: u8 = 40;
/// Attempts between two sign-ins of the owner.
const BETWEEN: u32 = 100;

/// What became of the strangers' attempts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    compared: u32,
    too_early: u32,
    off: u32,
}

fn device(token: &Secret<String>, host: u8) -> Browser {
    Browser { device: Some(token.reveal().clone()), ..browser(host) }
}

/// Lets strangers try `attempts` passphrases, and the owner sign in between them at the first try.
async fn besiege(world: &World, attempts: u32) -> Seen {
    let owner = world.owner().await;
    let other = world.member(&owner.live, "sam@acme.example", Role::ReadOnly).await;
    let mut entropy = SeededEntropy::new(u64::from(attempts));
    let mut seen = Seen::default();
    for n in 1..=attempts {
        let mut dice = [0; 4];
        entropy.fill(&mut dice);
        let [place, cookie, pause, length] = dice;
        let source = Some(IpAddr::from([192, 0, 2, 1 + place % ADDRESSES]));
        let device = match cookie % 8 {
            // a device of another account, and one that nobody gave out
            0 => Some(other.device.reveal().clone()),
            1 => Some(format!("{}x", owner.device.reveal())),
            _ => None,
        };
        let stranger = Browser { source, device, ..browser(1) };
        match world.sign_in(OWNER, ANOTHER, &stranger).await.err().unwrap() {
            OperatorError::Refused => seen.compared += 1,
            OperatorError::Wait { .. } => seen.too_early += 1,
            OperatorError::PassphraseOff => seen.off += 1,
            error => panic!("{error}"),
        }
        match pause % 4 {
            0 => world.pass(i64::from(length)),
            1 => world.pass(901),
            _ => {}
        }
        if n.is_multiple_of(BETWEEN) {
            world.signed_in(OWNER, PASSPHRASE, &self::device(&owner.device, 1)).await;
        }
    }
    world.pass(3_600);
    while world.auth.record_failed_sign_ins(&world.tenant).await.unwrap() > 0 {}
    let records = world.audit("session.refused").await;
    let counted = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["attempts"].as_u64().unwrap();
    let recorded: u64 = records.iter().map(|(_, after)| counted(after)).sum();
    assert_eq!(recorded, u64::from(attempts), "every attempt is in the audit log");
    assert!(records.len() < usize::try_from(attempts).unwrap(), "repeats are one record");
    seen
}

on_both_engines! {
    async fn strangers_never_keep_a_known_device_out(world: World) {
        let seen = besiege(&world, 300).await;
        assert!(seen.compared > 0 && seen.too_early > 0, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 10,000 attempts"]
async fn proof_strangers() {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|v| v == "full");
    let attempts = if full { 10_000 } else { 300 };
    for (name, engine) in [("SQLite", Engine::Embedded), ("PostgreSQL", Engine::Server)] {
        let Seen { compared, too_early, off } = besiege(&World::new(engine).await, attempts).await;
        let between = attempts / BETWEEN;
        println!(
            "PROOF strangers, {name}: {attempts} passphrases from {ADDRESSES} addresses ({compared} compared, \
             {too_early} too early, {off} after passphrases were off); the known device signed in {between} times at \
             the first try; every attempt is in the audit log"
        );
    }
}
