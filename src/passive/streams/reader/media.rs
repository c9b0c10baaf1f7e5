//! RTSP and SIP over TCP (RFC 2326, 3261): what devices say of their software.
//!
//! Taken: Server of responses, User-Agent of requests (and of SIP's responses). Left: who calls whom, descriptions of sessions,
//! authentication.

use super::http::user_agent;
use super::lines::{TextHead, is_text};
use super::{Head, Reader, Verdict, starts};
use crate::observe::{Fact, Role};

pub(super) struct Media;

const METHODS: &[&[u8]] = &[
    b"OPTIONS ",
    b"DESCRIBE ",
    b"ANNOUNCE ",
    b"SETUP ",
    b"PLAY ",
    b"GET_PARAMETER ",
    b"INVITE ",
    b"REGISTER ",
    b"SUBSCRIBE ",
    b"MESSAGE ",
    b"NOTIFY ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"PUBLISH ",
];

impl Reader for Media {
    fn name(&self) -> &'static str {
        "media"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let responses = [&b"RTSP/1."[..], b"RTSP/2.", b"SIP/2.0 "];
        let fits =
            |words: &[&[u8]]| words.iter().any(|word| starts(head.bytes, word) != Some(false));
        if !fits(&responses) && !fits(METHODS) {
            return Verdict::No;
        }
        let whole = TextHead::of(head.bytes).filter(|text| text.length.is_some() || head.is_last);
        let Some(text) = whole else { return Verdict::More(head.bytes.len().saturating_add(1)) };
        if !is_text(text.first) {
            return Verdict::No;
        }
        let names = |word: &[u8]| text.first.windows(word.len()).any(|window| window == word);
        let protocol = match (names(b"RTSP/"), names(b"SIP/2.0")) {
            (true, _) => "rtsp",
            (_, true) => "sip",
            _ => return Verdict::No,
        };
        if fits(&responses) {
            let says = text.header(b"server").or_else(|| text.header(b"user-agent"));
            tell(head.spoken(Role::Server, protocol, says));
        } else if let Some(agent) = text.header(b"user-agent") {
            tell(user_agent(head, protocol, agent));
        }
        Verdict::Done
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{is_spoken, said};
    use super::*;

    #[test]
    fn cameras_and_telephones_say_what_they_are() {
        let response = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Hipcam RealServer/V1.0\r\n\r\n";
        is_spoken(554, Role::Server, response, "rtsp", Some("Hipcam RealServer/V1.0"));
        let request = b"REGISTER sip:a.example SIP/2.0\r\nUser-Agent: Yealink SIP-T46\r\n\r\n";
        let told = said(5060, Role::Client, request);
        assert!(matches!(&told[..], [Fact::UserAgent(agent)] if agent.protocol == "sip"));
    }
}
