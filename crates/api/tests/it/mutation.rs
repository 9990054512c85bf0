//! A seeded generator of hostile input: what nearly fits a schema of the OpenAPI document, then damaged, and forms,
//! headers and tokens of the same kind.
//!
//! JSON is damaged in its text and not only as values: no serializer writes a repeated key or a lone surrogate.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use testkit::SeededEntropy;

/// Stands in a value for a text that is no JSON a value can hold; private use, so nothing else contains it.
const MARK: char = '\u{e000}';

/// Values at the edges of what numbers, strings and nesting may be, as they stand in a JSON text.
const RAWS: [&str; 22] = [
    "1e400",
    "-1e400",
    "1e-999",
    "-0",
    "-1",
    "0.1",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "01",
    "NaN",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\u202e\\ufeff\"",
    "\"\\u001b[31m\\r\\n\"",
    "\"0000-00-00T99:99:99Z\"",
    "\"9999-12-31T23:59:59.999999999+23:59\"",
    "\"-infinity\"",
];

/// Members that no request may set.
const FOREIGN: [&str; 10] =
    ["tenant_id", "role", "secret_hash", "verified", "id", "balance", "__proto__", "", "\u{e9}\"\\", "version"];

/// The stream of hostile input of a seed.
pub(crate) struct Mutator(SeededEntropy);

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(bound).unwrap())).unwrap()
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most.saturating_add(1));
        (0..length).map(|_| self.0.next_u64().to_le_bytes()[0]).collect()
    }

    fn word(&mut self) -> String {
        let length = self.below(11).saturating_add(1);
        (0..length).map(|_| self.pick(&['a', 'b', 'k', 'z', '0', '7'])).collect()
    }

    /// Text around the edges of forms, JSON and headers more often than elsewhere.
    pub(crate) fn text(&mut self) -> String {
        match self.below(7) {
            0 => String::new(),
            1 => "x".repeat(self.below(5_000)),
            2 => String::from_utf8_lossy(&self.bytes(40)).into_owned(),
            3 => (0..self.below(12))
                .map(|_| self.pick(&['"', '\\', '\t', '\r', '\n', '%', '&', '=', '+', ' ']))
                .collect(),
            4 => self
                .pick(&["null", "-1", "read", "admin", "../..", "a b", "bst_cs_x", "$1", "' OR 1=1 --", "%00"])
                .to_owned(),
            5 => self.pick(&["\u{0}", "\u{7f}", "\u{e9}", "\u{202e}", "\u{1f600}", "\u{feff}"]).repeat(3),
            _ => self.word(),
        }
    }

    // === values that fit ===

    /// A value that fits a schema of the document, as far as the schema says what fits.
    pub(crate) fn fitting(&mut self, document: &Value, schema: &Value) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            return self.fitting(document, document.pointer(target.trim_start_matches('#')).unwrap());
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let chosen = self.pick(choices);
            return self.fitting(document, &chosen);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.pick(words);
        }
        match schema["type"].as_str().unwrap_or_default() {
            "string" => json!(self.string(schema)),
            "integer" => {
                let least = schema["minimum"].as_i64().unwrap_or(0);
                let most = schema["maximum"].as_i64().unwrap_or(1_000_000);
                let within = i64::try_from(self.0.below((most - least).unsigned_abs())).unwrap();
                self.pick(&[json!(least), json!(most), json!(least + within)])
            }
            "boolean" => json!(self.one_in(2)),
            "array" => (0..self.pick(&[0, 0, 0, 1, 2])).map(|_| self.fitting(document, &schema["items"])).collect(),
            "object" => {
                let required: Vec<&str> =
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let mut members = Map::new();
                for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                    if required.contains(&name.as_str()) || self.one_in(6) {
                        members.insert(name.clone(), self.fitting(document, inner));
                    }
                }
                if schema["additionalProperties"] == true && self.one_in(2) {
                    members.insert(self.word(), self.scalar());
                }
                Value::Object(members)
            }
            _ => Value::Null,
        }
    }

    fn string(&mut self, schema: &Value) -> String {
        match schema["format"].as_str() {
            Some("date-time") => self
                .pick(&[
                    "2026-06-01T12:00:01Z",
                    "2027-01-01T00:00:00+02:00",
                    "1970-01-01T00:00:00Z",
                    "9999-12-31T23:59:59Z",
                ])
                .to_owned(),
            Some("uri") => format!("https://{}.example/{}", self.word(), self.word()),
            _ => {
                let text = self.word();
                let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap();
                if text.len() < least { text.repeat(least) } else { text }
            }
        }
    }

    fn scalar(&mut self) -> Value {
        let (number, word) = (self.0.next_u64(), self.text());
        self.pick(&[Value::Null, json!(true), json!(number), json!(-1), json!(1.5), json!(word), json!([]), json!({})])
    }

    // === JSON bodies ===

    /// A JSON body for a schema: fitting, or damaged in some places, or no JSON at all.
    pub(crate) fn json_body(&mut self, document: &Value, schema: &Value) -> Vec<u8> {
        let mut value = self.fitting(document, schema);
        let mut raws = Vec::new();
        for _ in 0..self.pick(&[0, 0, 0, 1, 1, 1, 2, 4]) {
            self.damage(&mut value, &mut raws);
        }
        let mut text = value.to_string();
        // A later one may contain an earlier one.
        for (at, raw) in raws.iter().enumerate().rev() {
            text = text.replace(&format!("\"{MARK}{at}{MARK}\""), raw);
        }
        let mut bytes = text.into_bytes();
        if self.one_in(10) {
            self.damage_bytes(&mut bytes);
        }
        bytes
    }

    /// Puts one wrong thing somewhere into a value.
    fn damage(&mut self, value: &mut Value, raws: &mut Vec<String>) {
        let mut places = Vec::new();
        pointers(value, String::new(), &mut places);
        let place = self.pick(&places);
        let Some(at) = value.pointer_mut(&place) else { return };
        let raw = match self.below(8) {
            0 => {
                *at = self.scalar();
                return;
            }
            1 => {
                let depth = self.pick(&[5, 31, 32, 33, 1_000, 100_000]);
                let (open, close) = self.pick(&[("[", "]"), ("{\"a\":", "}")]);
                format!("{}1{}", open.repeat(depth), close.repeat(depth))
            }
            2 => format!("{}{}", self.pick(&["-", ""]), "9".repeat(self.below(400).saturating_add(1))),
            3 => json!(self.pick(&["x", "\u{e9}", " ", "read "]).repeat(self.below(50_000))).to_string(),
            4 | 5 => match at {
                Value::Object(members) => {
                    let name = self.pick(&FOREIGN).to_owned();
                    let known: Vec<String> = members.keys().cloned().collect();
                    match (self.below(3), known.as_slice()) {
                        (0, [_, ..]) => {
                            members.shift_remove(&self.pick(&known));
                            return;
                        }
                        // The same member twice, once with another value.
                        (1, [_, ..]) => {
                            let twice = self.pick(&known);
                            let inner = at.to_string();
                            format!("{{{}:{},{}", json!(twice), self.scalar(), inner.trim_start_matches('{'))
                        }
                        _ => {
                            members.insert(name, self.scalar());
                            return;
                        }
                    }
                }
                Value::Array(items) => {
                    let item = items.first().cloned().unwrap_or_else(|| self.scalar());
                    let count = self.pick(&[2, 101, 5_000, 25_000]);
                    *at = Value::Array(vec![item; count]);
                    return;
                }
                _ => self.pick(&RAWS).to_owned(),
            },
            _ => self.pick(&RAWS).to_owned(),
        };
        *at = json!(format!("{MARK}{}{MARK}", raws.len()));
        raws.push(raw);
    }

    fn damage_bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len().saturating_add(1));
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.splice(at..at, self.bytes(4)).for_each(drop),
            2 => bytes.extend(self.bytes(8)),
            3 => bytes.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
            4 => *bytes = self.bytes(200),
            5 => bytes.extend(bytes.clone()),
            6 => *bytes = vec![self.pick(b"[{\"-1 "); self.pick(&[1, 64, 100_000])],
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.0.below(8);
                }
            }
        }
    }

    // === forms and headers ===

    /// A form body for the schema of an OAuth endpoint: its parameters and foreign ones, fitting and not.
    pub(crate) fn form_body(&mut self, document: &Value, schema: &Value, known: &[(&str, &str)]) -> Vec<u8> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, inner) in schema["properties"].as_object().unwrap() {
            let needed = schema["required"].as_array().unwrap().contains(&json!(name));
            if needed && !self.one_in(8) || self.one_in(4) {
                let value = self.fitting(document, inner);
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                pairs.push((name.clone(), if self.one_in(3) { self.text() } else { value }));
            }
        }
        for (name, value) in known {
            if !self.one_in(4) {
                pairs.retain(|(other, _)| other != name);
                pairs.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        if self.one_in(3) {
            let foreign = self.pick(&[
                "audience",
                "client_assertion",
                "client_assertion_type",
                "username",
                "",
                "x\u{0}",
                "scope ",
            ]);
            pairs.push((foreign.to_owned(), self.text()));
        }
        if self.one_in(6) && !pairs.is_empty() {
            let count = self.pick(&[1, 2, 100]);
            let twice = self.pick(&pairs);
            pairs.extend(vec![twice; count]);
        }
        let escaped = self.below(3);
        let texts: Vec<String> = pairs
            .iter()
            .map(|(name, value)| match escaped {
                0 => format!("{name}={value}"),
                1 => format!("{}={}", percent(name.as_bytes()), percent(value.as_bytes())),
                _ => format!("{}={}", reserved(name), reserved(value)),
            })
            .collect();
        let mut bytes = texts.join(self.pick(&["&", "&", "&", "&&", ";", "\n"])).into_bytes();
        if self.one_in(6) {
            let junk: &[u8] = self.pick(&[&b"%"[..], b"%zz", b"%ff", b"\xff", b"=", b"&", b"%00", b"%ed%a0%80"]);
            let at = self.below(bytes.len().saturating_add(1));
            bytes.splice(at..at, junk.iter().copied());
        }
        bytes
    }

    /// An `Authorization` header that is nearly the one of a client.
    pub(crate) fn basic_header(&mut self, id: &str, secret: &str) -> Vec<u8> {
        let pair = match self.below(8) {
            0 => format!("{id}:{}", self.text()),
            1 => format!("{}:{secret}", self.text()),
            2 => format!("{id}{secret}"),
            3 => format!("{id}:"),
            4 => format!("{}:{}", percent(id.as_bytes()), percent(secret.as_bytes())),
            5 => format!("{id}:{secret}:{secret}"),
            6 => format!("{id}:%{secret}"),
            _ => format!("{id}:{secret}"),
        };
        let mut inner = pair.into_bytes();
        if self.one_in(4) {
            self.damage_bytes(&mut inner);
        }
        let encoded = match self.below(5) {
            0 => URL_SAFE_NO_PAD.encode(&inner).into_bytes(),
            1 => inner,
            _ => STANDARD.encode(&inner).into_bytes(),
        };
        let scheme: &[u8] =
            self.pick(&[&b"Basic "[..], b"basic ", b"Basic", b"Basic  ", b"Bearer ", b"Basic\t", b"", b"Negotiate "]);
        let mut header = [scheme, &encoded].concat();
        if self.one_in(6) {
            self.damage_bytes(&mut header);
        }
        header
    }

    // === tokens ===

    /// A token that is nearly a real one; never the real one.
    pub(crate) fn jwt(&mut self, real: &str, other: &str) -> String {
        loop {
            let token = self.nearly(real, other);
            if token != real && token != other {
                return token;
            }
        }
    }

    fn nearly(&mut self, real: &str, other: &str) -> String {
        let parts: Vec<&str> = real.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { return self.text() };
        let others: Vec<&str> = other.split('.').collect();
        match self.below(9) {
            0 => {
                let mut bytes = real.to_owned().into_bytes();
                let at = self.below(bytes.len());
                bytes[at] = self.pick(b"ABCxyz019-_.=+/ ");
                String::from_utf8(bytes).unwrap()
            }
            1 => format!("{}.{claims}.{signature}", self.changed(header, &HEADER_CHANGES)),
            2 => format!("{header}.{}.{signature}", self.changed(claims, &CLAIM_CHANGES)),
            3 => {
                let cut = self.pick(&["", "A", "AA", &signature[..43], &signature[..signature.len() - 2]]).to_owned();
                let more = format!("{signature}AAAA");
                let zeros = "A".repeat(86);
                format!("{header}.{claims}.{}", self.pick(&[cut, more, zeros]))
            }
            4 => {
                let count = self.below(7);
                let all = [*header, claims, signature, "", "e30", header];
                (0..count).map(|_| self.pick(&all)).collect::<Vec<_>>().join(".")
            }
            5 => {
                let odd = self.pick(&["=", "==", "\n", " ", "\t", ".", "%2E", "\u{e9}", "+", "/"]);
                let mut token = real.to_owned();
                token.insert_str(self.pick(&[0, header.len(), header.len() + 1, real.len()]), odd);
                token
            }
            6 => format!("{header}.{}.{signature}", claims.repeat(self.pick(&[2, 20, 60]))),
            7 => format!("{}{real}", self.pick(&["bst_at_", "bst_rt_", "Bearer ", "ey"])),
            _ => {
                let mixed = [
                    self.pick(&[*header, others[0]]),
                    self.pick(&[*claims, others[1]]),
                    self.pick(&[*signature, others[2]]),
                ];
                mixed.join(".")
            }
        }
    }

    /// A base64url part with one member set to something else.
    fn changed(&mut self, part: &str, changes: &[(&str, &str)]) -> String {
        let mut members: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let (name, value) = self.pick(changes);
        if self.one_in(6) {
            members.shift_remove(name);
            return URL_SAFE_NO_PAD.encode(Value::Object(members).to_string());
        }
        members.insert(name.to_owned(), json!(MARK.to_string()));
        URL_SAFE_NO_PAD.encode(Value::Object(members).to_string().replace(&format!("\"{MARK}\""), value))
    }
}

/// Header members and what they are set to; of the rows J01 to J04 and J09 of the attack list.
const HEADER_CHANGES: [(&str, &str); 22] = [
    ("alg", "\"none\""),
    ("alg", "\"nOnE\""),
    ("alg", "\"\""),
    ("alg", "[\"ES256\"]"),
    ("alg", "null"),
    ("alg", "\"HS256\""),
    ("alg", "\"EdDSA\""),
    ("alg", "\"RSA-OAEP\""),
    ("typ", "\"JWT\""),
    ("typ", "7"),
    ("kid", "\"\""),
    ("kid", "\"../../dev/null\""),
    ("kid", "{}"),
    ("crit", "[\"x\"]"),
    ("b64", "false"),
    ("jku", "\"http://127.0.0.1:1/\""),
    ("x5u", "\"file:///etc/passwd\""),
    ("jwk", "{\"kty\":\"oct\",\"k\":\"AA\"}"),
    ("x5c", "[\"AA\"]"),
    ("zip", "\"DEF\""),
    ("p2c", "2147483648"),
    ("enc", "\"A256GCM\""),
];

/// Claims and what they are set to; of the rows J06 and J10 of the attack list.
const CLAIM_CHANGES: [(&str, &str); 20] = [
    ("exp", "\"99999999999\""),
    ("exp", "null"),
    ("exp", "true"),
    ("exp", "[]"),
    ("exp", "1e400"),
    ("exp", "-1"),
    ("exp", "9223372036854775808"),
    ("nbf", "99999999999"),
    ("iat", "{}"),
    ("iss", "\"https://id.example/\""),
    ("iss", "\"HTTPS://ID.EXAMPLE\""),
    ("aud", "[]"),
    ("aud", "[null]"),
    ("sub", "7"),
    ("client_id", "\"ops\""),
    ("tenant", "\"acme\""),
    ("scope", "\"admin\""),
    ("scope", "[]"),
    ("jti", "\"..\""),
    ("jti", "\"\\ud800\""),
];

/// Every place of a value.
fn pointers(value: &Value, here: String, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                pointers(inner, format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate().take(3) {
                pointers(inner, format!("{here}/{at}"), all);
            }
        }
        _ => {}
    }
    all.push(here);
}

/// As browsers encode: letters and digits stay, a space is a plus sign.
fn reserved(text: &str) -> String {
    let encoded = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(b).to_string(),
        b' ' => "+".to_owned(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// Every byte percent-encoded.
pub(crate) fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat()
}
