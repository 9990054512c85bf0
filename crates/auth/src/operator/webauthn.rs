//! The relying party's side of WebAuthn (Level 3 §7): what a registration and an assertion prove.
//!
//! Pure. User verification is always required, so a passkey is two factors in one. Attestation is asked as `none` and
//! its statement is not looked at: any authenticator a person trusts is good enough, and what counts is the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cbor4ii::core::Value;
use cbor4ii::core::dec::{Decode as _, Read as _, Reference};
use cbor4ii::core::utils::SliceReader;
use jose::{AssertionKey, Jwk};
use serde::Deserialize;

/// Longest part of a response, in bytes.
const MAX_PART: usize = 16_384;
/// Longest credential id, in bytes (§7.1, step 25).
const MAX_CREDENTIAL: usize = 1_023;
/// Deepest nesting that an attestation object needs, with room.
const MAX_DEPTH: usize = 8;
/// Bits of the flags in authenticator data (§6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

/// Why a response is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("the response of the passkey cannot be read")]
    Malformed,
    /// It answers another ceremony or challenge.
    #[error("the response belongs to another request")]
    WrongChallenge,
    /// It was made for another site, or inside somebody else's page.
    #[error("the response was made for another site")]
    WrongOrigin,
    /// The person was not there, or not verified.
    #[error("the passkey did not verify the person; set up a PIN or biometrics on it")]
    NotVerified,
    /// The key is of a kind that is not accepted.
    #[error("the passkey has a key of another kind than ES256 or Ed25519")]
    UnsupportedKey,
    /// The signature is not the key's.
    #[error("the signature is not the passkey's")]
    WrongSignature,
    /// The counter went back: there may be a copy of the passkey.
    #[error("the counter of the passkey went back; there may be a copy of it")]
    Cloned,
}

/// The site that passkeys are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The host name.
    pub id: String,
    /// Scheme, host and port.
    pub origin: String,
}

impl Party {
    /// The site of an issuer.
    pub fn of_issuer(issuer: &str) -> Option<Self> {
        let (scheme, rest) = issuer.split_once("://")?;
        let authority = rest.split('/').next().filter(|a| !a.is_empty())?.to_ascii_lowercase();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority.as_str(),
        };
        Some(Self { id: host.to_owned(), origin: format!("{scheme}://{authority}") })
    }
}

/// What a browser answers to a registration.
#[derive(Debug, Clone)]
pub struct Registration {
    /// `response.clientDataJSON`
    pub client_data: Vec<u8>,
    /// `response.attestationObject`
    pub attestation: Vec<u8>,
}

/// What a browser answers to an assertion.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// `rawId`
    pub credential: Vec<u8>,
    /// `response.clientDataJSON`
    pub client_data: Vec<u8>,
    /// `response.authenticatorData`
    pub authenticator_data: Vec<u8>,
    /// `response.signature`
    pub signature: Vec<u8>,
    /// `response.userHandle`
    pub user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct CredentialJson {
    id: String,
    response: ResponseJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: Option<String>,
    authenticator_data: Option<String>,
    signature: Option<String>,
    user_handle: Option<String>,
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    (text.len() <= MAX_PART).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()
}

impl Registration {
    /// Reads what `PublicKeyCredential.toJSON()` makes of a registration.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(json: &str) -> Result<Self, Refusal> {
        let read = || {
            let credential: CredentialJson = serde_json::from_str(json).ok()?;
            let response = credential.response;
            Some(Self {
                client_data: bytes(&response.client_data)?,
                attestation: bytes(&response.attestation_object?)?,
            })
        };
        if json.len() > 4 * MAX_PART {
            return Err(Refusal::Malformed);
        }
        read().ok_or(Refusal::Malformed)
    }
}

impl Assertion {
    /// Reads what `PublicKeyCredential.toJSON()` makes of an assertion.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(json: &str) -> Result<Self, Refusal> {
        let read = || {
            let credential: CredentialJson = serde_json::from_str(json).ok()?;
            let response = credential.response;
            let user_handle = match response.user_handle {
                Some(text) => Some(bytes(&text)?),
                None => None,
            };
            Some(Self {
                credential: bytes(&credential.id)?,
                client_data: bytes(&response.client_data)?,
                authenticator_data: bytes(&response.authenticator_data?)?,
                signature: bytes(&response.signature?)?,
                user_handle,
            })
        };
        if json.len() > 4 * MAX_PART {
            return Err(Refusal::Malformed);
        }
        read().ok_or(Refusal::Malformed)
    }
}

/// A registered credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The id its authenticator gave it.
    pub credential: Vec<u8>,
    /// Its public key.
    pub jwk: Jwk,
    /// Its signature counter.
    pub counter: u32,
    flags: u8,
}

/// Checks a registration (§7.1).
///
/// # Errors
/// The [`Refusal`].
pub fn register(response: &Registration, challenge: &[u8], party: &Party) -> Result<Registered, Refusal> {
    let registered = read_registration(response, challenge, party)?;
    require_verified(registered.flags)?;
    Ok(registered)
}

/// Checks an assertion with the key that was registered (§7.2); the answer is the new counter.
///
/// # Errors
/// The [`Refusal`].
pub fn verify(
    response: &Assertion,
    challenge: &[u8],
    party: &Party,
    (jwk, counter): (&Jwk, u32),
) -> Result<u32, Refusal> {
    let data = read_assertion(response, challenge, party, jwk)?;
    require_verified(data.flags)?;
    // Synchronized passkeys have no counter and send 0 forever.
    if (data.counter != 0 || counter != 0) && data.counter <= counter {
        return Err(Refusal::Cloned);
    }
    Ok(data.counter)
}

const fn require_verified(flags: u8) -> Result<(), Refusal> {
    if flags & (PRESENT | VERIFIED) == PRESENT | VERIFIED { Ok(()) } else { Err(Refusal::NotVerified) }
}

fn read_registration(response: &Registration, challenge: &[u8], party: &Party) -> Result<Registered, Refusal> {
    check_client_data(&response.client_data, "webauthn.create", challenge, party)?;
    let (object, rest) = cbor(&response.attestation)?;
    let Value::Map(entries) = object else { return Err(Refusal::Malformed) };
    let Some(Value::Bytes(data)) = entry(&entries, &Value::Text("authData".to_owned()))? else {
        return Err(Refusal::Malformed);
    };
    if !rest.is_empty() {
        return Err(Refusal::Malformed);
    }
    let data = authenticator_data(data, party)?;
    let (credential, jwk) = data.attested.ok_or(Refusal::Malformed)?;
    AssertionKey::from_jwk(&jwk).map_err(|_| Refusal::UnsupportedKey)?;
    Ok(Registered { credential, jwk, counter: data.counter, flags: data.flags })
}

fn read_assertion(
    response: &Assertion,
    challenge: &[u8],
    party: &Party,
    jwk: &Jwk,
) -> Result<AuthenticatorData, Refusal> {
    check_client_data(&response.client_data, "webauthn.get", challenge, party)?;
    let data = authenticator_data(&response.authenticator_data, party)?;
    let key = AssertionKey::from_jwk(jwk).map_err(|_| Refusal::UnsupportedKey)?;
    let hash = jose::hash::sha256(&response.client_data);
    let message = [response.authenticator_data.as_slice(), &hash].concat();
    if key.verify(&message, &response.signature) { Ok(data) } else { Err(Refusal::WrongSignature) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<serde::de::IgnoredAny>,
}

/// Ceremony, challenge and origin (§7.1 steps 7 to 11, §7.2 steps 10 to 14).
fn check_client_data(json: &[u8], ceremony: &str, challenge: &[u8], party: &Party) -> Result<(), Refusal> {
    if json.len() > MAX_PART {
        return Err(Refusal::Malformed);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| Refusal::Malformed)?;
    let expected = URL_SAFE_NO_PAD.encode(challenge);
    if data.r#type != ceremony || !jose::constant_time_eq(data.challenge.as_bytes(), expected.as_bytes()) {
        return Err(Refusal::WrongChallenge);
    }
    if data.origin != party.origin || data.cross_origin || data.top_origin.is_some() {
        return Err(Refusal::WrongOrigin);
    }
    Ok(())
}

/// Authenticator data (§6.1), of this site.
struct AuthenticatorData {
    flags: u8,
    counter: u32,
    attested: Option<(Vec<u8>, Jwk)>,
}

fn authenticator_data(bytes: &[u8], party: &Party) -> Result<AuthenticatorData, Refusal> {
    if bytes.len() > MAX_PART {
        return Err(Refusal::Malformed);
    }
    let (site, rest) = bytes.split_first_chunk::<32>().ok_or(Refusal::Malformed)?;
    let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(Refusal::Malformed)?;
    let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(Refusal::Malformed)?;
    if !jose::constant_time_eq(site, &jose::hash::sha256(party.id.as_bytes())) {
        return Err(Refusal::WrongOrigin);
    }
    let mut attested = None;
    if flags & ATTESTED != 0 {
        let (_authenticator_model, after) = rest.split_first_chunk::<16>().ok_or(Refusal::Malformed)?;
        let (length, after) = after.split_first_chunk::<2>().ok_or(Refusal::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (credential, after) = after.split_at_checked(length).ok_or(Refusal::Malformed)?;
        if !(1..=MAX_CREDENTIAL).contains(&credential.len()) {
            return Err(Refusal::Malformed);
        }
        let (key, after) = cbor(after)?;
        attested = Some((credential.to_vec(), public_key(key)?));
        rest = after;
    }
    if flags & EXTENDED != 0 {
        let (_extensions, after) = cbor(rest)?;
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(AuthenticatorData { flags, counter: u32::from_be_bytes(*counter), attested })
}

/// A COSE key (RFC 9053 §7, RFC 8230 §4) as a JWK: ES256 on P-256, EdDSA on Ed25519, or RS256.
fn public_key(key: Value) -> Result<Jwk, Refusal> {
    let Value::Map(entries) = key else { return Err(Refusal::Malformed) };
    let number = |label: i128| match entry(&entries, &Value::Integer(label)) {
        Ok(Some(Value::Integer(value))) => Ok(*value),
        _ => Err(Refusal::UnsupportedKey),
    };
    let octets = |label: i128| match entry(&entries, &Value::Integer(label)) {
        Ok(Some(Value::Bytes(value))) => Ok(URL_SAFE_NO_PAD.encode(value)),
        _ => Err(Refusal::Malformed),
    };
    let jwk = match (number(1)?, number(3)?) {
        (2, -7) if number(-1)? == 1 => Jwk {
            kty: "EC".to_owned(),
            crv: Some("P-256".to_owned()),
            x: Some(octets(-2)?),
            y: Some(octets(-3)?),
            ..Jwk::default()
        },
        // -19 is the fully specified name of the same algorithm (RFC 9864).
        (1, -8 | -19) if number(-1)? == 6 => {
            Jwk { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x: Some(octets(-2)?), ..Jwk::default() }
        }
        (3, -257) => Jwk {
            kty: "RSA".to_owned(),
            alg: Some("RS256".to_owned()),
            n: Some(octets(-1)?),
            e: Some(octets(-2)?),
            ..Jwk::default()
        },
        _ => return Err(Refusal::UnsupportedKey),
    };
    Ok(jwk)
}

/// The value of a key that occurs at most once.
fn entry<'a>(entries: &'a [(Value, Value)], key: &Value) -> Result<Option<&'a Value>, Refusal> {
    let mut found = entries.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    let first = found.next();
    if found.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
}

/// A reader with a depth that is counted down to our own limit.
struct Shallow<'a>(SliceReader<'a>, usize);

impl<'a> cbor4ii::core::dec::Read<'a> for Shallow<'a> {
    type Error = <SliceReader<'a> as cbor4ii::core::dec::Read<'a>>::Error;

    fn fill<'b>(&'b mut self, want: usize) -> Result<Reference<'a, 'b>, Self::Error> {
        self.0.fill(want)
    }

    fn advance(&mut self, n: usize) {
        self.0.advance(n);
    }

    fn step_in(&mut self) -> bool {
        self.1.checked_sub(1).map(|left| self.1 = left).is_some()
    }

    fn step_out(&mut self) {
        self.1 = self.1.saturating_add(1);
    }
}

/// One CBOR value at the beginning of the bytes, and what follows it.
fn cbor(bytes: &[u8]) -> Result<(Value, &[u8]), Refusal> {
    if bytes.len() > MAX_PART {
        return Err(Refusal::Malformed);
    }
    let mut reader = Shallow(SliceReader::new(bytes), MAX_DEPTH);
    let value = Value::decode(&mut reader).map_err(|_| Refusal::Malformed)?;
    match reader.fill(bytes.len()) {
        Ok(Reference::Long(rest)) => Ok((value, rest)),
        _ => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().map(|b| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn party() -> Party {
        Party::of_issuer("https://example.org/t/acme").unwrap()
    }

    /// The example "none attestation, ES256" of WebAuthn Level 3 §16.2: the registration.
    fn published_registration() -> (Registration, Vec<u8>) {
        let client_data = "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d";
        let attestation = "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220";
        let challenge = "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130";
        (Registration { client_data: hex(client_data), attestation: hex(attestation) }, hex(challenge))
    }

    /// The assertion of the same example.
    fn published_assertion() -> (Assertion, Vec<u8>) {
        let client_data = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d";
        let signature = "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87";
        let assertion = Assertion {
            credential: hex("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4"),
            client_data: hex(client_data),
            authenticator_data: hex("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"),
            signature: hex(signature),
            user_handle: None,
        };
        (assertion, hex("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408"))
    }

    #[test]
    fn the_published_es256_example_is_read_and_its_signature_holds() {
        let (registration, challenge) = published_registration();
        let registered = read_registration(&registration, &challenge, &party()).unwrap();
        let (assertion, challenge) = published_assertion();
        assert_eq!(registered.credential, assertion.credential);
        read_assertion(&assertion, &challenge, &party(), &registered.jwk).ok().unwrap();
        // Neither part of the example verified the person, so neither is good enough here.
        assert_eq!(register(&registration, &published_registration().1, &party()), Err(Refusal::NotVerified));
        assert_eq!(verify(&assertion, &challenge, &party(), (&registered.jwk, 0)), Err(Refusal::NotVerified));
    }

    /// WebAuthn Level 3 §16.11.
    #[test]
    fn the_published_ed25519_example_holds() {
        let x = hex("44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832");
        let jwk = Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(x)),
            ..Jwk::default()
        };
        let client_data = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f7870557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d";
        let assertion = Assertion {
            credential: Vec::new(),
            client_data: hex(client_data),
            authenticator_data: hex("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000"),
            signature: hex(
                "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
            ),
            user_handle: None,
        };
        let challenge = hex("895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2");
        assert!(read_assertion(&assertion, &challenge, &party(), &jwk).is_ok());
    }

    #[test]
    fn another_site_challenge_ceremony_or_signature_is_refused() {
        let (registration, challenge) = published_registration();
        let registered = read_registration(&registration, &challenge, &party()).unwrap();
        let (assertion, get) = published_assertion();
        let refusal = |assertion: &Assertion, challenge: &[u8], party: &Party| {
            read_assertion(assertion, challenge, party, &registered.jwk).err()
        };
        assert_eq!(refusal(&assertion, &challenge, &party()), Some(Refusal::WrongChallenge));
        let other = Party::of_issuer("https://example.org:8443").unwrap();
        assert_eq!(refusal(&assertion, &get, &other), Some(Refusal::WrongOrigin));
        let sub = Party { id: "id.example.org".to_owned(), ..party() };
        assert_eq!(refusal(&assertion, &get, &sub), Some(Refusal::WrongOrigin));
        let create = Assertion { client_data: registration.client_data.clone(), ..assertion.clone() };
        assert_eq!(refusal(&create, &challenge, &party()), Some(Refusal::WrongChallenge));
        let mut bent = assertion.clone();
        bent.authenticator_data[36] ^= 1;
        assert_eq!(refusal(&bent, &get, &party()), Some(Refusal::WrongSignature));
        let framed = String::from_utf8(assertion.client_data.clone()).unwrap().replace("false", "true");
        let framed = Assertion { client_data: framed.into_bytes(), ..assertion };
        assert_eq!(refusal(&framed, &get, &party()), Some(Refusal::WrongOrigin));
    }

    #[test]
    fn hostile_cbor_is_refused_without_memory_or_stack() {
        for bad in [
            String::new(),
            "bbffffffffffffffff".to_owned(),
            "9bffffffffffffffff".to_owned(),
            "5bffffffffffffffff00".to_owned(),
            "81".repeat(8_000),
            "a1".repeat(100),
            "bf".to_owned(),
        ] {
            assert!(cbor(&hex(&bad)).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
    }

    #[test]
    fn the_site_of_an_issuer_is_its_host() {
        let party = |issuer| Party::of_issuer(issuer).map(|p| (p.id, p.origin));
        let pair = |id: &str, origin: &str| Some((id.to_owned(), origin.to_owned()));
        assert_eq!(party("https://ID.example/t/a"), pair("id.example", "https://id.example"));
        assert_eq!(party("http://localhost:8080"), pair("localhost", "http://localhost:8080"));
        assert_eq!(party("localhost"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, text: String) {
            let response = Registration { client_data: published_registration().0.client_data, attestation: bytes.clone() };
            let _ = register(&response, &published_registration().1, &party());
            let _ = authenticator_data(&bytes, &party());
            let _ = Registration::parse(&text);
            let _ = Assertion::parse(&text);
        }
    }
}
