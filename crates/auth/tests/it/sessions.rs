//! What a session is, and when it ends.

use auth::operator::Browser;

use crate::on_both_engines;
use crate::world::{ANOTHER, OWNER, PASSPHRASE, World, browser, secret};

on_both_engines! {
    async fn a_session_ends_after_an_idle_hour_or_a_day_whatever_is_held_in_memory(world: World) {
        let one = world.owner().await;
        let idle = world.signed_in(OWNER, PASSPHRASE, &browser(2)).await;
        for _ in 0..25 {
            world.pass(3_456);
            if world.live(&one.token).await.is_none() {
                break;
            }
        }
        assert_eq!(world.auth.clock.now().seconds_since(one.live.session.created_at), 86_400);
        assert!(world.live(&one.token).await.is_none(), "a day");
        assert!(world.live(&idle.token).await.is_none(), "an idle hour");
        let fresh = world.signed_in(OWNER, PASSPHRASE, &browser(2)).await;
        world.pass(3_599);
        assert!(world.live(&fresh.token).await.is_some());
        world.pass(3_600);
        assert!(world.live(&fresh.token).await.is_none());
    }

    async fn the_last_request_is_written_down_for_those_who_start_anew(world: World) {
        let owner = world.owner().await;
        world.pass(1_800);
        world.live(&owner.token).await.unwrap();
        let row = world.auth.store.read_all(&SEEN, store::params![world.tenant.id]).await.unwrap();
        assert_eq!(row[0].time(0).unwrap(), world.auth.clock.now());
        world.pass(59);
        world.live(&owner.token).await.unwrap();
        let again = world.auth.store.read_all(&SEEN, store::params![world.tenant.id]).await.unwrap();
        assert_eq!(again, row, "once a minute is enough");
    }

    async fn people_see_and_end_their_sessions(world: World) {
        let one = world.owner().await;
        let two = world.signed_in(OWNER, PASSPHRASE, &Browser { agent: "Chrome\r\n\u{1b}[1m".to_owned(), ..browser(2) }).await;
        let who = two.live.principal(&browser(2), world.tenant.id);
        let me = two.live.operator.id;
        let list = world.auth.sessions(&who, &world.tenant, me).await.unwrap();
        let shown: Vec<_> = list.iter().map(|s| (s.browser.as_str(), s.source.as_str(), s.method.name())).collect();
        let mut wanted = vec![("Firefox", "192.0.2.1", "setup link"), ("Chrome[1m", "192.0.2.2", "passphrase")];
        wanted.sort_unstable();
        assert_eq!({ let mut shown = shown; shown.sort_unstable(); shown }, wanted);
        world.auth.end_sessions(&who, &world.tenant, me, Some(one.live.session.id)).await.unwrap();
        assert!(world.live(&one.token).await.is_none());
        assert!(world.live(&two.token).await.is_some());
        assert!(world.auth.end_sessions(&who, &world.tenant, me, Some(one.live.session.id)).await.is_err());
        world.auth.end_sessions(&who, &world.tenant, me, None).await.unwrap();
        assert!(world.live(&two.token).await.is_none());
        assert_eq!(world.audit("session.ended").await.len(), 2);
    }

    async fn another_passphrase_ends_every_session_but_the_new_one(world: World) {
        let one = world.owner().await;
        let two = world.signed_in(OWNER, PASSPHRASE, &browser(2)).await;
        assert!(world.live(&one.token).await.is_some());
        let weak = world.auth.change_passphrase(&world.tenant, &two.live, &secret("acmeacmeacmeacme"), &browser(2)).await;
        assert!(weak.is_err());
        let new = world.auth.change_passphrase(&world.tenant, &two.live, &secret(ANOTHER), &browser(2)).await.unwrap();
        assert!(world.live(&one.token).await.is_none());
        assert!(world.live(&two.token).await.is_none());
        assert!(world.live(&new.token).await.is_some());
        assert_eq!(world.refusal(OWNER, PASSPHRASE, &browser(2)).await, "sign_in_refused");
        world.signed_in(OWNER, ANOTHER, &browser(2)).await;
        world.pass(600);
        let live = world.live(&new.token).await.unwrap();
        let stale = world.auth.change_passphrase(&world.tenant, &live, &secret(PASSPHRASE), &browser(2)).await.err().unwrap();
        assert_eq!(stale.code(), "sign_in_not_fresh");
    }

    async fn a_form_token_belongs_to_one_session(world: World) {
        let one = world.owner().await;
        let two = world.signed_in(OWNER, PASSPHRASE, &browser(2)).await;
        let token = world.auth.form_token(&world.tenant, &one.live.session);
        assert!(world.auth.is_form_token(&world.tenant, &one.live.session, &token));
        assert!(!world.auth.is_form_token(&world.tenant, &two.live.session, &token));
        assert!(!world.auth.is_form_token(&world.tenant, &one.live.session, ""));
    }

    async fn no_other_text_is_a_session(world: World) {
        let owner = world.owner().await;
        let text = owner.token.reveal();
        let last = text.chars().last().unwrap();
        let other = if last == '0' { '1' } else { '0' };
        let mut bent = text.clone();
        bent.pop();
        bent.push(other);
        for bad in ["", "x", &text[1..], &text.to_lowercase(), &bent, &text.replace("bst_os_", "bst_cs_")] {
            assert!(world.live(&secret(bad)).await.is_none(), "{bad}");
        }
        let row = world.auth.store.read_all(&HASHES, store::params![world.tenant.id]).await.unwrap();
        assert!(!row.iter().any(|r| r.bytes(0).unwrap() == text.as_bytes()));
        world.auth.end_all_sessions(&world.local(), &world.tenant).await.unwrap();
        assert!(world.live(&owner.token).await.is_none());
    }
}

store::statements! {
    /// When sessions were seen last.
    SEEN = "SELECT last_seen_at FROM operator_session WHERE tenant_id = ?1";
    /// Hashes of sessions.
    HASHES = "SELECT hash FROM operator_session WHERE tenant_id = ?1";
}
