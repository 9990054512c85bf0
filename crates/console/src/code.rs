//! What a page shows and does, as requests and commands: the drawer "As code".

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// One operation of the API, from its OpenAPI document.
pub(crate) struct Operation {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    scope: &'static str,
    command: &'static str,
    body: Option<&'static str>,
    anchor: &'static str,
}

/// The operations behind the pages of a section of the console.
const SECTIONS: &[(&str, &[&str])] = &[
    ("", &["listClients", "listAuditRecords", "listJournal", "whoami"]),
    ("activity", &["listJournal", "listAuditRecords"]),
    ("settings", &["whoami"]),
    ("/console/tenants", &["listTenants", "createTenant", "updateTenant"]),
    ("identity/tokens", &["listTokens", "listTokenFamilies", "revokeClientTokens"]),
    (
        "team",
        &[
            "listOperators",
            "listRoles",
            "createInvitation",
            "listInvitations",
            "updateOperator",
            "listOperatorSessions",
            "endOperatorSessions",
            "disableOperator",
            "enableOperator",
            "deleteOperator",
        ],
    ),
    ("identity/limits", &["getLimits", "updateLimits"]),
    ("audit", &["listAuditRecords", "listJournal", "listCheckpoints"]),
    ("identity/clients", &["listClients", "countClients", "createClient"]),
    ("identity/apis", &["listApis", "createApi"]),
    ("identity/keys", &["listKeys", "rotateKey", "cancelKeyRotation", "getJwks"]),
    ("customers", &["listCustomers", "createCustomer"]),
    ("billing/plans", &["listPlans", "createPlan"]),
    ("billing/subscriptions", &["listSubscriptions", "createSubscription"]),
    ("billing/usage", &["listUsageEvents", "listUsageRejections", "reportUsage", "correctUsage", "check"]),
    (
        "billing/features",
        &[
            "listFeatures",
            "createFeature",
            "updateFeature",
            "deleteFeature",
            "listMeters",
            "createMeter",
            "archiveMeter",
        ],
    ),
    ("developers/webhooks", &["listWebhooks", "createWebhook"]),
];

/// One operation as a page shows it.
pub(crate) struct Shown {
    /// What it does.
    pub(crate) summary: &'static str,
    /// Method and path.
    pub(crate) operation: String,
    /// The scope it needs; empty for none.
    pub(crate) scope: &'static str,
    /// The request.
    pub(crate) curl: String,
    /// The command; empty when there is none.
    pub(crate) command: String,
    /// Where the book describes it.
    pub(crate) href: String,
    id: &'static str,
}

impl Shown {
    /// The id of one of its blocks in a page.
    pub(crate) fn block(&self, kind: &str) -> String {
        format!("code-{}-{kind}", self.id)
    }
}

/// The operations of a section, for an issuer.
pub(crate) fn of_section(section: &str, issuer: &str) -> Vec<Shown> {
    let known = SECTIONS.iter().find(|(known, _)| *known == section);
    known.map(|(_, ids)| shown(ids, issuer, &[])).unwrap_or_default()
}

/// Operations by their ids, with values for the parameters of their paths; what has none becomes a variable.
pub(crate) fn shown(ids: &[&str], issuer: &str, values: &[(&str, &str)]) -> Vec<Shown> {
    let found = ids.iter().filter_map(|id| OPERATIONS.iter().find(|operation| operation.id == *id));
    found.map(|operation| operation.shown(issuer, values)).collect()
}

impl Operation {
    fn shown(&self, issuer: &str, values: &[(&str, &str)]) -> Shown {
        let filled = filled(self.path, values);
        let mut curl = format!("curl -s \"{issuer}{filled}\"");
        if self.method != "GET" && (self.method != "POST" || self.body.is_none()) {
            curl.extend([" -X ", self.method]);
        }
        if !self.scope.is_empty() || self.path == "/api/whoami" {
            curl.push_str(" \\\n  -H \"Authorization: Bearer $TOKEN\"");
        }
        if let Some(body) = self.body {
            curl.extend([" \\\n  -H 'Content-Type: application/json' \\\n  -d '", body, "'"]);
        }
        Shown {
            summary: self.summary,
            operation: format!("{} {}", self.method, self.path),
            scope: self.scope,
            curl,
            command: filled_command(self.command, values),
            href: format!("/docs/api#{}", self.anchor),
            id: self.id,
        }
    }
}

/// A text with its words in braces replaced by values, or by variables named after them.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, end)) = after.split_once('}') else { break };
        out.push_str(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => out.push_str(value),
            None => out.extend(["$", name.to_uppercase().as_str()]),
        }
        rest = end;
    }
    out.push_str(rest);
    out
}

/// A command whose body, if it has one, is no place for values.
fn filled_command(command: &str, values: &[(&str, &str)]) -> String {
    match command.split_once(" --data ") {
        Some((before, body)) => format!("{} --data {body}", filled(before, values)),
        None => filled(command, values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_a_section_exists() {
        for (section, ids) in SECTIONS {
            assert_eq!(shown(ids, "https://id.example", &[]).len(), ids.len(), "{section}");
        }
    }

    #[test]
    fn a_request_has_the_values_of_its_page_and_variables_for_the_rest() {
        let one = |id: &str| shown(&[id], "https://id.example", &[("client_id", "worker")]).remove(0);
        let end = one("deleteSecret");
        assert_eq!(
            end.curl,
            "curl -s \"https://id.example/api/clients/worker/secrets/$ID\" -X DELETE \\\n  \
             -H \"Authorization: Bearer $TOKEN\""
        );
        assert_eq!(end.command, "bastionary secrets delete worker $ID --yes");
        let change = one("updateClient");
        assert!(change.curl.contains(" -X PATCH ") && change.curl.contains("-d '{"), "{}", change.curl);
        let limits = one("updateLimits");
        assert!(
            limits.command.starts_with("bastionary api patch /api/limits --data '{\"client\":{"),
            "{}",
            limits.command
        );
    }
}
