//! HTTP/1 (RFC 9112): the heads of requests and of the first response.
//!
//! Taken: Host and User-Agent of requests, with the system that the User-Agent claims; Server of a response; the names in NTLM
//! messages of the headers that carry them. Left: paths, which may hold secrets; cookies; bodies, which are passed by their
//! Content-Length; HTTP/2 without TLS.

use super::lines::{TextHead, is_text};
use super::{Head, Reader, Verdict, starts, text};
use crate::observe::{Fact, HttpHost, Role, UserAgent};

pub(super) struct Http;

const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"OPTIONS ",
    b"CONNECT ",
    b"DELETE ",
    b"PATCH ",
    b"PROPFIND ",
    b"NOTIFY ",
    b"SUBSCRIBE ",
    b"REPORT ",
    b"TRACE ",
    b"M-POST ",
    b"MKCOL ",
    b"MOVE ",
    b"COPY ",
    b"LOCK ",
];

/// Bodies that are waited for. A guess: what stands before a second request of the same head.
const MOST_BODY: usize = 1 << 20;

impl Reader for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let is_response = starts(head.bytes, b"HTTP/1.");
        if is_response == Some(false)
            && METHODS.iter().all(|method| starts(head.bytes, method) == Some(false))
        {
            return Verdict::No;
        }
        let is_whole =
            TextHead::of(head.bytes).filter(|text| text.length.is_some() || head.is_last);
        let Some(text) = is_whole else {
            return match head.bytes.iter().take(16).any(|octet| !octet.is_ascii()) {
                true => Verdict::No,
                false => Verdict::More(head.bytes.len().saturating_add(1)),
            };
        };
        match is_response {
            Some(true) => response(head, &text, said, tell),
            _ => request(head, &text, tell),
        }
    }
}

/// How far to go on behind a head: over the body, if it says how long it is.
fn behind(text: &TextHead<'_>) -> Verdict {
    match text.length {
        Some(length)
            if text.header(b"transfer-encoding").is_none()
                && text.content_length() <= MOST_BODY =>
        {
            Verdict::Took(length.saturating_add(text.content_length()))
        }
        _ => Verdict::Done,
    }
}

fn request(head: &Head<'_>, text: &TextHead<'_>, tell: &mut dyn FnMut(Fact)) -> Verdict {
    // RTSP and SIP begin alike.
    let is_http = text.first.windows(6).any(|word| word == b"HTTP/1");
    if !is_http || !is_text(text.first) {
        return Verdict::No;
    }
    if let Some(host) = text.header(b"host") {
        let (client, (server, port)) = (head.speaker(), head.to);
        tell(Fact::HttpHost(HttpHost { client, server, port, host: super::text(host) }));
    }
    if let Some(agent) = text.header(b"user-agent") {
        tell(user_agent(head, "http", agent));
    }
    for header in [&b"authorization"[..], b"proxy-authorization"] {
        ntlm(head, text.header(header), tell);
    }
    behind(text)
}

fn response(
    head: &Head<'_>,
    text: &TextHead<'_>,
    said: &mut u32,
    tell: &mut dyn FnMut(Fact),
) -> Verdict {
    // A proxy's or a cache's first response may have no name where the next has one.
    let server = text.header(b"server");
    if *said == 0 || (*said == 1 && server.is_some()) {
        tell(head.spoken(Role::Server, "http", server));
    }
    *said = (*said).max(if server.is_some() { 2 } else { 1 });
    let mut is_asked = false;
    for header in [&b"www-authenticate"[..], b"proxy-authenticate"] {
        let value = text.header(header);
        if ntlm(head, value, tell) {
            return Verdict::Done;
        }
        is_asked |= value.is_some_and(|value| scheme(value).is_some());
    }
    // The challenge comes in the next response.
    if is_asked || *said == 1 { behind(text) } else { Verdict::Done }
}

/// What stands behind the word of a scheme that may carry NTLM.
fn scheme(value: &[u8]) -> Option<&[u8]> {
    [&b"ntlm"[..], b"negotiate"].into_iter().find_map(|word| {
        let (found, rest) = value.split_at_checked(word.len())?;
        found.eq_ignore_ascii_case(word).then(|| rest.trim_ascii())
    })
}

fn ntlm(head: &Head<'_>, value: Option<&[u8]>, tell: &mut dyn FnMut(Fact)) -> bool {
    let Some(encoded) = value.and_then(scheme).filter(|encoded| !encoded.is_empty()) else {
        return false;
    };
    match data_encoding::BASE64.decode(encoded) {
        Ok(bytes) => head.ntlm(&bytes, tell),
        Err(_) => false,
    }
}

/// A client's own word for its software, also of protocols that have HTTP's headers.
pub(super) fn user_agent(head: &Head<'_>, protocol: &str, agent: &[u8]) -> Fact {
    let user_agent = text(agent);
    let system = system(user_agent.raw()).map(str::to_owned);
    Fact::UserAgent(UserAgent {
        client: head.speaker(),
        protocol: protocol.to_owned(),
        user_agent,
        system,
    })
}

/// Words that user agents have for systems; what names more than one of them comes first.
const SYSTEMS: &[(&str, &str)] = &[
    ("OpenHarmony", "harmonyos"),
    ("HarmonyOS", "harmonyos"),
    ("Windows Phone", "windows"),
    ("Android", "android"),
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("CFNetwork", "apple"),
    ("com.apple.", "apple"),
    ("Macintosh", "macos"),
    ("Mac OS X", "macos"),
    ("Windows", "windows"),
    ("Microsoft NCSI", "windows"),
    ("Microsoft-CryptoAPI", "windows"),
    ("Windows-Update-Agent", "windows"),
    ("CrOS", "chromeos"),
    ("Linux", "linux"),
    ("Ubuntu", "linux"),
    ("Debian", "linux"),
    ("X11", "linux"),
    ("FreeBSD", "bsd"),
    ("OpenBSD", "bsd"),
];

fn system(agent: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|(word, _)| agent.contains(word)).map(|(_, system)| *system)
}

#[cfg(test)]
mod tests {
    use super::super::check::{is_spoken, said};
    use super::*;
    use crate::wire::ntlm::check::challenge;

    #[test]
    fn requests_one_behind_the_other_say_whom_and_with_what() {
        let bytes = b"POST /p HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x (Windows NT 10.0)\r\nContent-Length: 3\r\n\r\nabc\
            GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
        let told = said(80, Role::Client, bytes);
        let [Fact::HttpHost(a), Fact::UserAgent(agent), Fact::HttpHost(b)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((a.host.raw(), b.host.raw(), a.port), ("a.example", "b.example", 80));
        assert_eq!(agent.system.as_deref(), Some("windows"));
    }

    #[test]
    fn a_response_names_its_server_and_ntlm_what_it_is() {
        is_spoken(
            8080,
            Role::Server,
            b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nHTTP/1.1 ",
            "http",
            Some("nginx"),
        );
        let message = data_encoding::BASE64.encode(&challenge("DC1", "PURP"));
        let bytes = format!(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nxx\
             HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM {message}\r\n\r\n"
        );
        let told = said(80, Role::Server, bytes.as_bytes());
        let [Fact::Spoken(_), Fact::NtlmServer(server)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(server.netbios_computer.raw(), "DC1");
    }
}
