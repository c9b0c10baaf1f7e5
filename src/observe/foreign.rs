//! Text that came from the network.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text somebody else wrote. It has no `Display`: the caller must choose where it goes.
///
/// Bounded to [`Foreign::MOST`] characters. In JSON it stands as it is (JSON escapes it); everywhere
/// else one of the three ways out defuses it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    /// Longer than any name the dissected protocols allow (a DNS name is 255 octets, an LLDP
    /// description 255); the rest is cut.
    pub const MOST: usize = 512;

    /// Bytes as UTF-8; what is not becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Foreign {
        Foreign::new(&String::from_utf8_lossy(bytes))
    }

    pub fn new(text: &str) -> Foreign {
        Foreign(text.chars().take(Foreign::MOST).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, for comparing and for JSON; never for a screen.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// For a terminal or a log: control characters, bidirectional marks and the like as `\u{..}`.
    pub fn terminal(&self) -> String {
        let mut shown = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if c.is_control() || is_invisible(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        shown
    }

    /// For HTML text and double-quoted attributes.
    pub fn html(&self) -> String {
        let mut shown = String::with_capacity(self.0.len());
        for c in self.terminal().chars() {
            match c {
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                '"' => shown.push_str("&quot;"),
                '\'' => shown.push_str("&#39;"),
                c => shown.push(c),
            }
        }
        shown
    }

    /// For a cell of a spreadsheet or CSV: what a program could take for a formula is quoted.
    pub fn cell(&self) -> String {
        defuse_cell(&self.terminal())
    }
}

/// A cell's text with an apostrophe before what Excel or LibreOffice would compute.
pub fn defuse_cell(text: &str) -> String {
    match text.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '|' | '%') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

/// Zero-width and direction-changing characters, which make a text look like another.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_gets_out_raw() {
        let hostile = Foreign::new("\x1b[2J<script>alert('x')</script>\u{202e}gpj.exe");
        assert!(!hostile.terminal().contains('\x1b'));
        assert!(!hostile.terminal().contains('\u{202e}'));
        assert!(!hostile.html().contains('<'));
        assert_eq!(Foreign::new("=cmd|'/c calc'!A1").cell(), "'=cmd|'/c calc'!A1");
        assert_eq!(Foreign::new("打印机 3F").terminal(), "打印机 3F");
    }

    #[test]
    fn it_is_bounded() {
        assert_eq!(Foreign::new(&"长".repeat(10_000)).raw().chars().count(), Foreign::MOST);
    }
}
