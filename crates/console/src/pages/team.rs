//! The people who may sign in, and those who are invited.

use askama::Template;
use auth::operator::Role;
use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::form::{Confirm, Entered, Field};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One person.
#[derive(Debug, Clone)]
pub struct Member {
    /// Internal id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: Role,
    /// `active`, `disabled` or `invited`.
    pub status: &'static str,
    /// Second factors and passkeys, in words; empty for none.
    pub factors: Vec<String>,
    /// Last sign-in.
    pub last_seen_at: Option<Timestamp>,
    /// Open sessions.
    pub sessions: usize,
    /// What the form of the role sends back.
    pub etag: String,
}

/// One open invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id, which is not the link.
    pub id: String,
    /// The invited address.
    pub email: String,
    /// The role it gives.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

struct Shown<'a> {
    member: &'a Member,
    badge: Badge,
    is_viewer: bool,
    seen: Option<Moment>,
    remove: Confirm,
}

#[derive(Template)]
#[template(path = "team.html")]
struct Page<'a> {
    frame: Frame<'a>,
    members: Vec<Shown<'a>>,
    invitations: Vec<(&'a Invitation, Moment)>,
    link: Option<&'a str>,
    fields: Vec<Field>,
    entered: &'a Entered,
    refused: Option<String>,
}

/// The page; `link` is a new invitation's address, which only this answer shows, and `entered` a form that came back.
pub fn list<'a>(
    visit: &Visit<'a>,
    members: &'a [Member],
    invitations: &'a [Invitation],
    link: Option<&'a str>,
    entered: &'a Entered,
) -> Document {
    let frame = Frame::new(visit, "team", "Team");
    let refused = visit.viewer.refused("operators:write");
    let owners = members.iter().filter(|m| m.role == Role::Owner && m.status == "active").count();
    let shown = |member: &'a Member| {
        let Member { id, name, email, role, status, last_seen_at, sessions, .. } = member;
        let is_last_owner = *role == Role::Owner && owners < 2;
        let last = is_last_owner.then(|| "The last owner cannot be removed.".to_owned());
        Shown {
            badge: badge::of(status),
            is_viewer: *email == visit.viewer.email,
            seen: last_seen_at.map(|at| Moment::new(at, visit.now)),
            remove: Confirm {
                id: format!("remove-{id}"),
                action: format!("{}/team/{id}/remove", frame.root),
                title: format!("Remove {name}"),
                consequence: match sessions {
                    0 => format!("{email} is not signed in. What they did stays in the audit log."),
                    n => {
                        let sessions = crate::address::counted(*n, "session");
                        format!("{email} is signed out of {sessions} at once. What they did stays in the audit log.")
                    }
                },
                verb: "Remove",
                typed: None,
                refused: refused.clone().or(last),
            },
            member,
        }
    };
    Document::of(&Page {
        members: members.iter().map(shown).collect(),
        invitations: invitations.iter().map(|open| (open, Moment::new(open.expires_at, visit.now))).collect(),
        link,
        fields: vec![Field::new("email", "E-mail", "email").autocomplete("off").filled(entered)],
        frame,
        entered,
        refused,
    })
}
