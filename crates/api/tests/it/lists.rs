//! Lists: every order in both directions, from any place, over many rows; and that each statement walks an index.

use std::time::{Duration, Instant};

use auth::client::{Settings, TokenFormat, fold};
use auth::client_list::{self, Asked, Filter, Order, Place};
use http::Method;
use kernel::clock::Timestamp;
use kernel::id::{Client, Id};
use kernel::tenant::DEFAULT;
use serde_json::{Value, json};
use store::{Batch, Stmt, params};
use testkit::SeededEntropy;

use crate::console::{Browser, owner, relaxed};
use crate::on_both_engines;
use crate::world::{Engine, World};

const SORTS: [&str; 8] = ["created_at", "-created_at", "name", "-name", "status", "-status", "expiry", "-expiry"];
const COLORS: [&str; 8] = ["amber", "Blue", "coral", "denim", "ebony", "flax", "green", "hazel"];
const THINGS: [&str; 8] = ["anchor", "bridge", "canal", "dock", "engine", "ferry", "gate", "harbor"];

/// A client as a mass of them is written.
static FILL: Stmt = Stmt {
    name: "FILL",
    sql: "INSERT INTO client (tenant_id, id, client_id, client_id_key, name_key, settings, expires_at, expiry_key, disabled_at, disabled_key, version, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?11)",
    across_tenants: None,
    by_key: false,
};

/// One client of the mass, and its place in every order.
#[derive(Debug, Clone)]
struct Row {
    id: Id<Client>,
    client_id: String,
    name: String,
    scope: &'static str,
    expires_at: Option<i64>,
    is_disabled: bool,
    created_at: i64,
}

impl Row {
    fn status(&self, now: i64) -> &'static str {
        match (self.is_disabled, self.expires_at) {
            (true, _) => "disabled",
            (false, Some(end)) if end <= now => "expired",
            _ => "active",
        }
    }

    /// The place in an order as it is compared.
    fn key(&self, sort: &str) -> (i64, String, [u8; 16]) {
        let end = self.expires_at.unwrap_or(i64::MAX);
        let (number, text) = match sort.trim_start_matches('-') {
            "created_at" => (0, String::new()),
            "name" => (0, fold(&self.name)),
            "expiry" => (end, String::new()),
            // an end lies far below half of the range
            _ => (if self.is_disabled { i64::MAX / 2 + (end / 4) } else { end / 4 }, String::new()),
        };
        (number, text, *self.id.as_bytes())
    }

    /// The bytes of a place right behind this client.
    fn place(&self) -> Vec<u8> {
        let end = self.expires_at.unwrap_or(i64::MAX);
        let flags = [0, u8::from(self.is_disabled)];
        [flags.as_slice(), &end.to_be_bytes(), self.id.as_bytes(), fold(&self.name).as_bytes()].concat()
    }
}

/// The mass: names in no order, some of them equal, one in ten disabled, one in four with an end in the past or to come.
fn rows(count: u64, now: i64) -> Vec<Row> {
    let mut entropy = SeededEntropy::new(99);
    (0..count)
        .map(|n| {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let pick = |list: [&'static str; 8], by: u64| list[usize::try_from(mixed / by % 8).unwrap()];
            let created_at = now - 1_000_000 * i64::try_from(count - n).unwrap();
            let id = Id::generate(Timestamp::from_micros(created_at), &mut entropy);
            let name = match mixed % 20 {
                0 => String::new(),
                1 => format!("{} {}", pick(COLORS, 20), pick(THINGS, 160)),
                _ => format!("{} {} {}", pick(COLORS, 20), pick(THINGS, 160), mixed % 1_000_000),
            };
            let client_id = if n % 5 == 0 { format!("{}-{n}", pick(THINGS, 7)) } else { id.to_string() };
            let end =
                (mixed % 4 == 0).then(|| now + (i64::try_from(mixed % 2_000_000).unwrap() - 1_000_000) * 1_000_000);
            Row {
                id,
                client_id,
                name,
                scope: if mixed % 997 == 0 { "rare" } else { "read" },
                expires_at: end,
                is_disabled: mixed % 10 == 3,
                created_at,
            }
        })
        .collect()
}

/// Writes the mass, so many a commit.
async fn fill(world: &World, rows: &[Row], a_commit: usize) {
    let tenant = world.tenant().await;
    let who = world.auth.system(&tenant, "fill");
    for scope in ["read", "rare"] {
        world.client(&format!("holder-{scope}"), json!({"scopes": [scope]})).await;
    }
    let settings = Settings {
        name: String::new(),
        grant_types: vec!["client_credentials".to_owned()],
        token_endpoint_auth_method: auth::client::AuthMethod::ClientSecretBasic,
        scopes: vec!["read".into()],
        default_scopes: Vec::new(),
        audiences: Vec::new(),
        multi_audience: false,
        introspects: Vec::new(),
        static_claims: serde_json::Map::new(),
        claims: Vec::new(),
        signing_alg: None,
        access_token_ttl_seconds: None,
        access_token_format: TokenFormat::Jwt,
        refresh_token_ttl_seconds: None,
        refresh_token_idle_seconds: None,
        refresh_reuse_window_seconds: None,
        rate_limit: None,
        token_quota: None,
        metadata: serde_json::Map::new(),
    };
    for part in rows.chunks(a_commit) {
        let mut batch = Batch::new();
        for row in part {
            let settings = Settings { name: row.name.clone(), scopes: vec![row.scope.into()], ..settings.clone() };
            let values = params![
                tenant.id,
                row.id,
                row.client_id.as_str(),
                fold(&row.client_id),
                fold(&row.name),
                serde_json::to_string(&settings).unwrap(),
                row.expires_at,
                row.expires_at.unwrap_or(i64::MAX),
                row.is_disabled.then_some(row.created_at),
                i64::from(row.is_disabled),
                row.created_at,
            ];
            batch =
                batch.run(&FILL, values).run(&auth::sql::CLIENT_SCOPE_INSERT, params![tenant.id, row.scope, row.id]);
        }
        let record =
            record::plan::change_record(&world.auth, &who, &tenant, "client.created", ("client", "many"), (None, None));
        world.auth.store.commit(batch, record).await.unwrap();
    }
}

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, Value::Null).await.expect(200).json()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|c| c["client_id"].as_str().unwrap().to_owned()).collect()
}

/// Everything a list gives, page by page.
async fn walk(world: &World, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(world, &format!("/api/clients?{query}{cursor}")).await;
        found.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

on_both_engines! {
    async fn every_order_and_filter_gives_each_client_once_and_in_its_place(world: World) {
        let now = world.auth.clock.now().as_micros();
        let mass = rows(170, now);
        fill(&world, &mass, 200).await;
        let made = |client_id: &str, scope: &'static str| Row {
            id: Id::from_bytes([0; 16]),
            client_id: client_id.to_owned(),
            name: String::new(),
            scope,
            expires_at: None,
            is_disabled: false,
            created_at: now,
        };
        let mut all = mass.clone();
        for (client_id, scope) in [("ops", "admin"), ("holder-read", "read"), ("holder-rare", "rare")] {
            let client = world.auth.read_client(DEFAULT, client_id).await.unwrap().unwrap();
            all.push(Row { id: client.id, ..made(client_id, scope) });
        }
        all[170].name = world.auth.read_client(DEFAULT, "ops").await.unwrap().unwrap().settings.name.clone();
        for sort in SORTS {
            for filter in ["", "&status=active", "&status=expired", "&status=disabled", "&scope=rare", "&scope=read&status=active", "&q=AMBER%20c", "&q=dock-1", "&q=a&status=active", "&q=cl_&scope=read", "&q=cl_&scope=rare&status=active"] {
                let of = |name: &str| filter.split('&').find_map(|pair| pair.strip_prefix(name)).map(|v| v.replace("%20", " ").to_lowercase());
                let (status, scope, q) = (of("status="), of("scope="), of("q="));
                let mut expected: Vec<&Row> = all
                    .iter()
                    .filter(|row| status.as_ref().is_none_or(|s| s == row.status(now)))
                    .filter(|row| scope.as_ref().is_none_or(|s| s == row.scope))
                    .filter(|row| q.as_ref().is_none_or(|q| fold(&row.name).starts_with(q) || fold(&row.client_id).starts_with(q)))
                    .collect();
                expected.sort_by_key(|row| row.key(sort));
                if sort.starts_with('-') {
                    expected.reverse();
                }
                let expected: Vec<String> = expected.iter().map(|row| row.client_id.clone()).collect();
                assert_eq!(walk(&world, &format!("sort={sort}&limit=37{filter}")).await, expected, "{sort}{filter}");
                let count = get(&world, &format!("/api/clients/count?{}", filter.trim_start_matches('&'))).await;
                assert_eq!(count, json!({"count": expected.len(), "is_capped": false}), "{filter}");
            }
        }
        assert_eq!(walk(&world, "limit=200").await, walk(&world, "limit=200&sort=-created_at").await);
    }

    async fn the_way_back_shows_the_same_pages(world: World) {
        fill(&world, &rows(95, world.auth.clock.now().as_micros()), 200).await;
        for sort in SORTS {
            let order = Order::parse(sort).unwrap();
            let page = async |place: Option<Place>| {
                let asked = Asked { order, limit: 20, place, filter: Filter::default() };
                let found = world.auth.list_clients(DEFAULT, &asked).await.unwrap();
                let ids: Vec<String> = found.clients.iter().map(|c| c.client_id.to_string()).collect();
                (ids, found.previous, found.next)
            };
            let mut forth = Vec::new();
            let mut place = None;
            let mut back = None;
            loop {
                let (ids, previous, next) = page(place).await;
                assert_eq!(previous.is_some(), !forth.is_empty(), "{sort}");
                forth.push(ids);
                let Some(next) = next else {
                    back = previous.or(back);
                    break;
                };
                place = Some(next);
            }
            assert_eq!(forth.len(), 5);
            for expected in forth.iter().rev().skip(1) {
                let (ids, previous, next) = page(back).await;
                assert_eq!((&ids, next.is_some()), (expected, true), "{sort}");
                back = previous;
            }
            assert_eq!(back, None, "{sort}: the first page has none before it");
        }
    }

    async fn a_cursor_goes_on_in_its_own_order_and_filter_alone(world: World) {
        fill(&world, &rows(9, world.auth.clock.now().as_micros()), 200).await;
        let cursor = get(&world, "/api/clients?sort=name&limit=2").await["next_cursor"].as_str().unwrap().to_owned();
        get(&world, &format!("/api/clients?sort=name&limit=5&cursor={cursor}")).await;
        for other in ["", "sort=-name&", "sort=expiry&", "sort=name&status=active&", "sort=name&q=a&"] {
            let answer = world.admin(Method::GET, &format!("/api/clients?{other}cursor={cursor}"), Value::Null).await.expect(400);
            assert_eq!(answer.json()["code"], "invalid_cursor", "{other}");
        }
        for bad in ["id", "Name", "--name", "-", "name,expiry"] {
            world.admin(Method::GET, &format!("/api/clients?sort={bad}"), Value::Null).await.expect(400);
        }
        world.admin(Method::POST, "/api/clients", json!({"client_id": "count"})).await.expect(422);
    }

    async fn what_a_filter_did_not_look_at_is_said_and_comes_with_the_next_page(world: World) {
        let now = world.auth.clock.now().as_micros();
        let mut mass = rows(12_000, now);
        for (n, row) in mass.iter_mut().enumerate() {
            row.is_disabled = n < 3;
            row.name = format!("same {n}");
        }
        fill(&world, &mass, 500).await;
        let first = get(&world, "/api/clients?status=disabled").await;
        assert_eq!((&first["data"], &first["window"], &first["has_more"]), (&json!([]), &json!(10_000), &json!(true)));
        let second = get(&world, &format!("/api/clients?status=disabled&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((ids(&second).len(), &second["window"], &second["has_more"]), (3, &Value::Null, &json!(false)));
        let at_once = get(&world, "/api/clients?status=disabled&sort=-status").await;
        assert_eq!((ids(&at_once).len(), &at_once["window"]), (3, &Value::Null));
        let many = get(&world, "/api/clients?q=same&limit=1").await;
        assert_eq!(many["window"], 5_000);
        assert_eq!(get(&world, "/api/clients?q=same&scope=read").await["window"], 2_500);
        assert_eq!(get(&world, "/api/clients?sort=name&scope=none").await["window"], 5_000);
        for (query, count) in [("", json!({"count": 10_000, "is_capped": true})), ("q=same", json!({"count": 2_500, "is_capped": true})), ("scope=read", json!({"count": 10_000, "is_capped": true})), ("status=disabled", json!({"count": 3, "is_capped": false}))] {
            assert_eq!(get(&world, &format!("/api/clients/count?{query}")).await, count, "{query}");
        }
        walks_indices(&world).await;
        measure(&world, &mass, 1).await;
    }
}

/// Asks the engine how it would carry out each statement of the list: none may read the whole table.
async fn walks_indices(world: &World) {
    let explain = match world.engine {
        Engine::Embedded => "EXPLAIN QUERY PLAN ",
        Engine::Server => "EXPLAIN ",
    };
    // any 10,001 rows are enough for the count of all, so an engine may take the first ones of the table
    for stmt in client_list::sql::ALL.iter().filter(|stmt| stmt.name != "COUNT") {
        let sql: &'static str = format!("{explain}{}", stmt.sql).leak();
        let explained: &'static Stmt =
            Box::leak(Box::new(Stmt { name: stmt.name, sql, across_tenants: None, by_key: false }));
        let most = (1..=20).rev().find(|n| stmt.sql.contains(&format!("?{n}"))).unwrap();
        let values = (0..most).map(|n| value_for(stmt, n + 1)).collect();
        let plan: Vec<String> = world
            .auth
            .store
            .read_all(explained, values)
            .await
            .unwrap()
            .iter()
            .map(|row| {
                row.0
                    .iter()
                    .find_map(|v| if let store::Value::Text(text) = v { Some(text.clone()) } else { None })
                    .unwrap()
            })
            .collect();
        let whole = plan.join("\n");
        assert!(whole.contains("INDEX") || whole.contains("Index"), "{}: {whole}", stmt.name);
        for line in &plan {
            let is_scan = line.contains("Seq Scan")
                || (line.contains("SCAN ")
                    && !line.contains("INDEX")
                    && line
                        .split_whitespace()
                        .nth(1)
                        .is_some_and(|t| ["client", "k", "s", "client_scope"].contains(&t)));
            assert!(!is_scan, "{}: {whole}", stmt.name);
        }
    }
}

/// A parameter of the type that a statement compares it with.
fn value_for(stmt: &Stmt, number: usize) -> store::Value {
    let ends = match stmt.name {
        name if name.contains("STATUS") => 9,
        name if name.contains("NAME") || name.contains("EXPIRY") => 7,
        _ => 5,
    };
    // a range that holds nothing is planned without looking at the table
    let value = if stmt.name.ends_with("DOWN") && (4..=ends).contains(&number) { 20 - number } else { number };
    let bytes = || store::Value::Bytes(vec![u8::try_from(value).unwrap(); 16]);
    let int = store::Value::Int(i64::try_from(value).unwrap());
    let text = store::Value::Text(format!("blue {value:02}"));
    match (stmt.name, number) {
        (_, 1) => store::Value::from(DEFAULT),
        ("LIMITED", 2)
        | ("OF_CUSTOMER", 2 | 3)
        | ("OF_SCOPE" | "OF_SCOPE_DOWN" | "EDGE_SCOPE" | "EDGE_SCOPE_DOWN", 4 | 5) => bytes(),
        ("LIMITED", 3) | ("OF_CUSTOMER", 4) | ("COUNT_SEARCH", 10) | (_, 2) => int,
        (name, 3) if name.starts_with("EDGE") || name == "COUNT_STATUS" => int,
        (_, 3)
        | ("WIDTHS" | "FIRST_NAMES" | "FIRST_IDS", _)
        | ("COUNT_SEARCH", 8 | 9)
        | ("EDGE_SCOPE" | "EDGE_SCOPE_DOWN", 6) => text,
        (name, n) => {
            let is = |part: &str| name.contains(part);
            match n {
                4 | 5 if is("CREATED") => bytes(),
                4 | 6 | 12 | 13 if is("NAME") => text,
                5 | 7 if is("NAME") || is("EXPIRY") => bytes(),
                6 | 9 if is("STATUS") && !is("COUNT") => bytes(),
                10 | 11 if is("SEARCH") && !is("NAME") => text,
                _ => int,
            }
        }
    }
}

/// How long the pages of lists take: every order from its first page and from places anywhere, with filters, and counts.
async fn measure(world: &World, mass: &[Row], rounds: u64) -> Vec<(Duration, String)> {
    let mut taken = Vec::new();
    let mut at = 7_u64;
    for _ in 0..rounds {
        for sort in SORTS {
            for filter in [
                "",
                "&status=disabled",
                "&status=active",
                "&status=expired",
                "&scope=rare",
                "&scope=read",
                "&scope=rare&status=disabled",
            ] {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let row = &mass[usize::try_from((at >> 33) % mass.len() as u64).unwrap()];
                // the name of the list as the API seals it: its operation, and its query in order
                let mut pairs: Vec<&str> = filter.split('&').filter(|p| !p.is_empty()).collect();
                let order = format!("sort={sort}");
                pairs.push(&order);
                pairs.sort_unstable();
                let list = [vec!["listClients"], pairs].concat().join("\0");
                let cursor = world.auth.seal_cursor(DEFAULT, &list, &row.place());
                for limit in [50, 200] {
                    taken.push(timed(world, format!("/api/clients?sort={sort}&limit={limit}{filter}")).await);
                    taken.push(
                        timed(world, format!("/api/clients?sort={sort}&limit={limit}{filter}&cursor={cursor}")).await,
                    );
                }
            }
            for length in [1, 3, 6, 9, 14] {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let row = &mass[usize::try_from((at >> 33) % mass.len() as u64).unwrap()];
                for text in [&row.name, &row.client_id] {
                    let q: String = text.chars().take(length).collect::<String>().replace(' ', "%20");
                    taken.push(timed(world, format!("/api/clients?sort={sort}&q={q}")).await);
                    taken.push(timed(world, format!("/api/clients?sort={sort}&q={q}&status=active")).await);
                    taken.push(timed(world, format!("/api/clients?sort={sort}&q={q}&scope=read")).await);
                    taken.push(timed(world, format!("/api/clients?sort={sort}&q={q}&scope=rare")).await);
                }
            }
        }
        for query in [
            "",
            "status=active",
            "status=disabled",
            "scope=read",
            "scope=rare&status=active",
            "q=a",
            "q=blue%20f",
            "q=dock-1&status=active",
        ] {
            taken.push(timed(world, format!("/api/clients/count?{query}")).await);
        }
    }
    taken
}

/// How long the pages of the console take, and apart from them the search of its palette.
async fn measure_console(ada: &mut Browser, mass: &[Row], rounds: u64) -> [Vec<(Duration, String)>; 2] {
    let (mut pages, mut searches) = (Vec::new(), Vec::new());
    let mut at = 11_u64;
    for _ in 0..rounds {
        for length in [1, 2, 3, 6, 9, 14] {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let row = &mass[usize::try_from((at >> 33) % mass.len() as u64).unwrap()];
            for text in [&row.name, &row.client_id] {
                let q: String = text.chars().take(length).collect::<String>().replace(' ', "%20");
                searches.push(ada.timed(format!("/console/search?format=json&q={q}")).await);
                for sort in ["-created_at", "name", "-status", "expiry"] {
                    pages.push(ada.timed(format!("/console/identity/clients?sort={sort}&q={q}")).await);
                }
            }
        }
        for sort in SORTS {
            for status in ["", "active", "expired", "disabled"] {
                pages.push(ada.timed(format!("/console/identity/clients?sort={sort}&status={status}")).await);
            }
        }
        pages.push(ada.timed("/console/identity/limits".to_owned()).await);
    }
    [pages, searches]
}

/// Median, 99th percentile and longest, and the slowest in full.
fn told(taken: &mut [(Duration, String)]) -> (String, Duration) {
    taken.sort_unstable();
    let at = |part: usize| taken[(taken.len() - 1) * part / 1_000].0;
    let shown = |part: usize| format!("{}.{:02} ms", at(part).as_millis(), at(part).as_micros() / 10 % 100);
    let text = format!("median {}, p99 {}, longest {}", shown(500), shown(990), shown(1_000));
    (text, at(990))
}

async fn timed(world: &World, path: String) -> (Duration, String) {
    let begun = Instant::now();
    let answer = world.admin(Method::GET, &path, Value::Null).await;
    let taken = begun.elapsed();
    answer.expect(200);
    // the client's own rate is not what is measured
    world.clock.advance_micros(100_000);
    (taken, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 1,000,000 clients"]
async fn proof_lists_embedded() {
    prove(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 1,000,000 clients"]
async fn proof_lists_server() {
    prove(Engine::Server).await;
}

#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
async fn prove(engine: Engine) {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|v| v == "full");
    let count = if full { 1_000_000 } else { 20_000 };
    let world = relaxed(engine).await;
    let mass = rows(count, world.auth.clock.now().as_micros());
    let begun = Instant::now();
    fill(&world, &mass, if engine == Engine::Embedded { 20_000 } else { 500 }).await;
    let filled = begun.elapsed().as_secs();
    println!("{engine:?}: written, measuring");
    let mut ada = owner(&world).await;
    measure(&world, &mass, 1).await;
    measure_console(&mut ada, &mass, 1).await;
    let mut taken = measure(&world, &mass, 10).await;
    let [mut pages, mut searches] = measure_console(&mut ada, &mass, 10).await;
    let (lists, of_lists) = told(&mut taken);
    println!(
        "PROOF lists, {engine:?}: {count} clients (written in {filled} s), {} pages and counts in 8 orders, from the first \
         and from any place, with and without status, scope and prefix: {lists}",
        taken.len(),
    );
    let (console, of_console) = told(&mut pages);
    println!(
        "PROOF lists, {engine:?}: {} pages of the console, with the list, its counts and the HTML: {console}",
        pages.len()
    );
    let (palette, of_palette) = told(&mut searches);
    println!("PROOF lists, {engine:?}: {} searches of the palette: {palette}", searches.len());
    for (time, path) in [&taken, &pages, &searches].into_iter().flat_map(|list| list.iter().rev().take(8)) {
        println!("{time:?} {path}");
    }
    let slow = |time: Duration, most: u64| full && time > Duration::from_millis(most);
    assert!(!slow(of_lists, 20) && !slow(of_console, 20), "p99 of the lists is above 20 ms");
    assert!(!slow(of_palette, 100), "p99 of the palette is above 100 ms");
}
