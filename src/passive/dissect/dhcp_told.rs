//! What DHCP messages of both versions say beside who is client and who is server: relays, routes, and options that tell
//! of the network or the device (RFC 2132, 3046, 3442, 3925, 4578, 5417, 8415, 8910, 8925; 252 by usage).

use std::net::{IpAddr, Ipv6Addr};

use super::{Facts, Packet, hex, text_or_hex};
use crate::net::Mac;
use crate::observe::heard_names::{Detail, DhcpRelay, DhcpTold};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::{Cursor, WireError, dhcp4, dhcp6, dns};

const CLIENT: &str = "client";
const SERVER: &str = "server";
/// Values told of one message.
const MOST: usize = 64;

/// How an option's octets are read.
#[derive(Debug, Clone, Copy)]
enum Form {
    Addresses,
    Addresses6,
    Text,
    Hex,
    Number,
    Names,
    /// Parts, each with its length before it: one octet (RFC 3004 §4) or two (RFC 8415 §21.15).
    Parts8,
    Parts16,
    /// An enterprise's number, then what it means.
    Enterprise,
}

const OPTIONS_4: &[(u8, &str, Form)] = &[
    (7, "log-server", Form::Addresses),
    (26, "mtu", Form::Number),
    (42, "ntp-server", Form::Addresses),
    (43, "vendor-43", Form::Hex),
    (44, "netbios-server", Form::Addresses),
    (66, "tftp-server", Form::Text),
    (67, "boot-file", Form::Text),
    (77, "user-class", Form::Text),
    (93, "architecture", Form::Number),
    (97, "machine", Form::Hex),
    (108, "ipv6-only", Form::Number),
    (114, "captive-portal", Form::Text),
    (119, "search", Form::Names),
    (124, "vendor-class", Form::Enterprise),
    (125, "vendor-125", Form::Enterprise),
    (138, "capwap-controller", Form::Addresses),
    (150, "tftp-address", Form::Addresses),
    (252, "wpad", Form::Text),
];

const OPTIONS_6: &[(u16, &str, Form)] = &[
    (15, "user-class", Form::Parts16),
    (17, "vendor-17", Form::Enterprise),
    (22, "sip-server", Form::Addresses6),
    (31, "ntp-server", Form::Addresses6),
    (52, "capwap-controller", Form::Addresses6),
    (56, "ntp", Form::Hex),
    (59, "boot-file", Form::Text),
    (61, "architecture", Form::Number),
    (64, "aftr", Form::Names),
    (82, "solicit-maximum", Form::Number),
    (83, "information-maximum", Form::Number),
    (103, "captive-portal", Form::Text),
];

pub(super) fn version_4(
    packet: &Packet<'_>,
    ip: IpAddr,
    message: &dhcp4::Message,
    facts: &mut Facts<'_>,
) {
    let options = &message.options;
    let mut told = DhcpTold {
        version: 4,
        role: if message.is_request { CLIENT } else { SERVER }.to_owned(),
        ip,
        mac: packet.source,
        client: message.is_request.then_some(message.client_mac).flatten(),
        addresses: Vec::new(),
        delegated: Vec::new(),
        routes: Vec::new(),
        relays: Vec::new(),
        options: Vec::new(),
    };
    for code in [121, 249] {
        for (prefix, next_hop) in options.routes(code) {
            let route = (prefix, IpAddr::V4(next_hop));
            if told.routes.len() < MOST && !told.routes.contains(&route) {
                told.routes.push(route);
            }
        }
    }
    if let Some(agent) = options.get(82) {
        // Who it was for is worth knowing here: it is where the client is plugged in.
        told.client = message.client_mac;
        told.relays.push(agent_information(agent, message.relay.into()));
    }
    for (code, word, form) in OPTIONS_4 {
        if let Some(value) = options.get(*code) {
            let form = if *code == 77 && is_parts(value) { Form::Parts8 } else { *form };
            put(&mut told.options, word, form, value);
        }
    }
    tell(told, Source::Dhcp, facts);
}

/// RFC 3004 has lengths before its parts; most clients write bare text.
fn is_parts(value: &[u8]) -> bool {
    value.first().is_some_and(|length| usize::from(*length) < value.len())
}

/// `client` is whose message it is; a server's where there is none.
pub(super) fn version_6(
    packet: &Packet<'_>,
    ip: IpAddr,
    client: Option<Mac>,
    message: &dhcp6::Message,
    facts: &mut Facts<'_>,
) {
    let mut told = DhcpTold {
        version: 6,
        role: if client.is_some() { CLIENT } else { SERVER }.to_owned(),
        ip,
        mac: packet.source,
        client: client.filter(|mac| mac.is_station()),
        addresses: message.addresses.iter().take(MOST).map(|&address| address.into()).collect(),
        delegated: message.delegated.iter().take(MOST).copied().collect(),
        routes: Vec::new(),
        relays: message.relays.iter().map(relay).collect(),
        options: Vec::new(),
    };
    if let Some((enterprise, _)) = &message.vendor_class {
        let enterprise = Foreign::new(&enterprise.to_string());
        told.options.push(Detail::new("vendor-enterprise", enterprise));
    }
    for (code, value) in &message.others {
        if let Some((_, word, form)) = OPTIONS_6.iter().find(|(known, ..)| known == code) {
            put(&mut told.options, word, *form, value);
        }
    }
    tell(told, Source::Dhcpv6, facts);
}

fn tell(told: DhcpTold, source: Source, facts: &mut Facts<'_>) {
    let is_empty = told.addresses.is_empty()
        && told.delegated.is_empty()
        && told.routes.is_empty()
        && told.relays.is_empty()
        && told.options.is_empty();
    if !is_empty {
        facts.put(source, Fact::DhcpTold(told));
    }
}

fn relay(envelope: &dhcp6::Envelope) -> DhcpRelay {
    let text = |octets: &Option<Vec<u8>>| octets.as_deref().map(text_or_hex);
    DhcpRelay {
        link: specified(envelope.link.into()),
        peer: specified(envelope.peer.into()),
        interface: text(&envelope.interface),
        remote: text(&envelope.remote),
        subscriber: text(&envelope.subscriber),
    }
}

/// RFC 3046 §2.0, with the link of RFC 3527 and the subscriber of RFC 3993.
fn agent_information(octets: &[u8], relay: IpAddr) -> DhcpRelay {
    let mut told = DhcpRelay {
        link: specified(relay),
        peer: None,
        interface: None,
        remote: None,
        subscriber: None,
    };
    let mut cursor = Cursor::new("dhcp", octets);
    // What cannot be read in it is the relay's.
    let _ = read_agent(&mut cursor, &mut told);
    told
}

fn read_agent(cursor: &mut Cursor<'_>, told: &mut DhcpRelay) -> Result<(), WireError> {
    while !cursor.is_empty() {
        let code = cursor.u8()?;
        let length = cursor.u8()?;
        let mut value = cursor.part(usize::from(length))?;
        match code {
            1 => told.interface = Some(text_or_hex(value.rest())),
            2 => told.remote = Some(text_or_hex(value.rest())),
            5 => told.link = Some(value.ipv4()?.into()),
            6 => told.subscriber = Some(text_or_hex(value.rest())),
            _ => {}
        }
    }
    Ok(())
}

fn specified(address: IpAddr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address)
}

fn put(details: &mut Vec<Detail>, word: &str, form: Form, octets: &[u8]) {
    let mut add = |value: Foreign| {
        let detail = Detail::new(word, value);
        if details.len() < MOST && !detail.value.is_empty() && !details.contains(&detail) {
            details.push(detail);
        }
    };
    match form {
        Form::Addresses6 => {
            for address in octets.as_chunks::<16>().0 {
                add(Foreign::new(&Ipv6Addr::from(*address).to_string()));
            }
        }
        Form::Addresses => {
            for address in octets.as_chunks::<4>().0 {
                add(Foreign::new(&std::net::Ipv4Addr::from(*address).to_string()));
            }
        }
        Form::Text => {
            let end = octets.iter().rposition(|octet| *octet != 0);
            let text = end.and_then(|end| octets.get(..=end)).unwrap_or_default();
            add(text_or_hex(text));
        }
        Form::Hex => add(Foreign::new(&hex(octets))),
        Form::Number => {
            let number =
                octets.iter().take(8).fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
            add(Foreign::new(&number.to_string()));
        }
        Form::Names => match dns::names("dhcp", octets) {
            Ok(names) => names.iter().for_each(|name| add(Foreign::new(name))),
            // Compressed (RFC 3397), which nobody needs to read here.
            Err(_) => add(Foreign::new(&hex(octets))),
        },
        Form::Parts8 | Form::Parts16 => {
            let mut cursor = Cursor::new("dhcp", octets);
            while let Some(part) = part(&mut cursor, form) {
                add(text_or_hex(part));
            }
        }
        Form::Enterprise => match octets.split_first_chunk::<4>() {
            Some((enterprise, rest)) => {
                let enterprise = u32::from_be_bytes(*enterprise);
                add(Foreign::new(&format!("{enterprise}:{}", hex(rest))));
            }
            None => add(Foreign::new(&hex(octets))),
        },
    }
}

fn part<'a>(cursor: &mut Cursor<'a>, form: Form) -> Option<&'a [u8]> {
    let length = match form {
        Form::Parts16 => usize::from(cursor.u16().ok()?),
        _ => usize::from(cursor.u8().ok()?),
    };
    cursor.take(length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(word: &str, form: Form, octets: &[u8]) -> Vec<String> {
        let mut details = Vec::new();
        put(&mut details, word, form, octets);
        details.iter().map(|detail| detail.value.raw().to_owned()).collect()
    }

    #[test]
    fn options_are_read_in_their_forms() {
        assert_eq!(
            told("ntp-server", Form::Addresses, &[10, 0, 0, 1, 10, 0, 0, 2]),
            ["10.0.0.1", "10.0.0.2"]
        );
        assert_eq!(told("wpad", Form::Text, b"http://wpad/w.dat\0"), ["http://wpad/w.dat"]);
        assert_eq!(told("ipv6-only", Form::Number, &[0, 0, 7, 8]), ["1800"]);
        assert_eq!(told("vendor-125", Form::Enterprise, &[0, 0, 0, 9, 2, 1, 0]), ["9:020100"]);
        assert_eq!(told("user-class", Form::Parts8, b"\x02ab\x01c"), ["ab", "c"]);
        assert_eq!(told("search", Form::Names, b"\x01a\x01b\0"), ["a.b"]);
    }

    #[test]
    fn a_relay_says_where_the_client_is() {
        let relay = agent_information(
            b"\x01\x04ge01\x02\x02\x00\xff\x05\x04\x0a\x1e\x01\x00",
            [10, 20, 1, 1].into(),
        );
        assert_eq!(relay.interface.unwrap().raw(), "ge01");
        assert_eq!(relay.remote.unwrap().raw(), "00ff");
        assert_eq!(relay.link, Some([10, 30, 1, 0].into()));
    }
}
