//! Parameters in any order mean the same on both engines.

use std::sync::OnceLock;

use proptest::prelude::*;
use store::{Row, Stmt, Store, Value};

use crate::place::Place;

fn engines() -> &'static (tokio::runtime::Runtime, Place, Vec<Store>) {
    static ENGINES: OnceLock<(tokio::runtime::Runtime, Place, Vec<Store>)> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let place = Place::sqlite();
        let stores = runtime.block_on(async { vec![place.open().await, Place::postgres().open().await] });
        (runtime, place, stores)
    })
}

/// One column: a parameter by its index, or text that only looks like one.
#[derive(Debug, Clone)]
enum Item {
    Parameter(usize),
    Literal(String),
    Comment(String),
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        4 => (0_usize..12).prop_map(Item::Parameter),
        1 => "[?$a1 é\"-]{0,6}".prop_map(Item::Literal),
        1 => "[?$a1 é'\"]{0,6}".prop_map(Item::Comment),
    ];
    prop::collection::vec(item, 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn both_engines_answer_what_the_numbers_say(items in items()) {
        let mut columns = vec!["1".to_owned()];
        let mut expected = Vec::new();
        let mut comment = String::new();
        // every number up to the greatest must be used, or PostgreSQL cannot know its type
        let all = (0..12).map(Item::Parameter);
        for item in items.into_iter().chain(all) {
            match item {
                Item::Parameter(index) => {
                    columns.push(format!("CAST(?{} AS {{text}})", index + 1));
                    expected.push(Value::Text(format!("value {index}")));
                }
                Item::Literal(text) => {
                    columns.push(format!("CAST('it''s {text}' AS {{text}})"));
                    expected.push(Value::Text(format!("it's {text}")));
                }
                Item::Comment(text) => comment = format!("{comment}/* {text} */ -- {text}\n"),
            }
        }
        let sql: &'static str = format!("SELECT {} {comment}", columns.join(", ")).leak();
        let stmt: &'static Stmt = Box::leak(Box::new(Stmt { name: "ODD", sql, across_tenants: Some("test"), by_key: false }));
        let params: Vec<Value> = (0..12).map(|index| Value::Text(format!("value {index}"))).collect();
        let (runtime, _, stores) = engines();
        for store in stores {
            let row: Row = runtime.block_on(store.read(stmt, params.clone())).unwrap().unwrap();
            prop_assert_eq!(&row.0[1..], &expected[..], "{} on {}", sql, store.engine_name());
        }
    }
}
