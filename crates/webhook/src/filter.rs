//! Which events an endpoint asks for: names of types, `object.*` for all that begin so, or `*` for every one.

use auth::error::FieldProblem;
use kernel::event::{Type, covers, nearest};

/// Most names that one endpoint lists.
pub const MAX_NAMES: usize = 100;

/// The names that an endpoint lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Vec<String>);

impl Filter {
    /// Judges a list of names; repeated ones are kept once.
    ///
    /// # Errors
    /// One problem for each name that covers no type, and one for a list without or with too many names.
    pub fn parse(names: Vec<String>) -> Result<Self, Vec<FieldProblem>> {
        if names.is_empty() || names.len() > MAX_NAMES {
            let detail = format!("types takes 1 to {MAX_NAMES} names of types, for example client.* or token.revoked");
            return Err(vec![FieldProblem::new("types", "out_of_range", detail)]);
        }
        let mut problems = Vec::new();
        let mut kept: Vec<String> = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            if !Type::ALL.iter().any(|kind| covers(&name, kind.name())) {
                let near = nearest(&name);
                let detail = format!("no type of event has this name; did you mean {near}?");
                problems.push(FieldProblem::new(&format!("types/{index}"), "unknown_type", detail));
            } else if !kept.contains(&name) {
                kept.push(name);
            }
        }
        if problems.is_empty() { Ok(Self(kept)) } else { Err(problems) }
    }

    /// Reads [`Filter::to_text`].
    pub fn from_text(text: &str) -> Self {
        Self(text.split(',').map(str::to_owned).collect())
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        self.0.join(",")
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether an event of this type goes to the endpoint when it happens. A test goes to the endpoint that it was asked
    /// for, and to no other one.
    pub fn matches(&self, kind: &str) -> bool {
        kind != Type::WebhookTest.name() && self.0.iter().any(|name| covers(name, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(names: &[&str]) -> Result<Filter, Vec<FieldProblem>> {
        Filter::parse(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_name_a_prefix_and_a_star_choose_what_they_say() {
        let one = filter(&["token.revoked"]).unwrap();
        assert!(one.matches("token.revoked") && !one.matches("token.reuse_detected"));
        let family = filter(&["client.*"]).unwrap();
        assert!(family.matches("client.created") && family.matches("client.secret.created"));
        assert!(!family.matches("token.revoked") && !family.matches("clientele.created"));
        let inner = filter(&["client.secret.*"]).unwrap();
        assert!(inner.matches("client.secret.expiring") && !inner.matches("client.created"));
        let all = filter(&["*"]).unwrap();
        assert!(Type::ALL.iter().all(|kind| all.matches(kind.name()) != (*kind == Type::WebhookTest)));
        assert!(!filter(&["webhook.test"]).unwrap().matches("webhook.test"));
    }

    #[test]
    fn a_name_that_covers_nothing_is_refused_at_its_place_with_the_nearest_one() {
        let problems = filter(&["token.revoked", "token.revokd", "nothing.*", "client.", "", "**", "client.**"]);
        let problems = problems.unwrap_err();
        let found: Vec<(&str, &str)> = problems.iter().map(|p| (p.pointer.as_str(), p.code)).collect();
        let places = ["/types/1", "/types/2", "/types/3", "/types/4", "/types/5", "/types/6"];
        assert_eq!(found, places.map(|place| (place, "unknown_type")));
        assert!(problems[0].detail.contains("token.revoked"), "{}", problems[0].detail);
    }

    #[test]
    fn a_list_has_one_to_a_hundred_names_and_keeps_each_once() {
        let many = vec!["token.revoked"; MAX_NAMES + 1];
        for bad in [&[][..], &many] {
            let problems = filter(bad).unwrap_err();
            assert_eq!((problems.len(), problems[0].pointer.as_str()), (1, "/types"));
        }
        assert_eq!(filter(&many[1..]).unwrap().names(), ["token.revoked"]);
    }

    #[test]
    fn the_stored_form_reads_back() {
        let filter = filter(&["client.*", "token.revoked"]).unwrap();
        assert_eq!(filter.to_text(), "client.*,token.revoked");
        assert_eq!(Filter::from_text(&filter.to_text()), filter);
    }
}
