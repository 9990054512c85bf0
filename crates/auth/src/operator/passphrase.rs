//! What a passphrase must be: long, and neither well-known nor made of the names around it. Nothing is said about
//! kinds of characters, and nothing is ever cut off (NIST SP 800-63B-4 §3.1.1).
//!
//! Pure; the slow hash is in [`crate::credential`].

use kernel::secret::Secret;
use unicode_normalization::UnicodeNormalization as _;

use crate::client::fold;
use crate::error::FieldProblem;

/// Fewest characters, after normalization.
pub const MIN_CHARACTERS: usize = 15;
/// Most bytes, before and after normalization.
pub const MAX_BYTES: usize = 1_024;
/// The name of this product, which nobody may lean on.
const PRODUCT: &str = "bastionary";
/// A name shorter than this is no hint to a guesser.
const MIN_NAME: usize = 4;
/// Digits and marks that may stand behind common words without making them less common.
const DECORATION: usize = 4;

/// Common passwords, one a line, in byte order; see `guessed/NOTICE` for where they come from. Entries shorter than a
/// passphrase matter as what a longer text repeats or joins.
static COMMON: &str = include_str!("guessed/passwords.txt");
/// Shortest and longest entry of the list that joined words are looked for with.
const ENTRY: std::ops::RangeInclusive<usize> = 4..=40;

/// Why a passphrase is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Fewer than 15 characters.
    TooShort,
    /// More than 1,024 bytes.
    TooLong,
    /// On the list of common ones, or joined from two of its entries.
    Common,
    /// One piece over and over, or a run along the alphabet or the digits.
    Repeated,
    /// Long enough only by the e-mail address or the person's name.
    NamesPerson,
    /// Long enough only by the name of the organization.
    NamesOrganization,
    /// Long enough only by the name of this product.
    NamesProduct,
}

impl Refusal {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "passphrase_too_short",
            Self::TooLong => "passphrase_too_long",
            Self::Common => "passphrase_common",
            Self::Repeated => "passphrase_repeated",
            Self::NamesPerson => "passphrase_names_person",
            Self::NamesOrganization => "passphrase_names_organization",
            Self::NamesProduct => "passphrase_names_product",
        }
    }

    /// What is wrong and what is accepted.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::TooShort => "a passphrase takes at least 15 characters; four unrelated words are a good one",
            Self::TooLong => "a passphrase takes at most 1,024 bytes",
            Self::Common => "this passphrase is among those that guessers try first; choose unrelated words",
            Self::Repeated => "this passphrase repeats one piece or follows the alphabet; choose unrelated words",
            Self::NamesPerson => "without your e-mail address and name, fewer than 15 characters remain",
            Self::NamesOrganization => "without the name of the organization, fewer than 15 characters remain",
            Self::NamesProduct => "without the name of this product, fewer than 15 characters remain",
        }
    }

    /// The refusal as a problem of a field.
    pub fn problem(self, field: &str) -> FieldProblem {
        FieldProblem::new(field, self.code(), self.sentence())
    }
}

/// The names around a passphrase.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The person's name.
    pub person: &'a str,
    /// The organization's name.
    pub organization: &'a str,
}

/// The form that is hashed: NFKC, so that one text typed on two keyboards is one passphrase. `None` above 1,024 bytes.
pub fn normalize(text: &str) -> Option<Secret<String>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let normal = Secret::new(text.nfkc().collect::<String>());
    (normal.reveal().len() <= MAX_BYTES).then_some(normal)
}

/// Decides whether a text may become a passphrase; every reason against it is told, the first is the gravest.
///
/// # Errors
/// The refusals.
pub fn judge(text: &str, names: Names<'_>) -> Result<Secret<String>, Vec<Refusal>> {
    let Some(normal) = normalize(text) else { return Err(vec![Refusal::TooLong]) };
    if normal.reveal().chars().count() < MIN_CHARACTERS {
        return Err(vec![Refusal::TooShort]);
    }
    let folded = Secret::new(fold(normal.reveal()));
    let letters = Secret::new(folded.reveal().chars().filter(|c| c.is_alphanumeric()).collect::<String>());
    let mut refusals = Vec::new();
    if is_common(folded.reveal()) || is_common(letters.reveal()) {
        refusals.push(Refusal::Common);
    }
    if is_repeated(folded.reveal()) || is_repeated(letters.reveal()) {
        refusals.push(Refusal::Repeated);
    }
    let (mailbox, domain) = names.email.split_once('@').unwrap_or((names.email, ""));
    let site = domain.split('.').next().unwrap_or_default();
    let mut person: Vec<&str> = vec![names.email, mailbox, domain, site];
    person.extend(names.person.split_whitespace());
    if leans_on(folded.reveal(), &person) {
        refusals.push(Refusal::NamesPerson);
    }
    if leans_on(folded.reveal(), &[names.organization]) {
        refusals.push(Refusal::NamesOrganization);
    }
    if leans_on(folded.reveal(), &[PRODUCT]) {
        refusals.push(Refusal::NamesProduct);
    }
    if refusals.is_empty() { Ok(normal) } else { Err(refusals) }
}

/// Whether a folded text is listed, or is joined from at most two listed entries, each any number of times, with a few
/// digits or marks behind. Three unrelated words pass: that is what passphrases are made of.
fn is_common(text: &str) -> bool {
    if is_listed(text.as_bytes()) {
        return true;
    }
    let bare = undecorated(text.as_bytes());
    // The fewest different entries that make up the text up to each place.
    let mut fewest: Vec<Option<u8>> = vec![None; bare.len().saturating_add(1)];
    if let Some(start) = fewest.first_mut() {
        *start = Some(0);
    }
    for from in 0..bare.len() {
        let Some(so_far) = fewest.get(from).copied().flatten().filter(|count| *count < 2) else { continue };
        for length in ENTRY {
            let Some(piece) = bare.get(from..from.saturating_add(length)) else { break };
            if !is_listed(piece) {
                continue;
            }
            let mut end = from.saturating_add(length);
            loop {
                if let Some(place) = fewest.get_mut(end) {
                    let count = so_far.saturating_add(1);
                    *place = Some(place.map_or(count, |known| known.min(count)));
                }
                let next = end.saturating_add(length);
                if bare.get(end..next) != Some(piece) {
                    break;
                }
                end = next;
            }
        }
    }
    !bare.is_empty() && fewest.last().copied().flatten().is_some()
}

/// The text without up to four digits or marks at its end.
fn undecorated(text: &[u8]) -> &[u8] {
    let trailing = text.iter().rev().take(DECORATION).take_while(|b| b.is_ascii() && !b.is_ascii_alphabetic()).count();
    text.get(..text.len().saturating_sub(trailing)).unwrap_or_default()
}

/// Whether a text repeats a piece of at most half its length, or steps along the alphabet or the digits.
fn is_repeated(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let half = characters.len() / 2;
    let repeats = |period: usize| characters.iter().zip(characters.iter().skip(period)).all(|(a, b)| a == b);
    if (1..=half).any(repeats) {
        return true;
    }
    let steps = characters.iter().zip(characters.iter().skip(1));
    let even = steps.filter(|(a, b)| {
        let distance = i64::from(u32::from(**b)).saturating_sub(i64::from(u32::from(**a)));
        // 9 is followed by 0 on every keyboard, z by a in every song.
        matches!(distance, -1..=1 | -9 | 9 | -25 | 25)
    });
    // A run with one slip is still a run.
    characters.len() > 2 && even.count().saturating_add(2) >= characters.len()
}

/// Whether fewer than 15 characters remain when names are taken out.
fn leans_on(folded: &str, names: &[&str]) -> bool {
    let mut rest = folded.to_owned();
    for name in names {
        let name = fold(&name.nfkc().collect::<String>());
        let forms = [name.clone(), name.chars().filter(|c| c.is_alphanumeric()).collect::<String>()];
        for form in forms {
            if form.chars().count() >= MIN_NAME {
                rest = rest.replace(&form, "");
            }
        }
    }
    let changed = rest.len() != folded.len();
    changed && rest.chars().count() < MIN_CHARACTERS
}

/// Whether the list has exactly this line.
fn is_listed(text: &[u8]) -> bool {
    let list = COMMON.as_bytes();
    if text.is_empty() || text.contains(&b'\n') {
        return false;
    }
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low.midpoint(high);
        let before = list.get(low..middle).unwrap_or_default();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(low, |at| low.saturating_add(at).saturating_add(1));
        let line = list.get(start..high).unwrap_or_default();
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        match line.cmp(text) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = start.saturating_add(line.len()).saturating_add(1),
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'static> =
        Names { email: "anna.meier@acme-tools.example", person: "Anna Meier", organization: "Acme Tools" };

    fn verdict(text: &str) -> Vec<&'static str> {
        judge(text, NAMES).err().unwrap_or_default().iter().map(|r| r.code()).collect()
    }

    #[test]
    fn the_list_is_sorted_in_lower_case_and_below_a_mebibyte_and_each_line_is_found() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 25_000 && COMMON.len() <= 1 << 20, "{} lines", lines.len());
        assert!(lines.is_sorted() && lines.iter().all(|l| *l == fold(l)));
        assert!(lines.iter().all(|line| is_listed(line.as_bytes())));
        for absent in ["", "zzzzzzzzzzzzzzzz", "!", "passwoz", "passwordd-", "123456\n1234567"] {
            assert!(!is_listed(absent.as_bytes()), "{absent}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_and_limited_in_bytes() {
        assert_eq!(verdict("river quartz 14"), Vec::<&str>::new());
        assert_eq!(verdict("river quartz 1"), ["passphrase_too_short"]);
        assert_eq!(verdict("ваза лодка слон"), Vec::<&str>::new());
        assert_eq!(verdict(&"ж".repeat(513)), ["passphrase_too_long"]);
        let long: String = (0..128_u32).filter_map(|i| char::from_u32(0x61 + i * 7 % 26)).collect();
        assert_eq!(verdict(&long), ["passphrase_repeated"]);
        assert_eq!(
            verdict(&"violet harbor sings 9 ".repeat(5).replace("harbor", "").replacen("sings", "moon", 2)),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn one_text_in_two_encodings_is_one_passphrase() {
        let (composed, decomposed) = ("cafe\u{301} ro\u{fb01}e sturm", "caf\u{e9} rofie sturm");
        assert_eq!(normalize(composed).unwrap().reveal(), normalize(decomposed).unwrap().reveal());
        // Compatibility characters grow: the limit holds after normalization, too.
        assert!(normalize(&"\u{fdfa}".repeat(300)).is_none());
    }

    #[test]
    fn common_ones_and_two_joined_are_refused_and_four_words_pass() {
        for bad in [
            "correct horse battery staple",
            "passwordpassword",
            "Password-Football!",
            "iloveyouprincess",
            "iloveyou1234567890",
            "qwertyuiopasdfghjkl",
            "sunshine sunshine sunshine 99",
        ] {
            assert!(verdict(bad).contains(&"passphrase_common"), "{bad}: {:?}", verdict(bad));
        }
        for good in ["lantern drift opal mosaic", "two geese never argue", "dragon-lantern-monkey-drift"] {
            assert_eq!(verdict(good), Vec::<&str>::new(), "{good}");
        }
    }

    #[test]
    fn repetition_and_runs_are_refused() {
        for bad in
            ["aaaaaaaaaaaaaaaa", "xk7 xk7 xk7 xk7 xk7", "abcdefghijklmnop", "9876543210987654", "123456789012345"]
        {
            assert!(verdict(bad).contains(&"passphrase_repeated"), "{bad}: {:?}", verdict(bad));
        }
    }

    #[test]
    fn names_around_it_add_nothing_to_its_length() {
        assert_eq!(verdict("anna.meier@acme-tools.example"), ["passphrase_names_person"]);
        assert_eq!(verdict("Annameier loves 2026"), ["passphrase_names_person"]);
        assert_eq!(verdict("ACME TOOLS winter 26"), ["passphrase_names_organization"]);
        assert_eq!(verdict("Bastionary-login-26"), ["passphrase_names_product"]);
        assert_eq!(verdict("bastionary holds my lantern"), Vec::<&str>::new());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text: String, email: String) {
            let _ = judge(&text, Names { email: &email, person: &text, organization: &email });
        }
    }
}
