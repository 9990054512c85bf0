//! Links that make accounts: the one-time setup link and invitations.

use auth::error::AdminError;
use auth::operator::OperatorError;
use auth::operator::link::{FirstFactor, Joining, LinkKind};
use auth::setup::TenantFields;
use axum::response::{IntoResponse as _, Redirect};
use http::StatusCode;

use super::ask::Ask;
use super::door;
use super::refused::{Answer, Refused, back};
use crate::form::Entered;
use crate::pages::sign_in;

pub(super) async fn show_setup(ask: Ask) -> Answer {
    show(&ask, LinkKind::Setup, &Entered::default()).await
}

pub(super) async fn show_invitation(ask: Ask) -> Answer {
    show(&ask, LinkKind::Invitation, &Entered::default()).await
}

async fn show(ask: &Ask, kind: LinkKind, entered: &Entered) -> Answer {
    let link = match ask.auth.link(&ask.tenant, kind, ask.param("token")).await {
        Ok(link) => link,
        Err(OperatorError::LinkGone) => {
            ask.count_refusal("link_gone");
            return Ok((StatusCode::GONE, sign_in::link_gone(&ask.nonce, kind == LinkKind::Setup)).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    let path = path(ask, kind);
    Ok(door::page(ask, entered, |door| match kind {
        LinkKind::Setup => sign_in::setup(door, &path),
        LinkKind::Invitation => sign_in::join(door, &path, &link.email, link.role),
    }))
}

fn path(ask: &Ask, kind: LinkKind) -> String {
    let place = if kind == LinkKind::Setup { "setup" } else { "join" };
    format!("{}/{place}/{}", ask.root, ask.param("token"))
}

pub(super) async fn set_up(ask: Ask) -> Answer {
    take_up(&ask, LinkKind::Setup).await
}

pub(super) async fn join(ask: Ask) -> Answer {
    take_up(&ask, LinkKind::Invitation).await
}

async fn take_up(ask: &Ask, kind: LinkKind) -> Answer {
    ask.check_door(ask.field("csrf"))?;
    let passphrase = ask.secret("passphrase");
    let organization = Some(ask.field("organization")).filter(|text| !text.is_empty());
    let joining = Joining {
        email: Some(ask.field("email")),
        name: ask.field("name"),
        factor: FirstFactor::Passphrase(&passphrase),
        organization,
    };
    match ask.auth.join(&ask.tenant, kind, ask.param("token"), joining, &ask.browser).await {
        Ok(done) => {
            if kind == LinkKind::Setup {
                name_tenant(ask, organization).await?;
            }
            let mut response = Redirect::to(&ask.root).into_response();
            door::seat(ask, &done, &mut response);
            Ok(response)
        }
        Err(OperatorError::LinkGone) => {
            ask.count_refusal("link_gone");
            Err(Refused::Elsewhere(path(ask, kind)))
        }
        Err(error) => {
            let mut entered = ask.entered();
            back(error, &mut entered)?;
            show(ask, kind, &entered).await
        }
    }
}

/// Gives the tenant the name that its first owner wrote.
async fn name_tenant(ask: &Ask, organization: Option<&str>) -> Result<(), Refused> {
    let Some(name) = organization.map(str::trim).filter(|name| !name.is_empty() && **name != ask.tenant.name) else {
        return Ok(());
    };
    let who = ask.auth.system(&ask.tenant, "setup");
    let fields = TenantFields { name: Some(name.to_owned()), ..TenantFields::default() };
    match ask.auth.patch_tenant(&who, &ask.tenant.slug, fields).await {
        Ok(planned) => Ok(ask.auth.run(planned).await?),
        // The account is made; a name that is not taken is no reason to send its owner away.
        Err(AdminError::Invalid(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
