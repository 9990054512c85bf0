//! Micro-benchmarks: nanoseconds per operation of the parts that a token request is made of.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use auth::limit::{Limiter, Rate};
use jose::mac::HmacKey;
use jose::{Alg, SigningKey, SystemEntropy, VerifyKey, jws};
use kernel::clock::Timestamp;
use kernel::id::{Id, Token};
use record::entry::{Grant, Issuance, Origin, TokenKind};

use crate::load::float;
use crate::output::say;
use crate::summary::Spread;
use crate::workload::basic;

/// Batches per figure; the median of them is printed.
const BATCHES: usize = 15;

/// Measures and prints everything.
pub(crate) fn main() -> Result<()> {
    say("| operation | ns, median | range |\n|---|---|---|");
    signatures()?;
    parsing();
    let now = Timestamp::from_seconds(1_800_000_000);
    let (limiter, rate) = (Limiter::<u64>::default(), Rate::per_second(10_000_000, 10_000_000));
    let mut key = 0_u64;
    measure("limiter, 10,000 keys in rotation", 20_000, || {
        key = if key >= 10_000 { 0 } else { key.saturating_add(1) };
        black_box(limiter.count(&key, rate, now));
    });
    let entry = issuance(now);
    measure("journal entry, encode", 20_000, || {
        black_box(black_box(&entry).encode());
    });
    measure("jti, text", 20_000, || {
        black_box(black_box(&entry).jti());
    });
    measure("id, generate", 20_000, || {
        black_box(Id::<Token>::generate(now, &mut SystemEntropy::new()));
    });
    Ok(())
}

fn signatures() -> Result<()> {
    let payload = br#"{"iss":"http://127.0.0.1:8080","sub":"cl_01j9zq5v3mfx0k8r2tn4wb6yce","client_id":"cl_01j9zq5v3mfx0k8r2tn4wb6yce","aud":"http://127.0.0.1:8080/default","exp":1800000900,"iat":1800000000,"nbf":1800000000,"jti":"01j9zq5v3mfx0k8r2tn4wb6yce.sec_01j9zq5v3mfx0k8r2tn4wb6yce.42","scope":"read","tenant":"default"}"#;
    for alg in [Alg::Es256, Alg::EdDsa] {
        let (key, _) = SigningKey::generate(alg)?;
        let header = key.header("at+jwt");
        let token = key.sign_compact(&header, payload)?;
        let verify = VerifyKey::from_jwk(key.public_jwk())?;
        jws::verify(&token, &verify).context("a token just signed")?;
        measure(&format!("sign a token, {}", alg.name()), 500, || {
            black_box(key.sign_compact(&header, black_box(payload)).is_ok());
        });
        measure(&format!("verify a token, {}", alg.name()), 500, || {
            black_box(jws::verify(black_box(&token), &verify).is_ok());
        });
    }
    let mac = HmacKey::new(&[7; 32]);
    let secret = b"bst_cs_0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefgh";
    let tag = mac.tag(secret);
    measure("check a generated secret, HMAC", 20_000, || {
        black_box(mac.verify(black_box(secret), &tag));
    });
    measure("SHA-256 of a token", 20_000, || {
        black_box(jose::hash::sha256(black_box(payload)));
    });
    Ok(())
}

fn parsing() {
    let header = basic("cl_01j9zq5v3mfx0k8r2tn4wb6yce", "bst_cs_0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefgh");
    measure("Authorization: Basic, parse", 20_000, || {
        black_box(api::basic::parse(black_box(&header)).is_ok());
    });
    let body = b"grant_type=client_credentials&scope=read%20write&resource=https%3A%2F%2Fapi.example";
    measure("form, parse", 20_000, || {
        let form = api::form::Form::parse(Some("application/x-www-form-urlencoded"), black_box(body));
        black_box(form.is_ok());
    });
}

fn issuance(now: Timestamp) -> Issuance {
    let credential = Id::from_bytes([3; 16]);
    Issuance {
        at: now,
        token: [1; 16],
        origin: Origin::Credential(credential),
        seq: 42,
        client: Id::from_bytes([2; 16]),
        client_id: Arc::from("cl_01j9zq5v3mfx0k8r2tn4wb6yce"),
        credential,
        grant: Grant::ClientCredentials,
        kind: TokenKind::Jwt,
        scope: Arc::from("read"),
        audience: Arc::from("https://api.example"),
        lifetime_seconds: 900,
        source: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        request: Id::from_bytes([1; 16]),
        generation: None,
    }
}

fn measure(name: &str, times: u32, mut operation: impl FnMut()) {
    let mut figures = Vec::new();
    // the first batch warms up and is left out
    for batch in 0..=BATCHES {
        let begun = Instant::now();
        for _ in 0..times {
            operation();
        }
        let nanos = float(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)) / f64::from(times);
        if batch > 0 {
            figures.push(nanos);
        }
    }
    let spread = Spread::of(figures);
    say(&format!("| {name} | {:.0} | {:.0}–{:.0} |", spread.median, spread.least, spread.most));
}
