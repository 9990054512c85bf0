//! Checkpoints: a tree's size and root as a C2SP signed note, made, read and verified.
//!
//! The text is that of C2SP tlog-checkpoint (origin, size, base64 root), the signatures those of C2SP
//! signed-note with Ed25519 keys, so that tools outside this project verify them with the public key alone.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jose::note::note_key_hash;
use jose::{Jwk, SigningKey, VerifyKey};

use crate::tree::{Hash, Head};

/// The byte that marks an Ed25519 key in a verifier key.
const ED25519: u8 = 1;
/// Most bytes of a note that is read.
const NOTE_MAX: usize = 65_536;

/// Why a checkpoint was not made or not believed.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The text is not a signed checkpoint.
    #[error("this is not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// No signature is of a key that was given.
    #[error("no signature of this checkpoint is of a known key; give the verifier key that it was signed with")]
    UnknownKey,
    /// A signature of a known key does not fit the text.
    #[error("the signature of `{0}` does not fit this checkpoint")]
    BadSignature(String),
    /// The key is not an Ed25519 key, or its name has a space or a plus sign.
    #[error("this is not a verifier key of the form name+hash+key for Ed25519")]
    Key,
    /// The signature could not be made.
    #[error("the checkpoint could not be signed")]
    Sign(#[from] jose::Error),
}

/// What signs the checkpoints of one tenant.
pub trait CheckpointSigner: Send + Sync {
    /// The key's name in signature lines; no spaces, no plus sign.
    fn name(&self) -> &str;
    /// The first line of the note, which names the tree: `<issuer host and path>/audit`.
    fn origin(&self) -> &str;
    /// The Ed25519 signature over the note's text.
    ///
    /// # Errors
    /// [`NoteError::Sign`] when the cryptography fails.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, NoteError>;
    /// The raw public key.
    fn public_key(&self) -> [u8; 32];
    /// During a rotation, the other key, which signs too; its own overlap is not asked for.
    fn overlap(&self) -> Option<&dyn CheckpointSigner> {
        None
    }
}

/// A signer over one key in memory.
#[derive(Debug)]
pub struct KeySigner {
    name: String,
    origin: String,
    key: SigningKey,
    public: [u8; 32],
}

impl KeySigner {
    /// A signer for the tree of an issuer, for example `https://auth.example.com/t/acme`; the key's name is the
    /// tree's origin.
    ///
    /// # Errors
    /// [`NoteError::Key`] when the key is not an Ed25519 key or the issuer cannot be part of a key's name.
    pub fn new(issuer: &str, key: SigningKey) -> Result<Self, NoteError> {
        let public = key.ed25519_public().ok_or(NoteError::Key)?;
        let origin = origin_of(issuer);
        if !is_key_name(&origin) {
            return Err(NoteError::Key);
        }
        Ok(Self { name: origin.clone(), origin, key, public })
    }
}

impl CheckpointSigner for KeySigner {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, NoteError> {
        Ok(self.key.sign(text)?)
    }

    fn public_key(&self) -> [u8; 32] {
        self.public
    }
}

/// The origin line of an issuer's tree: host and path without the scheme, then `/audit`.
pub fn origin_of(issuer: &str) -> String {
    let bare = issuer.split_once("://").map_or(issuer, |(_, rest)| rest).trim_end_matches('/');
    format!("{bare}/audit")
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A public key that checkpoints are believed by.
#[derive(Debug)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
    key: VerifyKey,
}

impl Verifier {
    /// A verifier from a name and a raw Ed25519 public key.
    ///
    /// # Errors
    /// [`NoteError::Key`] when either is not one.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Key);
        }
        let jwk = Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(public)),
            ..Jwk::default()
        };
        let key = VerifyKey::from_jwk(&jwk).map_err(|_| NoteError::Key)?;
        Ok(Self { name: name.to_owned(), public, key })
    }

    /// The verifier of a signer's own key.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn of(signer: &dyn CheckpointSigner) -> Result<Self, NoteError> {
        Self::new(signer.name(), signer.public_key())
    }

    /// Reads the text form `name+hash+key`.
    ///
    /// # Errors
    /// [`NoteError::Key`] for any other text, and when the hash is not that of the name and key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let bytes = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let (&kind, public) = bytes.split_first().ok_or(NoteError::Key)?;
        let public = <[u8; 32]>::try_from(public).map_err(|_| NoteError::Key)?;
        if kind != ED25519 || hash != hex(note_key_hash(name, &public)) {
            return Err(NoteError::Key);
        }
        Self::new(name, public)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex(note_key_hash(&self.name, &self.public)), STANDARD.encode(key))
    }
}

fn hex(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(bytes))
}

/// A signed statement of a tree's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree: host and path of the issuer, then `/audit`.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The whole signed note.
    pub note: String,
}

impl Checkpoint {
    /// Signs a checkpoint.
    ///
    /// # Errors
    /// [`NoteError`] when the signature cannot be made.
    pub fn sign(head: Head, signer: &dyn CheckpointSigner) -> Result<Self, NoteError> {
        let text = format!("{}\n{}\n{}\n", signer.origin(), head.size, STANDARD.encode(head.root));
        let mut note = format!("{text}\n");
        push_signature(&mut note, &text, signer)?;
        if let Some(other) = signer.overlap() {
            push_signature(&mut note, &text, other)?;
        }
        Ok(Self { origin: signer.origin().to_owned(), size: head.size, root: head.root, note })
    }

    /// Reads a note without looking at its signatures.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] when it is not a signed checkpoint.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let (text, _) = split(note)?;
        let mut lines = text.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(NoteError::Malformed("no origin line"))?;
        let digits = lines.next().ok_or(NoteError::Malformed("no size line"))?;
        let size: u64 = digits.parse().map_err(|_| NoteError::Malformed("the size is not a number"))?;
        if size.to_string() != digits {
            return Err(NoteError::Malformed("the size is not written in its shortest form"));
        }
        let root = lines
            .next()
            .and_then(|root| STANDARD.decode(root).ok())
            .and_then(|root| Hash::try_from(root).ok())
            .ok_or(NoteError::Malformed("the root is not 32 bytes of base64"))?;
        Ok(Self { origin: origin.to_owned(), size, root, note: note.to_owned() })
    }

    /// Reads a note and believes it when at least one signature is of a given key and every signature of a given
    /// key is good.
    ///
    /// # Errors
    /// [`NoteError`] otherwise.
    pub fn verify(note: &str, keys: &[Verifier]) -> Result<Self, NoteError> {
        let (text, signatures) = split(note)?;
        let mut believed = false;
        for line in signatures.lines() {
            let (name, value) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Malformed("a signature line does not begin with a dash, a name and a space"))?;
            let bytes = STANDARD.decode(value).map_err(|_| NoteError::Malformed("a signature is not base64"))?;
            let (hash, signature) =
                bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed("a signature is too short"))?;
            let known = keys.iter().find(|key| key.name == name && note_key_hash(name, &key.public) == *hash);
            if let Some(key) = known {
                if !key.key.verify(text.as_bytes(), signature) {
                    return Err(NoteError::BadSignature(name.to_owned()));
                }
                believed = true;
            }
        }
        if !believed {
            return Err(NoteError::UnknownKey);
        }
        Self::parse(note)
    }

    /// Size and root.
    pub const fn head(&self) -> Head {
        Head { size: self.size, root: self.root }
    }
}

fn push_signature(note: &mut String, text: &str, signer: &dyn CheckpointSigner) -> Result<(), NoteError> {
    let mut signature = note_key_hash(signer.name(), &signer.public_key()).to_vec();
    signature.extend_from_slice(&signer.sign(text.as_bytes())?);
    note.push_str("\u{2014} ");
    note.push_str(signer.name());
    note.push(' ');
    note.push_str(&STANDARD.encode(signature));
    note.push('\n');
    Ok(())
}

/// The signed text with its last newline, and the signature lines.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > NOTE_MAX {
        return Err(NoteError::Malformed("it is longer than 64 KiB"));
    }
    if note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(NoteError::Malformed("it holds control characters"));
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Malformed("no blank line before the signatures"))?;
    let (text, rest) = note.split_at(blank.saturating_add(1));
    let signatures = rest.strip_prefix('\n').unwrap_or_default();
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Malformed("no signature line that ends with a newline"));
    }
    Ok((text, signatures))
}

#[cfg(test)]
mod tests {
    use jose::Alg;

    use super::*;
    use crate::tree::leaf_hash;

    fn signer(issuer: &str) -> KeySigner {
        KeySigner::new(issuer, SigningKey::generate(Alg::EdDsa).unwrap().0).unwrap()
    }

    fn head() -> Head {
        Head { size: 42, root: leaf_hash(b"a root") }
    }

    #[test]
    fn a_checkpoint_is_a_signed_note_that_its_public_key_verifies() {
        let signer = signer("https://auth.example.com/t/acme");
        let made = Checkpoint::sign(head(), &signer).unwrap();
        let lines: Vec<&str> = made.note.lines().collect();
        assert_eq!(lines[..2], ["auth.example.com/t/acme/audit", "42"]);
        assert_eq!(lines[2], STANDARD.encode(head().root));
        assert_eq!(lines[3], "");
        assert!(lines[4].starts_with("\u{2014} auth.example.com/t/acme/audit "));
        assert_eq!(lines.len(), 5);
        let verifier = Verifier::parse(&Verifier::of(&signer).unwrap().to_string()).unwrap();
        assert_eq!(Checkpoint::verify(&made.note, &[verifier]).unwrap(), made);
    }

    #[test]
    fn the_origin_leaves_out_scheme_and_last_slash() {
        assert_eq!(origin_of("https://auth.example.com"), "auth.example.com/audit");
        assert_eq!(origin_of("http://127.0.0.1:8080/"), "127.0.0.1:8080/audit");
    }

    #[test]
    fn a_changed_text_a_foreign_key_and_no_key_are_refused() {
        let own = signer("https://a.example");
        let keys = [Verifier::of(&own).unwrap()];
        let note = Checkpoint::sign(head(), &own).unwrap().note;
        let changed = note.replacen("42", "43", 1);
        assert!(matches!(Checkpoint::verify(&changed, &keys), Err(NoteError::BadSignature(_))));
        let foreign = Checkpoint::sign(head(), &signer("https://a.example")).unwrap().note;
        assert!(matches!(Checkpoint::verify(&foreign, &keys), Err(NoteError::UnknownKey)));
        assert!(matches!(Checkpoint::verify(&note, &[]), Err(NoteError::UnknownKey)));
    }

    #[test]
    fn during_a_rotation_either_key_verifies_and_a_bad_signature_of_either_spoils_the_note() {
        let (old, new) = (signer("https://old.example"), signer("https://new.example"));
        let by_old = Checkpoint::sign(head(), &old).unwrap().note;
        let mut second = note_key_hash(new.name(), &new.public_key()).to_vec();
        let (text, _) = split(&by_old).unwrap();
        second.extend_from_slice(&new.sign(text.as_bytes()).unwrap());
        let both = format!("{by_old}\u{2014} {} {}\n", new.name(), STANDARD.encode(&second));
        for key in [&old, &new] {
            assert!(Checkpoint::verify(&both, &[Verifier::of(key).unwrap()]).is_ok());
        }
        second[10] ^= 1;
        let spoiled = format!("{by_old}\u{2014} {} {}\n", new.name(), STANDARD.encode(&second));
        let keys = [Verifier::of(&old).unwrap(), Verifier::of(&new).unwrap()];
        assert!(matches!(Checkpoint::verify(&spoiled, &keys), Err(NoteError::BadSignature(_))));
    }

    /// The verifier key that the Go checksum database publishes.
    #[test]
    fn a_published_verifier_key_is_read() {
        let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        assert_eq!(Verifier::parse(text).unwrap().to_string(), text);
        assert!(Verifier::parse(&text.replace("033de0ae", "033de0af")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String, tail in "\n\n— a [A-Za-z0-9+/=]{0,80}\n") {
            let keys = [Verifier::of(&signer("https://a.example")).unwrap()];
            for note in [text.clone(), format!("a\n1\n{text}{tail}")] {
                assert!(Checkpoint::verify(&note, &keys).is_err());
                let _ = Checkpoint::parse(&note);
            }
            let _ = Verifier::parse(&text);
        }
    }
}
