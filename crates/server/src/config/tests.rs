use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Config, ConfigError, LogFormat, Overrides};

fn load(file: &str, env: &[(&str, &str)], overrides: Overrides) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bastionary.toml");
    std::fs::write(&path, file).unwrap();
    let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::load(Some(&path), &env, overrides)
}

fn refusal(file: &str, env: &[(&str, &str)]) -> String {
    load(file, env, Overrides::default()).err().map(|e| e.to_string()).expect("the configuration was accepted")
}

#[test]
fn nothing_configured_is_a_server_on_loopback() {
    let config = Config::load(None, &BTreeMap::new(), Overrides::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.issuer_for(config.listen), "http://127.0.0.1:8080");
    assert_eq!(config.data_dir, PathBuf::from("./bastionary-data"));
    assert_eq!(config.management_listen, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!(config.limits.head, Duration::from_secs(10));
    assert_eq!(config.limits.connections, 16_384);
    assert!(config.scopes_auto_create);
    assert!(config.database_url.is_none() && config.admin_client.is_none() && config.tls.is_none());
    assert!(config.listen_guard().is_ok());
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\nlog = \"debug\"\n[limits]\nhead_seconds = 7\n";
    let env = [("BASTIONARY_LISTEN", "127.0.0.1:2"), ("BASTIONARY_DATA_DIR", "env"), ("BASTIONARY_LOG", "")];
    let overrides = Overrides { listen: Some("localhost:3".to_owned()), ..Overrides::default() };
    let config = load(file, &env, overrides).unwrap();
    assert_eq!(config.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(config.data_dir, PathBuf::from("env"));
    assert_eq!(config.log, "debug");
    assert_eq!(config.limits.head, Duration::from_secs(7));
}

#[test]
fn every_kind_of_key_can_be_set_by_its_variable() {
    let env = [
        ("BASTIONARY_LISTEN", "0.0.0.0:443"),
        ("BASTIONARY_ISSUER", "https://auth.example.com"),
        ("BASTIONARY_LOG_FORMAT", "json"),
        ("BASTIONARY_MANAGEMENT_LISTEN", "off"),
        ("BASTIONARY_TLS_CERT_FILE", "c.pem"),
        ("BASTIONARY_TLS_KEY_FILE", "k.pem"),
        ("BASTIONARY_PROXY_TRUSTED", "10.0.0.0/8, 192.0.2.7"),
        ("BASTIONARY_LIMITS_CONNECTIONS_PER_SOURCE", "7"),
        ("BASTIONARY_SECURITY_HARDENED", "true"),
        ("BASTIONARY_SECURITY_CONTACT", "mailto:security@example.com, https://example.com/security"),
        ("BASTIONARY_KEYS_ROTATION_DAYS", "30"),
        ("BASTIONARY_ADMIN_CLIENT_ID", "root"),
        ("BASTIONARY_ADMIN_CLIENT_SECRET", "hunter2hunter2"),
        ("BASTIONARY_DATABASE_URL", "postgres://u:p@h/d"),
        ("BASTIONARY_STORE_ALLOW_UNSAFE_DURABILITY", "true"),
    ];
    let config = load("", &env, Overrides::default()).unwrap();
    assert_eq!(config.issuer_for(config.listen), "https://auth.example.com");
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.management_listen, None);
    assert_eq!(config.tls.as_ref().unwrap().key_file, PathBuf::from("k.pem"));
    assert_eq!(config.proxy_trusted.len(), 2);
    assert_eq!(config.limits.connections_per_source, 7);
    assert!(config.hardened && !config.scopes_auto_create && config.allow_unsafe_durability);
    assert_eq!(config.security_contact, ["mailto:security@example.com", "https://example.com/security"]);
    assert_eq!(config.key_rotation_days, 30);
    let admin = config.admin_client.as_ref().unwrap();
    assert_eq!((admin.id.as_str(), admin.secret.reveal().as_str()), ("root", "hunter2hunter2"));
    assert_eq!(config.database_url.as_ref().unwrap().reveal(), "postgres://u:p@h/d");
}

#[test]
fn a_contact_that_cannot_be_written_to_is_refused() {
    for wrong in
        ["security@example.com", "http://example.com/", "mailto:", "mailto:a b@example.com", "mailto:a\\nExpires: x"]
    {
        let text = refusal(&format!("[security]\ncontact = [\"{wrong}\"]\n"), &[]);
        assert!(text.contains("`security.contact` holds") && text.contains("mailto:security@example.com"), "{text}");
    }
}

#[test]
fn unknown_keys_and_sections_are_refused_by_name() {
    let text = refusal("lisen = \"127.0.0.1:1\"\n[limits]\nheads = 1\n[tsl]\ncert_file = \"x\"\n", &[]);
    assert!(text.contains("`lisen` is not a known key") && text.contains("`listen`"), "{text}");
    assert!(text.contains("`limits.heads` is not a known key") && text.contains("`limits.head_seconds`"), "{text}");
    assert!(text.contains("`tsl` is not a known key"), "{text}");
    let text = refusal("limits = 3\n", &[]);
    assert!(text.contains("`limits` is not a known key"), "{text}");
}

#[test]
fn a_variable_with_an_unknown_name_is_refused_with_the_nearest_known_one() {
    let text = refusal("", &[("BASTIONARY_LISEN", "127.0.0.1:1"), ("BASTIONARY_TLS_CERTFILE", "")]);
    assert_eq!(
        text,
        "`BASTIONARY_LISEN` is not a variable of the configuration. \
         The nearest known one is BASTIONARY_LISTEN. Correct the name, or remove the variable.\n\
         `BASTIONARY_TLS_CERTFILE` is not a variable of the configuration. \
         The nearest known one is BASTIONARY_TLS_CERT_FILE. Correct the name, or remove the variable."
    );
    let foreign = [("BASTIONARY_CLIENT_SECRET", "x"), ("BASTIONARY_PORT_8080_TCP_ADDR", "10.0.0.1")];
    assert!(load("", &foreign, Overrides::default()).is_ok());
}

#[test]
fn a_value_out_of_range_names_key_value_place_and_range() {
    let text = refusal("[limits]\nhead_seconds = 0\n", &[("BASTIONARY_KEYS_ROTATION_DAYS", "often")]);
    assert!(
        text.contains(
            "`limits.head_seconds` = 0 (from the configuration file) cannot be used. \
             Accepted: a whole number from 1 to 300. The variable is BASTIONARY_LIMITS_HEAD_SECONDS."
        ),
        "{text}"
    );
    assert!(text.contains("`keys.rotation_days` = \"often\" (from BASTIONARY_KEYS_ROTATION_DAYS)"), "{text}");
}

#[test]
fn wrong_types_and_forms_are_refused() {
    for (file, key) in [
        ("listen = \"8080\"", "listen"),
        ("listen = 8080", "listen"),
        ("issuer = \"https://a/\"", "issuer"),
        ("log_format = \"xml\"", "log_format"),
        ("insecure_http = \"perhaps\"", "insecure_http"),
        ("management_listen = \"on\"", "management_listen"),
        ("database_url = \"mysql://h/d\"", "database_url"),
        ("[proxy]\ntrusted = [\"0.0.0.0/0\"]", "proxy.trusted"),
        ("[proxy]\ntrusted = [1]", "proxy.trusted"),
        ("[tls]\ncert_file = \"c.pem\"", "tls.key_file"),
        ("admin_client_id = \"a\"", "admin_client_secret"),
    ] {
        let text = refusal(file, &[]);
        assert!(text.starts_with(&format!("`{key}`")), "{file}: {text}");
    }
}

#[test]
fn an_issuer_is_required_beyond_loopback() {
    let text = refusal("listen = \"0.0.0.0:8080\"", &[]);
    assert!(text.contains("`issuer` is not set") && text.contains("BASTIONARY_ISSUER"), "{text}");
}

#[test]
fn plain_http_beyond_loopback_needs_one_of_three_words() {
    let base = "listen = \"0.0.0.0:8080\"\nissuer = \"https://auth.example.com\"\n";
    let config = load(base, &[], Overrides::default()).unwrap();
    assert_eq!(
        config.listen_guard().unwrap_err().to_string(),
        "`listen` = \"0.0.0.0:8080\" would serve plain HTTP beyond loopback. \
         Configure `[tls]`, name a trusted proxy in `proxy.trusted`, or write `insecure_http = true`."
    );
    for more in
        ["insecure_http = true", "[proxy]\ntrusted = [\"10.0.0.0/8\"]", "[tls]\ncert_file = \"c\"\nkey_file = \"k\""]
    {
        let config = load(&format!("{base}{more}"), &[], Overrides::default()).unwrap();
        assert!(config.listen_guard().is_ok(), "{more}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        refusal("admin_client_secret = \"s3cr3t-value\"", &[]),
        refusal("database_url = \"my://u:s3cr3t-value@h\"", &[]),
        refusal("admin_client_secret = \"s3cr3t-value\nx = 1", &[]),
        refusal("admin_client_id = \"a\"\nadmin_client_secret = [\"s3cr3t-value\"]", &[]),
    ] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
