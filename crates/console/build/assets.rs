//! What the console serves besides pages: our own style and scripts, and what others wrote, verified and compressed.
//!
//! A vendored file that differs from its hash in `MANIFEST.toml`, is not listed there, or has no license text stops
//! the build.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha384};

/// Licenses under which a vendored file may be shipped.
const LICENSES: &[&str] = &["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];

/// One served file: the constant that holds its place in the table, its extension, its media type, and its parts.
const SERVED: &[(&str, &str, &str, &[&str])] = &[
    (
        "STYLE",
        "css",
        "text/css; charset=utf-8",
        &[
            "css/reset.css",
            "css/tokens.css",
            "css/elements.css",
            "css/layout.css",
            "css/components.css",
            "css/pages.css",
        ],
    ),
    ("BOOK_STYLE", "css", "text/css; charset=utf-8", &["css/tokens.css", "css/book.css"]),
    (
        "HTMX",
        "js",
        "text/javascript; charset=utf-8",
        &["vendor/htmx.min.js", "vendor/hx-csp.min.js", "vendor/hx-sse.min.js"],
    ),
    ("SCRIPT", "js", "text/javascript; charset=utf-8", &["js/console.js"]),
    ("KEYS", "js", "text/javascript; charset=utf-8", &["js/keys.js"]),
    ("ICONS", "svg", "image/svg+xml", &["vendor/lucide.svg"]),
    ("MARK", "svg", "image/svg+xml", &["icon.svg"]),
];

/// Writes `assets.rs` and the compressed forms into `out`.
pub(crate) fn write(assets: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let notices = verified(&assets.join("vendor"))?;
    let mut places = String::new();
    let mut table = String::from("pub(crate) const ASSETS: &[Asset] = &[\n");
    for (place, (name, extension, kind, parts)) in SERVED.iter().enumerate() {
        let mut bytes = Vec::new();
        for part in *parts {
            let path = assets.join(part);
            bytes.extend(fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?);
            bytes.push(b'\n');
        }
        if *extension == "css" {
            bytes = lean(&String::from_utf8(bytes)?).into_bytes();
        }
        let mut tag = hex(&Sha384::digest(&bytes));
        tag.truncate(32);
        let file = out.join(format!("{tag}.{extension}"));
        fs::write(&file, &bytes)?;
        let gzip = out.join(format!("{tag}.{extension}.gz"));
        fs::write(&gzip, gzipped(&bytes))?;
        let brotli = out.join(format!("{tag}.{extension}.br"));
        fs::write(&brotli, brotlied(&bytes)?)?;
        writeln!(places, "pub(crate) const {name}: &str = \"/console/assets/{tag}.{extension}\";")?;
        writeln!(table, "    Asset {{ // {place}: {name}")?;
        writeln!(table, "        file: \"{tag}.{extension}\",")?;
        writeln!(table, "        kind: {kind:?},")?;
        for (field, path) in [("plain", &file), ("gzip", &gzip), ("brotli", &brotli)] {
            writeln!(table, "        {field}: include_bytes!({:?}),", path.display().to_string())?;
        }
        writeln!(table, "    }},")?;
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), format!("{places}{table}{notices}"))?;
    Ok(())
}

/// Checks every vendored file and writes the table of notices.
fn verified(vendor: &Path) -> Result<String, Box<dyn Error>> {
    let manifest: toml::Table = fs::read_to_string(vendor.join("MANIFEST.toml"))?.parse()?;
    let entries = manifest.get("asset").and_then(toml::Value::as_array).ok_or("MANIFEST.toml lists no asset")?;
    let mut listed = vec!["MANIFEST.toml".to_owned()];
    let mut notices = String::from("pub(crate) const NOTICES: &[Notice] = &[\n");
    for entry in entries {
        let field = |name: &str| -> Result<&str, String> {
            let value = entry.get(name).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
            value.ok_or_else(|| format!("MANIFEST.toml: an entry has no `{name}`: {entry:?}"))
        };
        let file = field("file")?;
        let bytes = fs::read(vendor.join(file)).map_err(|e| format!("vendor/{file}: {e}"))?;
        let (found, wanted) = (hex(&Sha384::digest(&bytes)), field("sha384")?);
        if found != wanted {
            return Err(format!("vendor/{file}: SHA-384 is {found}, MANIFEST.toml says {wanted}").into());
        }
        let license = field("license")?;
        if !LICENSES.contains(&license) {
            return Err(format!("vendor/{file}: license `{license}` is not one of {LICENSES:?}").into());
        }
        let license_file = vendor.join(field("license_file")?);
        let text = fs::read_to_string(&license_file).map_err(|e| format!("{}: {e}", license_file.display()))?;
        if text.trim().is_empty() {
            return Err(format!("vendor/{file}: its license text is empty").into());
        }
        listed.extend([file.to_owned(), field("license_file")?.to_owned()]);
        writeln!(
            notices,
            "    Notice {{ name: {:?}, version: {:?}, license: {license:?}, origin: {:?}, text: include_str!({:?}) }},",
            field("name")?,
            field("version")?,
            field("origin")?,
            license_file.display().to_string()
        )?;
    }
    for found in fs::read_dir(vendor)? {
        let name = found?.file_name().to_string_lossy().into_owned();
        if !listed.contains(&name) {
            return Err(format!("vendor/{name} is not listed in MANIFEST.toml").into());
        }
    }
    notices.push_str("];\n");
    Ok(notices)
}

/// A style sheet without comments and indentation; nothing inside a line changes.
fn lean(css: &str) -> String {
    let mut bare = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    let mut out = String::with_capacity(bare.len());
    for line in bare.lines().map(str::trim).filter(|line| !line.is_empty()) {
        out.push_str(line);
        // A line that ends inside a selector or a value needs its space.
        if !line.ends_with(['{', '}', ';', ',']) {
            out.push(' ');
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// RFC 1952: a header without name and time, deflate, CRC-32, length.
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    out.extend(miniz_oxide::deflate::compress_to_vec(bytes, 10));
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

fn brotlied(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let best = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &*bytes, &mut out, &best)?;
    Ok(out)
}
