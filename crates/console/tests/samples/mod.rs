//! Pages with made-up data: what the tests read and the preview shows.

mod activity;
mod billing;
mod house;
mod tokens;
mod usage;
mod webhooks;

use std::collections::BTreeSet;

use auth::client::{RateLimit, TokenQuota};
use auth::operator::Role;
use console::pages::{
    access, account, api, apis, audit, client, client_log, clients, home, keys, refused, reveal, run, search, sign_in,
    team,
};
use console::{Document, Entered, Environment, Nonce, Theme, Viewer, Visit};
use kernel::clock::Timestamp;

/// Seconds of `2026-03-10T14:25:00Z`.
const NOW: i64 = 1_773_152_700;

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW - seconds)
}

/// An operator of a role, with the scopes given.
pub(crate) fn viewer(role: Role, scopes: &[&str], environment: Environment, theme: Theme) -> Viewer {
    Viewer {
        name: "Ada Okafor".to_owned(),
        email: "ada@example.com".to_owned(),
        role,
        tenant_slug: "default".to_owned(),
        tenant_name: "Northwind Energy".to_owned(),
        issuer: "https://id.example.com".to_owned(),
        environment,
        csrf: "csrf-token".to_owned(),
        holds: scopes.iter().map(|scope| (*scope).to_owned()).collect::<BTreeSet<_>>(),
        theme,
        language: "curl",
        goes_between: role == Role::Owner,
        done: None,
    }
}

fn list(is_empty: bool) -> clients::List {
    let names = [
        ("billing-worker", "client_06gx2k9v5q7m3t8w1z4c6b0dhr", "invoices:read usage:write", "active", 90),
        ("ci-deployer", "ci-deployer", "flags:write", "active", 840),
        ("edge-cache", "client_06gx2k9vbd2n5s8x1f4h7k0mqt", "flags:read licenses:validate", "active", 7_200),
        ("legacy-export", "legacy-export", "invoices:read", "disabled", 41 * 86_400),
        (
            "meter-gateway-berlin-03",
            "client_06gx2k9vdzr6v9y2j5n8q1t4w7",
            "usage:write meters:read meters:write devices:read devices:write",
            "active",
            50 * 86_400,
        ),
        ("partner-sync", "partner-sync", "customers:read", "expired", 90 * 86_400),
        ("report-builder", "client_06gx2k9vfa3p6s9v2y5b8e1hkn", "reports:write", "active", 200 * 86_400),
    ];
    let rows = names.map(|(name, id, scopes, status, created)| clients::Row {
        client_id: id.to_owned(),
        name: name.to_owned(),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        status,
        expires_at: (status == "expired").then(|| ago(5 * 86_400)),
        created_at: ago(created),
        updated_at: ago(created),
    });
    clients::List {
        rows: if is_empty { Vec::new() } else { rows.to_vec() },
        q: String::new(),
        status: String::new(),
        sort: "-created_at".to_owned(),
        limit: 50,
        is_first: true,
        previous: None,
        next: (!is_empty).then(|| "b3BhcXVl".to_owned()),
        counts: if is_empty { [(0, false); 2] } else { [(10_000, true); 2] },
        window: None,
        here: "/console/identity/clients".to_owned(),
        columns: clients::columns(None),
    }
}

/// A client with two secrets and two APIs.
pub(crate) fn one_client() -> client::Client {
    let secret = |id: &str, label: &str, status, created, expires: Option<i64>, used: Option<i64>| client::Credential {
        id: id.to_owned(),
        label: label.to_owned(),
        kind: "generated",
        hint: "9kQ2".to_owned(),
        status,
        created_at: ago(created),
        expires_at: expires.map(ago),
        last_used_at: used.map(ago),
        families: 1,
    };
    client::Client {
        client_id: "client_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        name: "billing-worker".to_owned(),
        status: "active",
        customer: Some(("cus_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(), "Northwind Traders".to_owned())),
        issuer: "https://id.example.com".to_owned(),
        grants: vec!["client_credentials".to_owned()],
        auth_method: "client_secret_basic",
        scopes: vec!["invoices:read".to_owned(), "usage:write".to_owned()],
        scope: "invoices:read".to_owned(),
        access: [("Billing", "invoices:read", true), ("Metering", "usage:write", false)]
            .map(|(name, scope, is_default)| access::Api {
                name: name.to_owned(),
                audience: format!("https://{}.example.com", name.to_lowercase()),
                is_management: false,
                is_listed: false,
                scopes: vec![access::Scope {
                    name: scope.to_owned(),
                    text: "What it allows".to_owned(),
                    is_allowed: true,
                    is_default,
                }],
            })
            .into(),
        multi_audience: false,
        says: access::Says::Token {
            claims: "{\n  \"iss\": \"https://id.example.com\",\n  \"scope\": \"invoices:read\"\n}".to_owned(),
            alg: Some("ES256"),
            lifetime: 900,
        },
        credentials: vec![
            secret("secret_1", "March rotation", "active", 3_600, None, Some(90)),
            secret("secret_2", "First secret", "active", 90 * 86_400, Some(-82_000), Some(5_000)),
            secret("secret_3", "Trial", "revoked", 200 * 86_400, None, Some(190 * 86_400)),
        ],
        token_ttl_seconds: Some(900),
        format: "jwt",
        signing_alg: String::new(),
        rate: Some(RateLimit { limit: 600, window_s: 60, burst: 1_200, enforce: true }),
        quota: Some(TokenQuota { per_hour: Some(10_000), per_day: None, enforce: false }),
        created_at: ago(90 * 86_400),
        updated_at: ago(3_600),
        expires_at: None,
        last_token_at: Some(ago(90)),
        families: 1,
        issued_lately: Some(41),
        callers: vec![
            client::Caller { source: "203.0.113.9".to_owned(), secret: "secret_1".to_owned(), at: ago(90) },
            client::Caller { source: "2001:db8::7".to_owned(), secret: "secret_2".to_owned(), at: ago(5_000) },
        ],
        etag: "\"4\"".to_owned(),
        form: "form-1".to_owned(),
        log: Some(client_log::Log {
            entries: [None, Some(("invalid_secret", 12)), Some(("rate_limit", 1)), None]
                .into_iter()
                .zip([90, 300, 4_000, 86_400])
                .map(|(denied, seconds)| client_log::Entry {
                    at: ago(seconds),
                    denied: denied.map(|(reason, _)| reason.to_owned()),
                    count: denied.map_or(1, |(_, count)| count),
                    issued: denied.is_none().then(|| ("client_credentials", "invoices:read".to_owned())),
                    source: Some("192.0.2.7".to_owned()),
                    request: "req_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
                })
                .collect(),
            outcome: String::new(),
            limit: 50,
            is_first: true,
            next: Some("b3BhcXVl".to_owned()),
        }),
        ran: None,
    }
}

/// File name and page of everything that there is.
pub(crate) fn pages(viewer: &Viewer, nonce: &Nonce) -> Vec<(String, Document)> {
    let visit = Visit { viewer, nonce, now: Timestamp::from_seconds(NOW) };
    let nothing = Entered::default();
    let wrong = Entered {
        values: vec![
            ("name".to_owned(), "billing-worker".to_owned()),
            ("expires_at".to_owned(), "soon".to_owned()),
            ("email".to_owned(), "ada@example.com".to_owned()),
        ],
        problems: vec![("expires_at".to_owned(), "`soon` is not a time; write 2027-01-31T00:00:00Z.".to_owned())],
        ..Entered::default()
    };
    let not_right = Entered {
        problems: vec![(String::new(), "The e-mail or the passphrase is not right.".to_owned())],
        ..wrong.clone()
    };
    let scopes = [
        ("invoices:read", "Read invoices"),
        ("invoices:write", "Create and finalize invoices"),
        ("usage:write", "Send usage events"),
    ];
    let scopes = scopes.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let key =
        |kid: &str, purpose, state, created, promoted: Option<i64>, retired: Option<i64>, removed: Option<i64>| {
            keys::Key {
                kid: kid.to_owned(),
                purpose,
                alg: "EdDSA",
                state,
                is_live: true,
                replace_at: None,
                created_at: ago(created),
                promoted_at: promoted.map(ago),
                retired_at: retired.map(ago),
                remove_after: removed.map(ago),
            }
        };
    let day = 86_400;
    let all_keys = [
        key("qH3vX0m1Zr8kT5yP2wN7cB4dF6gJ9sLaEuI0oQxRtVY", "token", "staged", 600, None, None, None),
        key(
            "Zk81Ls0Pq4Rv7Xw2Yb5Nd8Mf1Gh3Jt6Ac9Eu0Io2SxK",
            "token",
            "active",
            20 * day,
            Some(20 * day - 400),
            None,
            None,
        ),
        key(
            "a7Tn4Wc9Vb2Xz5Qk8Jh1Gf3Ds6Pl0Mo2Ni4Ub7YvRcE",
            "token",
            "retiring",
            50 * day,
            Some(50 * day - 400),
            Some(day / 2),
            Some(-day / 2),
        ),
        key(
            "T5yP2wN7cB4dF6gJ9sLaEuI0oQxRtVYqH3vX0m1Zr8k",
            "checkpoint",
            "active",
            50 * day,
            Some(50 * day),
            None,
            None,
        ),
    ];
    let item = |text: &str, detail: &str, icon, refused: Option<&str>| search::Item {
        text: text.to_owned(),
        detail: detail.to_owned(),
        href: "/console".to_owned(),
        icon,
        refused: refused.map(str::to_owned),
    };
    let found = search::Search {
        q: "bi".to_owned(),
        groups: vec![
            search::Group {
                title: "Clients",
                items: vec![item("billing-worker", "client_06gx2k9v5q7m3t8w1z4c6b0dhr", "boxes", None)],
            },
            search::Group {
                title: "Actions",
                items: vec![item("Invite a person", "", "user-plus", Some("Needs the scope operators:write."))],
            },
        ],
    };
    let change = |field: &str, before: Option<&str>, after: Option<&str>| audit::Difference {
        field: field.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let record = |n: i64, actor: &str, action: &str, object: &str, at, differences| audit::Record {
        id: format!("commit_06gx2k9v5q7m3t8w1z4c6b0d{n:02}"),
        actor: actor.to_owned(),
        action: action.to_owned(),
        actor_name: None,
        object: object.to_owned(),
        object_name: (object == "billing-worker").then(|| "Billing worker".to_owned()),
        at: ago(at),
        source: Some("203.0.113.9".to_owned()),
        request: Some("req_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned()),
        differences,
    };
    let log = audit::Log {
        records: vec![
            record(
                1,
                "ada@example.com",
                "client.updated",
                "billing-worker",
                120,
                vec![
                    change("scopes", Some("invoices:read"), Some("invoices:read usage:write")),
                    change("expires_at", Some("2026-06-01T00:00:00Z"), None),
                ],
            ),
            record(
                2,
                "ada@example.com",
                "secret.created",
                "billing-worker",
                3_600,
                vec![change("secret", None, Some("changed"))],
            ),
            record(
                3,
                "key upkeep",
                "key.promoted",
                "Zk81Ls0Pq4…",
                20 * day,
                vec![change("state", Some("staged"), Some("active"))],
            ),
            record(
                4,
                "ci-deployer",
                "client.disabled",
                "legacy-export",
                41 * day,
                vec![change("disabled_at", None, Some("2026-01-28T09:00:00Z"))],
            ),
        ],
        action: String::new(),
        actor: String::new(),
        limit: 50,
        is_first: false,
        next: Some("bg".to_owned()),
        signed_at: Some(ago(40)),
    };
    let member = |id: &str, name: &str, email: &str, role, status, factors: &[&str], seen: Option<i64>| team::Member {
        id: id.to_owned(),
        name: name.to_owned(),
        email: email.to_owned(),
        role,
        status,
        factors: factors.iter().map(|f| (*f).to_owned()).collect(),
        last_seen_at: seen.map(ago),
        sessions: factors.len(),
        etag: "3".to_owned(),
    };
    let members = [
        member(
            "op_1",
            "Ada Okafor",
            "ada@example.com",
            Role::Owner,
            "active",
            &["2 passkeys", "authenticator"],
            Some(40),
        ),
        member(
            "op_2",
            "Jonas Lindqvist",
            "jonas@example.com",
            Role::Developer,
            "active",
            &["authenticator"],
            Some(7_200),
        ),
        member("op_3", "Mei Tanaka", "mei@example.com", Role::Support, "disabled", &[], None),
    ];
    let invitations = [team::Invitation {
        id: "link_1".to_owned(),
        email: "sam@example.com".to_owned(),
        role: Role::Billing,
        made_by: "operator:ada@example.com (passkey)".to_owned(),
        expires_at: ago(-2 * day),
    }];
    let own = account::Account {
        must_enroll: false,
        has_passphrase: true,
        has_totp: true,
        codes_left: 9,
        passkey_host: None,
        passkeys: vec![account::Own {
            id: "passkey_1".to_owned(),
            name: "laptop".to_owned(),
            created_at: ago(20 * day),
            last_used_at: Some(ago(3_600)),
        }],
        sessions: ["session_1", "session_2"]
            .map(|id| account::Open {
                id: id.to_owned(),
                browser: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
                source: "203.0.113.9".to_owned(),
                method: "passkey",
                created_at: ago(7_200),
                last_seen_at: ago(30),
                is_present: id == "session_1",
            })
            .to_vec(),
    };
    let newcomer = account::Account {
        must_enroll: true,
        has_totp: false,
        passkeys: Vec::new(),
        sessions: own.sessions.iter().take(1).cloned().collect(),
        ..own.clone()
    };
    let step = |text, detail, is_done| home::Step { text, detail, href: "/console/account".to_owned(), is_done };
    let start = home::Home {
        steps: vec![
            step("Protect your account", "A passkey or an authenticator besides the passphrase.", true),
            step("Make a client", "A program that asks for tokens: name, scopes, Create.", false),
        ],
        needs: vec![
            home::Need {
                is_urgent: true,
                text: "A used refresh token of billing-worker came again; its family was ended.".to_owned(),
                href: "/console/identity/tokens?state=reused".to_owned(),
                at: Some(ago(600)),
                act: None,
            },
            home::Need {
                is_urgent: true,
                text: "The webhook endpoint https://siem.example.com/in is paused: nothing arrived for five days."
                    .to_owned(),
                href: "/console/developers/webhooks/whe_1".to_owned(),
                at: Some(ago(5 * day)),
                act: Some(("/console/developers/webhooks/whe_1/resume".to_owned(), "Send a test and resume")),
            },
            home::Need {
                is_urgent: false,
                text: "The last secret of ci-deployer ends.".to_owned(),
                href: "/console/identity/clients/ci-deployer/credentials".to_owned(),
                at: Some(ago(-6 * day)),
                act: None,
            },
        ],
        latest: Some(activity::events()),
        pace: Some((0..60).map(|minute| (minute * 37) % 23 + minute / 4).collect()),
        signed_at: Some(ago(40)),
        issuer: "https://id.example.com".to_owned(),
    };
    let again = account::Again { has_passphrase: true, has_totp: true, has_passkey: true, next: "/console/team" };
    let codes = ["7k2m-9qwx-4rtz-1bnp", "3hfd-8sjv-6gyc-0kla"];
    let address = "otpauth://totp/Northwind:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Northwind";
    let built = |id: &str, name: &str, identifier: &str, is_built_in, scopes: &[&str]| apis::Api {
        id: id.to_owned(),
        name: name.to_owned(),
        identifier: identifier.to_owned(),
        is_built_in,
        token_ttl_seconds: (!is_built_in).then_some(900),
        signing_alg: (!is_built_in).then(|| "ES256".to_owned()),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let all_apis = [
        built("api_1", "Billing", "https://billing.example.com", false, &["invoices:read", "invoices:write"]),
        built("api_2", "Default", "https://id.example.com/apis/default", true, &[]),
        built("api_3", "Management", "https://id.example.com/api", true, &["clients:read", "keys:write"]),
    ];
    let one_api = api::Api {
        id: "api_1".to_owned(),
        name: "Billing".to_owned(),
        identifier: "https://billing.example.com".to_owned(),
        is_built_in: false,
        is_management: false,
        token_ttl_seconds: Some(900),
        signing_alg: String::new(),
        issuer: "https://id.example.com".to_owned(),
        scopes: [("invoices:read", true), ("invoices:write", false)]
            .map(|(name, is_used)| api::Scope { name: name.to_owned(), text: "What it allows".to_owned(), is_used })
            .into(),
        clients: vec![("client_1".to_owned(), "billing-worker".to_owned(), "active")],
        has_more_clients: false,
        created_at: ago(90 * day),
        updated_at: ago(3_600),
        etag: "2".to_owned(),
    };
    let empty_api = api::Api { scopes: Vec::new(), clients: Vec::new(), ..one_api.clone() };
    let client = one_client();
    let ran = |outcome| client::Client { ran: Some(run::Ran { outcome, micros: 1_449 }), ..one_client() };
    let shown = run::Shown {
        masked: "eyJhbGciOi…3kQw".to_owned(),
        claims: "{\n  \"client_id\": \"billing-worker\"\n}".to_owned(),
        expires_in: 900,
    };
    let failure = run::Failure { code: "invalid_client", description: "client authentication failed".to_owned() };
    let door = |entered| sign_in::Door {
        root: "/console",
        tenant_name: "Northwind Energy",
        nonce,
        csrf: "csrf-token",
        entered,
    };
    let mut out = vec![
        ("clients", clients::list(&visit, &list(false))),
        ("clients-empty", clients::list(&visit, &list(true))),
        (
            "clients-no-match",
            clients::list(&visit, &clients::List { rows: Vec::new(), next: None, q: "zzz".to_owned(), ..list(false) }),
        ),
        (
            "client-new",
            clients::new(
                &visit,
                &clients::New {
                    scopes: scopes.clone(),
                    management: scopes.clone(),
                    apis: vec![("https://billing.example.com".to_owned(), "Billing".to_owned())],
                    entered: nothing.clone(),
                    warnings: Vec::new(),
                    form: "form-1".to_owned(),
                },
            ),
        ),
        (
            "client-new-wrong",
            clients::new(
                &visit,
                &clients::New {
                    scopes,
                    entered: wrong.clone(),
                    warnings: vec![("expired", "expiry is in the past".to_owned())],
                    form: "form-1".to_owned(),
                    ..clients::New::default()
                },
            ),
        ),
        ("client-ran", client::detail(&visit, &ran(Ok(shown)), client::Tab::Overview, &nothing)),
        ("client-run-refused", client::detail(&visit, &ran(Err(failure)), client::Tab::Overview, &nothing)),
        (
            "reveal",
            reveal::reveal(
                &visit,
                &client,
                "bst_cs_7Qm2vX4kP9rT1yB6nC8wZ3dF5hJ0aLs2KxE4uR9tY1b3XyZ",
                reveal::Made::Client,
            ),
        ),
        ("apis", apis::list(&visit, &all_apis)),
        ("api-new", api::new(&visit, &nothing, "form-1")),
        ("api-empty", api::detail(&visit, &empty_api, api::Tab::Scopes, "form-1", &nothing)),
        ("api-deletable", api::detail(&visit, &empty_api, api::Tab::Danger, "form-1", &nothing)),
        ("api-scopes", api::detail(&visit, &one_api, api::Tab::Scopes, "form-1", &nothing)),
        ("api-clients", api::detail(&visit, &one_api, api::Tab::Clients, "form-1", &nothing)),
        ("api-verify", api::detail(&visit, &one_api, api::Tab::Verify, "form-1", &nothing)),
        ("api-settings", api::detail(&visit, &one_api, api::Tab::Settings, "form-1", &nothing)),
        (
            "keys",
            keys::list(
                &visit,
                &all_keys,
                (
                    "https://id.example.com/.well-known/jwks.json",
                    "{\n  \"keys\": [\n    { \"kty\": \"OKP\", \"crv\": \"Ed25519\", \"use\": \"sig\" }\n  ]\n}",
                ),
                &nothing,
            ),
        ),
        ("audit", audit::log(&visit, &log)),
        ("team", team::list(&visit, &members, &invitations, None, &nothing)),
        (
            "team-invited",
            team::list(&visit, &members, &[], Some("https://id.example.com/console/join/link-token"), &nothing),
        ),
        ("home", home::home(&visit, &start)),
        ("home-developer", home::home(&visit, &home::Home { latest: None, pace: None, ..start.clone() })),
        ("account", account::account(&visit, &own, &nothing)),
        ("account-new", account::account(&visit, &newcomer, &nothing)),
        ("authenticator", account::totp(&visit, "ticket", "JBSW Y3DP EHPK 3PXP", address, &nothing)),
        ("recovery-codes", account::codes(&visit, &codes)),
        ("step-up", account::step_up(&visit, &again, &not_right)),
        (
            "refused",
            refused::refused(&refused::Refusal {
                status: 403,
                code: "insufficient_scope",
                sentence: "This needs the scope keys:write, which your role does not hold.",
            }),
        ),
        (
            "not-found",
            refused::refused(&refused::Refusal { status: 404, code: "not_found", sentence: "There is nothing here." }),
        ),
        ("search", search::search(&visit, &found)),
        ("sign-in", sign_in::sign_in(&door(&nothing), "/console")),
        ("sign-in-wrong", sign_in::sign_in(&door(&not_right), "/console")),
        ("totp", sign_in::second_factor(&door(&nothing), sign_in::Factor::Totp, "/console")),
        ("recovery", sign_in::second_factor(&door(&nothing), sign_in::Factor::Recovery, "/console")),
        ("setup", sign_in::setup(&door(&nothing), "/console/setup/token")),
        ("join", sign_in::join(&door(&nothing), "/console/join/token", "sam@example.com", Role::Billing)),
        ("setup-gone", sign_in::link_gone(nonce, true)),
        ("join-gone", sign_in::link_gone(nonce, false)),
    ];
    for (name, tab) in [
        ("client", client::Tab::Overview),
        ("client-credentials", client::Tab::Credentials),
        ("client-access", client::Tab::Access),
        ("client-limits", client::Tab::Limits),
        ("client-logs", client::Tab::Logs),
        ("client-settings", client::Tab::Settings),
        ("client-danger", client::Tab::Danger),
    ] {
        out.push((name, client::detail(&visit, &client, tab, &nothing)));
    }
    out.extend(activity::pages(&visit));
    out.extend(tokens::pages(&visit));
    out.extend(house::pages(&visit));
    out.extend(webhooks::pages(&visit));
    out.extend(billing::pages(&visit));
    out.extend(usage::pages(&visit));
    out.into_iter().map(|(name, page)| (name.to_owned(), page)).collect()
}
