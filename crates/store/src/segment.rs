//! Journal entries of one commit group, gathered into one row per tenant.

use std::collections::HashMap;

use kernel::audit::Entry;
use kernel::tenant::TenantId;

use crate::batch::Step;
use crate::ident::Ids;
use crate::sql;
use crate::value::Value;

struct Segment {
    first_at: i64,
    last_at: i64,
    entries: i64,
    body: Vec<u8>,
}

/// The segments of a group.
#[derive(Default)]
pub(crate) struct Segments(HashMap<TenantId, Segment>);

impl Segments {
    /// Adds an entry: its length in four bytes, little-endian, then its bytes.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let at = entry.at.as_micros();
        let segment = self.0.entry(entry.tenant).or_insert_with(|| Segment {
            first_at: at,
            last_at: at,
            entries: 0,
            body: Vec::with_capacity(4096),
        });
        segment.first_at = segment.first_at.min(at);
        segment.last_at = segment.last_at.max(at);
        segment.entries = segment.entries.saturating_add(1);
        // entries are a few hundred bytes; `Store` refuses one above 1 MiB
        let length = u32::try_from(entry.bytes.len()).unwrap_or(u32::MAX);
        segment.body.extend_from_slice(&length.to_le_bytes());
        segment.body.extend_from_slice(&entry.bytes);
    }

    /// One INSERT for each tenant; empties the collection.
    pub(crate) fn take_steps(&mut self, ids: &Ids) -> Vec<Step> {
        self.0
            .drain()
            .map(|(tenant, segment)| Step {
                stmt: &sql::SEGMENT_INSERT,
                params: vec![
                    tenant.into(),
                    ids.commit().into(),
                    Value::Int(segment.first_at),
                    Value::Int(segment.last_at),
                    Value::Int(segment.entries),
                    Value::Bytes(segment.body),
                ],
                expect_rows: Some(1),
            })
            .collect()
    }
}
