//! Named SQL statements in the portable subset; a statement exists only by being registered.

/// One SQL text that serves both engines. Parameters are written `?1 … ?N`; `{int}` in a CAST is expanded.
#[derive(Debug)]
pub struct Stmt {
    /// The constant's name, used in errors, metrics and tests.
    pub name: &'static str,
    /// The SQL text.
    pub sql: &'static str,
    /// Why the statement may look past one tenant; `None` means it filters by `tenant_id = ?1`.
    pub across_tenants: Option<&'static str>,
    /// Whether it finds at most one row, by a whole key: so quick that the embedded store need not ask another thread.
    pub by_key: bool,
}

/// Declares the statements of a crate and the list `ALL` that the prepare-all test walks.
///
/// ```
/// store::statements! {
///     /// One client by its public id.
///     CLIENT_BY_CLIENT_ID by key = "SELECT id FROM client WHERE tenant_id = ?1 AND client_id = ?2";
///     /// Every live entry of the denylist.
///     DENIED_ALL across_tenants("read once at start") = "SELECT tenant_id, key FROM denied";
/// }
/// assert_eq!(ALL.len(), 2);
/// ```
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident $(by $key:ident)? $(across_tenants($why:literal))? = $sql:expr;)*) => {
        $(
            $(#[$doc])*
            pub static $name: $crate::Stmt = $crate::Stmt {
                name: stringify!($name),
                sql: $sql,
                across_tenants: $crate::statements!(@why $($why)?),
                by_key: $crate::statements!(@by $($key)?),
            };
        )*
        /// Every statement declared here.
        pub static ALL: &[&$crate::Stmt] = &[$(&$name),*];
    };
    (@by) => { false };
    (@by key) => { true };
    (@why) => { None };
    (@why $why:literal) => { Some($why) };
}
