//! XML as discovery protocols send it: the texts of its elements. Entities of a document are not followed, and
//! everything is bounded.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Guesses, far above what a datagram of discovery holds.
const MOST_EVENTS: usize = 2048;
const MOST_DEPTH: usize = 32;
const MOST_TEXT: usize = 2048;

/// Tells every element at its end: the local names of its parent and its own, and the text that stood last in it. Stops at
/// the first fault and at every bound; what was told until then stands. Gives back whether the end was reached.
pub fn leaves(document: &[u8], mut tell: impl FnMut(&str, &str, &str)) -> bool {
    let document = String::from_utf8_lossy(document);
    let mut reader = Reader::from_str(document.trim_end_matches('\0'));
    let mut open: Vec<String> = Vec::new();
    let mut text = String::new();
    for _ in 0..MOST_EVENTS {
        let Ok(event) = reader.read_event() else { return false };
        let mut more = |part: &str| {
            if text.len().saturating_add(part.len()) <= MOST_TEXT {
                text.push_str(part);
            }
        };
        match event {
            Event::Start(start) => {
                text.clear();
                if open.len() >= MOST_DEPTH {
                    return false;
                }
                let name = start.local_name();
                let name: &[u8] = name.as_ref().as_ref();
                open.push(String::from_utf8_lossy(name).into_owned());
            }
            Event::Text(part) => more(&part.xml10_content()),
            Event::CData(part) => more(&part.xml10_content()),
            Event::GeneralRef(name) => match &*name.xml10_content() {
                "amp" => more("&"),
                "lt" => more("<"),
                "gt" => more(">"),
                "quot" => more("\""),
                "apos" => more("'"),
                _ => {}
            },
            Event::End(_) => {
                let name = open.pop().unwrap_or_default();
                let parent = open.last().map_or("", String::as_str);
                tell(parent, &name, text.trim());
                text.clear();
            }
            Event::Eof => return open.is_empty(),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(document: &[u8]) -> (Vec<String>, bool) {
        let mut told = Vec::new();
        let whole = leaves(document, |parent, name, text| {
            told.push(format!("{parent}/{name}={text}"));
        });
        (told, whole)
    }

    #[test]
    fn elements_are_told_by_their_local_names() {
        let (found, whole) = told(b"<s:E><a:B>x &amp; y</a:B><C/>z</s:E>");
        assert_eq!((found, whole), (vec!["E/B=x & y".into(), "/E=z".into()], true));
        let (found, whole) = told(b"<a><b>1</b><c>2");
        assert_eq!((found, whole), (vec!["a/b=1".to_owned()], false));
        let (_, whole) = told("<a>".repeat(5000).as_bytes());
        assert!(!whole);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            told(&octets);
        }

        #[test]
        fn nor_does_any_text(text in "[<>/a-c&;=\"'!\\[\\]?-]{0,200}") {
            told(text.as_bytes());
        }
    }
}
