//! Features and meters: what plans grant, and what is counted.

use askama::Template;
use billing::catalog::{Feature, FeatureKind};
use billing::catalog_change::StoredMeter;
use billing::meter::Aggregation;
use billing::standing::Combine;

use crate::address::encoded;
use crate::badge::{self, Badge};
use crate::form::{Confirm, Entered, Field};
use crate::shell::{Document, Frame, Visit};

/// Where the page is, below the console.
pub(crate) const SECTION: &str = "billing/features";

/// What the page needs.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Features in the order of their keys.
    pub features: Vec<Feature>,
    /// Key after which there are more features.
    pub more_features: Option<String>,
    /// The newest version of each meter in the order of their keys.
    pub meters: Vec<StoredMeter>,
    /// Key after which there are more meters.
    pub more_meters: Option<String>,
    /// Keys of the meters that count, for the form.
    pub counting: Vec<String>,
    /// Names the forms, so that sending one twice makes one object.
    pub form: String,
}

struct Ability<'a> {
    feature: &'a Feature,
    edit: String,
    delete: Confirm,
}

struct Counter<'a> {
    stored: &'a StoredMeter,
    id: String,
    rule: String,
    badge: Badge,
    archive: Option<Confirm>,
}

#[derive(Template)]
#[template(path = "features.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Catalog,
    here: String,
    meters_here: String,
    abilities: Vec<Ability<'a>>,
    counters: Vec<Counter<'a>>,
    more_features: Option<String>,
    more_meters: Option<String>,
    feature_fields: [Field; 3],
    meter_fields: [Field; 5],
    is_feature: bool,
    is_meter: bool,
    entered: &'a Entered,
    refused: Option<String>,
}

/// What a meter counts, in a line.
fn rule(stored: &StoredMeter) -> String {
    let meter = &stored.meter;
    let of = meter.value_path.as_ref().map(|path| format!(" of {path}")).unwrap_or_default();
    let by: Vec<&str> = meter.group_by.keys().map(String::as_str).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    let unit = meter.unit.as_ref().map(|unit| format!(", in {unit}")).unwrap_or_default();
    format!("{}{of}{by}{unit}", meter.aggregation.name())
}

/// The page; `entered` is what came back from one of its forms, which its field `what` names.
pub fn page<'a>(visit: &Visit<'a>, data: &'a Catalog, entered: &'a Entered) -> Document {
    let frame = Frame::new(visit, SECTION, "Features & meters");
    let here = format!("{}/{SECTION}", frame.root);
    let meters_here = format!("{}/billing/meters", frame.root);
    let refused = visit.viewer.refused("billing:write");
    let (is_feature, is_meter) = (entered.has("what", "feature"), entered.has("what", "meter"));
    let nothing = Entered::default();
    let (of_feature, of_meter) =
        (if is_feature { entered } else { &nothing }, if is_meter { entered } else { &nothing });
    Document::of(&Page {
        abilities: data
            .features
            .iter()
            .map(|feature| Ability {
                edit: format!("edit-{}", feature.id),
                delete: Confirm {
                    id: format!("delete-{}", feature.id),
                    action: format!("{here}/{}/delete", feature.id),
                    title: format!("Delete {}", feature.name),
                    consequence:
                        "Only a feature that no version of a plan grants can be deleted. This cannot be undone."
                            .to_owned(),
                    verb: "Delete",
                    typed: None,
                    refused: refused.clone(),
                },
                feature,
            })
            .collect(),
        counters: data
            .meters
            .iter()
            .map(|stored| {
                let id = stored.id.to_string();
                Counter {
                    rule: rule(stored),
                    badge: badge::of(if stored.is_active { "active" } else { "archived" }),
                    archive: (stored.is_active && refused.is_none()).then(|| Confirm {
                        id: format!("archive-{id}"),
                        action: format!("{meters_here}/{id}/archive"),
                        title: format!("Archive {}", stored.meter.key),
                        consequence: "No event is counted by it any more, and no new feature can use it. The same key \
                                      again makes its next version."
                            .to_owned(),
                        verb: "Archive",
                        typed: None,
                        refused: None,
                    }),
                    id,
                    stored,
                }
            })
            .collect(),
        more_features: data.more_features.as_ref().map(|key| format!("{here}?features={}", encoded(key))),
        more_meters: data.more_meters.as_ref().map(|key| format!("{here}?meters={}", encoded(key))),
        feature_fields: [
            Field::new("key", "Key", "text")
                .hint("What plans, tokens and programs name, such as sso; never changed.")
                .autocomplete("off")
                .filled(of_feature),
            Field::new("name", "Name", "text")
                .optional()
                .hint("For people; the key when empty.")
                .autocomplete("off")
                .filled(of_feature),
            Field::new("kind", "Kind", "text").of(&KINDS).filled(of_feature),
        ],
        meter_fields: [
            Field::new("meter_key", "Key", "text")
                .hint("The key of a meter that is there makes its next version.")
                .autocomplete("off")
                .filled(of_meter),
            Field::new("event_type", "Type of event", "text")
                .hint("Which events it looks at, such as api.call.")
                .autocomplete("off")
                .filled(of_meter),
            Field::new("aggregation", "Aggregation", "text").of(&AGGREGATIONS).filled(of_meter),
            Field::new("value_path", "Path of the value", "text")
                .optional()
                .hint("In the data of the event, such as $.tokens; all but count need it.")
                .autocomplete("off")
                .filled(of_meter),
            Field::new("unit", "Unit", "text").optional().autocomplete("off").filled(of_meter),
        ],
        is_feature,
        is_meter,
        refused,
        here,
        meters_here,
        data,
        entered,
        frame,
    })
}

/// Names and words of what a right to a feature is.
const KINDS: [(&str, &str); 3] = [
    ("boolean", "Boolean: there, or not"),
    ("static", "Static: a text or a number"),
    ("metered", "Metered: so much of what a meter counts"),
];

/// Names and words of how values become a quantity.
const AGGREGATIONS: [(&str, &str); 7] = [
    (Aggregation::Count.name(), "count: the number of events"),
    (Aggregation::Sum.name(), "sum of the values"),
    (Aggregation::Max.name(), "max: the largest value"),
    (Aggregation::Min.name(), "min: the smallest value"),
    (Aggregation::Latest.name(), "latest: the value of the last event"),
    (Aggregation::Unique.name(), "unique: the number of different values"),
    (Aggregation::WeightedSum.name(), "weighted_sum: the average of a level over time"),
];

impl Ability<'_> {
    fn adds_up(&self) -> bool {
        self.feature.combine == Combine::Sum
    }

    fn combines(&self) -> bool {
        self.feature.kind != FeatureKind::Boolean
    }
}
