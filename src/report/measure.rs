//! How wide a text will be, reckoned without a font: generous, so that nothing is cut.

use unicode_width::UnicodeWidthChar;

/// The width of a text in a sans-serif face, in the unit of `size`.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// In ems. Measured against DejaVu Sans, the widest face that a report meets in practice; Chinese
/// glyphs are a full em in every face.
fn em(c: char) -> f64 {
    match c {
        'i' | 'l' | 'j' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.36,
        't' | 'f' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | '\\' => 0.44,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.0,
        'A'..='Z' => 0.79,
        c if c.is_ascii() => 0.62,
        '…' => 1.0,
        c => match c.width() {
            Some(0) | None => 0.0,
            Some(1) => 0.75,
            Some(_) => 1.06,
        },
    }
}

/// The width in a monospaced face.
pub(super) fn mono(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if c.is_ascii() { 0.61 } else { em(c).max(0.61) }).sum::<f64>() * size
}

/// The text if it fits, else its beginning and `…`.
pub(super) fn fit(text: &str, room: f64, width: impl Fn(&str) -> f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        kept.push('…');
        let fits = width(&kept) <= room;
        kept.pop();
        if !fits {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// The text if it fits, else `…` and its end: the end of an address is what tells it apart.
pub(super) fn fit_end(text: &str, room: f64, width: impl Fn(&str) -> f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let reversed: String = text.chars().rev().collect();
    fit(&reversed, room, width).chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_twice_as_wide_and_what_is_cut_fits() {
        assert!(width("打印机", 10.0) > 30.0);
        let cut = fit("非常长的打印机名称 printer", 50.0, |text| width(text, 10.0));
        assert!(cut.ends_with('…') && width(&cut, 10.0) <= 50.0, "{cut}");
        assert_eq!(fit_end("2001:db8::1:2:3", 45.0, |text| mono(text, 10.0)), "…1:2:3");
        assert_eq!(fit("ok", 50.0, |text| width(text, 10.0)), "ok");
    }
}
