use std::collections::HashSet;

use super::*;

#[test]
fn each_route_and_each_operation_id_is_listed_once() {
    let mut seen = HashSet::new();
    let mut names = HashSet::new();
    for route in ROUTES {
        assert!(seen.insert((route.method, route.path)), "{} {}", route.method.key(), route.path);
        assert!(names.insert(route.operation_id), "{}", route.operation_id);
    }
}

#[test]
fn every_scope_of_a_route_is_placed_in_the_table_of_roles() {
    for scope in ROUTES.iter().filter_map(|route| route.scope) {
        let places = auth::operator::role::PLACES.iter().filter(|(placed, _)| *placed == scope);
        assert_eq!(places.count(), 1, "{scope}");
    }
}

#[test]
fn whatever_changes_something_is_audited_idempotent_and_needs_a_write_scope() {
    // usage is its own record, and a part of a backfill counts nothing before the completion, which has one
    let own = [
        "reportUsage",
        "ingestEvents",
        "reserveUsage",
        "commitReservation",
        "releaseReservation",
        "check",
        "addBackfillPart",
    ];
    for route in ROUTES {
        let changes = route.method != Verb::Get;
        assert_eq!(route.audit.is_some(), changes && !own.contains(&route.operation_id), "{}", route.operation_id);
        assert_eq!(route.idempotent, changes, "{}", route.operation_id);
        let is_write = route.scope.is_some_and(|s| s.ends_with(":write") || s == "tokens:revoke");
        // a question alone needs no such scope, and what counts asks for it itself
        assert_eq!(is_write, changes && route.operation_id != "check", "{}", route.operation_id);
    }
}

#[test]
fn every_scope_and_audited_action_exists() {
    for route in ROUTES {
        if let Some(action) = route.audit {
            assert!(action::ALL.contains(&action), "{action}");
        }
        if let Some(scope) = route.scope {
            assert!(auth::catalog::MANAGEMENT_SCOPES.iter().any(|(name, _)| *name == scope), "{scope}");
        }
    }
}

#[test]
fn only_the_openapi_document_is_public() {
    let public: Vec<_> = ROUTES.iter().filter(|r| r.public).map(|r| r.path).collect();
    assert_eq!(public, ["/api/openapi.json"]);
    let any_token: Vec<_> = ROUTES.iter().filter(|r| !r.public && r.scope.is_none()).map(|r| r.path).collect();
    assert_eq!(any_token, ["/api/whoami"]);
}

#[test]
fn tenants_are_managed_at_the_default_tenant_alone() {
    for route in ROUTES {
        assert_eq!(route.default_tenant_only, route.path.starts_with("/api/tenants"), "{}", route.path);
    }
}

#[test]
fn a_body_has_a_status_with_a_body_and_204_has_none() {
    for route in ROUTES {
        assert_eq!(route.status == 204, route.response.is_none(), "{}", route.operation_id);
        assert!(matches!(route.status, 200 | 201 | 202 | 204), "{}", route.operation_id);
    }
}

#[test]
fn the_router_takes_every_path() {
    let mut router = axum::Router::<()>::new();
    let paths: HashSet<_> = ROUTES.iter().map(|route| route.path).collect();
    for path in paths {
        router = router.route(path, axum::routing::any(|| async {}));
    }
    assert!(router.has_routes());
}

#[test]
fn the_methods_of_a_path_are_known() {
    assert_eq!(methods_of("/api/clients"), [Method::GET, Method::POST, Method::HEAD]);
    assert_eq!(methods_of("/api/nothing"), Vec::<Method>::new());
    let route = ROUTES.iter().find(|r| r.operation_id == "deleteSecret").unwrap();
    assert_eq!(route.path_parameters().collect::<Vec<_>>(), ["client_id", "id"]);
}
