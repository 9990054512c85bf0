//! Setup links and invitations.

use auth::error::AdminError;
use auth::operator::Role;
use auth::operator::error::OperatorError;
use auth::operator::link::LinkKind;

use crate::on_both_engines;
use crate::world::{ANOTHER, OWNER, PASSPHRASE, World, browser, secret};

fn code(error: Option<OperatorError>) -> String {
    match error {
        None => String::new(),
        Some(OperatorError::Admin(AdminError::Invalid(problems))) => {
            problems.iter().map(|p| p.code).collect::<Vec<_>>().join(" ")
        }
        Some(OperatorError::Admin(error)) => error.to_string(),
        Some(error) => error.code().to_owned(),
    }
}

on_both_engines! {
    async fn a_setup_link_makes_one_owner_once_within_its_hour(world: World) {
        assert!(!world.auth.has_operator(world.tenant.id).await.unwrap());
        let first = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        assert!(first.address.reveal().starts_with("https://id.example/console/setup/bst_ol_"));
        let second = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        let try_link = async |token: &str| code(world.join(LinkKind::Setup, token, Some(OWNER), PASSPHRASE).await.err());
        assert_eq!(try_link(first.token.reveal()).await, "link_gone", "a new link voids the older");
        world.pass(3_599);
        assert_eq!(try_link(second.token.reveal()).await, "");
        assert_eq!(try_link(second.token.reveal()).await, "link_gone", "used");
        let third = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        world.pass(3_600);
        assert_eq!(try_link(third.token.reveal()).await, "link_gone", "expired");
        assert_eq!(try_link("bst_ol_x").await, "link_gone", "unknown");
        assert!(world.auth.has_operator(world.tenant.id).await.unwrap());
        let made = world.audit("operator.created").await;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].0, "operator:olga@acme.example (setup link)");
        assert!(!made[0].1.contains(PASSPHRASE));
    }

    async fn a_refused_passphrase_uses_no_link_up_and_every_reason_is_told(world: World) {
        let link = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        let token = link.token.reveal();
        let refused = world.join(LinkKind::Setup, token, Some("nobody"), "fourteen chars").await;
        assert_eq!(code(refused.err()), "bad_value passphrase_too_short");
        let refused = world.join(LinkKind::Setup, token, Some(OWNER), "olga@acme.example").await;
        assert_eq!(code(refused.err()), "passphrase_names_person");
        assert!(world.join(LinkKind::Setup, token, Some(OWNER), PASSPHRASE).await.is_ok());
    }

    async fn a_setup_link_brings_an_owner_back_and_ends_what_was_there(world: World) {
        let old = world.owner().await;
        let link = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        let new = world.join(LinkKind::Setup, link.token.reveal(), Some("OLGA@acme.example"), ANOTHER).await.unwrap();
        assert_eq!(new.live.operator.id, old.live.operator.id);
        assert!(world.live(&old.token).await.is_none());
        assert!(world.live(&new.token).await.is_some());
        assert_eq!(world.refusal(OWNER, PASSPHRASE, &browser(3)).await, "sign_in_refused");
        world.signed_in(OWNER, ANOTHER, &browser(3)).await;
    }

    async fn an_invitation_gives_its_role_once_within_three_days(world: World) {
        let owner = world.owner().await;
        let who = owner.live.principal(&browser(1), world.tenant.id);
        let invite = async |email: &str, role| world.auth.invite_operator(&who, &world.tenant, email, role).await;
        let link = invite("dev@acme.example", Role::Developer).await.unwrap();
        assert_eq!(code(world.join(LinkKind::Setup, link.token.reveal(), Some(OWNER), PASSPHRASE).await.err()), "link_gone");
        world.pass(259_199);
        let joined = world.join(LinkKind::Invitation, link.token.reveal(), None, PASSPHRASE).await.unwrap();
        assert_eq!((joined.live.operator.role, &*joined.live.operator.email), (Role::Developer, "dev@acme.example"));
        assert_eq!(code(world.join(LinkKind::Invitation, link.token.reveal(), None, PASSPHRASE).await.err()), "link_gone");
        assert!(code(invite("Dev@acme.example", Role::Admin).await.err()).contains("has an account"));

        let late = invite("late@acme.example", Role::Support).await.unwrap();
        world.pass(259_200);
        assert_eq!(code(world.join(LinkKind::Invitation, late.token.reveal(), None, PASSPHRASE).await.err()), "link_gone");

        let revoked = invite("gone@acme.example", Role::Support).await.unwrap();
        assert_eq!(world.auth.invitations(&who, &world.tenant).await.unwrap().len(), 1);
        world.auth.revoke_invitation(&who, &world.tenant, revoked.link.id).await.unwrap();
        assert_eq!(code(world.join(LinkKind::Invitation, revoked.token.reveal(), None, PASSPHRASE).await.err()), "link_gone");
        assert!(world.auth.invitations(&who, &world.tenant).await.unwrap().is_empty());
    }

    async fn only_the_machine_makes_setup_links_and_a_link_is_nothing_else(world: World) {
        let owner = world.owner().await;
        let who = owner.live.principal(&browser(1), world.tenant.id);
        assert!(world.auth.create_setup_link(&who, &world.tenant).await.is_err());
        let link = world.auth.create_setup_link(&world.local(), &world.tenant).await.unwrap();
        assert!(world.live(&secret(link.token.reveal())).await.is_none());
        let session = owner.token.reveal();
        assert_eq!(code(world.join(LinkKind::Setup, session, Some(OWNER), PASSPHRASE).await.err()), "link_gone");
    }
}
