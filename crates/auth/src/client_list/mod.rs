//! The list of clients: four orders in both directions, from any place on, at a cost that does not grow with the depth.
//!
//! Every page is a range of one index. A prefix `q` finds so many names and as many ids, which are then put in order; a
//! status or a scope that no index serves narrows a window of rows. Both are as wide as a page may take time for, and the
//! answer says where they end.

pub mod sql;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use store::{Row, Stmt, Value, params};

use crate::client::{Client, Status, fold};
use crate::directory::Auth;

/// Rows that a filter looks at for one page, half of them where each costs a look-up of its scope, and the largest count.
pub const WINDOW: u32 = 10_000;

/// What clients are put in order by. Equal ones are in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Creation.
    #[default]
    Created,
    /// Name in lower case; those without one first.
    Name,
    /// The end, those without one last.
    Expiry,
    /// Expired, active, disabled; within each by the end.
    Status,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Created, Self::Name, Self::Status, Self::Expiry];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created_at",
            Self::Name => "name",
            Self::Expiry => "expiry",
            Self::Status => "status",
        }
    }
}

/// An order with its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Sort,
    /// Whether the last comes first.
    pub is_descending: bool,
}

impl Default for Order {
    /// The newest client first.
    fn default() -> Self {
        Self { by: Sort::Created, is_descending: true }
    }
}

impl Order {
    /// Reads the form in addresses: the name of an order, with `-` in front for the last first.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('-');
        let by = Sort::ALL.into_iter().find(|sort| sort.name() == name.unwrap_or(text))?;
        Some(Self { by, is_descending: name.is_some() })
    }
}

/// Which clients are meant; an absent part means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginning of the name or of the id, in any letter case.
    pub q: Option<String>,
    /// What they can do at the moment.
    pub status: Option<Status>,
    /// A scope that they may request.
    pub scope: Option<String>,
}

/// Where a page begins: behind a client, or before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    key: Key,
    is_before: bool,
}

/// The values by which a client has its place in every order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    disabled: i64,
    expiry: i64,
    id: [u8; 16],
    name: String,
}

/// One question to the list.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Which clients.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many at most.
    pub limit: u32,
    /// Where the page begins; the first page without one.
    pub place: Option<Place>,
}

/// One page of the list.
#[derive(Debug, Clone)]
pub struct Found {
    /// The clients, without their credentials.
    pub clients: Vec<Client>,
    /// Where the page behind this one begins.
    pub next: Option<Place>,
    /// Where the page before this one ends.
    pub previous: Option<Place>,
    /// How many rows a filter looked at for this page, when there are more in this direction.
    pub window: Option<u32>,
}

/// A number of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many, at most [`WINDOW`].
    pub number: u32,
    /// Whether there may be more.
    pub is_capped: bool,
}

impl Place {
    /// The bytes for a cursor.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Key { disabled, expiry, id, name } = &self.key;
        let flags = [u8::from(self.is_before), u8::from(*disabled != 0)];
        [flags.as_slice(), &expiry.to_be_bytes(), id, name.as_bytes()].concat()
    }

    /// Reads [`Place::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ([before, disabled], rest) = bytes.split_first_chunk::<2>()?;
        let (expiry, rest) = rest.split_first_chunk::<8>()?;
        let (id, name) = rest.split_first_chunk::<16>()?;
        let key = Key {
            disabled: i64::from(*disabled),
            expiry: i64::from_be_bytes(*expiry),
            id: *id,
            name: std::str::from_utf8(name).ok()?.to_owned(),
        };
        Some(Self { key, is_before: *before != 0 })
    }
}

impl Key {
    /// The key of a row of `EDGE_…`.
    fn of_edge(row: &Row) -> Result<Self, store::Error> {
        let id = <[u8; 16]>::try_from(row.bytes(2)?).map_err(|_| store::Error::RowCorrupt)?;
        Ok(Self { disabled: row.int(0)?, expiry: row.int(1)?, id, name: row.text(3)?.to_owned() })
    }

    fn params(&self, by: Sort) -> Vec<Value> {
        let Self { disabled, expiry, id, name } = self;
        match by {
            Sort::Created => params![id.as_slice()],
            Sort::Name => params![name.as_str(), id.as_slice()],
            Sort::Expiry => params![*expiry, id.as_slice()],
            Sort::Status => params![*disabled, *expiry, id.as_slice()],
        }
    }
}

/// The values that a status leaves: least and greatest `disabled_key`, and `expiry_key` behind one and up to another.
struct Bounds {
    disabled: (i64, i64),
    expiry: (i64, i64),
}

impl Bounds {
    fn of(status: Option<Status>, now: Timestamp) -> Self {
        let now = now.as_micros();
        let (disabled, expiry) = match status {
            None => ((0, 1), (i64::MIN, i64::MAX)),
            Some(Status::Active) => ((0, 0), (now, i64::MAX)),
            Some(Status::Expired) => ((0, 0), (i64::MIN, now)),
            Some(Status::Disabled) => ((1, 1), (i64::MIN, i64::MAX)),
        };
        Self { disabled, expiry }
    }

    /// The ends of the whole range in ascending order: it begins behind the first and reaches to the second.
    fn ends(&self, by: Sort) -> (Key, Key) {
        // no id is all zeros or all ones; every key of the expiry that ends the range before is left out by the ones
        let first = if matches!(by, Sort::Created | Sort::Name) { [0; 16] } else { [0xff; 16] };
        let low = Key { disabled: self.disabled.0, expiry: self.expiry.0, id: first, name: String::new() };
        let high = Key { disabled: self.disabled.1, expiry: self.expiry.1, id: [0xff; 16], name: behind("") };
        (low, high)
    }

    /// What the range of an order does not say by itself.
    fn params(&self, by: Sort) -> Vec<Value> {
        let all = params![self.disabled.0, self.disabled.1, self.expiry.0, self.expiry.1];
        let kept = match by {
            Sort::Created | Sort::Name => 4,
            Sort::Expiry => 2,
            Sort::Status => 0,
        };
        all.into_iter().take(kept).collect()
    }
}

/// Rows that a filter looks at.
const fn window(filter: &Filter) -> u32 {
    if filter.scope.is_some() { WINDOW / 2 } else { WINDOW }
}

/// Names, and as many ids, that a search looks at: they lie in the order of the prefix and are put in another one.
const fn reach(filter: &Filter) -> u32 {
    window(filter) / 4
}

/// A text behind every name that begins with a prefix: no name is longer than 200 characters.
fn behind(prefix: &str) -> String {
    format!("{prefix}{}", "\u{10ffff}".repeat(201))
}

/// Page, edge of a window, and search of an order and direction.
fn statements(by: Sort, is_down: bool) -> (&'static Stmt, &'static Stmt, &'static Stmt) {
    match (by, is_down) {
        (Sort::Created, false) => (&sql::BY_CREATED, &sql::EDGE_CREATED, &sql::SEARCH_CREATED),
        (Sort::Created, true) => (&sql::BY_CREATED_DOWN, &sql::EDGE_CREATED_DOWN, &sql::SEARCH_CREATED_DOWN),
        (Sort::Name, false) => (&sql::BY_NAME, &sql::EDGE_NAME, &sql::SEARCH_NAME),
        (Sort::Name, true) => (&sql::BY_NAME_DOWN, &sql::EDGE_NAME_DOWN, &sql::SEARCH_NAME_DOWN),
        (Sort::Expiry, false) => (&sql::BY_EXPIRY, &sql::EDGE_EXPIRY, &sql::SEARCH_EXPIRY),
        (Sort::Expiry, true) => (&sql::BY_EXPIRY_DOWN, &sql::EDGE_EXPIRY_DOWN, &sql::SEARCH_EXPIRY_DOWN),
        (Sort::Status, false) => (&sql::BY_STATUS, &sql::EDGE_STATUS, &sql::SEARCH_STATUS),
        (Sort::Status, true) => (&sql::BY_STATUS_DOWN, &sql::EDGE_STATUS_DOWN, &sql::SEARCH_STATUS_DOWN),
    }
}

impl Auth {
    /// One page of the clients of a tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_clients(&self, tenant: TenantId, asked: &Asked) -> Result<Found, store::Error> {
        let Asked { filter, order, limit, place } = asked;
        let by = order.by;
        let is_back = place.as_ref().is_some_and(|place| place.is_before);
        let is_down = order.is_descending != is_back;
        let bounds = Bounds::of(filter.status, self.clock.now());
        let (low, high) = bounds.ends(by);
        let (first, last) = if is_down { (high, low) } else { (low, high) };
        let first = place.as_ref().map_or(first, |place| place.key.clone());
        let more = i64::from(*limit).saturating_add(1);
        let scope = filter.scope.as_deref().unwrap_or_default();
        let (page, edge, search) = statements(by, is_down);
        let (rows, beyond, looked_at) = if let Some(q) = filter.q.as_deref() {
            let (low, high, reach) = (fold(q), behind(&fold(q)), reach(filter));
            let mut values = params![tenant, more, scope];
            values.extend([first.params(by), last.params(by), bounds.params(by)].concat());
            values.extend(params![low.as_str(), high.as_str(), i64::from(reach)]);
            let widths = params![tenant, i64::from(reach).saturating_add(1), low, high];
            let answers = self.store.read_many(vec![(search, values), (&sql::WIDTHS, widths)]).await?;
            let [rows, widths] = <[_; 2]>::try_from(answers).map_err(|_| store::Error::RowCorrupt)?;
            (rows, None, is_wide(&widths, reach)?.then(|| reach.saturating_mul(2)))
        } else {
            let by_scope = filter.scope.is_some() && by == Sort::Created;
            let is_narrowed = filter.scope.is_some() && !by_scope || filter.status.is_some() && by != Sort::Status;
            let beyond = if is_narrowed {
                self.edge(tenant, asked, if by_scope { None } else { Some(edge) }, is_down, (&first, &last)).await?
            } else {
                None
            };
            let last = beyond.clone().unwrap_or(last);
            let mut values = params![tenant, more, scope];
            values.extend([first.params(by), last.params(by), bounds.params(by)].concat());
            let stmt = match (by_scope, is_down) {
                (false, _) => page,
                (true, false) => &sql::OF_SCOPE,
                (true, true) => &sql::OF_SCOPE_DOWN,
            };
            let looked_at = beyond.is_some().then(|| if by_scope { WINDOW } else { window(filter) });
            (self.store.read_all(stmt, values).await?, beyond, looked_at)
        };
        found(&rows, *limit, place.as_ref(), beyond.as_ref(), looked_at)
    }

    /// The last key of the window that begins at a place, when there are rows behind it.
    async fn edge(
        &self,
        tenant: TenantId,
        asked: &Asked,
        edge: Option<&'static Stmt>,
        is_down: bool,
        (first, last): (&Key, &Key),
    ) -> Result<Option<Key>, store::Error> {
        let by = asked.order.by;
        let window = if edge.is_some() { window(&asked.filter) } else { WINDOW };
        let mut values = params![tenant, 2_i64, i64::from(window).saturating_sub(1)];
        values.extend([first.params(by), last.params(by)].concat());
        let rows = if let Some(edge) = edge {
            self.store.read_all(edge, values).await?
        } else {
            values.extend(params![asked.filter.scope.as_deref().unwrap_or_default()]);
            let stmt = if is_down { &sql::EDGE_SCOPE_DOWN } else { &sql::EDGE_SCOPE };
            self.store.read_all(stmt, values).await?
        };
        let [row, _] = rows.as_slice() else { return Ok(None) };
        if edge.is_some() {
            return Key::of_edge(row).map(Some);
        }
        // the order of creation asks for nothing but the id
        let id = <[u8; 16]>::try_from(row.bytes(0)?).map_err(|_| store::Error::RowCorrupt)?;
        Ok(Some(Key { id, ..last.clone() }))
    }

    /// The first clients whose name begins with a text, then those whose id does.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_clients(&self, tenant: TenantId, q: &str, most: usize) -> Result<Vec<Client>, store::Error> {
        let (low, high) = (fold(q), behind(&fold(q)));
        let values = params![tenant, i64::try_from(most).unwrap_or(i64::MAX), low, high];
        let asks = vec![(&sql::FIRST_NAMES, values.clone()), (&sql::FIRST_IDS, values)];
        let mut found: Vec<Client> = Vec::new();
        for row in self.store.read_many(asks).await?.iter().flatten() {
            let client = Client::from_row(row, Vec::new())?;
            if found.len() < most && found.iter().all(|known| known.id != client.id) {
                found.push(client);
            }
        }
        Ok(found)
    }

    /// Clients with a rate or a quota of their own, the newest first, from behind one on.
    ///
    /// # Errors
    /// The store's.
    pub async fn limited_clients(
        &self,
        tenant: TenantId,
        behind: Option<Id<id::Client>>,
        most: u32,
    ) -> Result<Vec<Client>, store::Error> {
        // no id is all ones
        let behind = behind.unwrap_or(Id::from_bytes([0xff; 16]));
        let rows = self.store.read_all(&sql::LIMITED, params![tenant, behind, i64::from(most)]).await?;
        rows.iter().map(|row| Client::from_row(row, Vec::new())).collect()
    }

    /// Clients that act for a customer, the newest first, from behind one on.
    ///
    /// # Errors
    /// The store's.
    pub async fn clients_of_customer(
        &self,
        tenant: TenantId,
        customer: Id<id::Customer>,
        behind: Option<Id<id::Client>>,
        most: u32,
    ) -> Result<Vec<Client>, store::Error> {
        // no id is all ones
        let behind = behind.unwrap_or(Id::from_bytes([0xff; 16]));
        let rows = self.store.read_all(&sql::OF_CUSTOMER, params![tenant, customer, behind, i64::from(most)]).await?;
        rows.iter().map(|row| Client::from_row(row, Vec::new())).collect()
    }

    /// How many clients a filter finds, up to [`WINDOW`].
    ///
    /// # Errors
    /// The store's.
    pub async fn count_clients(&self, tenant: TenantId, filter: &Filter) -> Result<Count, store::Error> {
        let bound = i64::from(WINDOW).saturating_add(1);
        let Bounds { disabled, expiry } = Bounds::of(filter.status, self.clock.now());
        let scope = filter.scope.as_deref().unwrap_or_default();
        let of_status = params![disabled.0, disabled.1, expiry.0, expiry.1];
        let first = |rows: &[Row], column| rows.first().map_or(Ok(0), |row: &Row| row.int(column));
        let (number, is_cut) = if let Some(q) = filter.q.as_deref() {
            let (low, high, reach) = (fold(q), behind(&fold(q)), reach(filter));
            let mut values = params![tenant, bound, scope];
            values.extend(of_status);
            values.extend(params![low.as_str(), high.as_str(), i64::from(reach)]);
            let widths = params![tenant, i64::from(reach).saturating_add(1), low, high];
            let answers = self.store.read_many(vec![(&sql::COUNT_SEARCH, values), (&sql::WIDTHS, widths)]).await?;
            let [rows, widths] = <[_; 2]>::try_from(answers).map_err(|_| store::Error::RowCorrupt)?;
            (first(&rows, 0)?, is_wide(&widths, reach)?)
        } else if filter.scope.is_some() {
            let mut values = params![tenant, bound, scope];
            values.extend(of_status);
            let rows = self.store.read_all(&sql::COUNT_SCOPE, values).await?;
            (first(&rows, 0)?, first(&rows, 1)? >= bound)
        } else if filter.status.is_some() {
            let values = params![tenant, bound, disabled.0, expiry.0, expiry.1];
            (first(&self.store.read_all(&sql::COUNT_STATUS, values).await?, 0)?, false)
        } else {
            (first(&self.store.read_all(&sql::COUNT, params![tenant, bound]).await?, 0)?, false)
        };
        let is_capped = is_cut || number >= bound;
        Ok(Count { number: u32::try_from(number).unwrap_or(WINDOW).min(WINDOW), is_capped })
    }
}

/// Whether more names or more ids begin with a prefix than a search looks at.
fn is_wide(widths: &[Row], reach: u32) -> Result<bool, store::Error> {
    let mut is_wide = false;
    for row in widths {
        is_wide |= row.int(0)? > i64::from(reach);
    }
    Ok(is_wide)
}

/// The page of the rows that were read in the direction of the place.
fn found(
    rows: &[Row],
    limit: u32,
    place: Option<&Place>,
    beyond: Option<&Key>,
    looked_at: Option<u32>,
) -> Result<Found, store::Error> {
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_back = place.is_some_and(|place| place.is_before);
    let mut list = Vec::with_capacity(rows.len().min(keep));
    for row in rows.iter().take(keep) {
        let client = Client::from_row(row, Vec::new())?;
        let key = Key {
            disabled: i64::from(client.disabled_at.is_some()),
            expiry: client.expires_at.map_or(i64::MAX, Timestamp::as_micros),
            id: *client.id.as_bytes(),
            name: row.text(9)?.to_owned(),
        };
        list.push((key, client));
    }
    let has_more = rows.len() > keep;
    // in the direction of reading
    let onward = if has_more { list.last().map(|(key, _)| key.clone()) } else { beyond.cloned() };
    let onward = onward.map(|key| Place { key, is_before: is_back });
    let backward = list.first().filter(|_| place.is_some()).map(|(key, _)| key.clone());
    let backward = backward.map(|key| Place { key, is_before: !is_back });
    if is_back {
        list.reverse();
    }
    let (next, previous) = if is_back { (backward, onward) } else { (onward, backward) };
    // a page that is full ends before its window does
    let window = looked_at.filter(|_| beyond.is_none() || !has_more);
    Ok(Found { clients: list.into_iter().map(|(_, client)| client).collect(), next, previous, window })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_with_its_direction() {
        assert_eq!(Order::parse("-created_at"), Some(Order::default()));
        assert_eq!(Order::parse("name"), Some(Order { by: Sort::Name, is_descending: false }));
        for bad in ["", "-", "--name", "id", "Name"] {
            assert_eq!(Order::parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_place_survives_its_cursor(is_before: bool, disabled in 0_i64..2, expiry: i64, id: [u8; 16], name: String) {
            let place = Place { key: Key { disabled, expiry, id, name }, is_before };
            proptest::prop_assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Place::from_bytes(&bytes);
        }
    }
}
