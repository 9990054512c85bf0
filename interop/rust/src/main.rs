//! The crate `oauth2` with its `ureq` client over TLS: grants, introspection and revocation.

use std::error::Error;
use std::sync::Arc;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, IntrospectionUrl, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

type Outcome = Result<(), Box<dyn Error>>;
type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

const METHODS: [(&str, AuthType); 2] = [("basic", AuthType::BasicAuth), ("request body", AuthType::RequestBody)];

/// A client and its secret, as the environment names them.
struct Credentials {
    id: String,
    secret: String,
}

impl Credentials {
    fn named(prefix: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self { id: variable(&format!("{prefix}_ID"))?, secret: variable(&format!("{prefix}_SECRET"))? })
    }

    fn client(&self, method: &AuthType) -> Result<Client, Box<dyn Error>> {
        let issuer = variable("ISSUER")?;
        let client = BasicClient::new(ClientId::new(self.id.clone()))
            .set_client_secret(ClientSecret::new(self.secret.clone()))
            .set_auth_type(method.clone())
            .set_token_uri(TokenUrl::new(format!("{issuer}/oauth2/token"))?)
            .set_introspection_url(IntrospectionUrl::new(format!("{issuer}/oauth2/introspect"))?)
            .set_revocation_url(RevocationUrl::new(format!("{issuer}/oauth2/revoke"))?);
        Ok(client)
    }
}

#[expect(clippy::disallowed_methods, reason = "the run hands everything over in the environment")]
fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// The library's own HTTP client, which trusts the certificate of this run and no other.
fn http() -> Result<ureq::Agent, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(variable("CERTIFICATE")?)?)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(ureq::AgentBuilder::new().redirects(0).tls_config(Arc::new(tls)).build())
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn client_credentials(who: &Credentials, method: &AuthType) -> Outcome {
    let token = who
        .client(method)?
        .exchange_client_credentials()
        .add_scope(Scope::new("read".to_owned()))
        .add_scope(Scope::new("write".to_owned()))
        .request(&http()?)?;
    let scopes: Vec<&str> = token.scopes().into_iter().flatten().map(|scope| scope.as_str()).collect();
    ensure(scopes.len() == 2 && scopes.contains(&"read") && scopes.contains(&"write"), "other scopes")?;
    ensure(token.expires_in().is_some_and(|life| !life.is_zero()), "no lifetime")
}

fn refresh(who: &Credentials, method: &AuthType) -> Outcome {
    let client = who.client(method)?;
    let first = client.exchange_client_credentials().request(&http()?)?;
    let old = first.refresh_token().ok_or("no refresh token")?;
    let second = client.exchange_refresh_token(old).add_scope(Scope::new("read".to_owned())).request(&http()?)?;
    let new = second.refresh_token().ok_or("no second refresh token")?;
    ensure(new.secret() != old.secret(), "the refresh token did not rotate")?;
    let shown = client.introspect(second.access_token()).request(&http()?)?;
    ensure(shown.active(), "the new access token is not active")
}

fn introspect_and_revoke(who: &Credentials, method: &AuthType) -> Outcome {
    let client = who.client(method)?;
    let token = client.exchange_client_credentials().request(&http()?)?;
    let before = client.introspect(token.access_token()).request(&http()?)?;
    ensure(before.active(), "the token is not active")?;
    ensure(before.client_id().is_some_and(|id| id.as_str() == who.id), "another client id")?;
    ensure(before.exp().is_some(), "no end")?;
    let dead = StandardRevocableToken::from(token.access_token().clone());
    client.revoke_token(dead)?.request(&http()?)?;
    ensure(!client.introspect(token.access_token()).request(&http()?)?.active(), "active after its revocation")
}

fn refusals(who: &Credentials, method: &AuthType) -> Outcome {
    let unknown = Scope::new("nobody:knows".to_owned());
    let answer = who.client(method)?.exchange_client_credentials().add_scope(unknown).request(&http()?);
    ensure(answer.is_err(), "an unknown scope was granted")?;
    let wrong = Credentials { id: who.id.clone(), secret: format!("{}x", who.secret) };
    ensure(wrong.client(method)?.exchange_client_credentials().request(&http()?).is_err(), "a wrong secret was taken")
}

fn say(flow: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok oauth2 {flow}"),
        Err(error) => println!("not ok oauth2 {flow}: {error} {error:?}"),
    }
}

fn main() -> Outcome {
    let client = Credentials::named("CLIENT")?;
    let chosen = [
        ("broken escapes", Credentials::named("BROKEN_ESCAPES")?),
        ("valid escapes", Credentials::named("VALID_ESCAPES")?),
    ];
    for (name, method) in &METHODS {
        say(&format!("client_credentials with {name}"), client_credentials(&client, method));
        say(&format!("refresh with {name}"), refresh(&client, method));
        say(&format!("introspection and revocation with {name}"), introspect_and_revoke(&client, method));
        say(&format!("refusals with {name}"), refusals(&client, method));
        for (secret, who) in &chosen {
            say(&format!("chosen secret with {secret}, {name}"), client_credentials(who, method));
        }
    }
    println!("end");
    Ok(())
}
