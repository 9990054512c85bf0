//! A server as the command line sees it: where it is, with which credentials, and what its refusals mean.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method, StatusCode};
use serde_json::Value;

use crate::environment::given;
use crate::failure::{Exit, Failure};
use crate::outbound::{Answer, Flow, Message, Outbound, encoded, form};

/// Where `serve` and `dev` listen when nothing else is said.
const HERE: &str = "http://127.0.0.1:8080";

/// Refused events of a request that are named.
const NAMED: usize = 10;

/// Which server, and who asks.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Remote {
    /// URL of the server [env: BASTIONARY_ISSUER] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", global = true)]
    issuer: Option<String>,
    /// Id of the client that asks [env: BASTIONARY_CLIENT_ID]
    #[arg(long = "as", value_name = "CLIENT_ID", global = true)]
    acting: Option<String>,
    /// File with its secret; `-` reads standard input [env: BASTIONARY_CLIENT_SECRET, BASTIONARY_CLIENT_SECRET_FILE]
    #[arg(long = "as-secret-file", value_name = "FILE", global = true)]
    acting_secret_file: Option<PathBuf>,
    /// Certificates to trust, PEM, instead of the system's [env: BASTIONARY_CA_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
}

impl Remote {
    /// The server named by the flags or the environment.
    pub(crate) fn server(&self) -> Outbound {
        server(self.issuer.as_deref(), self.ca_file.as_deref())
    }

    /// A session of the admin API; asks for a token with the scope, or with `admin`.
    pub(crate) async fn session(&self, scope: &str) -> Result<Session, Failure> {
        self.session_of([scope, "admin"], scope).await
    }

    /// A session that holds all that its client may, where an operation gives away what the caller holds: asks for a
    /// token with `admin`, or with the scope.
    pub(crate) async fn whole_session(&self, scope: &str) -> Result<Session, Failure> {
        self.session_of(["admin", scope], scope).await
    }

    async fn session_of(&self, order: [&str; 2], scope: &str) -> Result<Session, Failure> {
        let server = self.server();
        if let Some(token) = given("BASTIONARY_TOKEN") {
            return Ok(Session { server, token });
        }
        let (id, secret) = credentials(self.acting.as_deref(), self.acting_secret_file.as_deref())?;
        for asked in order {
            let fields = [("grant_type", "client_credentials"), ("scope", asked)];
            let answer = token_request(&server, &id, &secret, &fields).await?;
            match answer.get("access_token").and_then(Value::as_str) {
                Some(token) => return Ok(Session { server, token: token.to_owned() }),
                None if answer.get("error").and_then(Value::as_str) == Some("invalid_scope") => {}
                None => return Err(oauth_failure(&answer)),
            }
        }
        Err(Failure::new(
            format!("the client {id} may not do this"),
            format!("it holds neither the scope {scope} nor the scope admin"),
            "Use another client, or give this one the scope.",
        )
        .exit(Exit::Denied))
    }
}

/// A secret on the command line, known only to be refused with the reason.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SecretArgument {
    #[arg(long, hide = true)]
    client_secret: Option<String>,
}

impl SecretArgument {
    /// Ends the command when the secret was given.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        if self.client_secret.is_none() {
            return Ok(());
        }
        Err(Failure::new(
            "a secret on the command line is refused",
            "other users of this machine can read the arguments of a process, and shells keep them",
            "Put it into a file and name that with `--client-secret-file`, or set BASTIONARY_CLIENT_SECRET.",
        )
        .exit(Exit::Usage))
    }
}

/// The server of a URL, else of the environment, else of this machine.
pub(crate) fn server(issuer: Option<&str>, ca_file: Option<&Path>) -> Outbound {
    let base = issuer.map(str::to_owned).or_else(|| given("BASTIONARY_ISSUER")).unwrap_or_else(|| HERE.to_owned());
    let ca_file = ca_file.map(Path::to_path_buf).or_else(|| given("BASTIONARY_CA_FILE").map(PathBuf::from));
    Outbound::new(&base, ca_file.as_deref())
}

/// Client id and secret from the flags or the environment.
pub(crate) fn credentials(client_id: Option<&str>, secret_file: Option<&Path>) -> Result<(String, String), Failure> {
    let missing = |what: &str, remedy: &str| {
        Failure::new(format!("no {what} was given"), "the server asks every caller who it is", remedy).exit(Exit::Usage)
    };
    let id = client_id.map(str::to_owned).or_else(|| given("BASTIONARY_CLIENT_ID"));
    let id = id.ok_or_else(|| {
        missing("client id", "Set BASTIONARY_CLIENT_ID, or make a client with `bastionary admin client create`.")
    })?;
    let from_environment = given("BASTIONARY_CLIENT_SECRET");
    let file = secret_file
        .map(Path::to_path_buf)
        .or_else(|| given("BASTIONARY_CLIENT_SECRET_FILE").filter(|_| from_environment.is_none()).map(PathBuf::from));
    let secret = match file {
        Some(file) => read_text(&file, "secret")?.trim_end_matches(['\r', '\n']).to_owned(),
        None => from_environment.ok_or_else(|| {
            missing("secret", "Set BASTIONARY_CLIENT_SECRET or BASTIONARY_CLIENT_SECRET_FILE. Arguments can be read by other users, so there is no flag for the secret itself.")
        })?,
    };
    Ok((id, secret))
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn read_text(file: &Path, what: &str) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| {
        Failure::new(format!("the {what} in {} cannot be read", file.display()), error, "").exit(Exit::Usage)
    })
}

/// Sends a request to the token endpoint; the answer, good or not, as JSON.
pub(crate) async fn token_request(
    server: &Outbound,
    id: &str,
    secret: &str,
    fields: &[(&str, &str)],
) -> Result<Value, Failure> {
    let message = Message { authorization: Some(basic(id, secret)), body: Some(form(fields)), ..Message::default() };
    let answer = server.send(Method::POST, "/oauth2/token", message).await?;
    serde_json::from_slice(&answer.body).map_err(|_| foreign(server, answer.status))
}

/// Revokes a token (RFC 7009).
pub(crate) async fn revoke(server: &Outbound, id: &str, secret: &str, token: &str) -> Result<(), Failure> {
    let message =
        Message { authorization: Some(basic(id, secret)), body: Some(form(&[("token", token)])), ..Message::default() };
    let answer = server.send(Method::POST, "/oauth2/revoke", message).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    Err(serde_json::from_slice(&answer.body)
        .map_or_else(|_| foreign(server, answer.status), |body| oauth_failure(&body)))
}

/// The value of `Authorization` for a client; RFC 6749 §2.3.1: both halves are form-encoded first.
fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

fn foreign(server: &Outbound, status: StatusCode) -> Failure {
    Failure::new(
        format!("{} is not a Bastionary server", server.base()),
        format!("it answered {status} with a body that is no JSON"),
        "Check `--issuer`.",
    )
}

/// The refusal of an OAuth endpoint.
pub(crate) fn oauth_failure(answer: &Value) -> Failure {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("the answer names no reason").to_owned();
    let error = text("error");
    let (exit, remedy) = match error.as_str() {
        "invalid_client" => {
            (Exit::Denied, "Check the client id and the secret; `bastionary secrets create` makes a new secret.")
        }
        "unauthorized_client" | "access_denied" | "invalid_grant" => (Exit::Denied, ""),
        "invalid_scope" => (Exit::Denied, "Name scopes that `bastionary clients get` lists for this client."),
        "slow_down" => (Exit::Limited, "Try again later."),
        "temporarily_unavailable" => (Exit::Failed, "Try again in a moment."),
        _ => (Exit::Failed, ""),
    };
    let failure = Failure::new(format!("no token was issued: {error}"), text("error_description"), remedy).exit(exit);
    Failure { answer: Some(Box::new(answer.clone())), ..failure }
}

/// A token for the admin API and the server it is for.
pub(crate) struct Session {
    server: Outbound,
    token: String,
}

impl Session {
    /// Sends a request; `None` when the answer has no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, Failure> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.send(method, path, body.map(|body| (kind, body.to_string().into_bytes())), Vec::new()).await
    }

    /// The same with a body of any kind, and header fields.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
        fields: Vec<(HeaderName, String)>,
    ) -> Result<Option<Value>, Failure> {
        let authorization = Some(format!("Bearer {}", self.token));
        let message = Message { authorization, fields, body };
        let answer = self.server.send(method, path, message).await?;
        if !answer.status.is_success() {
            return Err(problem(&answer));
        }
        if answer.body.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&answer.body).map(Some).map_err(|_| foreign(&self.server, answer.status))
    }

    /// Opens an answer that goes on.
    pub(crate) async fn follow(&self, path: &str, fields: Vec<(HeaderName, String)>) -> Result<Flow, Failure> {
        let authorization = Some(format!("Bearer {}", self.token));
        let message = Message { authorization, fields, ..Message::default() };
        self.server.follow(path, message).await?.map_err(|refusal| problem(&refusal))
    }

    /// All items of a list, at most `limit` when it is given, in the form of one answer.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Option<u32>,
    ) -> Result<Value, Failure> {
        let mut all: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let taken = u32::try_from(all.len()).unwrap_or(u32::MAX);
            let page = limit.map_or(200, |limit| limit.saturating_sub(taken)).clamp(1, 200);
            let mut pairs: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            pairs.push(format!("limit={page}"));
            pairs.extend(cursor.as_deref().map(|cursor| format!("cursor={}", encoded(cursor))));
            let answer =
                self.call(Method::GET, &format!("{path}?{}", pairs.join("&")), None).await?.unwrap_or_default();
            all.extend(answer.get("data").and_then(Value::as_array).into_iter().flatten().cloned());
            cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            let taken = u32::try_from(all.len()).unwrap_or(u32::MAX);
            if cursor.is_none() || limit.is_some_and(|limit| taken >= limit) {
                return Ok(serde_json::json!({"data": all, "has_more": cursor.is_some(), "next_cursor": cursor}));
            }
        }
    }
}

/// The refusal of the admin API (RFC 9457).
fn problem(answer: &Answer) -> Failure {
    let exit = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Denied,
        StatusCode::NOT_FOUND => Exit::Missing,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Exit::Limited,
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Exit::Usage,
        _ => Exit::Failed,
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut why = vec![text("detail").to_owned()];
    for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        // a refused parameter stands for the whole
        if error.get("parameter").is_none() {
            why.push(format!("{}: {}", part("pointer"), part("detail")));
        }
    }
    for rejected in body.get("rejected").and_then(Value::as_array).into_iter().flatten().take(NAMED) {
        let part = |name: &str| rejected.get(name).and_then(Value::as_str).unwrap_or_default();
        why.push(format!("{}: {}: {}", part("id"), part("code"), part("detail")));
    }
    why.retain(|line| !line.is_empty());
    let mut remedy = Vec::new();
    if let Some(page) = body.get("type").and_then(Value::as_str).filter(|page| page.starts_with("http")) {
        remedy.push(format!("See {page}"));
    }
    if let Some(id) = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
        remedy.push(format!("Request {id}"));
    }
    let code = body.get("code").and_then(Value::as_str).unwrap_or_else(|| text("title"));
    let failure = Failure::new(
        format!("the server refused with {}: {code}", answer.status.as_u16()),
        why.join("\n"),
        remedy.join("\n"),
    );
    Failure { answer: body.is_object().then(|| Box::new(body.clone())), ..failure.exit(exit) }
}
