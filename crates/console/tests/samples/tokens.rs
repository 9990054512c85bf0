//! Tokens with made-up data.

use console::pages::tokens::{self, Check, Group, Inspected, List, Question, Reason, Token};
use console::{Document, Visit};

use super::ago;

fn group(id: &str, client: Option<(&str, &str)>, state: &'static str, why: Option<&str>, ends: i64) -> Group {
    Group {
        id: format!("family_06gx2k9v5q7m3t8w1z4c6b0{id}"),
        client: client.map(|(id, name)| (id.to_owned(), name.to_owned())),
        scopes: vec!["invoices:read".to_owned(), "usage:write".to_owned()],
        state,
        why: why.map(str::to_owned),
        generation: 12,
        created_at: ago(7_200),
        used_at: Some(ago(300)),
        ends_at: ago(ends),
    }
}

fn inspected() -> Inspected {
    let check = |what, passed, detail: &str| Check { what, passed, detail: detail.to_owned() };
    Inspected {
        kind: "Access token (JWT)",
        state: "revoked",
        is_verified: true,
        reasons: vec![Reason { text: "The token itself was revoked.".to_owned(), at: Some(ago(60)) }],
        client: Some(("ci-deployer".to_owned(), "CI deployer".to_owned())),
        jti: Some("06gx2k9v5q7m3t8w1z4c6b0dhr.secret_06gx2k9v5q7m3t8w1z4c6b0dhr.7k".to_owned()),
        issued_at: Some(ago(400)),
        expires_at: Some(ago(-500)),
        header: Some("{\n  \"alg\": \"ES256\",\n  \"typ\": \"at+jwt\"\n}".to_owned()),
        claims: "{\n  \"aud\": \"https://billing.example.com\",\n  \"scope\": \"invoices:read\"\n}".to_owned(),
        lost_scopes: vec!["usage:write".to_owned()],
        checks: Some((
            "Billing".to_owned(),
            vec![
                check("Signature", true, "A key of this issuer signed it."),
                check("Audience", true, "It is meant for this API."),
                check("Scope", false, "It does not contain invoices:write."),
                check("Revocation", false, "An API that introspects refuses it."),
            ],
        )),
    }
}

pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let deployer = Some(("ci-deployer", "CI deployer"));
    let all = List {
        groups: vec![
            group("dhr", deployer, "active", None, -3_000),
            group(
                "dhs",
                Some(("billing-worker", "billing-worker")),
                "reused",
                Some("a used refresh token came again"),
                600,
            ),
            group("dht", None, "revoked", Some("the client was deleted"), 5_000),
        ],
        wanted: String::new(),
        client: None,
        tokens: Vec::new(),
        state: String::new(),
        limit: 50,
        is_first: true,
        next: Some("family_1".to_owned()),
        alarm: Some(group("dhs", deployer, "reused", None, 600)),
    };
    let token = |n: u8, is_revoked| Token {
        jti: format!("06gx2k9v5q7m3t8w1z4c6b0dh{n}.secret_06gx2k9v5q7m3t8w1z4c6b0dhr.7k"),
        scopes: vec!["invoices:read".to_owned()],
        issued_at: ago(200),
        ends_at: ago(-700),
        is_revoked,
    };
    let one = List {
        groups: vec![group("dhr", deployer, "active", None, -3_000)],
        wanted: "ci-deployer".to_owned(),
        client: Some(("ci-deployer".to_owned(), "CI deployer".to_owned())),
        tokens: vec![token(1, false), token(2, true)],
        next: None,
        alarm: None,
        ..all.clone()
    };
    let none = List { groups: Vec::new(), wanted: "nobody".to_owned(), next: None, alarm: None, ..all.clone() };
    let question = Question {
        apis: vec![("https://billing.example.com".to_owned(), "Billing".to_owned())],
        api: "https://billing.example.com".to_owned(),
        scope: "invoices:write".to_owned(),
    };
    vec![
        ("tokens", tokens::list(visit, &all)),
        ("tokens-client", tokens::list(visit, &one)),
        ("tokens-none", tokens::list(visit, &none)),
        ("token-inspector", tokens::inspector(visit, &question, None)),
        ("token-inspected", tokens::inspector(visit, &question, Some(&Ok(inspected())))),
        ("token-not-ours", tokens::inspector(visit, &question, Some(&Err("This is not ours.".to_owned())))),
    ]
}
