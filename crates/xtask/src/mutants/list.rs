//! The attacks that this product must withstand, and the weakenings that prove that their tests can fail.
//!
//! An id is the attack's row and a word for the guard that is taken away: `J10-audience`. Rows without a hyphen are
//! attacks (`J10`), rows with one are requirements (`S-04`).

/// A weakening and the test that must notice it.
pub(super) struct Mutant {
    /// Its id, as `kernel::mutant::is` knows it.
    pub(super) id: &'static str,
    /// What is weakened.
    pub(super) weakens: &'static str,
    /// Where the test is.
    pub(super) package: Package,
    /// The path of the test that must fail.
    pub(super) test: &'static str,
}

/// The packages whose tests attack the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    /// The router, in process.
    Api,
    /// The people of the console, below HTTP.
    Auth,
    /// The listener and the binary.
    Server,
}

impl Package {
    /// Every package, each built once.
    pub(super) const ALL: [Self; 3] = [Self::Api, Self::Auth, Self::Server];

    /// Its name for cargo.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Auth => "auth",
            Self::Server => "bastionary",
        }
    }

    /// Its manifest, as cargo names it in messages.
    pub(super) const fn manifest(self) -> &'static str {
        match self {
            Self::Api => "crates/api/Cargo.toml",
            Self::Auth => "crates/auth/Cargo.toml",
            Self::Server => "crates/server/Cargo.toml",
        }
    }

    /// The test that every mutant must leave green: a weakening that breaks the product proves nothing.
    pub(super) const fn happy(self) -> &'static str {
        match self {
            Self::Api => "grants::a_client_gets_a_token_that_says_what_rfc_9068_asks::embedded",
            Self::Auth => "sign_in::the_answer_says_nothing_about_accounts::embedded",
            Self::Server => "first_start::a_configured_admin_client_is_created_once_and_gets_tokens",
        }
    }
}

/// The rows of attacks that concern what exists, with what each tries.
pub(super) const ATTACKS: [(&str, &str); 39] = [
    ("J01", "a token with the algorithm `none`, or one of a wrong kind"),
    ("J02", "a MAC keyed with our public key"),
    ("J03", "five parts around an inner token"),
    ("J04", "a key that comes with the token"),
    ("J05", "critical extensions and an unencoded payload"),
    ("J06", "times that are missing, of another kind, past or ahead"),
    ("J07", "signatures that are cut, empty or another one's"),
    ("J08", "one kind of credential where another belongs"),
    ("J09", "encryption and compression in the header"),
    ("J10", "another audience or issuer"),
    ("C01", "a secret that is empty, wrong or has ended"),
    ("C04", "a client or tenant that is disabled, expired or gone"),
    ("C05", "scopes without number"),
    ("C06", "introspection by somebody whom the token does not concern"),
    ("C07", "introspection and revocation without proof, and of another's token"),
    ("R01", "parallel refreshes of one token"),
    ("R02", "refresh against revocation"),
    ("R03", "one idempotency key for two requests"),
    ("T01", "telling unknown clients from known ones by time"),
    ("H01", "a poisoned Host and its relatives"),
    ("H02", "forwarding fields of strangers, and hops that nobody vouches for"),
    ("H03", "look-alikes of fields about the caller"),
    ("H04", "heads that two readers read differently"),
    ("I01", "ids of another tenant"),
    ("I02", "fields that no request may set"),
    ("I03", "cursors and filters that a caller made up"),
    ("I04", "what is for operators alone"),
    ("X03", "what another site sends in the name of somebody who is signed in"),
    ("W01", "requests of ours to addresses that are not public"),
    ("W02", "redirects of requests of ours"),
    ("W03", "endpoints, keys and repetitions of webhooks without bound"),
    ("D01", "bodies without end or bottom"),
    ("D02", "slow and silent peers"),
    ("S01", "secrets in logs, metrics and stored bytes"),
    ("S02", "database files that others can read"),
    ("S03", "secrets in URLs"),
    ("U01", "use beyond what was bought, alone or all at once"),
    ("U02", "usage, reservations and questions in the name of another customer"),
    ("U03", "a question that counts, or that leaves a feature out"),
];

const fn api(id: &'static str, weakens: &'static str, test: &'static str) -> Mutant {
    Mutant { id, weakens, package: Package::Api, test }
}

const fn people(id: &'static str, weakens: &'static str, test: &'static str) -> Mutant {
    Mutant { id, weakens, package: Package::Auth, test }
}

const fn server(id: &'static str, weakens: &'static str, test: &'static str) -> Mutant {
    Mutant { id, weakens, package: Package::Server, test }
}

/// Every weakening.
pub(super) const MUTANTS: &[Mutant] = &[
    // Tokens
    api(
        "J01-none",
        "a token with the algorithm `none` needs no signature",
        "forgery::a_token_without_a_signature_or_with_an_odd_algorithm_is_nothing::embedded",
    ),
    api(
        "J02-mac",
        "a MAC keyed with what is published is a signature",
        "forgery::a_mac_keyed_with_the_published_key_is_nothing::embedded",
    ),
    api(
        "J03-inner",
        "the last three parts of more are the token",
        "forgery::five_parts_are_nothing_whatever_they_carry::embedded",
    ),
    api(
        "J04-key",
        "header members that bring a key are overlooked",
        "forgery::a_key_that_comes_with_the_token_is_neither_used_nor_fetched::embedded",
    ),
    api(
        "J05-extension",
        "`crit` and `b64` are overlooked",
        "forgery::extensions_encryption_and_compression_in_a_header_are_refused::embedded",
    ),
    api(
        "J06-expired",
        "the end of a token is not looked at",
        "introspection::unknown_expired_and_revoked_tokens_are_exactly_inactive::embedded",
    ),
    api(
        "J06-early",
        "the beginning of a token is not looked at",
        "forgery::times_that_are_missing_of_another_kind_or_out_of_reach_are_refused::embedded",
    ),
    api(
        "J07-unverified",
        "any signature is good",
        "forgery::a_signature_that_is_cut_empty_or_another_ones_is_refused::embedded",
    ),
    api(
        "J08-untyped",
        "the type of a token is not looked at",
        "forgery::each_kind_of_credential_is_nothing_where_another_kind_belongs::embedded",
    ),
    api(
        "J09-encryption",
        "members of encryption and compression are overlooked",
        "forgery::extensions_encryption_and_compression_in_a_header_are_refused::embedded",
    ),
    api(
        "J10-audience",
        "the admin API takes tokens for any audience",
        "forgery::a_token_for_another_audience_is_nothing_at_the_admin_api::embedded",
    ),
    api(
        "J10-issuer",
        "the issuer of a token is not compared",
        "forgery::an_issuer_or_tenant_that_is_not_the_same_byte_by_byte_is_another::embedded",
    ),
    // Events
    api("S-18-stream", "a stream goes on when its token is revoked", "events::a_stream_ends_with_its_token::embedded"),
    api(
        "I01-customer",
        "events of a foreign customer may be asked for",
        "events::a_place_that_is_not_kept_is_a_gap_and_a_place_that_is_none_is_refused::embedded",
    ),
    // Clients and grants
    api(
        "C01-ended",
        "an ended secret still authenticates",
        "grants::a_rotated_secret_overlaps_until_its_own_end::embedded",
    ),
    api(
        "C01-any",
        "any text passes for a chosen secret",
        "authentication::a_long_secret_counts_to_its_last_character::embedded",
    ),
    api(
        "C04-disabled",
        "a disabled client still authenticates",
        "grants::a_disabled_client_is_refused_and_its_tokens_are_dead_from_the_next_request::embedded",
    ),
    api(
        "C04-alive",
        "the tokens of a dead client live on",
        "admin::a_dead_client_is_dead_everywhere_from_the_next_request::embedded",
    ),
    api(
        "C04-tenant",
        "a disabled tenant goes on",
        "tenants::a_disabled_tenant_is_dead_from_the_next_request::embedded",
    ),
    api("C05-many", "scopes are not counted", "attacks::a_scope_of_any_size_is_refused_with_bounded_work::embedded"),
    api("C06-anyone", "anyone may introspect any token", "introspection::only_who_may_see_a_token_sees_it::embedded"),
    api(
        "C07-public",
        "a public client may introspect",
        "introspection::whoever_is_not_authenticated_learns_nothing_about_a_token::embedded",
    ),
    api(
        "C07-foreign",
        "a client may revoke another's token",
        "revocation::a_token_of_another_client_is_left_alone_and_nothing_says_so::embedded",
    ),
    api(
        "S-12-unlisted",
        "any scope of the tenant may be requested",
        "client_credentials::scopes_keep_their_order_lose_repeats_and_are_compared_byte_by_byte::embedded",
    ),
    api(
        "S-18-unrevoked",
        "revocations are not looked at",
        "grants::revoking_an_access_token_ends_that_token_only::embedded",
    ),
    api(
        "S-34-unlimited",
        "no limit refuses anything",
        "authentication::guessing_chosen_secrets_is_limited_and_never_locks_a_generated_one_out::embedded",
    ),
    // Refresh and races
    api(
        "S-04-foreign",
        "a refresh token works for another client",
        "refresh::a_refresh_token_is_worth_nothing_to_another_client::embedded",
    ),
    api(
        "S-04-widened",
        "a refresh may widen the scope",
        "refresh::a_refresh_narrows_the_scope_never_widens_it_and_keeps_the_grant::embedded",
    ),
    api(
        "S-05-forged",
        "a refresh token needs no MAC",
        "refresh::a_refresh_token_with_one_changed_byte_and_a_good_checksum_is_nothing::embedded",
    ),
    api(
        "S-21-reuse",
        "reuse outside the window passes for a repeat",
        "grants::refresh_rotates_repeats_inside_the_window_and_ends_the_family_on_reuse::embedded",
    ),
    api(
        "R01-again",
        "a repeat inside the window rotates again",
        "grants::fifty_parallel_refreshes_give_one_line_of_descent::embedded",
    ),
    api(
        "R02-family",
        "the access tokens of an ended family live on",
        "refresh::no_refresh_commits_after_the_200_of_a_revocation::embedded",
    ),
    api(
        "R03-other",
        "an idempotency key answers for any request",
        "admin::a_repeated_request_gets_the_first_answer_with_its_secret::embedded",
    ),
    api(
        "T01-dummy",
        "an unknown client costs no slow hash",
        "attacks::an_unknown_client_gets_the_same_bytes_and_costs_the_same_work_as_a_known_one::embedded",
    ),
    // Headers and proxies
    api(
        "H01-host",
        "the metadata names the host that the caller names",
        "attacks::what_a_caller_says_about_the_host_is_in_no_answer::embedded",
    ),
    server(
        "H02-leftmost",
        "the leftmost hop is the client",
        "proxies::a_named_proxy_says_who_the_client_is_and_only_its_own_word_counts",
    ),
    server("H02-stranger", "every peer is a trusted proxy", "proxies::a_stranger_cannot_say_who_it_is"),
    server(
        "H03-underscore",
        "names with underscores are let through",
        "proxies::a_look_alike_of_a_field_about_the_caller_is_refused_whoever_sends_it",
    ),
    server(
        "H04-hosts",
        "any number of Host fields is good",
        "heads::heads_that_two_readers_would_read_differently_get_400_and_close",
    ),
    server(
        "H04-codings",
        "a body in an unknown coding is taken for what it is not",
        "heads::a_body_in_a_coding_that_is_not_understood_gets_501_and_close",
    ),
    // Tenants and objects
    api(
        "I01-tenant",
        "a client is looked up in the default tenant",
        "tenancy::no_id_of_another_tenant_is_known_to_any_operation_in_any_role::embedded",
    ),
    api(
        "I02-unknown",
        "unknown fields are ignored",
        "attacks::a_field_that_no_request_may_set_is_refused_by_every_operation_with_a_body::embedded",
    ),
    api(
        "I03-forged",
        "the tag of a cursor is not looked at",
        "attacks::a_cursor_or_filter_that_a_caller_made_up_finds_nothing::embedded",
    ),
    api(
        "I04-metrics",
        "metrics are served to everybody",
        "attacks::nothing_for_operators_is_served_to_everybody::embedded",
    ),
    // The console
    api(
        "X03-origin",
        "a form may come from any site",
        "console::what_does_not_come_from_our_pages_is_refused_and_counted::embedded",
    ),
    api(
        "X03-token",
        "a form needs no token of the session",
        "console::what_does_not_come_from_our_pages_is_refused_and_counted::embedded",
    ),
    api(
        "X03-door",
        "the form of the sign-in needs no token of the browser",
        "console::a_sign_in_that_another_site_sends_opens_nothing::embedded",
    ),
    api(
        "I01-role",
        "every role may change everything",
        "console::who_may_only_read_changes_nothing_and_is_counted::embedded",
    ),
    api(
        "I01-house",
        "every role makes and enters tenants",
        "console_house::who_entered_leaves_alone_and_is_out_when_no_owner_any_more::embedded",
    ),
    api(
        "I01-entered",
        "who entered a tenant stays there whatever becomes of them",
        "console_house::who_entered_leaves_alone_and_is_out_when_no_owner_any_more::embedded",
    ),
    api(
        "S-26-reused",
        "a setup link works again after it was used",
        "console::a_link_works_once_and_all_that_do_not_work_look_alike::embedded",
    ),
    api("S-29-step", "the ticket of one step opens another", "console::steps_out_of_order_lead_to_the_first::embedded"),
    api(
        "S-29-fixed",
        "a sign-in keeps the session that the browser came with",
        "console::a_session_is_new_at_sign_in_and_goes_nowhere_but_home::embedded",
    ),
    // The standing of customers
    people(
        "S-22-refused",
        "a customer without access gets tokens",
        "standing::the_standing_decides_what_a_client_gets_by_either_grant::embedded",
    ),
    people(
        "S-22-restricted",
        "a customer that does not pay keeps every scope",
        "standing::the_standing_decides_what_a_client_gets_by_either_grant::embedded",
    ),
    people(
        "S-22-feature",
        "a scope requires no feature",
        "standing::the_standing_decides_what_a_client_gets_by_either_grant::embedded",
    ),
    people(
        "S-22-epoch",
        "tokens from before a loss of access come back",
        "standing::a_token_from_before_a_loss_of_access_never_comes_back::embedded",
    ),
    people(
        "S-36-stamp",
        "a token is stamped when it is issued and not when its client was read",
        "standing::a_token_from_before_a_loss_of_access_never_comes_back::embedded",
    ),
    people(
        "S-24-device",
        "strangers' failures count for a browser that signed in before",
        "strangers::strangers_never_keep_a_known_device_out::embedded",
    ),
    api(
        "S-25-fresh",
        "what cannot be undone needs no fresh sign-in",
        "console::a_person_makes_rotates_disables_and_deletes_a_client::embedded",
    ),
    // Requests of our own
    server(
        "W01-private",
        "a connection may go to any address",
        "outbound::a_name_that_leads_to_a_closed_address_is_not_connected_to",
    ),
    server(
        "W01-embedded",
        "an IPv6 address is taken for a public one whatever it carries",
        "outbound::a_name_that_leads_to_a_closed_address_is_not_connected_to",
    ),
    server(
        "W01-pinned",
        "a host is resolved again for the connection",
        "outbound::the_address_that_was_judged_is_the_one_connected_to",
    ),
    server(
        "W01-written",
        "a closed address may stand in a URL",
        "outbound::a_closed_address_cannot_be_configured_however_it_is_written",
    ),
    server(
        "W01-decimal",
        "a number is taken for the name of a host",
        "outbound::a_closed_address_cannot_be_configured_however_it_is_written",
    ),
    server(
        "W01-plain",
        "plain HTTP may be spoken everywhere",
        "outbound::plain_http_is_spoken_only_where_it_was_allowed",
    ),
    server("W01-everything", "an entry of /0 opens everything", "outbound::an_entry_that_opens_everything_is_refused"),
    server("W02-followed", "a redirect is followed", "outbound::a_redirect_is_an_answer_and_is_not_followed"),
    api(
        "W03-endpoints",
        "a tenant has endpoints without number",
        "webhooks::a_tenant_has_fifty_endpoints_at_most::embedded",
    ),
    api(
        "W03-overlap",
        "keys are rolled while the last overlap goes on",
        "webhooks::a_message_is_signed_with_the_secret_that_was_shown_and_with_both_in_an_overlap::embedded",
    ),
    api(
        "W03-range",
        "a range of any length is sent again",
        "webhooks::a_range_of_more_than_ten_thousand_is_not_sent_again::embedded",
    ),
    // Usage
    api(
        "U01-limit",
        "usage beyond a limit is decided as if it fitted",
        "usage::what_does_not_fit_is_refused_and_the_rest_of_its_batch_counts::embedded",
    ),
    api(
        "U01-guard",
        "the statement that counts does not state the limit",
        "usage::as_many_of_the_parallel_consumers_succeed_as_there_is_room_for::embedded",
    ),
    api(
        "U01-entitlement",
        "what no plan grants is without a limit",
        "usage::what_paying_gives_decides_what_may_be_used_from_the_next_request_on::embedded",
    ),
    api(
        "U02-foreign",
        "a client reports for the customer of another",
        "usage::a_client_of_a_customer_reports_and_asks_for_that_customer_alone::embedded",
    ),
    api(
        "U02-hold",
        "a client settles the reservation of another customer",
        "usage::a_client_of_a_customer_reports_and_asks_for_that_customer_alone::embedded",
    ),
    api(
        "U03-scope",
        "a scope is checked without the feature that it requires",
        "usage::a_scope_is_checked_by_the_feature_that_it_requires::embedded",
    ),
    api(
        "U02-other",
        "a client asks about the customer of another",
        "usage::a_client_of_a_customer_reports_and_asks_for_that_customer_alone::embedded",
    ),
    api(
        "U03-write",
        "whoever may ask may count",
        "usage::the_check_says_what_may_be_used_and_counts_it_once::embedded",
    ),
    // Denial of service
    api(
        "D01-deep",
        "the depth of a body is not bounded",
        "admin::json_that_is_malformed_is_400_and_of_the_wrong_shape_422::embedded",
    ),
    server(
        "D02-head",
        "a head has no deadline",
        "deadlines::a_head_that_never_ends_gets_408_even_if_bytes_keep_coming",
    ),
    // Secrets
    server(
        "S01-log",
        "a log line shows the secret of a client",
        "canaries::no_secret_is_anywhere_after_a_whole_life_on_sqlite",
    ),
    server(
        "S02-mode",
        "the database can be read by others",
        "first_start::the_first_start_makes_private_files_and_says_how_to_get_an_administrator",
    ),
    api(
        "S03-query",
        "secrets may stand in the URL",
        "transport::a_parameter_in_the_url_is_refused_and_not_repeated::embedded",
    ),
];
