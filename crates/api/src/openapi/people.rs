//! The schemas of operators, their sessions, invitations and roles.

use auth::operator::Role;
use serde_json::{Value, json};

use super::component::id;
use super::schema::{answer, described, flag, integer, one_of, or_null, request, text, texts, time};

fn role() -> Value {
    one_of(&Role::ALL.map(Role::name))
}

fn email() -> Value {
    json!({"type": "string", "format": "email", "maxLength": 254})
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200})
}

/// Each schema with its name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let invitation = || {
        vec![
            ("id", id("lnk")),
            ("email", email()),
            ("role", role()),
            ("made_by", text()),
            ("created_at", time()),
            ("expires_at", time()),
        ]
    };
    let mut created = invitation();
    created.push(("address", described(text(), "The link for the person; it is shown only here and works one time.")));
    vec![
        (
            "Operator",
            answer(
                &[
                    ("id", id("op")),
                    ("email", email()),
                    ("name", name()),
                    ("role", role()),
                    ("status", one_of(&["active", "disabled"])),
                    ("has_passphrase", flag()),
                    ("has_totp", described(flag(), "Whether one-time codes are set up.")),
                    ("passkeys", described(integer(0), "How many passkeys the person has.")),
                    ("signed_in_at", described(or_null(time()), "The last sign-in.")),
                    ("created_at", time()),
                    ("updated_at", time()),
                ],
                &[],
            ),
        ),
        ("OperatorPatch", request(&[], vec![("name", name()), ("role", role())])),
        (
            "OperatorSession",
            answer(
                &[
                    ("id", id("ses")),
                    ("method", described(text(), "How the person signed in, for example `passkey`.")),
                    ("browser", text()),
                    ("source", described(text(), "The address it was opened from.")),
                    ("created_at", time()),
                    ("last_seen_at", time()),
                    ("ends_at", described(time(), "When it ends in any case.")),
                ],
                &[],
            ),
        ),
        ("InvitationCreate", request(&["email", "role"], vec![("email", email()), ("role", role())])),
        ("Invitation", answer(&invitation(), &[])),
        ("InvitationCreated", answer(&created, &[])),
        (
            "Role",
            answer(
                &[
                    ("name", role()),
                    ("scopes", texts()),
                    (
                        "needs_second_factor",
                        described(flag(), "Whether the console asks for a passkey or one-time codes."),
                    ),
                ],
                &[],
            ),
        ),
    ]
}
