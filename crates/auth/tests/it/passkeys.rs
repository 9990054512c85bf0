//! Passkeys, with an authenticator in software.

use auth::error::AdminError;
use auth::operator::link::{FirstFactor, Joining, LinkKind};
use auth::operator::role::Role;
use auth::operator::sign_in::{Code, Progress};
use auth::operator::webauthn::{Assertion, Registration};
use auth::operator::{OperatorError, SignedIn};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Alg, SigningKey};
use kernel::secret::Secret;
use serde_json::Value;

use crate::on_both_engines;
use crate::world::{ANOTHER, OWNER, PASSPHRASE, World, browser, secret};

const ORIGIN: &str = "https://id.example";
const SITE: &str = "id.example";
/// User present and verified.
const VERIFIED: u8 = 0x05;

/// An authenticator with one key, Ed25519 or RSA.
struct Authenticator {
    key: SigningKey,
    credential: Vec<u8>,
    counter: u32,
    flags: u8,
}

fn client_data(ceremony: &str, options: &Value) -> Vec<u8> {
    let challenge = options["challenge"].as_str().unwrap();
    format!(r#"{{"type":"{ceremony}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false}}"#).into_bytes()
}

impl Authenticator {
    fn new(id: u8) -> Self {
        Self::with(id, Alg::EdDsa)
    }

    fn with(id: u8, alg: Alg) -> Self {
        let (key, _) = SigningKey::generate(alg).unwrap();
        Self { key, credential: vec![id; 32], counter: 0, flags: VERIFIED }
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let site = jose::hash::sha256(SITE.as_bytes());
        [site.as_slice(), &[self.flags | more], &self.counter.to_be_bytes()].concat()
    }

    fn create(&self, options: &Value) -> Registration {
        let key = if let Some(public) = self.key.ed25519_public() {
            // {1: 1, 3: -8, -1: 6, -2: public}
            [[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20].as_slice(), &public].concat()
        } else {
            // {1: 3, 3: -257, -1: n, -2: 65537}
            let n = URL_SAFE_NO_PAD.decode(self.key.public_jwk().n.as_ref().unwrap()).unwrap();
            let length = u16::try_from(n.len()).unwrap().to_be_bytes();
            let head = [[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59].as_slice(), &length].concat();
            [head.as_slice(), &n, &[0x21, 0x43, 1, 0, 1]].concat()
        };
        let attested = [&[0; 16], [0, 32].as_slice(), &self.credential, &key].concat();
        let data = [self.data(0x40), attested].concat();
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let head = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(), &length];
        Registration {
            client_data: client_data("webauthn.create", options),
            attestation: [head.concat(), data].concat(),
        }
    }

    fn get(&mut self, options: &Value) -> Assertion {
        self.counter += 1;
        let client_data = client_data("webauthn.get", options);
        let authenticator_data = self.data(0);
        let message = [authenticator_data.as_slice(), &jose::hash::sha256(&client_data)].concat();
        let signature = self.key.sign(&message).unwrap();
        Assertion { credential: self.credential.clone(), client_data, authenticator_data, signature, user_handle: None }
    }
}

/// Registers the authenticator; the session's new token.
async fn enroll(world: &World, token: &Secret<String>, key: &Authenticator, name: &str) -> Secret<String> {
    let live = world.live(token).await.unwrap();
    let asked = world.auth.offer_passkey(&world.tenant, &live).await.unwrap();
    assert_eq!(asked.options["rp"]["id"], SITE);
    assert_eq!(asked.options["authenticatorSelection"]["userVerification"], "required");
    let response = key.create(&asked.options);
    world.auth.add_passkey(&world.tenant, &live, asked.ticket.reveal(), (&response, name), &browser(1)).await.unwrap()
}

async fn sign_in(world: &World, key: &mut Authenticator) -> Result<SignedIn, OperatorError> {
    let asked = world.auth.ask_passkey(&world.tenant, None).await.unwrap();
    let response = key.get(&asked.options);
    world.auth.sign_in_passkey(&world.tenant, asked.ticket.reveal(), &response, &browser(3)).await
}

on_both_engines! {
    async fn a_passkey_signs_in_alone_and_beside_a_passphrase(world: World) {
        let owner = world.owner().await;
        let mut key = Authenticator::new(1);
        let token = enroll(&world, &owner.token, &key, "Laptop").await;
        assert!(world.live(&owner.token).await.is_none());
        assert!(world.live(&token).await.is_some());
        let done = sign_in(&world, &mut key).await.unwrap();
        assert_eq!(&*done.live.operator.email, OWNER);
        assert!(world.live(&done.token).await.is_some());

        // The passphrase alone is not enough any more.
        let Progress::SecondFactor(asked) = world.sign_in(OWNER, PASSPHRASE, &browser(4)).await.unwrap() else {
            panic!("no second factor was asked");
        };
        assert!(asked.passkey && !asked.totp);
        assert!(world.auth.sign_in_code(&world.tenant, asked.ticket.reveal(), Code::Totp("000000"), &browser(4)).await.is_err());
        let request = world.auth.ask_passkey(&world.tenant, Some(asked.ticket.reveal())).await.unwrap();
        assert_eq!(request.options["allowCredentials"].as_array().unwrap().len(), 1);
        let response = key.get(&request.options);
        let done = world.auth.sign_in_passkey(&world.tenant, request.ticket.reveal(), &response, &browser(4)).await;
        assert!(done.is_ok());
        let again = world.auth.sign_in_passkey(&world.tenant, request.ticket.reveal(), &response, &browser(4)).await;
        assert!(again.is_err(), "a response works once");
        let actors: Vec<_> = world.audit("session.started").await.into_iter().map(|(actor, _)| actor).collect();
        assert_eq!(actors, ["operator:olga@acme.example (passkey)", "operator:olga@acme.example (passkey)"]);
    }

    async fn a_passkey_with_an_rsa_key_signs_in(world: World) {
        let owner = world.owner().await;
        let mut key = Authenticator::with(1, Alg::Rs256);
        enroll(&world, &owner.token, &key, "Windows machine").await;
        let done = sign_in(&world, &mut key).await.unwrap();
        assert!(world.live(&done.token).await.is_some());
        let mut other = Authenticator::with(1, Alg::Rs256);
        assert!(sign_in(&world, &mut other).await.is_err(), "another key under the same id");
    }

    async fn a_passkey_works_where_passphrases_are_off(world: World) {
        let owner = world.owner().await;
        let mut key = Authenticator::new(1);
        enroll(&world, &owner.token, &key, "Laptop").await;
        for _ in 0..100 {
            world.refusal(OWNER, ANOTHER, &browser(3)).await;
            world.pass(900);
        }
        assert_eq!(world.refusal(OWNER, PASSPHRASE, &browser(3)).await, "passphrase_off");
        assert!(sign_in(&world, &mut key).await.is_ok());
    }

    async fn a_link_is_taken_up_with_a_passkey_and_no_passphrase(world: World) {
        let link = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        let token = link.token.reveal();
        let offer = async || {
            world.auth.offer_joining_passkey(&world.tenant, LinkKind::Setup, token, (Some(OWNER), "Olga")).await
        };
        let mut key = Authenticator::new(1);
        let asked = offer().await.unwrap();
        let response = key.create(&asked.options);
        let take_up = async |email| {
            let factor = FirstFactor::Passkey { ticket: asked.ticket.reveal(), response: &response, name: "Laptop" };
            let joining = Joining { email: Some(email), name: "Olga", factor, organization: None };
            world.auth.join(&world.tenant, LinkKind::Setup, token, joining, &browser(1)).await
        };
        let owner = take_up(OWNER).await.unwrap();
        assert!(owner.live.operator.passkeys == 1 && !owner.live.operator.has_passphrase());
        assert!(take_up(OWNER).await.is_err());
        assert!(offer().await.is_err());
        assert_eq!(world.refusal(OWNER, "", &browser(2)).await, "sign_in_refused");
        assert_eq!(&*sign_in(&world, &mut key).await.unwrap().live.operator.email, OWNER);
        // The same authenticator may not be the last thing to go.
        let live = world.live(&owner.token).await.unwrap();
        let laptop = world.auth.passkeys(&world.tenant, &live).await.unwrap()[0].id;
        assert!(world.auth.remove_passkey(&world.tenant, &live, laptop, &browser(1)).await.is_err());
    }

    async fn what_proves_nothing_is_refused(world: World) {
        let owner = world.owner().await;
        let mut key = Authenticator::new(1);
        let token = enroll(&world, &owner.token, &key, "Laptop").await;
        sign_in(&world, &mut key).await.unwrap();
        key.counter = 0;
        assert!(sign_in(&world, &mut key).await.is_err(), "the counter went back");
        key.counter = 50;
        key.flags = 0x01;
        assert!(sign_in(&world, &mut key).await.is_err(), "nobody was verified");
        key.flags = VERIFIED;
        let mut stranger = Authenticator::new(2);
        assert!(sign_in(&world, &mut stranger).await.is_err(), "not registered");
        let mut copy = Authenticator { counter: 60, ..Authenticator::new(1) };
        assert!(sign_in(&world, &mut copy).await.is_err(), "another key");

        let live = world.live(&token).await.unwrap();
        let asked = world.auth.offer_passkey(&world.tenant, &live).await.unwrap();
        let unverified = Authenticator { flags: 0x01, ..Authenticator::new(5) };
        let response = unverified.create(&asked.options);
        let refused = world.auth.add_passkey(&world.tenant, &live, asked.ticket.reveal(), (&response, "Key"), &browser(1)).await;
        assert!(matches!(refused, Err(OperatorError::Admin(AdminError::Invalid(_)))));
        let taken = Authenticator::new(1).create(&asked.options);
        let refused = world.auth.add_passkey(&world.tenant, &live, asked.ticket.reveal(), (&taken, "Key"), &browser(1)).await;
        assert!(matches!(refused, Err(OperatorError::Admin(AdminError::Taken(..)))));

        let who = world.local();
        let off = auth::operator::team::OperatorChange { disabled: Some(true), ..Default::default() };
        world.member(&live, "otto@acme.example", Role::Owner).await;
        world.auth.change_operator(&who, &world.tenant, live.operator.id, off).await.unwrap();
        assert!(sign_in(&world, &mut key).await.is_err(), "disabled");
        assert!(!world.audit("session.refused").await.is_empty());
    }

    async fn passkeys_are_named_and_the_one_that_is_needed_stays(world: World) {
        let owner = world.owner().await;
        let (mut one, two) = (Authenticator::new(1), Authenticator::new(2));
        let token = enroll(&world, &owner.token, &one, "Laptop").await;
        let token = enroll(&world, &token, &two, "Phone").await;
        let live = world.live(&token).await.unwrap();
        let keys = world.auth.passkeys(&world.tenant, &live).await.unwrap();
        assert_eq!(keys.len(), 2);
        let phone = keys.iter().find(|k| k.name == "Phone").unwrap().id;
        let laptop = keys.iter().find(|k| k.name == "Laptop").unwrap().id;
        world.auth.rename_passkey(&world.tenant, &live, (phone, "Old phone"), &browser(1)).await.unwrap();
        world.auth.remove_passkey(&world.tenant, &live, phone, &browser(1)).await.unwrap();
        assert!(world.auth.remove_passkey(&world.tenant, &live, phone, &browser(1)).await.is_err());
        let last = world.auth.remove_passkey(&world.tenant, &live, laptop, &browser(1)).await;
        assert!(matches!(last, Err(OperatorError::Admin(AdminError::State(_)))));
        sign_in(&world, &mut one).await.unwrap();

        // Ten minutes later it takes a fresh sign-in, which the passkey gives.
        world.pass(600);
        let live = world.live(&token).await.unwrap();
        assert!(matches!(world.auth.offer_passkey(&world.tenant, &live).await, Err(OperatorError::NotFresh)));
        let asked = world.auth.ask_passkey(&world.tenant, None).await.unwrap();
        let response = one.get(&asked.options);
        let token = world.auth.step_up_passkey(&world.tenant, &live, (asked.ticket.reveal(), &response), &browser(1)).await.unwrap();
        let live = world.live(&token).await.unwrap();
        assert!(world.auth.offer_passkey(&world.tenant, &live).await.is_ok());
        let wrong = world.auth.change_passphrase(&world.tenant, &live, &secret("short"), &browser(1)).await;
        assert!(wrong.is_err());
    }
}
