//! The names of audited actions: stable strings, each listed once.

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// Every action.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

actions! {
    /// A client was created.
    CLIENT_CREATED = "client.created";
    /// A client's settings were changed.
    CLIENT_UPDATED = "client.updated";
    /// A client was disabled.
    CLIENT_DISABLED = "client.disabled";
    /// A client was enabled.
    CLIENT_ENABLED = "client.enabled";
    /// A client was deleted.
    CLIENT_DELETED = "client.deleted";
    /// Every token of a client was revoked.
    CLIENT_TOKENS_REVOKED = "client.tokens_revoked";
    /// A secret was added to a client.
    SECRET_CREATED = "secret.created";
    /// A secret was ended by hand.
    SECRET_REVOKED = "secret.revoked";
    /// One token was revoked.
    TOKEN_REVOKED = "token.revoked";
    /// A person got a token with a client's secret in the console.
    TOKEN_TRIED = "token.tried";
    /// A refresh-token family was started.
    FAMILY_STARTED = "family.started";
    /// A refresh-token family was revoked.
    FAMILY_REVOKED = "family.revoked";
    /// A used refresh token came again outside its window, and its family ended.
    FAMILY_REUSE_DETECTED = "family.reuse_detected";
    /// An API was created.
    API_CREATED = "api.created";
    /// An API was changed.
    API_UPDATED = "api.updated";
    /// An API was deleted.
    API_DELETED = "api.deleted";
    /// A scope was created.
    SCOPE_CREATED = "scope.created";
    /// A scope was changed.
    SCOPE_UPDATED = "scope.updated";
    /// A scope was deleted.
    SCOPE_DELETED = "scope.deleted";
    /// A staged signing key became the active one.
    KEY_ROTATED = "key.rotated";
    /// A rotation was scheduled.
    KEY_SCHEDULED = "key.scheduled";
    /// A scheduled rotation was called off.
    KEY_ROTATION_CANCELED = "key.rotation_canceled";
    /// A signing key was destroyed in an emergency.
    KEY_REVOKED = "key.revoked";
    /// A signing key's private part was erased at the end of its retirement.
    KEY_DESTROYED = "key.destroyed";
    /// A customer was created.
    CUSTOMER_CREATED = "customer.created";
    /// A customer was changed.
    CUSTOMER_UPDATED = "customer.updated";
    /// A customer was suspended.
    CUSTOMER_SUSPENDED = "customer.suspended";
    /// The suspension of a customer was lifted.
    CUSTOMER_REINSTATED = "customer.reinstated";
    /// A customer was deleted.
    CUSTOMER_DELETED = "customer.deleted";
    /// A meter, or another version of one, was created.
    METER_CREATED = "meter.created";
    /// A meter counts no more.
    METER_ARCHIVED = "meter.archived";
    /// A feature was created.
    FEATURE_CREATED = "feature.created";
    /// A feature was changed.
    FEATURE_UPDATED = "feature.updated";
    /// A feature was deleted.
    FEATURE_DELETED = "feature.deleted";
    /// A draft of a plan was created.
    PLAN_CREATED = "plan.created";
    /// A draft of a plan was changed.
    PLAN_UPDATED = "plan.updated";
    /// A draft of a plan was deleted.
    PLAN_DELETED = "plan.deleted";
    /// A version of a plan can be subscribed to.
    PLAN_PUBLISHED = "plan.published";
    /// A version of a plan can be subscribed to no more.
    PLAN_ARCHIVED = "plan.archived";
    /// A customer was subscribed to a plan.
    SUBSCRIPTION_CREATED = "subscription.created";
    /// A subscription was paused.
    SUBSCRIPTION_PAUSED = "subscription.paused";
    /// A subscription was resumed.
    SUBSCRIPTION_RESUMED = "subscription.resumed";
    /// A subscription was canceled, or will be at the end of its period.
    SUBSCRIPTION_CANCELED = "subscription.canceled";
    /// A cancellation at the end of a period was taken back.
    SUBSCRIPTION_UNCANCELED = "subscription.uncanceled";
    /// A subscription has another plan or quantity, or will have.
    SUBSCRIPTION_CHANGED = "subscription.changed";
    /// The first use of a trial started its clock.
    SUBSCRIPTION_TRIAL_STARTED = "subscription.trial_started";
    /// Somebody said what is overdue or settled for a subscription.
    SUBSCRIPTION_PAYMENT_TOLD = "subscription.payment_told";
    /// What time has done to the subscriptions of a customer was recorded.
    SUBSCRIPTION_TIME_RECORDED = "subscription.time_recorded";
    /// What a usage event counts was corrected.
    USAGE_CORRECTED = "usage.corrected";
    /// A backfill of usage was begun.
    USAGE_BACKFILL_CREATED = "usage_backfill.created";
    /// The events of a backfill count, and what it replaces does not.
    USAGE_BACKFILL_COMPLETED = "usage_backfill.completed";
    /// A backfill was given up.
    USAGE_BACKFILL_CANCELED = "usage_backfill.canceled";
    /// A threshold of a client's quota was passed.
    LIMIT_REACHED = "limit.reached";
    /// A webhook endpoint was created.
    WEBHOOK_CREATED = "webhook.created";
    /// A webhook endpoint was changed.
    WEBHOOK_UPDATED = "webhook.updated";
    /// A webhook endpoint was deleted, and its open deliveries canceled.
    WEBHOOK_DELETED = "webhook.deleted";
    /// Messages to a webhook endpoint wait.
    WEBHOOK_PAUSED = "webhook.paused";
    /// A webhook endpoint is gone; its open deliveries were canceled.
    WEBHOOK_DISABLED = "webhook.disabled";
    /// Messages to a webhook endpoint go out again.
    WEBHOOK_RESUMED = "webhook.resumed";
    /// A test was sent to a webhook endpoint.
    WEBHOOK_TESTED = "webhook.tested";
    /// A webhook endpoint got new keys.
    WEBHOOK_SECRET_ROLLED = "webhook.secret_rolled";
    /// Messages were sent to a webhook endpoint once more.
    WEBHOOK_RESENT = "webhook.resent";
    /// A signing key was made and published ahead of its use.
    KEY_STAGED = "key.staged";
    /// A tenant was created.
    TENANT_CREATED = "tenant.created";
    /// A tenant was changed.
    TENANT_UPDATED = "tenant.updated";
    /// An owner of the first tenant entered another one; recorded in both.
    TENANT_ENTERED = "tenant.entered";
    /// A tenant's settings were changed.
    SETTINGS_UPDATED = "settings.updated";
    /// A client's limits were changed.
    LIMITS_UPDATED = "limits.updated";
    /// An administrator's client was created.
    ADMIN_CLIENT_CREATED = "admin_client.created";
    /// An entry of `outbound.allow` was used for the first time since the start.
    OUTBOUND_OPENED = "outbound.opened";
    /// A configuration was loaded.
    CONFIG_LOADED = "config.loaded";
    /// The business clock of a sandbox was moved forward.
    CLOCK_ADVANCED = "clock.advanced";
    /// An operator joined, by a setup link or an invitation.
    OPERATOR_CREATED = "operator.created";
    /// An operator's name or role was changed.
    OPERATOR_UPDATED = "operator.updated";
    /// An operator was disabled, and their sessions ended.
    OPERATOR_DISABLED = "operator.disabled";
    /// An operator was enabled.
    OPERATOR_ENABLED = "operator.enabled";
    /// An operator was removed.
    OPERATOR_REMOVED = "operator.removed";
    /// An owner was brought back by a setup link: earlier factors and sessions ended.
    OPERATOR_RECOVERED = "operator.recovered";
    /// An operator's passphrase was set or changed, and their sessions ended.
    PASSPHRASE_CHANGED = "operator.passphrase_changed";
    /// An operator set up one-time codes.
    TOTP_ENABLED = "operator.totp_enabled";
    /// An operator gave one-time codes up.
    TOTP_DISABLED = "operator.totp_disabled";
    /// An operator got new recovery codes.
    RECOVERY_RENEWED = "operator.recovery_codes_renewed";
    /// An operator registered a passkey.
    PASSKEY_ADDED = "operator.passkey_added";
    /// An operator renamed a passkey.
    PASSKEY_RENAMED = "operator.passkey_renamed";
    /// An operator removed a passkey.
    PASSKEY_REMOVED = "operator.passkey_removed";
    /// A one-time link to set up an owner was made.
    SETUP_LINK_CREATED = "setup_link.created";
    /// A person was invited.
    INVITATION_CREATED = "invitation.created";
    /// An invitation was withdrawn.
    INVITATION_REVOKED = "invitation.revoked";
    /// An operator signed in.
    SIGNED_IN = "session.started";
    /// An operator proved themselves again within a session.
    STEPPED_UP = "session.stepped_up";
    /// Sessions of an operator were ended.
    SESSION_ENDED = "session.ended";
    /// The data was restored from a backup: everything issued before is revoked.
    STORE_RESTORED = "store.restored";
    /// A person answered for what a restore cannot know.
    RESTORE_ACCEPTED = "restore.accepted";
    /// Somebody failed to sign in; repeats are one record with their number.
    SIGN_IN_FAILED = "session.refused";
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_action_is_an_object_and_a_past_event_and_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for action in super::ALL {
            assert!(seen.insert(action), "{action} is listed twice");
            let (object, event) = action.split_once('.').unwrap();
            let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(word(object) && word(event), "{action}");
        }
    }
}
