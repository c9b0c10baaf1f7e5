//! The method `port-mapping`: routers that map ports are asked for their external address. Never is a mapping made.
//!
//! Sent: M-SEARCH by unicast to udp/1900 (UPnP Device Architecture 1.1 §1.3.2), the description that the answer points to, and
//! `GetExternalIPAddress` of the WAN connection service in it (UPnP WANIPConnection:1 §2.4.18); NAT-PMP's opcode 0 (RFC 6886 §3.2) and PCP's
//! ANNOUNCE (RFC 6887 §14.1) to udp/5351.
//!
//! Proves nothing by itself: the device states its address, and one without any uplink does too; it is
//! `indicated`, and to be confirmed by `next-hop`. PCP's ANNOUNCE tells that it maps and names no address. An
//! address that the device names is followed only if it is the very address that was asked.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use quick_xml::Reader;
use quick_xml::events::Event;

use super::http1::Incoming;
use crate::scope::Datagrams;

pub const SSDP_PORT: u16 = 1900;
pub const NAT_PMP_PORT: u16 = 5351;
/// What `ExternalAddress::protocol` says.
pub const UPNP_IGD: &str = "upnp-igd";
pub const NAT_PMP: &str = "nat-pmp";
pub const PCP: &str = "pcp";

/// Where descriptions are, on routers that answer no search: miniupnpd, and what is built on Broadcom's, Realtek's
/// and Huawei's kits. Asked on a port only where an HTTP server was found there.
pub const WELL_KNOWN: &[(u16, &str)] = &[
    (5000, "/rootDesc.xml"),
    (49152, "/gatedesc.xml"),
    (52869, "/picsdesc.xml"),
    (37215, "/desc/DeviceDescription.xml"),
    (1900, "/igd.xml"),
];

/// A description's octets, and an answer's.
const MOST_DESCRIPTION: usize = 64 << 10;
const MOST_ANSWER: usize = 8 << 10;
/// Elements within elements: an IGD's description has nine.
const MOST_DEPTH: usize = 32;
const MOST_EVENTS: usize = 20_000;
const MOST_TEXT: usize = 512;
/// Different places that one device names.
const MOST_LOCATIONS: usize = 4;
const MOST_CONTROLS: usize = 4;
/// Datagrams that are read after a search: each device and service of a router answers.
const MOST_ANSWERS: usize = 16;

const SEARCHED: [&str; 3] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "upnp:rootdevice",
];
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// Something to fetch by HTTP, on the address that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    pub at: SocketAddr,
    pub path: String,
}

impl Location {
    /// An absolute URL, if it is plain HTTP to this very address.
    fn read(url: &str, host: IpAddr) -> Option<Location> {
        let scheme = url.get(..7)?;
        let rest = url.get(7..)?;
        if !scheme.eq_ignore_ascii_case("http://") || rest.len() > MOST_TEXT {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let at = match authority.parse::<SocketAddr>() {
            Ok(at) => at,
            Err(_) => {
                let bare = authority.trim_start_matches('[').trim_end_matches(']');
                SocketAddr::new(bare.parse().ok()?, 80)
            }
        };
        if at.ip() != host {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // It becomes a line of a request.
        path.bytes().all(|octet| octet.is_ascii_graphic()).then_some(Location { at, path })
    }

    /// A URL as it stands in a description that was fetched from here: absolute, or relative to it.
    fn join(&self, url: &str) -> Option<Location> {
        if url.contains("://") {
            return Location::read(url, self.at.ip());
        }
        let path = match url.strip_prefix('/') {
            Some(rest) => format!("/{rest}"),
            None => {
                let folder = self.path.rfind('/').and_then(|at| self.path.get(..at)).unwrap_or("");
                format!("{folder}/{url}")
            }
        };
        Location::read(&format!("http://{}{path}", self.at), self.at.ip())
    }
}

/// A service that knows its external address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub service: &'static str,
    pub location: Location,
}

/// What a device said of its external address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Address(IpAddr),
    /// It speaks the protocol and names no address.
    NoAddress,
}

/// Searches by unicast: where the device's descriptions are. `None` where it does not answer at all.
pub fn search(datagrams: &mut Datagrams) -> Option<Vec<Location>> {
    let host = datagrams.to();
    let mut answered = None;
    for target in SEARCHED {
        if datagrams.send(search_for(host, target).as_bytes()).is_err() {
            break;
        }
    }
    for _ in 0..MOST_ANSWERS {
        let Ok((_, octets)) = datagrams.receive() else { break };
        let Some(location) = read_search_answer(&octets) else { continue };
        let locations: &mut Vec<Location> = answered.get_or_insert_default();
        if let Some(location) = Location::read(&location, host.ip())
            && locations.len() < MOST_LOCATIONS
            && !locations.contains(&location)
        {
            locations.push(location);
        }
        // The gateway is found: the others are of the same box.
        if is_gateway(&octets) && answered.as_ref().is_some_and(|all| !all.is_empty()) {
            break;
        }
    }
    answered
}

fn search_for(host: SocketAddr, target: &str) -> String {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {host}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n"
    )
}

/// The LOCATION of an answer to a search; empty where it has none.
fn read_search_answer(octets: &[u8]) -> Option<String> {
    let head = super::http1::Head::read(octets)?;
    (head.status == 200).then(|| head.field("location").unwrap_or_default().to_owned())
}

fn is_gateway(octets: &[u8]) -> bool {
    super::http1::Head::read(octets)
        .is_some_and(|head| head.field("st").is_some_and(|st| st.contains("InternetGatewayDevice")))
}

/// Fetches a description and finds the services in it that know the external address.
pub fn describe<S: Read + Write>(mut stream: S, location: &Location) -> Vec<Control> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        location.path, location.at
    );
    if stream.write_all(request.as_bytes()).is_err() {
        return Vec::new();
    }
    let mut incoming = Incoming::new(stream);
    match incoming.head() {
        Ok(head) if head.status == 200 => {
            controls(&incoming.body(&head, MOST_DESCRIPTION), location)
        }
        _ => Vec::new(),
    }
}

/// The services of a description, with the URLs where they are asked.
fn controls(description: &[u8], location: &Location) -> Vec<Control> {
    let mut base = location.clone();
    let mut found = Vec::new();
    let (mut service, mut url) = (None, String::new());
    leaves(description, |name, text| match name {
        // UPnP 1.0 has it, at the head of the description.
        b"URLBase" => {
            if let Some(given) = Location::read(text, location.at.ip()) {
                base = given;
            }
        }
        b"serviceType" => service = SERVICES.into_iter().find(|known| *known == text),
        b"controlURL" => url = text.to_owned(),
        b"service" => {
            if let Some(service) = service.take()
                && let Some(location) = base.join(&url)
                && found.len() < MOST_CONTROLS
            {
                found.push(Control { service, location });
            }
            url.clear();
        }
        _ => {}
    });
    found
}

/// Asks a service for its external address. `None` where it does not answer so.
pub fn external_address<S: Read + Write>(mut stream: S, control: &Control) -> Option<Told> {
    stream.write_all(soap(control).as_bytes()).ok()?;
    let mut incoming = Incoming::new(stream);
    let head = incoming.head().ok()?;
    let body = incoming.body(&head, MOST_ANSWER);
    match head.status {
        200 => read_soap(&body),
        // A fault of the protocol: it speaks it.
        500 if body.windows(9).any(|part| part == b"UPnPError") => Some(Told::NoAddress),
        _ => None,
    }
}

fn soap(Control { service, location }: &Control) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
         <u:GetExternalIPAddress xmlns:u=\"{service}\"/></s:Body></s:Envelope>\r\n"
    );
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/xml; charset=\"utf-8\"\r\n\
         SOAPAction: \"{service}#GetExternalIPAddress\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        location.path,
        location.at,
        body.len()
    )
}

fn read_soap(body: &[u8]) -> Option<Told> {
    let mut told = None;
    leaves(body, |name, text| {
        if name == b"NewExternalIPAddress" {
            told = Some(text.parse().map_or(Told::NoAddress, stated));
        }
    });
    told
}

/// An address that says that there is none is none.
fn stated(address: IpAddr) -> Told {
    if address.is_unspecified() { Told::NoAddress } else { Told::Address(address) }
}

/// Asks by NAT-PMP. `None` where nothing answers so.
pub fn nat_pmp(datagrams: &mut Datagrams) -> Option<Told> {
    ask(datagrams, &[0, 0], read_nat_pmp)
}

/// Asks by PCP. `None` where nothing answers so.
pub fn pcp(datagrams: &mut Datagrams) -> Option<Told> {
    let client = datagrams.source().ok()?.ip();
    ask(datagrams, &announce(client), read_pcp)
}

fn ask(
    datagrams: &mut Datagrams,
    question: &[u8],
    read: impl Fn(&[u8]) -> Option<Told>,
) -> Option<Told> {
    datagrams.send(question).ok()?;
    for _ in 0..MOST_ANSWERS {
        let (port, octets) = datagrams.receive().ok()?;
        if port == datagrams.to().port()
            && let Some(told) = read(&octets)
        {
            return Some(told);
        }
    }
    None
}

/// RFC 6886 §3.2: version 0, opcode 128, result, seconds since its start, address.
fn read_nat_pmp(octets: &[u8]) -> Option<Told> {
    match octets {
        [0, 128, 0, 0, _, _, _, _, a, b, c, d] => {
            Some(stated(Ipv4Addr::new(*a, *b, *c, *d).into()))
        }
        // Why not. PCP alone answers in its own version.
        [0, 128, high, low, ..] if (*high, *low) != (0, 0) => Some(Told::NoAddress),
        _ => None,
    }
}

/// RFC 6887 §7.1 with opcode 0: version, opcode, reserved, lifetime, the client's address.
fn announce(client: IpAddr) -> Vec<u8> {
    let mut request = vec![2, 0, 0, 0, 0, 0, 0, 0];
    let client = match client {
        IpAddr::V4(client) => client.to_ipv6_mapped(),
        IpAddr::V6(client) => client,
    };
    request.extend_from_slice(&client.octets());
    request
}

/// RFC 6887 §7.2: the bit of an answer on the opcode. An older protocol answers by its own version.
fn read_pcp(octets: &[u8]) -> Option<Told> {
    match octets {
        [2, 0x80, ..] if octets.len() >= 24 => Some(Told::NoAddress),
        _ => None,
    }
}

/// Tells every element at its end, by its local name, with the text that stood last before it. Stops at the first fault
/// and at every bound; what was told until then stands.
fn leaves(document: &[u8], mut tell: impl FnMut(&[u8], &str)) {
    let document = String::from_utf8_lossy(document);
    let mut reader = Reader::from_str(&document);
    let mut text = String::new();
    let mut depth = 0usize;
    for _ in 0..MOST_EVENTS {
        let Ok(event) = reader.read_event() else { return };
        let mut more = |part: &str| {
            if text.len() + part.len() <= MOST_TEXT {
                text.push_str(part);
            }
        };
        match event {
            Event::Start(_) => {
                text.clear();
                depth += 1;
                if depth > MOST_DEPTH {
                    return;
                }
            }
            Event::Text(part) => more(&part.xml10_content()),
            Event::CData(part) => more(&part.xml10_content()),
            Event::GeneralRef(name) => match &*name.xml10_content() {
                "amp" => more("&"),
                "lt" => more("<"),
                "gt" => more(">"),
                "quot" => more("\""),
                "apos" => more("'"),
                // Entities of a document are not followed.
                _ => {}
            },
            Event::End(end) => {
                tell(end.local_name().as_ref().as_ref(), text.trim());
                text.clear();
                depth = depth.saturating_sub(1);
            }
            Event::Eof => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "10.20.1.1";

    fn location() -> Location {
        Location::read("http://10.20.1.1:5000/desc/root.xml", HOST.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_the_very_host_that_was_asked_is_followed() {
        let check = |url: &str, host: &str, expected: Option<(&str, &str)>| {
            let expected = expected
                .map(|(at, path)| Location { at: at.parse().unwrap(), path: path.to_owned() });
            assert_eq!(Location::read(url, host.parse().unwrap()), expected, "{url}");
        };
        check(
            "http://10.20.1.1:5000/rootDesc.xml",
            HOST,
            Some(("10.20.1.1:5000", "/rootDesc.xml")),
        );
        check("HTTP://10.20.1.1", HOST, Some(("10.20.1.1:80", "/")));
        check("http://10.20.1.1?a=b", HOST, Some(("10.20.1.1:80", "/?a=b")));
        check("http://[fd20::1]:49152/x", "fd20::1", Some(("[fd20::1]:49152", "/x")));
        check("http://[fd20::1]/x", "fd20::1", Some(("[fd20::1]:80", "/x")));
        for elsewhere in [
            "http://10.20.1.2:5000/rootDesc.xml",
            "http://router.example/rootDesc.xml",
            "http://10.20.1.1@192.0.2.1/",
            "https://10.20.1.1/",
            "file:///etc/passwd",
            "http://10.20.1.1/a b",
            "http://10.20.1.1/a\r\nX: y",
            "http://10.20.1.1:99999/",
            "",
            "http://",
        ] {
            check(elsewhere, HOST, None);
        }
        let joined = |url: &str| location().join(url).map(|location| location.path);
        assert_eq!(joined("/ctl/IPConn").as_deref(), Some("/ctl/IPConn"));
        assert_eq!(joined("IPConn").as_deref(), Some("/desc/IPConn"));
        assert_eq!(joined("http://192.0.2.1/x"), None);
    }

    #[test]
    fn the_wan_connection_is_found_in_a_description() {
        let service = "urn:schemas-upnp-org:service:WANIPConnection:1";
        let inner = format!(
            "<service><serviceType>{service}</serviceType><serviceId>x</serviceId>\
             <controlURL>/ctl?a=1&amp;b=2</controlURL></service>"
        );
        let other = "<service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>\
                     <controlURL>/l3</controlURL></service>";
        let check = |head: &str, expected: &[(&str, &str)]| {
            let document = format!(
                "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">{head}<device>{other}\
                 <deviceList><device><serviceList>{inner}</serviceList></device></deviceList></device></root>"
            );
            let found = controls(document.as_bytes(), &location());
            let found: Vec<_> = (found.iter())
                .map(|control| (control.location.at.to_string(), control.location.path.as_str()))
                .collect();
            let expected: Vec<_> =
                expected.iter().map(|(at, path)| ((*at).to_owned(), *path)).collect();
            assert_eq!(found, expected);
        };
        check("", &[("10.20.1.1:5000", "/ctl?a=1&b=2")]);
        check("<URLBase>http://10.20.1.1:80/</URLBase>", &[("10.20.1.1:80", "/ctl?a=1&b=2")]);
        check("<URLBase>http://192.0.2.1/</URLBase>", &[("10.20.1.1:5000", "/ctl?a=1&b=2")]);
    }

    #[test]
    fn what_is_told_is_an_address_or_none() {
        let soap = |text: &str| {
            let body = format!(
                "<s:Envelope><s:Body><u:GetExternalIPAddressResponse><NewExternalIPAddress>{text}\
                 </NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>"
            );
            read_soap(body.as_bytes())
        };
        let address = |text: &str| Some(Told::Address(text.parse().unwrap()));
        assert_eq!(soap("203.0.113.7"), address("203.0.113.7"));
        assert_eq!(soap("0.0.0.0"), Some(Told::NoAddress));
        assert_eq!(soap(""), Some(Told::NoAddress));
        assert_eq!(read_soap(b"<html>"), None);
        let nat_pmp = [0, 128, 0, 0, 0, 0, 1, 0, 203, 0, 113, 7];
        assert_eq!(read_nat_pmp(&nat_pmp), address("203.0.113.7"));
        assert_eq!(read_nat_pmp(&[0, 128, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0]), Some(Told::NoAddress));
        assert_eq!(read_nat_pmp(&nat_pmp[..11]), None);
        assert_eq!(read_nat_pmp(&[2, 128, 0, 1]), None);
        let ours = announce("10.20.1.5".parse().unwrap());
        assert_eq!(ours.len(), 24);
        // An echo of the question is no answer.
        assert_eq!(read_pcp(&ours), None);
        let mut answer = ours;
        answer[1] |= 0x80;
        assert_eq!(read_pcp(&answer), Some(Told::NoAddress));
    }

    #[test]
    fn a_tower_of_elements_and_a_bomb_of_entities_cost_little() {
        let tower = "<a>".repeat(MOST_DESCRIPTION / 3);
        let bomb = format!(
            "<!DOCTYPE x [<!ENTITY a \"{}\">]><service><serviceType>{}</serviceType></service>",
            "lol".repeat(1000),
            "&a;".repeat(10_000)
        );
        let unquoted = "<a b=".repeat(MOST_DESCRIPTION / 5);
        let began = Instant::now();
        for document in [&tower, &bomb, &unquoted] {
            assert_eq!(controls(document.as_bytes(), &location()), []);
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
            let _ = (controls(&octets, &location()), read_soap(&octets), read_nat_pmp(&octets));
            let _ = (read_pcp(&octets), read_search_answer(&octets));
            let _ = (location().join(&text), Location::read(&format!("http://{text}"), HOST.parse().unwrap()));
        }
    }
}
