//! What can be wrong with a key, a token or a sealed value.

/// Why a key, a compact JWS or a sealed value was refused; no message holds key material or token text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `alg` is none of [`Alg::ALL`](crate::Alg::ALL); includes `none`, HS256 and ES512.
    #[error("`alg` is not one of ES256, ES384, EdDSA, PS256, RS256")]
    UnsupportedAlg,
    /// A symmetric key (`kty` = `oct`).
    #[error("`kty` is `oct`: symmetric keys are not accepted, use EC, OKP or RSA")]
    SymmetricKey,
    /// `kty` is none of EC, OKP, RSA.
    #[error("`kty` is not one of EC, OKP, RSA")]
    UnsupportedKeyType,
    /// `crv` is none of P-256, P-384 (EC), Ed25519 (OKP); includes P-521.
    #[error("`crv` is not one of P-256, P-384 (EC) or Ed25519 (OKP)")]
    UnsupportedCurve,
    /// An RSA key without `alg`, for which two algorithms are possible.
    #[error("an RSA key needs `alg`: PS256 or RS256")]
    AlgRequired,
    /// `alg` belongs to another key type or curve.
    #[error("`alg` does not fit the type or curve of the key")]
    AlgDoesNotFitKey,
    /// `use` is present and not `sig`.
    #[error("`use` is not `sig`: this key is not for signatures")]
    NotASignatureKey,
    /// A member the key type requires is absent.
    #[error("the key lacks its member `{0}`")]
    MissingMember(&'static str),
    /// A member is not strict base64url, or not of the required length.
    #[error("the key's member `{0}` is not base64url of the required length")]
    BadMember(&'static str),
    /// An RSA modulus below 2048 bits.
    #[error("the RSA modulus is shorter than 2048 bits")]
    RsaTooShort,
    /// An RSA modulus above 8192 bits: verifying with it would be a lever for denial of service.
    #[error("the RSA modulus is longer than 8192 bits")]
    RsaTooLong,
    /// The point is not on the curve, the exponent is not usable, or the PKCS#8 document is not a key of the algorithm.
    #[error("the key is not a valid key of its algorithm")]
    InvalidKey,
    /// The compact text exceeds 16 KiB or its header 2 KiB.
    #[error("the JWS is longer than 16 KiB, or its header longer than 2 KiB")]
    TooLong,
    /// Not three parts separated by dots; five parts would be a JWE.
    #[error("the text is not a JWS of three parts")]
    NotThreeParts,
    /// A part is not strict base64url without padding.
    #[error("a part of the JWS is not base64url without padding")]
    BadBase64,
    /// The signature part is empty.
    #[error("the JWS has no signature")]
    NoSignature,
    /// The header is not a JSON object.
    #[error("the JWS header is not a JSON object")]
    BadHeader,
    /// A header member appears twice (RFC 7515 §4).
    #[error("a member of the JWS header appears twice")]
    DuplicateHeader,
    /// A header member that would let the token choose its own key or meaning.
    #[error("the JWS header contains `{0}`, which is not accepted")]
    ForbiddenHeader(&'static str),
    /// `alg`, `typ` or `kid` is not a string, or `alg` is absent.
    #[error("the JWS header member `{0}` is absent or not a string")]
    HeaderNotAString(&'static str),
    /// The header's `alg` is not the key's.
    #[error("the `alg` of the JWS is not the algorithm of the key")]
    AlgMismatch,
    /// The header's `kid` is not the key's.
    #[error("the `kid` of the JWS is not the id of the key")]
    KidMismatch,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// The sealed value was cut, changed, moved to another place or sealed under another key.
    #[error("the sealed value does not authenticate")]
    NotAuthentic,
    /// The cryptographic library failed for a reason that is not the input's.
    #[error("the cryptographic library could not complete the operation")]
    Crypto,
}
