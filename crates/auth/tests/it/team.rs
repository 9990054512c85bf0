//! Roles: who may do what to whom.

use auth::error::AdminError;
use auth::operator::team::OperatorChange;
use auth::operator::{Live, OperatorError, Role};

use crate::on_both_engines;
use crate::world::{World, browser};

fn to(role: Role) -> OperatorChange {
    OperatorChange { role: Some(role), ..OperatorChange::default() }
}

fn disabled(yes: bool) -> OperatorChange {
    OperatorChange { disabled: Some(yes), ..OperatorChange::default() }
}

async fn change(world: &World, by: &Live, whom: &Live, what: OperatorChange) -> Result<(), OperatorError> {
    let who = by.principal(&browser(1), world.tenant.id);
    world.auth.change_operator(&who, &world.tenant, whom.operator.id, what).await.map(|_| ())
}

fn is_forbidden<T>(result: &Result<T, OperatorError>) -> bool {
    matches!(result, Err(OperatorError::Admin(AdminError::Forbidden(_))))
}

fn is_state<T>(result: &Result<T, OperatorError>) -> bool {
    matches!(result, Err(OperatorError::Admin(AdminError::State(_))))
}

on_both_engines! {
    async fn the_last_owner_stays(world: World) {
        let olga = world.owner().await.live;
        let who = olga.principal(&browser(1), world.tenant.id);
        assert!(is_state(&change(&world, &olga, &olga, to(Role::Admin)).await));
        assert!(is_state(&world.auth.remove_operator(&who, &world.tenant, olga.operator.id).await));
        assert!(is_state(&change(&world, &olga, &olga, disabled(true)).await));
        let second = world.member(&olga, "otto@acme.example", Role::Owner).await.live;
        change(&world, &second, &olga, disabled(true)).await.unwrap();
        assert!(is_state(&change(&world, &second, &second, to(Role::Admin)).await), "a disabled owner does not count");
        change(&world, &second, &olga, disabled(false)).await.unwrap();
        change(&world, &second, &second, to(Role::Admin)).await.unwrap();
        assert!(is_state(&world.auth.remove_operator(&world.local(), &world.tenant, olga.operator.id).await));
    }

    async fn two_owners_who_leave_at_once_do_not_leave_none(world: World) {
        let olga = world.owner().await.live;
        let otto = world.member(&olga, "otto@acme.example", Role::Owner).await.live;
        let (one, two) = tokio::join!(
            change(&world, &olga, &otto, to(Role::Admin)),
            change(&world, &otto, &olga, to(Role::Admin)),
        );
        assert!(one.is_ok() ^ two.is_ok(), "{one:?} {two:?}");
    }

    async fn nobody_gives_or_touches_more_than_they_hold(world: World) {
        let olga = world.owner().await.live;
        let admin = world.member(&olga, "adam@acme.example", Role::Admin).await.live;
        let developer = world.member(&olga, "dora@acme.example", Role::Developer).await.live;
        assert!(is_forbidden(&change(&world, &admin, &developer, to(Role::Owner)).await));
        assert!(is_forbidden(&change(&world, &admin, &admin, to(Role::Owner)).await));
        assert!(is_forbidden(&change(&world, &admin, &olga, disabled(true)).await));
        assert!(is_forbidden(&change(&world, &developer, &developer, to(Role::Admin)).await));
        assert!(is_forbidden(&change(&world, &developer, &admin, disabled(true)).await));
        let who = admin.principal(&browser(1), world.tenant.id);
        assert!(is_forbidden(&world.auth.invite_operator(&who, &world.tenant, "x@acme.example", Role::Owner).await));
        assert!(is_forbidden(&world.auth.end_sessions(&who, &world.tenant, olga.operator.id, None).await));
        assert!(is_forbidden(&world.auth.remove_operator(&who, &world.tenant, olga.operator.id).await));
        change(&world, &admin, &developer, to(Role::Support)).await.unwrap();
        let who = developer.principal(&browser(1), world.tenant.id);
        assert!(is_forbidden(&world.auth.operators(&who, &world.tenant, None, 10).await));
        assert!(is_forbidden(&world.auth.sessions(&who, &world.tenant, olga.operator.id).await));
        let renamed = OperatorChange { name: Some("Dora".to_owned()), ..OperatorChange::default() };
        change(&world, &developer, &developer, renamed).await.unwrap();
    }

    async fn a_role_holds_from_the_next_request_and_a_rise_from_the_next_sign_in(world: World) {
        let olga = world.owner().await.live;
        let adam = world.member(&olga, "adam@acme.example", Role::Admin).await;
        let before = world.live(&adam.token).await.unwrap();
        assert!(before.principal(&browser(1), world.tenant.id).holds("operators:write"));
        change(&world, &olga, &adam.live, to(Role::ReadOnly)).await.unwrap();
        let after = world.live(&adam.token).await.unwrap().principal(&browser(1), world.tenant.id);
        assert!(after.holds("clients:read") && !after.holds("clients:write") && !after.holds("operators:read"));
        change(&world, &olga, &adam.live, to(Role::Admin)).await.unwrap();
        assert!(world.live(&adam.token).await.is_none());
    }

    async fn disabling_and_removing_end_sessions_at_once(world: World) {
        let olga = world.owner().await.live;
        let adam = world.member(&olga, "adam@acme.example", Role::Admin).await;
        assert!(world.live(&adam.token).await.is_some());
        change(&world, &olga, &adam.live, disabled(true)).await.unwrap();
        assert!(world.live(&adam.token).await.is_none());
        change(&world, &olga, &adam.live, disabled(false)).await.unwrap();
        assert!(world.live(&adam.token).await.is_none(), "an ended session stays ended");
        let again = world.signed_in("adam@acme.example", crate::world::PASSPHRASE, &browser(4)).await;
        let who = olga.principal(&browser(1), world.tenant.id);
        world.auth.remove_operator(&who, &world.tenant, adam.live.operator.id).await.unwrap();
        assert!(world.live(&again.token).await.is_none());
        let left = world.auth.operators(&who, &world.tenant, None, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        for (action, count) in [("operator.disabled", 1), ("operator.enabled", 1), ("operator.removed", 1)] {
            let records = world.audit(action).await;
            assert_eq!(records.len(), count, "{action}");
            assert_eq!(records[0].0, "operator:olga@acme.example (setup link)");
        }
        // The address is free again.
        world.member(&olga, "adam@acme.example", Role::Support).await;
    }
}
