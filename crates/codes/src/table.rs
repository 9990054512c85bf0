//! The table of stable error codes, but for those of usage: what happened, why, and what to do.

use crate::{ErrorPage, Surface};

/// Stable codes, by surface; a code is never renamed.
pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage {
        code: "invalid_request",
        surface: Surface::OAuth,
        status: Some(400),
        title: "The request is malformed",
        what: "The request was refused before the grant was looked at.",
        why: "A parameter is missing or appears twice, the body is not `application/x-www-form-urlencoded` in \
               UTF-8, an OAuth parameter stands in the URL, the body is larger than 64 KiB (status 413), the method \
               is not POST (status 405), or two ways of client authentication were used at once.",
        fix: "Read `error_description`: it names the parameter. Send every parameter once, in the body of a POST, \
               with `Content-Type: application/x-www-form-urlencoded`, and authenticate in one way only.",
    },
    ErrorPage {
        code: "invalid_client",
        surface: Surface::OAuth,
        status: Some(401),
        title: "Client authentication failed",
        what: "The server does not know who is asking, so it refused the request.",
        why: "No credentials were sent, the client id or the secret is wrong, or the client is disabled, expired \
               or deleted. All of these get the same answer on purpose, so that nobody can find out which client \
               ids exist.",
        fix: "Check the client id and the secret, and that `status` of the client is `active`. With HTTP Basic, \
               form-encode both halves before base64. If the secret is lost, add a new one: a secret is shown once \
               and can never be read again.",
    },
    ErrorPage {
        code: "invalid_grant",
        surface: Surface::OAuth,
        status: Some(400),
        title: "The refresh token is not good any more",
        what: "The refresh token was not exchanged, and no token was issued.",
        why: "The token is malformed, belongs to another client, passed its idle or absolute deadline, was \
               revoked, or was used again after its window. In the last case the whole family was ended, because \
               two parties hold the same token.",
        fix: "Ask for a new token with the grant `client_credentials`. If you did not expect it, search the audit \
               log for `family.reuse_detected`: it means that a copy of the token was used.",
    },
    ErrorPage {
        code: "unauthorized_client",
        surface: Surface::OAuth,
        status: Some(400),
        title: "The client may not use this grant",
        what: "The client is known, but this request is not open to it.",
        why: "The grant is not in the client's `grant_types`, or the client is public \
               (`token_endpoint_auth_method` is `none`) and asked for `client_credentials`, which needs a secret. Or the \
               client acts for a customer without access at present: then `error_description` begins with \
               `subscription_inactive` or `no_subscription`.",
        fix: "Add the grant to `grant_types` with `PATCH /api/clients/{client_id}`, or use a grant that the client \
               has. Where a subscription is named, bring it in order; the next request then succeeds.",
    },
    ErrorPage {
        code: "unsupported_grant_type",
        surface: Surface::OAuth,
        status: Some(400),
        title: "This server does not offer the grant",
        what: "The value of `grant_type` is not one that the token endpoint serves.",
        why: "The server offers `client_credentials` and `refresh_token`. The grants `password` and `implicit` do \
               not exist here. A body whose fields are separated by line breaks instead of `&` has the same effect, \
               because the first value then swallows the rest.",
        fix: "Send `grant_type=client_credentials` or `grant_type=refresh_token`. The metadata document lists the \
               grants in `grant_types_supported`.",
    },
    ErrorPage {
        code: "invalid_scope",
        surface: Surface::OAuth,
        status: Some(400),
        title: "A scope is refused",
        what: "The request asked for a scope that this client cannot have, so no token was issued. A refresh token \
               that was sent stays good.",
        why: "The scope does not exist, is spelled in another letter case, is not among the client's scopes, is \
               not owned by the API that `resource` names, goes beyond the first grant of a refresh, or contains a \
               character outside RFC 6749 section 3.3. Or the client acts for a customer that lacks the feature which \
               the scope requires, or that is left with a few scopes until it pays. A request without `scope` gets \
               this answer when the client has scopes but no default scopes.",
        fix: "Read `error_description`: it names the scope. Ask for fewer scopes, or add the scope to the client \
               with `PATCH /api/clients/{client_id}`.",
    },
    ErrorPage {
        code: "invalid_target",
        surface: Surface::OAuth,
        status: Some(400),
        title: "The resource is refused",
        what: "The value of `resource` names no API that this client may ask tokens for.",
        why: "The value is not an absolute URI, has a fragment, is no identifier of an API of this tenant, is not \
               among the client's `audiences`, or the request names several APIs although the client's \
               `multi_audience` is false.",
        fix: "Send the `identifier` of the API exactly as registered, for example `https://orders.example.com`. \
               List the APIs with `GET /api/apis`.",
    },
    ErrorPage {
        code: "unsupported_token_type",
        surface: Surface::OAuth,
        status: Some(400),
        title: "This kind of token cannot be revoked",
        what: "The revocation endpoint refused the kind of token, not the token.",
        why: "The code exists for kinds of token that cannot be revoked (RFC 7009 section 2.2.1). Access tokens \
               and refresh tokens of this server never get it.",
        fix: "Send an access token or a refresh token of this server. `token_type_hint` is only a hint; a wrong \
               one does no harm.",
    },
    ErrorPage {
        code: "unsupported_response_type",
        surface: Surface::OAuth,
        status: Some(400),
        title: "The authorization endpoint issues nothing",
        what: "The page `/oauth2/authorize` refused the request, and nobody was redirected.",
        why: "This server issues tokens to machines. The implicit grant does not exist here, and no sign-in of \
               people is offered.",
        fix: "Use the token endpoint with the grant `client_credentials`.",
    },
    ErrorPage {
        code: "slow_down",
        surface: Surface::OAuth,
        status: Some(429),
        title: "A limit of the caller is used up",
        what: "The request was refused because a limit was reached. Nothing was issued or counted against the token \
               quota.",
        why: "The client passed its request rate or its token quota, the source address passed its own rate, or \
               too many authentications with a chosen secret failed.",
        fix: "Wait the number of seconds in `Retry-After`. Keep a token until shortly before it expires instead of \
               asking for one per call. An administrator can raise `rate_limit` or `token_quota` of the client.",
    },
    ErrorPage {
        code: "temporarily_unavailable",
        surface: Surface::OAuth,
        status: Some(503),
        title: "The server cannot answer now",
        what: "The server refused the request because it could not finish it in time. A revocation with this answer \
               must be sent again.",
        why: "The store does not answer, the disk is full, or more requests are waiting than the server accepts.",
        fix: "Repeat the request after the seconds in `Retry-After`. Operators find the cause in `/readyz`.",
    },
    ErrorPage {
        code: "server_error",
        surface: Surface::OAuth,
        status: Some(500),
        title: "A defect of the server",
        what: "The request failed for a reason that does not lie in the request.",
        why: "A defect, or a stored value that cannot be read. The answer carries the request id and nothing else.",
        fix: "Search the log of the server for the request id. If the log shows a defect, report it with that \
               line.",
    },
    ErrorPage {
        code: "unauthorized",
        surface: Surface::Admin,
        status: Some(401),
        title: "No valid access token",
        what: "The admin API refused the request because it carries no access token that is good here.",
        why: "The header `Authorization: Bearer` is missing, or the token is expired, revoked, of another issuer \
               or tenant, or made for another audience than `<issuer>/api`.",
        fix: "Ask for a token with `resource=<issuer>/api` and a management scope, and send it as `Authorization: \
               Bearer`. `bastionary token inspect` says why a token is refused.",
    },
    ErrorPage {
        code: "insufficient_scope",
        surface: Surface::Admin,
        status: Some(403),
        title: "The token lacks a scope",
        what: "The token is good, but it does not allow this operation. Nothing was changed.",
        why: "Each operation needs one management scope, for example `clients:write`. `WWW-Authenticate` and \
               `detail` name it.",
        fix: "Ask for a token with this scope. If the client may not have it, add it to the client's `scopes` with \
               a token that has `clients:write` and the scope itself, or use an administrator's client.",
    },
    ErrorPage {
        code: "not_found",
        surface: Surface::Admin,
        status: Some(404),
        title: "There is no such object",
        what: "No object of this kind has this id in this tenant.",
        why: "The id is mistyped, the object was deleted, or it belongs to another tenant. These cases get the \
               same answer on purpose.",
        fix: "List the objects, for example `GET /api/clients`. The audit log still names deleted objects.",
    },
    ErrorPage {
        code: "validation_failed",
        surface: Surface::Admin,
        status: Some(422),
        title: "One or more fields are refused",
        what: "The body is well-formed JSON, but at least one field cannot be accepted. Nothing was changed.",
        why: "A field has the wrong type, a value outside its range, or a name that the operation does not know. \
               All refused fields are listed at once in `errors`, each with a `pointer` to the field, a `code` and \
               a `detail`.",
        fix: "Correct every field in `errors` and send the request again. `detail` states the accepted form.",
    },
    ErrorPage {
        code: "malformed_request",
        surface: Surface::Admin,
        status: Some(400),
        title: "The request cannot be read",
        what: "The request was refused before anything was done.",
        why: "The body is not JSON or has a key twice, or the query, a header or a parameter of the path is not in \
               the form that it needs.",
        fix: "`detail` names what could not be read. Send one JSON object in UTF-8 with every key once, and check \
               the address against the list of operations.",
    },
    ErrorPage {
        code: "invalid_parameter",
        surface: Surface::Admin,
        status: Some(400),
        title: "A parameter of the query is refused",
        what: "The request was refused before anything was done.",
        why: "The operation has no query parameter of this name, or does not take this value for it.",
        fix: "`errors` names the parameter, and `detail` what is accepted. The list of operations has the parameters \
               of each.",
    },
    ErrorPage {
        code: "body_too_slow",
        surface: Surface::Admin,
        status: Some(408),
        title: "The body arrived too slowly",
        what: "The server stopped waiting for the body, and nothing was done.",
        why: "The whole body did not arrive within `limits.body_seconds`, 10 seconds by default.",
        fix: "Send the request again over a better connection, or send less in one request.",
    },
    ErrorPage {
        code: "body_too_large",
        surface: Surface::Admin,
        status: Some(413),
        title: "The body is too large",
        what: "The server stopped reading the body and refused the request.",
        why: "Bodies under `/api` may have 1 MiB, bodies under `/oauth2` 64 KiB.",
        fix: "Send less in one request. Split long lists of scopes over several `PATCH` requests.",
    },
    ErrorPage {
        code: "head_too_slow",
        surface: Surface::Admin,
        status: Some(408),
        title: "The request head arrived too slowly",
        what: "The connection was closed before the request was read, so nothing was done.",
        why: "Request line and header fields did not end within `limits.head_seconds`, 10 s by default.",
        fix: "Send the request again, whole and at once.",
    },
    ErrorPage {
        code: "uri_too_long",
        surface: Surface::Admin,
        status: Some(414),
        title: "The URL is too long",
        what: "The request was not read any further, and the connection was closed.",
        why: "Path and query together are longer than `limits.url_bytes`, 8,192 by default.",
        fix: "Put parameters into the body where the endpoint takes one.",
    },
    ErrorPage {
        code: "head_too_large",
        surface: Surface::Admin,
        status: Some(431),
        title: "The request head is too large",
        what: "The request was not read any further, and the connection was closed.",
        why: "Request line and header fields are larger than `limits.head_bytes`, 16,384 by default, or there are \
              more than 100 fields.",
        fix: "Send fewer and shorter fields. Cookies of other applications on the same host are a common cause.",
    },
    ErrorPage {
        code: "unknown_transfer_coding",
        surface: Surface::Admin,
        status: Some(501),
        title: "The body is coded in an unknown way",
        what: "The body was not read, and the connection was closed.",
        why: "`Transfer-Encoding` names a coding beside `chunked`, such as `gzip`.",
        fix: "Send the body as it is, with `Content-Length` or with `Transfer-Encoding: chunked` alone.",
    },
    ErrorPage {
        code: "conflict",
        surface: Surface::Admin,
        status: Some(409),
        title: "The object is in a state that does not allow this",
        what: "Another change came first, or the present state of the object rules the operation out. Nothing was \
               changed by this request.",
        why: "Two requests changed the same object at the same moment, or the operation makes no sense in the \
               present state, for example deleting a built-in API.",
        fix: "Read the object again, decide anew, and send the request again. `detail` names the state.",
    },
    ErrorPage {
        code: "client_id_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "The client id is taken",
        what: "No client was created.",
        why: "A client with this `client_id` exists in the tenant. Client ids are compared byte by byte.",
        fix: "Choose another `client_id`, leave the field out to get a generated one, or change the existing \
               client. The id of a deleted client can be taken again.",
    },
    ErrorPage {
        code: "scope_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "The scope name is taken",
        what: "No scope was created.",
        why: "A scope belongs to exactly one API, and its name is unique in the tenant. This name belongs to a \
               scope already, perhaps of another API.",
        fix: "Choose another name, for example with the name of the API before a colon: `orders:read`.",
    },
    ErrorPage {
        code: "identifier_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "The identifier is taken",
        what: "No API was created.",
        why: "An API with this `identifier` exists in the tenant. Each audience belongs to one API.",
        fix: "Use the existing API, or choose another identifier.",
    },
    ErrorPage {
        code: "slug_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "The slug is taken",
        what: "No tenant was created.",
        why: "A tenant with this slug exists. A slug is part of the issuer and is never given out twice.",
        fix: "Choose another slug.",
    },
    ErrorPage {
        code: "too_many_secrets",
        surface: Surface::Admin,
        status: Some(409),
        title: "The client has as many live secrets as it may have",
        what: "No secret was added, and the present ones are unchanged.",
        why: "A client holds at most 10 live secrets.",
        fix: "End a secret that is not used any more: `GET /api/clients/{client_id}/secrets` shows `last_used_at`, \
               `DELETE /api/clients/{client_id}/secrets/{id}` ends one.",
    },
    ErrorPage {
        code: "illegal_transition",
        surface: Surface::Admin,
        status: Some(409),
        title: "The subscription stands where this cannot follow",
        what: "Nothing was changed.",
        why: "What may happen to a subscription depends on where it stands: a paused one is resumed before it can be \
               paused again, and one that has ended stays ended. Time may have moved it since you read it.",
        fix: "`from` says where it stands, `event` what was asked, and `allowed` what may follow. Read the \
               subscription again; its `allowed` lists the same.",
    },
    ErrorPage {
        code: "external_id_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "Another customer has this external id",
        what: "No customer was created or changed.",
        why: "`external_id` is unique in the tenant, so that it can stand for the id of the customer.",
        fix: "`detail` names the customer that has it. Change that one, or give another `external_id`.",
    },
    ErrorPage {
        code: "feature_taken",
        surface: Surface::Admin,
        status: Some(409),
        title: "The key of the feature is taken",
        what: "No feature was created.",
        why: "A feature with this `key` exists in the tenant; plans and programs name it by that key.",
        fix: "Use the feature that exists, or choose another `key`.",
    },
    ErrorPage {
        code: "immutable",
        surface: Surface::Admin,
        status: Some(409),
        title: "A published version of a plan does not change",
        what: "Nothing was changed or deleted.",
        why: "Customers subscribed to what the version says, so it stays as it was published.",
        fix: "Create the next version with `POST /api/plans` and the same `key`, publish it, and archive this one, so \
               that nobody can subscribe to it any more.",
    },
    ErrorPage {
        code: "in_use",
        surface: Surface::Admin,
        status: Some(409),
        title: "Something else depends on the object",
        what: "Nothing was deleted.",
        why: "A customer has a subscription that has not ended, or a plan grants the feature.",
        fix: "`detail` names what depends on it. Cancel the subscription first, or delete the draft that grants the \
               feature; a feature that a published plan grants stays.",
    },
    ErrorPage {
        code: "too_many_subscriptions",
        surface: Surface::Admin,
        status: Some(409),
        title: "The customer has as many subscriptions as it may have",
        what: "No subscription was created.",
        why: "A customer has at most 100 subscriptions that have not ended.",
        fix: "Change the quantity of one that it has, or cancel one that it does not need.",
    },
    ErrorPage {
        code: "live_tenant",
        surface: Surface::Admin,
        status: Some(409),
        title: "The tenant is live",
        what: "The clock was not moved.",
        why: "The time of a live tenant is the real one. Only a sandbox has a clock that can be moved forward.",
        fix: "Create a sandbox with `POST /api/tenants` and `\"kind\": \"sandbox\"`, and move the clock there; the kind of a \
               tenant cannot be changed.",
    },
    ErrorPage {
        code: "precondition_failed",
        surface: Surface::Admin,
        status: Some(412),
        title: "The object has changed since it was read",
        what: "Nothing was changed, because the version in `If-Match` is not the present one.",
        why: "Somebody changed the object between your read and your write.",
        fix: "Read the object again, apply your change to the new version, and send its `ETag` in `If-Match`.",
    },
    ErrorPage {
        code: "idempotency_key_reused",
        surface: Surface::Admin,
        status: Some(422),
        title: "The Idempotency-Key belongs to another request",
        what: "The request was refused without being executed.",
        why: "The same `Idempotency-Key` was used within 24 hours for the same route with another body.",
        fix: "Use a new key for each new request, for example a UUID. Use the same key only to repeat a request \
               whose answer was lost.",
    },
    ErrorPage {
        code: "idempotency_in_flight",
        surface: Surface::Admin,
        status: Some(409),
        title: "The first request with this key is still running",
        what: "This request was not executed, so that the effect cannot happen twice.",
        why: "A request with the same `Idempotency-Key` has not been answered yet.",
        fix: "Repeat the request with the same key after the seconds in `Retry-After`; the answer of the first one \
               then comes back.",
    },
    ErrorPage {
        code: "method_not_allowed",
        surface: Surface::Admin,
        status: Some(405),
        title: "The path does not know this method",
        what: "The path exists, but not with this HTTP method.",
        why: "The method is mistyped or is not offered for this path.",
        fix: "Use one of the methods in the header `Allow`.",
    },
    ErrorPage {
        code: "unsupported_media_type",
        surface: Surface::Admin,
        status: Some(415),
        title: "The content type is not accepted",
        what: "The body was not read.",
        why: "The admin API reads `application/json`, and for `PATCH` also `application/merge-patch+json`.",
        fix: "Set `Content-Type: application/json`.",
    },
    ErrorPage {
        code: "invalid_cursor",
        surface: Surface::Admin,
        status: Some(400),
        title: "The cursor is not good here",
        what: "The page was not produced.",
        why: "A cursor belongs to one list with one filter. This one is changed, comes from another list, another \
               filter or another tenant.",
        fix: "Start the list again without `cursor`, and pass `next_cursor` on unchanged together with the same \
               filter.",
    },
    ErrorPage {
        code: "rate_limited",
        surface: Surface::Admin,
        status: Some(429),
        title: "A limit of the caller is used up",
        what: "The request was refused and had no effect.",
        why: "The client or the source address sent more requests than its limit allows.",
        fix: "Wait the number of seconds in `Retry-After`. `RateLimit` shows what is left, `RateLimit-Policy` what \
               the limit is.",
    },
    ErrorPage {
        code: "store_unavailable",
        surface: Surface::Admin,
        status: Some(503),
        title: "The store does not answer",
        what: "It is not known whether the change was saved.",
        why: "The store did not answer in time, the disk is full, or the database is away.",
        fix: "Repeat the request with the same `Idempotency-Key` after the seconds in `Retry-After`: a change that \
               was saved is answered again and not made twice.",
    },
    ErrorPage {
        code: "internal_error",
        surface: Surface::Admin,
        status: Some(500),
        title: "A defect of the server",
        what: "The request failed for a reason that does not lie in the request.",
        why: "A defect. The answer carries the request id and nothing about the inside of the server.",
        fix: "Search the log of the server for the request id. If the log shows a defect, report it with that \
               line.",
    },
    ErrorPage {
        code: "cross_site_request",
        surface: Surface::Console,
        status: Some(403),
        title: "The request did not come from a page of the console",
        what: "Nothing was changed. The request is counted in the issuance journal.",
        why: "The browser did not say that one of our own pages sent it (`Sec-Fetch-Site: same-origin`, or an `Origin` that is the issuer's), or the form carried no token of this session: it was open since before the last sign-in, or cookies were removed.",
        fix: "Open the page again and repeat what you did. If it happens every time, compare the address in the browser with `issuer` in the configuration, and see that no proxy removes `Origin` or `Sec-Fetch-Site`.",
    },
    ErrorPage {
        code: "sign_in_refused",
        surface: Surface::Console,
        status: Some(403),
        title: "The sign-in was refused",
        what: "Nobody was signed in. The attempt is in the audit log.",
        why: "The address, the passphrase or the code is wrong, the passkey is not known here, or the account is disabled. All of these get the same answer on purpose.",
        fix: "Try again with care. Recovery codes replace the authenticator; `bastionary admin setup-link` on the server brings an owner back.",
    },
    ErrorPage {
        code: "sign_in_wait",
        surface: Surface::Console,
        status: Some(429),
        title: "Too many attempts",
        what: "The passphrase was not looked at.",
        why: "Three or more attempts for this account failed in a row from this network or this browser; each further one makes the pause longer, a quarter of an hour at most.",
        fix: "Wait as long as `Retry-After` says, or use a passkey, which never has to wait.",
    },
    ErrorPage {
        code: "passphrase_off",
        surface: Surface::Console,
        status: Some(403),
        title: "Passphrases are not accepted from here",
        what: "The passphrase was not looked at.",
        why: "A hundred attempts for this account failed in a row from this network or this browser.",
        fix: "Use a passkey or a browser that has signed in before, or make a link with `bastionary admin setup-link` on the server.",
    },
    ErrorPage {
        code: "sign_in_expired",
        surface: Surface::Console,
        status: Some(409),
        title: "The step has expired",
        what: "Nothing was changed.",
        why: "A sign-in, a passkey or an authenticator was begun too long ago, was completed in another window, or the account changed in between.",
        fix: "Begin again at the first page.",
    },
    ErrorPage {
        code: "link_gone",
        surface: Surface::Console,
        status: Some(410),
        title: "The link does not work any more",
        what: "No account was made.",
        why: "A setup link works once within an hour, an invitation once within 72 hours; a newer link voids the older one.",
        fix: "Make a new setup link with `bastionary admin setup-link` on the server, or ask the person who invited you for a new invitation.",
    },
    ErrorPage {
        code: "weak_secret",
        surface: Surface::Warning,
        status: None,
        title: "The chosen secret is weak",
        what: "The client was created with the secret as given. The answer says so in `warnings`.",
        why: "The secret is estimated to have less than 128 bits. Somebody who guesses fast enough can find it. \
               With `security.reject_weak_secrets = true` the same secret is refused with status 422.",
        fix: "Leave `client_secret` out: the server then generates one of 256 bits. Use a chosen secret only for \
               moving from another server, and rotate it soon.",
    },
    ErrorPage {
        code: "expired",
        surface: Surface::Warning,
        status: None,
        title: "The client is expired from the start",
        what: "The client was created, but its `expiry` lies in the past, so its `status` is `expired`.",
        why: "The date was copied, or it was meant for the future. An expired client gets no token.",
        fix: "Set a later date, or `null` for none, with `PATCH /api/clients/{client_id}`.",
    },
    ErrorPage {
        code: "ttl_capped",
        surface: Surface::Warning,
        status: None,
        title: "The token life was shortened",
        what: "The client was saved, but its tokens live shorter than `access_token_ttl_seconds` says.",
        why: "The client acts for a customer. An API that verifies a JWT by itself accepts it until it expires, so \
               `billing.max_jwt_ttl_seconds` bounds for how long a customer has access after losing it.",
        fix: "Rely on `expires_in` of each token answer, ask for a life below the limit, or choose \
               `access_token_format` `opaque`, which the limit does not concern.",
    },
    ErrorPage {
        code: "store_unreachable",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The store cannot be reached",
        what: "The node answers no request that needs the store. The key set and the metadata keep being served, and \
               introspection until the lease ends.",
        why: "`reason` of the check says more. `unreachable`: no connection can be opened, because the database is \
               down or the network is cut. `silent`: connections are accepted and nothing is answered. \
               `login_refused`: the password or the role in `database_url` is refused. `read_only`: the database \
               takes no writes, as a standby does. Without a reason: the data directory cannot be read.",
        fix: "Check that the database runs, that the address in `database_url` answers, and that its role may log \
               in and write. The node comes back by itself within 2 seconds of the store's return.",
    },
    ErrorPage {
        code: "store_corrupt",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The store is damaged",
        what: "The node refuses to serve what it found.",
        why: "A check of the store's integrity failed: bytes on disk changed outside the server.",
        fix: "Stop the server and keep a copy of the data directory. Check the disk. Restore the last backup of \
               the database or of the data directory.",
    },
    ErrorPage {
        code: "store_rolled_back",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The store is older than it was",
        what: "The node fenced itself: revocations may be missing from the store. It does not come back by itself.",
        why: "The database failed over to a replica that lacked commits, or an old copy of the data was put in \
               place.",
        fix: "Find out which copy is the newest, and put it in place. If it is lost, treat all tokens issued \
               before as revoked and rotate the secrets that were changed in the lost time. Then restart the node.",
    },
    ErrorPage {
        code: "no_active_key",
        surface: Surface::NotReady,
        status: Some(503),
        title: "A tenant has no key to sign with",
        what: "No token can be issued for the tenant.",
        why: "No key of the tenant is active for one of its purposes, and the schedule could not make one, for example because the disk was full.",
        fix: "Make room for writes. The server then makes a key by itself; `POST /api/keys/rotate` does it at \
               once.",
    },
    ErrorPage {
        code: "lease_lost",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The node has lost its lease",
        what: "The node speaks about no credential until it has a lease again and has caught up.",
        why: "The node was stopped, or cut off from the database, until its lease of 6 seconds was over.",
        fix: "The node comes back by itself, within 2 seconds of the database's return. If it does not, check the \
               network to the database and the load of the host. When another process has taken the lease, the node \
               ends with exit code 5.",
    },
    ErrorPage {
        code: "journal_stalled",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The issuance journal does not move",
        what: "No token is issued, because its record could not be made durable.",
        why: "The store has taken on writes and has committed none for 5 seconds: the disk or the database hangs.",
        fix: "Check the disk or the database for errors and for free space.",
    },
    ErrorPage {
        code: "draining",
        surface: Surface::NotReady,
        status: Some(503),
        title: "The node is shutting down",
        what: "The node takes no new connections and finishes the requests in flight.",
        why: "It received SIGTERM.",
        fix: "Nothing needs to be done. The load balancer should send requests to another node; the process ends \
               within `limits.drain_seconds`.",
    },
    ErrorPage {
        code: "row_corrupt",
        surface: Surface::Degraded,
        status: Some(200),
        title: "A stored object cannot be read",
        what: "Requests for this one object get status 500. Everything else works. The reason is shown for an hour after the last such request.",
        why: "A row in the store does not decode: it was changed outside the server, or the disk is failing.",
        fix: "The log names the request and the operation. Delete the object and create it again, or restore the store. Check the disk.",
    },
    ErrorPage {
        code: "disk_low",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The disk is nearly full",
        what: "Everything still works.",
        why: "Less than 10 % or less than 1 GiB is free on the disk of the data directory.",
        fix: "Make room now. When the disk is full, only revocations and disabling still work.",
    },
    ErrorPage {
        code: "disk_full",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The disk is full",
        what: "Changes and new tokens are refused with status 503. Reading, introspection, the key set, revocation \
               and disabling still work.",
        why: "Nothing more can be written to the data directory.",
        fix: "Make room. The node recovers by itself within 5 seconds.",
    },
    ErrorPage {
        code: "key_overdue",
        surface: Surface::Degraded,
        status: Some(200),
        title: "A signing key is older than it should be",
        what: "Tokens are signed and verified as before.",
        why: "The scheduled rotation is more than a day late.",
        fix: "Call `POST /api/keys/rotate`, and look in the log for the reason.",
    },
    ErrorPage {
        code: "audit_checkpoint_late",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The audit tree has not been signed for a while",
        what: "Records are kept as always, but the newest ones are not yet covered by a signed checkpoint.",
        why: "The last attempt to sign failed: the store took no write, or the tree does not fit its last checkpoint. It is tried again each minute.",
        fix: "Look for free space and for errors of the store in the log. Run `bastionary audit verify` \
               afterwards.",
    },
    ErrorPage {
        code: "fd_exhausted",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The process has run out of file descriptors",
        what: "New connections are refused for moments. Open ones go on.",
        why: "More connections are open than the limit of the process allows.",
        fix: "Raise the limit of open files (`LimitNOFILE` with systemd), or lower `limits.connections`.",
    },
    ErrorPage {
        code: "shedding",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The node refuses part of its load",
        what: "Some requests get status 503 with `Retry-After`. Revocations still pass. The reason is shown for a minute after the last refusal.",
        why: "As many requests are being answered as `limits.in_flight` allows.",
        fix: "Add a node, or find the client that sends too much: the issuance journal under `/api/audit/journal` \
               shows it.",
    },
    ErrorPage {
        code: "outbox_backlog",
        surface: Surface::Degraded,
        status: Some(200),
        title: "Events wait to be sent to webhooks",
        what: "Events are recorded and can be read as always, but for more than a minute none of the oldest has become a message to the endpoints that ask for it.",
        why: "More events are written than the node turns into messages, or the store refuses the writes of the sender.",
        fix: "Look for errors of `webhooks` in the log and for free space. `bastionary_outbox_oldest_seconds` under `/metrics` shows how far behind the messages are.",
    },
    ErrorPage {
        code: "webhook_paused",
        surface: Surface::Degraded,
        status: Some(200),
        title: "A webhook was paused because nothing arrived",
        what: "Messages to that endpoint wait. Other endpoints, and everything else, are not affected.",
        why: "The receiver accepted no message for five days.",
        fix: "The page Webhooks of the console, or `bastionary webhooks list`, names the endpoint. Repair the receiver and resume it, \
               or pause or delete it yourself.",
    },
    ErrorPage {
        code: "job_parked",
        surface: Surface::Degraded,
        status: Some(200),
        title: "A background task fails again and again",
        what: "Requests are not affected, but what the task does is not done: keys are not rotated, records are not signed, or nothing expires.",
        why: "The task failed 10 times in a row. It is tried again once an hour.",
        fix: "The log names the task and the error. Remove the cause; restart the node to have the task tried at once.",
    },
    ErrorPage {
        code: "certificate_expiring",
        surface: Surface::Degraded,
        status: Some(200),
        title: "The TLS certificate ends soon",
        what: "Everything works until the certificate ends. Clients then refuse to connect.",
        why: "The certificate in `tls.cert_file` was not renewed: less than 14 days are left, or less than a third of its life where that is shorter.",
        fix: "Put the renewed certificate and its key in the same files. The server reads them again when they \
               change and on SIGHUP.",
    },
];
