// ureq = { version = "3", features = ["json"] }, base64 = "0.22", serde_json = "1"
use base64::{Engine as _, engine::general_purpose::STANDARD};

fn main() -> Result<(), Box<dyn std::error::Error>> {
{{#environment}}    let credentials = format!("{{client_id}}:{}", std::env::var("BASTIONARY_CLIENT_SECRET")?);
{{/environment}}{{#shown}}    let credentials = "{{client_id}}:{{secret}}";
{{/shown}}    let answer: serde_json::Value = ureq::post("{{issuer}}/oauth2/token")
        .header("Authorization", format!("Basic {}", STANDARD.encode(credentials)))
        .send_form([("grant_type", "client_credentials"){{#scope}}, ("scope", "{{scope}}"){{/scope}}])?
        .body_mut()
        .read_json()?;
    println!("{}", answer["access_token"].as_str().ok_or("no token")?);
    Ok(())
}
