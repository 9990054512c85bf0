//! Who is asking: taken by every use-case as its first argument.

use std::net::IpAddr;
use std::sync::Arc;

use crate::id::{Id, Operator, Request, Secret};
use crate::tenant::TenantId;

/// Who acts, in the audit record's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A client, by its public `client_id`.
    Client(Arc<str>),
    /// The process itself: first start, schedules, sequencing.
    System(&'static str),
    /// Someone with access to the data directory or its local socket.
    LocalOperator,
    /// A person who signed in to the console.
    Operator {
        /// The account.
        id: Id<Operator>,
        /// Its e-mail address.
        email: Arc<str>,
        /// How the session was signed in, for example `passkey`.
        method: &'static str,
    },
}

/// The authenticated caller of a use-case.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The tenant the caller acts in.
    pub tenant: TenantId,
    /// Who acts.
    pub subject: Subject,
    /// The credential that was used, where there is one.
    pub credential: Option<Id<Secret>>,
    /// Granted scopes.
    pub scopes: Arc<[Arc<str>]>,
    /// Peer address of the request, where there is one.
    pub source: Option<IpAddr>,
    /// The request.
    pub request: Id<Request>,
}

impl Principal {
    /// Whether the caller holds the scope; `admin` implies all.
    pub fn holds(&self, scope: &str) -> bool {
        matches!(self.subject, Subject::System(_) | Subject::LocalOperator)
            || self.scopes.iter().any(|held| &**held == scope || &**held == "admin")
    }

    /// The actor as audit records name it.
    pub fn actor(&self) -> String {
        match &self.subject {
            Subject::Client(id) => format!("client:{id}"),
            Subject::System(part) => format!("system:{part}"),
            Subject::LocalOperator => "local-operator".to_owned(),
            Subject::Operator { email, method, .. } => format!("operator:{email} ({method})"),
        }
    }
}
