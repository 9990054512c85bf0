//! The keyring: made once, opened only by its own master key.

use kernel::clock::Timestamp;
use kernel::secret::Secret;
use kernel::tenant::DEFAULT;
use store::Error;
use store::keyring::{Keyring, Purpose};

use crate::place::{Place, entropy, tenant};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

crate::on_both_engines! {
    async fn keys_are_made_once_and_found_again(place: &Place) {
        let store = place.open().await;
        let master = Secret::new([1; 32]);
        let first = Keyring::open(&store, &master, NOW, &mut entropy()).await.unwrap();
        let again = Keyring::open(&store, &master, NOW, &mut entropy()).await.unwrap();
        let mut seen = std::collections::HashSet::new();
        for purpose in Purpose::ALL {
            let version = first.current_version(purpose);
            assert_eq!(first.root(purpose, version), again.root(purpose, version));
            assert!(seen.insert(*first.root(purpose, version).unwrap()));
        }
        let key = |ring: &Keyring, of, info: &[u8]| *ring.derive(Purpose::Pepper, of, info).reveal();
        assert_eq!(key(&first, DEFAULT, b"a"), key(&again, DEFAULT, b"a"));
        assert_ne!(key(&first, DEFAULT, b"a"), key(&first, DEFAULT, b"b"));
        assert_ne!(key(&first, DEFAULT, b"a"), key(&first, tenant(1), b"a"));
    }

    async fn another_master_key_is_refused_with_the_id_of_the_right_one(place: &Place) {
        let store = place.open().await;
        let right = Keyring::open(&store, &Secret::new([1; 32]), NOW, &mut entropy()).await.unwrap();
        let refused = Keyring::open(&store, &Secret::new([2; 32]), NOW, &mut entropy()).await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains(right.master_key_id())), "{refused}");
    }

    async fn a_data_key_seals_for_its_tenant_and_purpose_and_is_the_same_after_a_restart(place: &Place) {
        let store = place.open().await;
        let master = Secret::new([1; 32]);
        let ring = Keyring::open(&store, &master, NOW, &mut entropy()).await.unwrap();
        let other = Keyring::open(&store, &master, NOW, &mut entropy()).await.unwrap();
        let (mut e1, mut e2) = (entropy(), entropy());
        let (here, there) = tokio::join!(
            ring.data_key(&store, DEFAULT, "signing_key", NOW, &mut e1),
            other.data_key(&store, DEFAULT, "signing_key", NOW, &mut e2),
        );
        let sealed = here.unwrap().seal(b"x", b"", &mut entropy()).unwrap();
        assert_eq!(there.unwrap().open(&sealed, b"").unwrap().reveal(), b"x");
        let foreign = ring.data_key(&store, tenant(1), "signing_key", NOW, &mut entropy()).await.unwrap();
        assert!(foreign.open(&sealed, b"").is_err());
        let again = Keyring::open(&store, &master, NOW, &mut entropy()).await.unwrap();
        let key = again.data_key(&store, DEFAULT, "signing_key", NOW, &mut entropy()).await.unwrap();
        assert_eq!(key.open(&sealed, b"").unwrap().reveal(), b"x");
    }
}
