//! A QR code as the path of an SVG.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code (ISO/IEC 18004 asks for four).
const MARGIN: i32 = 4;

/// A square drawing.
pub(crate) struct Drawing {
    /// Modules along an edge, the margin included.
    pub(crate) size: i32,
    /// One square for each dark module.
    pub(crate) path: String,
}

/// Draws a text; `None` when it is too long for any code.
pub(crate) fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                let _ = write!(path, "M{} {}h1v1h-1z", x.saturating_add(MARGIN), y.saturating_add(MARGIN));
            }
        }
    }
    Some(Drawing { size: code.size().saturating_add(2 * MARGIN), path })
}
