//! What forms are made of.

/// A text field with all that stands around it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// Name and id.
    pub name: &'static str,
    /// Label above it.
    pub label: &'static str,
    /// `text`, `email`, `password`, `number`, `url`, `date`.
    pub kind: &'static str,
    /// What was typed; never a secret.
    pub value: String,
    /// A sentence below it.
    pub hint: &'static str,
    /// What is wrong with the value.
    pub error: Option<String>,
    /// Whether it may stay empty.
    pub is_optional: bool,
    /// Value of the attribute `autocomplete`.
    pub autocomplete: &'static str,
    /// Value and word of each choice; empty for a field that is typed.
    pub choices: Vec<(&'static str, &'static str)>,
    /// What a script says below it while it is typed: `strength` of a secret, `first` or `later` expiry in the past.
    pub live: &'static str,
    /// Lines of a field for a longer text; 0 for one that is a single line.
    pub rows: u8,
}

impl Field {
    /// A field that must be filled.
    pub(crate) fn new(name: &'static str, label: &'static str, kind: &'static str) -> Self {
        Self { name, label, kind, ..Self::default() }
    }

    /// The same with a sentence below it.
    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// The same as a field that may stay empty.
    pub(crate) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// The same with a hint for the browser.
    pub(crate) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// The same as a choice among values.
    pub(crate) fn of(self, choices: &[(&'static str, &'static str)]) -> Self {
        Self { choices: choices.to_vec(), ..self }
    }

    /// The same with room for a longer text.
    pub(crate) fn lines(self, rows: u8) -> Self {
        Self { rows, ..self }
    }

    /// The same with words that a script writes while it is typed.
    pub(crate) fn live(self, live: &'static str) -> Self {
        Self { live, ..self }
    }

    /// The same with what is stored, or with what was typed where the form came back.
    pub(crate) fn given(self, stored: &str, entered: &Entered) -> Self {
        if entered.is_back() { self.filled(entered) } else { Self { value: stored.to_owned(), ..self } }
    }

    /// The same with what was typed and, of the problems, its own.
    pub(crate) fn filled(self, entered: &Entered) -> Self {
        let value = if self.kind == "password" { String::new() } else { entered.value(self.name) };
        Self { value, error: entered.problem(self.name), ..self }
    }
}

/// A form that comes back: what was typed, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entered {
    /// Name and value of each field.
    pub values: Vec<(String, String)>,
    /// Name of a field, or empty for the form as a whole, and a sentence.
    pub problems: Vec<(String, String)>,
    /// What somebody else stored while the form was open, beside what was typed.
    pub others: Vec<Other>,
}

/// A field that was changed by somebody else while it was being changed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its label.
    pub label: &'static str,
    /// What is stored now.
    pub stored: String,
    /// What was typed.
    pub typed: String,
}

impl Entered {
    pub(crate) fn value(&self, name: &str) -> String {
        self.values.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(given, found)| given == name && found == value)
    }

    /// Whether the form was sent before.
    pub(crate) fn is_back(&self) -> bool {
        !self.values.is_empty()
    }

    /// Says that somebody else was faster, with every field in which the two versions differ: label, stored, typed.
    pub(crate) fn overtaken(&mut self, fields: impl IntoIterator<Item = (&'static str, String, String)>) {
        let differs = fields.into_iter().filter(|(_, stored, typed)| stored != typed);
        self.others = differs.map(|(label, stored, typed)| Other { label, stored, typed }).collect();
        let sentence =
            "Somebody changed this while you had it open. What you typed is kept; saving it now replaces theirs.";
        self.problems.push((String::new(), sentence.to_owned()));
    }

    fn problem(&self, name: &str) -> Option<String> {
        self.problems.iter().find(|(given, _)| given == name).map(|(_, text)| text.clone())
    }
}

/// A dialog that asks before something is done.
pub(crate) struct Confirm {
    /// Id of the dialog.
    pub(crate) id: String,
    /// Where it posts.
    pub(crate) action: String,
    /// The action and the object.
    pub(crate) title: String,
    /// What will happen, with live numbers.
    pub(crate) consequence: String,
    /// Text on the button.
    pub(crate) verb: &'static str,
    /// What must be typed first.
    pub(crate) typed: Option<String>,
    /// Why it cannot be done.
    pub(crate) refused: Option<String>,
}

/// A column head.
pub(crate) struct Column {
    pub(crate) text: &'static str,
    /// Address of the list in the order of this column; the other direction when it is in this order now.
    pub(crate) href: Option<String>,
    /// `ascending` or `descending` when the list is in the order of this column.
    pub(crate) order: Option<&'static str>,
}

impl Column {
    /// A head that does not sort.
    pub(crate) const fn plain(text: &'static str) -> Self {
        Self { text, href: None, order: None }
    }

    /// A head that sorts: `first` is what a click asks for at first, `now` the present order, `to` the address of one.
    pub(crate) fn sorting(text: &'static str, first: &str, now: &str, to: impl Fn(&str) -> String) -> Self {
        let by = |order: &str| order.trim_start_matches('-').to_owned();
        let is_now = by(first) == by(now);
        let turned = now.strip_prefix('-').map_or_else(|| format!("-{now}"), str::to_owned);
        let order = is_now.then_some(if now.starts_with('-') { "descending" } else { "ascending" });
        Self { text, href: Some(if is_now { to(&turned) } else { to(first) }), order }
    }

    /// The symbol beside the text.
    pub(crate) fn icon(&self) -> &'static str {
        match self.order {
            None => "chevrons-up-down",
            Some("descending") => "arrow-down",
            Some(_) => "arrow-up",
        }
    }
}

/// The foot of a list.
pub(crate) struct Paging {
    /// How many rows there are.
    pub(crate) shown: String,
    /// Rows on a page.
    pub(crate) limit: u32,
    /// Path of the list.
    pub(crate) action: String,
    /// Filters that the choice of rows keeps.
    pub(crate) kept: Vec<(String, String)>,
    /// Address of the first page, when this is another one.
    pub(crate) first: Option<String>,
    /// Address of the page before.
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    /// Address of the whole list as a file, up to the value of `format`, or why the operator may not have it; `None`
    /// for a list that has no such file.
    pub(crate) export: Option<Result<String, String>>,
}
