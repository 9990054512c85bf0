//! Every parser that reads what others wrote, over good samples that were damaged: none panics, none takes a damaged
//! sample for a good one, and what is read is written again byte for byte where a form has one way to be written.
//!
//! What reaches the routes as a whole (forms, headers, JSON by the schema of each operation, tokens) is damaged in the
//! tests of `api`; here each parser is met alone, with the forms that are stored or leave the house.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jose::mac::HmacKey;
use jose::{Alg, Jwk, JwkSet, SigningKey, VerifyKey, jws};
use kernel::clock::Timestamp;
use kernel::id::{Client, Id};
use kernel::network::Cidr;
use kernel::tenant::DEFAULT;
use record::checkpoint::{Checkpoint, KeySigner, Verifier};
use record::entry::{self, Entry, Jti};
use record::tree::Head;
use record::{block, canonical, segment};
use server::config::{Config, Overrides};
use testkit::{SeededEntropy, TempDir};

/// Pieces that mean something to one of the parsers.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{\"a\":1,\"a\":2}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"1e400",
    b"-0",
    b"9223372036854775808",
    b"%",
    b"%00",
    b"&&==",
    b".",
    b"..",
    b"=",
    b"\n",
    b"\r\n\r\n",
    b"\xe2\x80\x94 ",
    b"\xe2\x80\xae",
];

/// Damages samples, always in the same way for one seed.
struct Damage(SeededEntropy);

impl Damage {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(bound).unwrap())).unwrap()
    }

    /// A sample with one to four changes; now and then random bytes.
    fn next(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = samples[self.below(samples.len())].clone();
        if self.below(50) == 0 {
            let length = self.below(64);
            return (0..length).map(|_| self.0.next_u64().to_le_bytes()[0]).collect();
        }
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(9)).min(bytes.len());
            match self.below(8) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.0.next_u64().to_le_bytes()[0],
                2 => drop(bytes.drain(at..end)),
                3 => bytes.truncate(at),
                4 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                5 => {
                    let other = &samples[self.below(samples.len())];
                    let from = self.below(other.len() + 1);
                    bytes.splice(at.., other[from..].iter().copied());
                }
                6 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..end, piece.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Judges one input; a panic is a failure, too.
type Judge = Box<dyn Fn(&[u8])>;

/// A parser with samples that it takes.
struct Target {
    name: &'static str,
    samples: Vec<Vec<u8>>,
    judge: Judge,
    /// Inputs of a target that reads files count this many times.
    weight: u64,
}

fn target(name: &'static str, samples: Vec<Vec<u8>>, judge: impl Fn(&[u8]) + 'static) -> Target {
    Target { name, samples, judge: Box::new(judge), weight: 1 }
}

/// A target whose inputs are texts; other bytes never reach it.
fn text(name: &'static str, samples: &[&str], judge: impl Fn(&str) + 'static) -> Target {
    let samples = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    target(name, samples, move |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            judge(text);
        }
    })
}

fn edge() -> Vec<Target> {
    let key = HmacKey::new(&[5; 32]);
    let cursor = auth::cursor::encode(&key, "/api/clients", DEFAULT, b"a place in a list");
    vec![
        target(
            "form body",
            vec![
                b"grant_type=client_credentials&scope=read%20write&resource=https%3A%2F%2Fa.example".to_vec(),
                b"grant_type=refresh_token&refresh_token=bst_rt_abc&client_id=c%C3%A9".to_vec(),
            ],
            |bytes| {
                let form = api::form::Form::parse(Some("application/x-www-form-urlencoded"), bytes);
                if let Ok(form) = form {
                    let read: usize = form.names().map(str::len).sum();
                    assert!(read <= bytes.len(), "names come from the body");
                }
            },
        ),
        text("authorization header", &["Basic Y2xpZW50OnMlM0FlY3JldA==", "Bearer a.b.c", "basic  QTpC"], |header| {
            let _ = api::basic::parse(header);
        }),
        target(
            "JSON body",
            vec![
                br#"{"client_id":"c","scopes":["a","b"],"expiry":null,"rate_limit":{"limit":10,"window_s":1}}"#
                    .to_vec(),
                br#"{"name":"\u00e9\ud83d\ude00","n":-12.5e3,"deep":[[[[{"x":[true,false]}]]]]}"#.to_vec(),
            ],
            |bytes| {
                if let Ok(value) = api::json::parse(bytes) {
                    assert_eq!(serde_json::from_slice::<serde_json::Value>(bytes).ok(), Some(value));
                }
            },
        ),
        text("cursor", &[&cursor.clone()], move |text| {
            let read = auth::cursor::decode(&key, "/api/clients", DEFAULT, text);
            assert!(read.is_err() || text == cursor, "a cursor that nobody gave");
        }),
        text("entity tags", &["\"1\", W/\"2\", \"\"", "*"], |text| {
            let Ok(value) = http::HeaderValue::from_str(text) else { return };
            let headers = http::HeaderMap::from_iter([
                (http::header::IF_MATCH, value.clone()),
                (http::header::IF_NONE_MATCH, value),
            ]);
            let _ = api::etag::if_match(&headers);
            let _ = api::etag::if_none_match(&headers, "\"1\"");
        }),
    ]
}

fn signatures() -> Vec<Target> {
    let (signing, _) = SigningKey::generate(Alg::Es256).unwrap();
    let token = signing
        .sign_compact(&signing.header("at+jwt"), br#"{"iss":"https://id.example","exp":4000000000,"aud":["a"]}"#)
        .unwrap();
    let jwk = signing.public_jwk().clone();
    let key = VerifyKey::from_jwk(&jwk).unwrap();
    let (edwards, _) = SigningKey::generate(Alg::EdDsa).unwrap();
    let set = serde_json::json!({ "keys": [jwk, edwards.public_jwk()] }).to_string();
    let signer = KeySigner::new("https://id.example", edwards).unwrap();
    let verifier = Verifier::of(&signer).unwrap();
    let written = verifier.to_string();
    let note = Checkpoint::sign(Head { size: 7, root: [4; 32] }, &signer).unwrap().note;
    let keys = [verifier];
    vec![
        text("JWT", &[&token.clone()], move |text| {
            let _ = jws::parse(text);
            assert!(jws::verify(text, &key).is_err() || text == token, "a signature that nobody made");
        }),
        text("JWKS", &[&set], |text| {
            if let Ok(set) = serde_json::from_str::<JwkSet>(text) {
                for jwk in &set.keys {
                    let _ = VerifyKey::from_jwk(jwk);
                    let _ = jwk.thumbprint();
                }
            }
            let _ = serde_json::from_str::<Jwk>(text);
        }),
        text("checkpoint", &[&note.clone()], move |text| {
            let _ = Checkpoint::parse(text);
            if let Ok(checkpoint) = Checkpoint::verify(text, &keys) {
                assert_eq!((checkpoint.size, checkpoint.root), (7, [4; 32]), "another statement than the signed one");
            }
        }),
        text("verifier key", &[&written], |text| {
            if let Ok(verifier) = Verifier::parse(text) {
                assert_eq!(verifier.to_string(), text.trim());
            }
        }),
    ]
}

fn journal() -> Vec<Target> {
    let entries: Vec<Vec<u8>> = vec![
        include_bytes!("../../../record/tests/golden/entry/1_issuance.bin").to_vec(),
        include_bytes!("../../../record/tests/golden/entry/1_refresh.bin").to_vec(),
        include_bytes!("../../../record/tests/golden/entry/1_refusal.bin").to_vec(),
    ];
    let jti = match entry::decode(&entries[0]).unwrap() {
        Entry::Issuance(issued) => issued.jti(),
        Entry::Refusal(_) => panic!("the golden issuance is none"),
    };
    let mut framed = Vec::new();
    let mut folding = block::Folding::default();
    for entry in &entries {
        segment::append(&mut framed, entry);
        folding.add(entry).unwrap();
    }
    let folded = folding.finish().unwrap();
    let golden = include_bytes!("../../../record/tests/golden/block/1_mixed.bin").to_vec();
    vec![
        target("journal entry", entries.clone(), |bytes| match entry::decode(bytes) {
            Ok(Entry::Issuance(issued)) => assert_eq!(issued.encode(), bytes),
            Ok(Entry::Refusal(refused)) => assert_eq!(refused.encode(), bytes),
            Err(_) => {}
        }),
        target("journal segment", vec![framed], |bytes| drop(segment::decode(bytes))),
        target("journal block", vec![golden, folded.body], |bytes| {
            if let Ok(entries) = block::unfold(bytes) {
                let _ = block::root(&entries);
            }
        }),
        target("block index", vec![folded.members], |bytes| drop(block::Members::decode(bytes))),
        target("block leaf", vec![canonical::block(DEFAULT, 300, &[6; 32])], |bytes| {
            if let Some((_, root)) = canonical::parse_block(bytes) {
                assert!(bytes.ends_with(&root));
            }
        }),
        text("jti", &[&jti], |text| {
            if let Some(jti) = Jti::parse(text) {
                assert_eq!(jti.to_string(), text);
            }
        }),
    ]
}

fn words() -> Vec<Target> {
    let id = Id::<Client>::from_bytes([8; 16]).to_string();
    let dir = TempDir::new().unwrap();
    let mut config = text(
        "configuration",
        &["listen = \"127.0.0.1:1\"\n[limits]\nconnections = 100\n[proxy]\ntrusted = [\"10.0.0.0/8\"]\n"],
        move |text| {
            let file = dir.path().join("bastionary.toml");
            std::fs::write(&file, text).unwrap();
            drop(Config::load(Some(&file), &std::collections::BTreeMap::new(), Overrides::default()));
        },
    );
    config.weight = 50;
    vec![
        config,
        text("time", &["2026-06-01T12:00:00Z", "2026-06-01T12:00:00.123456+02:00"], |text| {
            if let Ok(time) = Timestamp::parse(text) {
                assert_eq!(Timestamp::parse(&time.to_string()).ok(), Some(time));
            }
        }),
        text("id", &[&id], |text| {
            if let Ok(id) = Id::<Client>::parse(text) {
                assert_eq!(id.to_string(), text);
            }
        }),
        text("network", &["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"], |text| {
            let _ = text.parse::<Cidr>();
        }),
        text(
            "passkey",
            &[
                r#"{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUEA","authenticatorData":"AAAA","signature":"AA"}}"#,
            ],
            |text| {
                use auth::operator::webauthn::{Assertion, Party, Registration, register};
                let party = Party::of_issuer("https://id.example").unwrap();
                if let Ok(registration) = Registration::parse(text) {
                    assert!(register(&registration, b"challenge", &party).is_err(), "nobody signed this");
                }
                let _ = Assertion::parse(text);
            },
        ),
    ]
}

/// Damages the samples of every target; returns the number of targets and of inputs.
fn fuzz(seed: u64, inputs: u64) -> (usize, u64) {
    let targets: Vec<Target> = [edge(), signatures(), journal(), words()].into_iter().flatten().collect();
    let mut total = 0;
    for (number, target) in targets.iter().enumerate() {
        for sample in &target.samples {
            (target.judge)(sample);
        }
        let mut damage = Damage(SeededEntropy::new(seed + u64::try_from(number).unwrap()));
        for input in 0..inputs / target.weight {
            let bytes = damage.next(&target.samples);
            let judged = catch_unwind(AssertUnwindSafe(|| (target.judge)(&bytes)));
            assert!(judged.is_ok(), "{} met input {input} of seed {seed}: {}", target.name, bytes.escape_ascii());
            total += 1;
        }
    }
    (targets.len(), total)
}

#[test]
fn no_parser_panics_or_takes_a_damaged_sample_for_a_good_one() {
    fuzz(1, 2_000);
}

#[test]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 2,000,000 inputs per parser"]
fn proof_fuzz() {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|v| v == "full");
    let (targets, inputs) = fuzz(2, if full { 2_000_000 } else { 2_000 });
    println!("PROOF fuzz: {inputs} damaged inputs to {targets} parsers, 0 panics, 0 taken for good");
}
