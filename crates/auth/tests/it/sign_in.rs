//! Passphrase, second factor, and what strangers can and cannot do.

use auth::Settings;
use auth::operator::role::Role;
use auth::operator::sign_in::{Code, Progress, Proof};
use auth::operator::{Browser, OperatorError, SignedIn, totp};

use crate::on_both_engines;
use crate::world::{ANOTHER, Engine, OWNER, PASSPHRASE, World, browser, secret};

/// The code of an app that was given the secret in base32.
fn app_code(base32: &str, world: &World) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for digit in base32.chars().map(|c| u32::try_from(alphabet.find(c).unwrap()).unwrap()) {
        bits = (bits << 5) | digit;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    totp::code_at(&bytes, totp::step_of(world.auth.clock.now()), totp::DIGITS)
}

/// Sets one-time codes up: the secret, recovery codes and the session's new token.
async fn with_totp(world: &World, signed_in: &SignedIn) -> (String, Vec<String>) {
    let offer = world.auth.offer_totp(&world.tenant, &signed_in.live).await.unwrap();
    let secret = offer.secret.reveal().clone();
    let code = app_code(&secret, world);
    let enrolled = world
        .auth
        .enroll_totp(&world.tenant, &signed_in.live, (offer.ticket.reveal(), &code), &browser(1))
        .await
        .unwrap();
    assert!(world.live(&signed_in.token).await.is_none(), "the old token is gone");
    assert!(world.live(&enrolled.token).await.is_some());
    (secret, enrolled.recovery_codes.iter().map(|c| c.reveal().clone()).collect())
}

async fn asked(world: &World, browser: &Browser) -> String {
    match world.sign_in(OWNER, PASSPHRASE, browser).await.unwrap() {
        Progress::SecondFactor(asked) => asked.ticket.reveal().clone(),
        Progress::Done(_) => panic!("no second factor was asked"),
    }
}

on_both_engines! {
    async fn the_answer_says_nothing_about_accounts(world: World) {
        let owner = world.owner().await;
        let member = world.member(&owner.live, "off@acme.example", Role::ReadOnly).await;
        let who = owner.live.principal(&browser(1), world.tenant.id);
        let off = auth::operator::team::OperatorChange { disabled: Some(true), ..Default::default() };
        world.auth.change_operator(&who, &world.tenant, member.live.operator.id, off).await.unwrap();
        let cases = [
            (OWNER, ANOTHER),
            ("nobody@acme.example", PASSPHRASE),
            ("off@acme.example", PASSPHRASE),
            ("no address", PASSPHRASE),
            (OWNER, ""),
        ];
        for (email, passphrase) in cases {
            let error = world.sign_in(email, passphrase, &browser(9)).await.err().unwrap();
            assert!(matches!(error, OperatorError::Refused), "{email}: {error}");
        }
        let signed_in = world.signed_in("Olga@ACME.example", PASSPHRASE, &browser(9)).await;
        assert_eq!(signed_in.live.operator.role, Role::Owner);
        let started = world.audit("session.started").await;
        assert_eq!(started.last().unwrap().0, "operator:olga@acme.example (passphrase)");
        assert!(started.last().unwrap().1.contains("\"failures_before\":2"), "{:?}", started.last());
    }

    async fn a_hundred_failures_switch_passphrases_off_for_that_network_alone(world: World) {
        let owner = world.owner().await;
        for email in [OWNER, "nobody@acme.example"] {
            let mut failures = 0;
            let mut waited = 0;
            while failures < 100 {
                match world.sign_in(email, ANOTHER, &browser(7)).await.err().unwrap() {
                    OperatorError::Refused => failures += 1,
                    OperatorError::Wait { retry_after_seconds } => {
                        waited += 1;
                        world.pass(i64::from(retry_after_seconds));
                    }
                    other => panic!("{other}"),
                }
            }
            // The first failures cost nothing; from the third on each attempt has to wait.
            assert_eq!(waited, 97, "{email}");
            world.pass(86_400);
            assert_eq!(world.refusal(email, PASSPHRASE, &browser(7)).await, "passphrase_off", "{email}");
        }
        let told = record::outbox::events_after(&world.auth.store, world.tenant.id, 0, 200).await.unwrap();
        let blocked: Vec<_> = told.into_iter().filter(|event| event.kind == "operator.signin_blocked").collect();
        assert_eq!(blocked.len(), 1, "once, and not for an address that nobody has");
        assert!(blocked[0].data.contains(&owner.live.operator.id.to_string()), "{}", blocked[0].data);
        // Another network, and a browser that signed in before at the network that is off.
        world.signed_in(OWNER, PASSPHRASE, &browser(8)).await;
        let known = Browser { device: Some(owner.device.reveal().clone()), ..browser(7) };
        world.signed_in(OWNER, PASSPHRASE, &known).await;
        assert_eq!(world.refusal(OWNER, PASSPHRASE, &browser(7)).await, "passphrase_off");
        // A device counts for its own account alone.
        assert_eq!(world.refusal("nobody@acme.example", PASSPHRASE, &known).await, "passphrase_off");
        // A setup link still works, there as well.
        let link = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        world.join(auth::operator::link::LinkKind::Setup, link.token.reveal(), Some(OWNER), ANOTHER).await.unwrap();
    }

    async fn parallel_attempts_are_counted_each(world: World) {
        world.owner().await;
        let mut tries = Vec::new();
        for _ in 0..12 {
            let (auth, tenant) = (world.auth.clone(), world.tenant.clone());
            tries.push(tokio::spawn(async move {
                auth.sign_in(&tenant, OWNER, &secret(ANOTHER), &browser(5)).await.err().unwrap().code()
            }));
        }
        let mut looked_at = 0;
        for one in tries {
            looked_at += usize::from(one.await.unwrap() == "sign_in_refused");
        }
        assert!((1..=3).contains(&looked_at), "{looked_at} of 12 at one moment");
    }

    async fn repeated_failures_are_one_record_with_a_count(world: World) {
        world.owner().await;
        for _ in 0..3 {
            assert_eq!(world.refusal(OWNER, ANOTHER, &browser(6)).await, "sign_in_refused");
        }
        assert_eq!(world.refusal(OWNER, ANOTHER, &browser(6)).await, "sign_in_wait");
        assert_eq!(world.audit("session.refused").await.len(), 1);
        assert_eq!(world.auth.record_failed_sign_ins(&world.tenant).await.unwrap(), 0);
        world.pass(3_600);
        assert_eq!(world.auth.record_failed_sign_ins(&world.tenant).await.unwrap(), 1);
        let records = world.audit("session.refused").await;
        assert_eq!(records[0].1, r#"{"attempts":1,"failures_in_a_row":1}"#);
        assert_eq!(records[1].1, r#"{"attempts":3}"#);
        assert_eq!(world.auth.record_failed_sign_ins(&world.tenant).await.unwrap(), 0);
    }

    async fn a_one_time_code_is_asked_and_works_once(world: World) {
        let owner = world.owner().await;
        let (secret_text, _) = with_totp(&world, &owner).await;
        let auth = &world.auth;
        let ticket = asked(&world, &browser(2)).await;
        let code = app_code(&secret_text, &world);
        let refused = auth.sign_in_code(&world.tenant, &ticket, Code::Totp(&code), &browser(2)).await.err().unwrap();
        assert!(matches!(refused, OperatorError::Refused), "the code that set it up is used");
        world.pass(30);
        let code = app_code(&secret_text, &world);
        let done = auth.sign_in_code(&world.tenant, &ticket, Code::Totp(&code), &browser(2)).await.unwrap();
        assert!(world.live(&done.token).await.is_some());
        let again = auth.sign_in_code(&world.tenant, &ticket, Code::Totp(&code), &browser(2)).await.err().unwrap();
        assert!(matches!(again, OperatorError::Refused | OperatorError::Expired));
        world.pass(30);
        let code = app_code(&secret_text, &world);
        let spent = auth.sign_in_code(&world.tenant, &ticket, Code::Totp(&code), &browser(2)).await.err().unwrap();
        assert!(matches!(spent, OperatorError::Expired), "{spent}");
        let late = asked(&world, &browser(2)).await;
        world.pass(600);
        let code = app_code(&secret_text, &world);
        let expired = auth.sign_in_code(&world.tenant, &late, Code::Totp(&code), &browser(2)).await.err().unwrap();
        assert!(matches!(expired, OperatorError::Expired));
        let actors: Vec<_> = world.audit("session.started").await.into_iter().map(|(actor, _)| actor).collect();
        assert_eq!(actors, ["operator:olga@acme.example (passphrase and totp)"]);
    }

    async fn a_recovery_code_works_once_and_new_ones_end_the_old(world: World) {
        let owner = world.owner().await;
        let (_, codes) = with_totp(&world, &owner).await;
        assert_eq!(codes.len(), 10);
        let try_code = async |code: &str| {
            let ticket = asked(&world, &browser(2)).await;
            world.auth.sign_in_code(&world.tenant, &ticket, Code::Recovery(code), &browser(2)).await
        };
        let done = try_code(&codes[0].to_uppercase()).await.unwrap();
        assert!(try_code(&codes[0]).await.is_err());
        assert_eq!(world.auth.recovery_codes_left(&world.tenant, &done.live).await.unwrap(), 9);
        let fresh = world.auth.renew_recovery_codes(&world.tenant, &done.live, &browser(2)).await.unwrap();
        assert_eq!(fresh.len(), 10);
        assert!(try_code(&codes[1]).await.is_err());
        assert!(try_code(fresh[1].reveal()).await.is_ok());
    }

    async fn stepping_up_needs_all_that_signing_in_needed(world: World) {
        let owner = world.owner().await;
        let (secret_text, _) = with_totp(&world, &owner).await;
        let ticket = asked(&world, &browser(2)).await;
        world.pass(30);
        let code = app_code(&secret_text, &world);
        let done = world.auth.sign_in_code(&world.tenant, &ticket, Code::Totp(&code), &browser(2)).await.unwrap();
        world.pass(600);
        let live = world.live(&done.token).await.unwrap();
        assert!(!live.is_fresh(world.auth.clock.now()));
        let stale = world.auth.renew_recovery_codes(&world.tenant, &live, &browser(2)).await;
        assert!(matches!(stale, Err(OperatorError::NotFresh)));
        let passphrase = secret(PASSPHRASE);
        let alone = Proof { passphrase: &passphrase, code: None };
        assert!(world.auth.step_up(&world.tenant, &live, alone, &browser(2)).await.is_err());
        let code = app_code(&secret_text, &world);
        let both = Proof { passphrase: &passphrase, code: Some(&code) };
        let token = world.auth.step_up(&world.tenant, &live, both, &browser(2)).await.unwrap();
        assert!(world.live(&done.token).await.is_none(), "a rise of rights has a new token");
        assert!(world.live(&token).await.unwrap().is_fresh(world.auth.clock.now()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_without_a_second_factor_reaches_the_enrollment_and_nothing_else() {
    let world = World::with(Engine::Embedded, Settings { slow_hash_workers: 2, ..Settings::default() }).await;
    let owner = world.owner().await;
    assert!(owner.live.must_enroll);
    let who = owner.live.principal(&browser(1), world.tenant.id);
    assert!(who.scopes.is_empty());
    assert!(world.auth.operators(&who, &world.tenant, None, 10).await.is_err());
    let offer = world.auth.offer_totp(&world.tenant, &owner.live).await.unwrap();
    let code = app_code(offer.secret.reveal(), &world);
    let enrolled =
        world.auth.enroll_totp(&world.tenant, &owner.live, (offer.ticket.reveal(), &code), &browser(1)).await.unwrap();
    let live = world.live(&enrolled.token).await.unwrap();
    assert!(!live.must_enroll);
    assert!(live.principal(&browser(1), world.tenant.id).holds("operators:write"));
}
