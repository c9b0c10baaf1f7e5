//! What heads of streams say, against tshark and p0f.

use jiebei::observe::{Fact, Foreign, Role, Source};
use serde_json::Value;

use super::{address, number, text, texts};

type Facts<'a> = [(Source, &'a Fact)];
type Is = fn(&Value, &Value, &Facts<'_>) -> bool;

pub const KEYS: &[(&str, Is)] = &[
    ("tls_clients", is_tls_client),
    ("tls_servers", is_tls_server),
    ("tls_certificates", is_chain),
    ("http_hosts", is_http_host),
    ("http_user_agents", is_user_agent),
    ("http_servers", is_http_server),
    ("ssh", is_ssh),
    ("smb", is_smb),
    ("ntlm_clients", is_ntlm_client),
    ("ntlm_servers", is_ntlm_server),
    ("tcp_syn", is_syn),
    ("tcp_listeners", is_listener),
    ("p0f", is_system),
];

/// What the truth states and nobody can know from the bytes that we read, or where tshark is wrong: capture, key, a part of
/// the entry, why.
pub const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    // Compressed in IPComp, which nobody unpacks here.
    ("libpcap__AH-IPcomp-IPv4.pcap", "http_hosts", "", "compressed"),
    ("libpcap__AH-IPcomp-IPv4.pcap", "http_user_agents", "", "compressed"),
    ("libpcap__AH-IPcomp-IPv4.pcap", "http_servers", "", "compressed"),
    (
        "zeek__smb3_multichannel.pcap",
        "ntlm_clients",
        "NULL",
        "a session set up after a megabyte of the stream; heads have eight KiB",
    ),
];

fn any(facts: &Facts<'_>, is: impl Fn(&Fact) -> bool) -> bool {
    facts.iter().any(|(_, fact)| is(fact))
}

fn same(foreign: &Foreign, entry: &Value, key: &str) -> bool {
    text(entry, key).is_some_and(|text| *foreign == Foreign::new(text.trim()))
}

/// tshark writes an empty name so.
fn name(foreign: &Foreign, entry: &Value, key: &str) -> bool {
    same(foreign, entry, key) || (foreign.is_empty() && text(entry, key) == Some("NULL"))
}

fn hexadecimal(entry: &Value, key: &str) -> Option<u16> {
    u16::from_str_radix(text(entry, key)?.trim_start_matches("0x"), 16).ok()
}

fn port(entry: &Value) -> Option<u16> {
    number(entry, "port").and_then(|port| port.try_into().ok())
}

fn is_tls_client(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::TlsClient(client)
            if Some(client.client) == address(entry, "client")
                && Some(client.server) == address(entry, "server")
                && Some(client.port) == port(entry)
                && Some(client.transport.as_str()) == text(entry, "transport")
                && client.server_name.as_ref().map(Foreign::raw) == text(entry, "sni")
                && client.alpn.iter().map(|alpn| alpn.raw().to_owned()).collect::<std::collections::BTreeSet<_>>() == texts(entry, "alpn")
                // It is left out where published tools differ.
                && text(entry, "ja4").is_none_or(|ja4| client.ja4 == ja4))
    })
}

fn is_tls_server(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::TlsServer(server)
            if Some(server.ip) == address(entry, "ip")
                && Some(server.port) == port(entry)
                && Some(server.transport.as_str()) == text(entry, "transport")
                && Some(server.version) == hexadecimal(entry, "version")
                && server.selected_version == hexadecimal(entry, "selected_version")
                && Some(server.cipher) == hexadecimal(entry, "cipher"))
    })
}

fn role(entry: &Value) -> Option<Role> {
    match text(entry, "role")? {
        "client" => Some(Role::Client),
        "server" => Some(Role::Server),
        other => panic!("{other}"),
    }
}

/// `May  5 17:23:08 2007 GMT` as RFC 3339.
fn instant(written: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let parts: Vec<&str> = written.split_whitespace().collect();
    let month = MONTHS.find(parts[0]).unwrap() / 3 + 1;
    format!("{}-{month:02}-{:0>2}T{}Z", parts[3], parts[1], parts[2])
}

fn is_chain(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let chain = entry["chain"].as_array().unwrap();
    any(facts, |fact| {
        matches!(fact, Fact::TlsCertificates(seen)
        if Some(seen.ip) == address(entry, "ip")
            && seen.port == port(entry)
            && Some(seen.role) == role(entry)
            && seen.chain.len() == chain.len()
            && seen.chain.iter().zip(chain).all(|(seen, entry)| {
                Some(seen.sha256.as_str()) == text(entry, "sha256")
                    && same(&seen.subject, entry, "subject")
                    && same(&seen.issuer, entry, "issuer")
                    && Some(seen.serial.as_str()) == text(entry, "serial")
                    && seen.not_before == instant(text(entry, "not_before").unwrap())
                    && seen.not_after == instant(text(entry, "not_after").unwrap())
                    // Thirty-two names are kept.
                    && (seen.names.len() >= 32 || texts(entry, "san_dns").iter().all(|name| seen.names.contains(&Foreign::new(name))))
            }))
    })
}

fn is_http_host(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::HttpHost(host)
            if Some(host.client) == address(entry, "client")
                && Some(host.server) == address(entry, "server")
                && Some(host.port) == port(entry)
                && same(&host.host, entry, "host"))
    })
}

fn is_user_agent(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::UserAgent(agent)
            if Some(agent.client) == address(entry, "client")
                && same(&agent.user_agent, entry, "user_agent"))
    })
}

fn is_spoken(facts: &Facts<'_>, protocol: &str, says: &str, entry: &Value, told: Role) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::Spoken(spoken)
            if spoken.protocol == protocol
                && spoken.role == told
                && Some(spoken.ip) == address(entry, "ip")
                && spoken.port == port(entry)
                && spoken.says.as_ref().is_some_and(|text| same(text, entry, says)))
    })
}

fn is_http_server(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    is_spoken(facts, "http", "server", entry, Role::Server)
}

fn is_ssh(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    is_spoken(facts, "ssh", "banner", entry, role(entry).unwrap())
}

fn is_smb(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let told = |foreign: &Option<Foreign>, key: &str| {
        text(entry, key).is_none() || foreign.as_ref().is_some_and(|text| same(text, entry, key))
    };
    any(facts, |fact| {
        matches!(fact, Fact::Smb(smb)
            if Some(smb.ip) == address(entry, "ip")
                && smb.port == port(entry)
                && text(entry, "smb2_dialect").is_none_or(|dialect| smb.dialect.as_deref() == Some(dialect))
                && text(entry, "server_guid").is_none_or(|guid| smb.server_guid.as_deref() == Some(guid))
                && told(&smb.native_os, "native_os")
                && told(&smb.native_lanman, "native_lanman"))
    })
}

fn is_ntlm_client(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::NtlmClient(client)
            if Some(client.ip) == address(entry, "ip")
                && name(&client.host, entry, "host")
                && name(&client.user, entry, "user")
                && name(&client.domain, entry, "domain"))
    })
}

fn is_ntlm_server(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::NtlmServer(server)
            if Some(server.ip) == address(entry, "ip")
                && Some(server.port) == port(entry)
                && name(&server.netbios_computer, entry, "nb_computer_name")
                && name(&server.netbios_domain, entry, "nb_domain_name")
                && name(&server.dns_computer, entry, "dns_computer_name")
                && name(&server.dns_domain, entry, "dns_domain_name"))
    })
}

/// Options as tshark gives them, in our words.
fn layout(hex: &str) -> String {
    let octets: Vec<u8> = (0..hex.len() / 2)
        .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let (mut words, mut rest) = (Vec::new(), &octets[..]);
    while let [kind, behind @ ..] = rest {
        match kind {
            0 => {
                let padding =
                    if behind.is_empty() { String::new() } else { format!("+{}", behind.len()) };
                words.push(format!("eol{padding}"));
                break;
            }
            1 => words.push("nop".into()),
            _ => {
                let value = behind
                    .first()
                    .and_then(|length| behind.get(1..usize::from(*length).checked_sub(1)?));
                let Some(value) = value else {
                    words.push("bad".into());
                    break;
                };
                words.push(match (kind, value) {
                    (2, [high, low]) => format!("mss={}", u16::from_be_bytes([*high, *low])),
                    (3, [shift]) => format!("ws={shift}"),
                    (4, _) => "sok".into(),
                    (5, _) => "sack".into(),
                    (8, _) => "ts".into(),
                    _ => format!("?{kind}"),
                });
            }
        }
        rest = if *kind == 1 { behind } else { &behind[usize::from(behind[0]) - 1..] };
    }
    words.join(",")
}

fn syn_role(entry: &Value, key: &str) -> Option<Role> {
    match text(entry, key)? {
        "syn" => Some(Role::Client),
        "syn+ack" => Some(Role::Server),
        _ => None,
    }
}

fn is_syn(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let options = text(entry, "options").map(layout).unwrap_or_default();
    any(facts, |fact| {
        matches!(fact, Fact::TcpSyn(syn)
            if Some(syn.ip) == address(entry, "ip")
                && Some(syn.role) == syn_role(entry, "kind")
                && Some(u64::from(syn.hop_limit)) == number(entry, "ttl")
                && syn.dont_fragment == entry["df"].as_bool()
                && Some(u64::from(syn.window)) == number(entry, "window")
                && (options.is_empty() || syn.signature.split(' ').next() == Some(&options)))
    })
}

fn is_listener(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    any(facts, |fact| {
        matches!(fact, Fact::TcpServer { ip, port: told }
            if Some(*ip) == address(entry, "ip") && Some(*told) == port(entry))
    })
}

/// What p0f says of a SYN is in its raw signature, and of HTTP at the end of it: the program's own word. A system that p0f only guesses
/// (`fuzzy`) is a guess of its authors' time: it takes every bare SYN+ACK for Windows XP. Where its match is exact ours must not differ.
fn is_system(entry: &Value, _: &Value, facts: &Facts<'_>) -> bool {
    let raw: Vec<&str> = text(entry, "raw_sig").unwrap().splitn(8, ':').collect();
    let ip = address(entry, "ip");
    let Some(role) = syn_role(entry, "mod") else {
        // Cut by p0f, and behind much else; what holds no word of a program says nothing.
        let raw = text(entry, "raw_sig").unwrap();
        let is_in = |said: &str| {
            let beginning: String = said.chars().take(24).collect();
            raw.contains(&format!(":{beginning}"))
        };
        return raw.ends_with(':')
            || !raw.contains(']') && raw.matches(':').count() < 3
            || raw.contains("=[") && !raw.contains(']')
            || any(facts, |fact| match fact {
                Fact::UserAgent(agent) => Some(agent.client) == ip && is_in(agent.user_agent.raw()),
                Fact::Spoken(spoken) => {
                    Some(spoken.ip) == ip
                        && spoken.says.as_ref().is_some_and(|says| is_in(says.raw()))
                }
                _ => false,
            });
    };
    let [_, hops, _, mss, _, layout, quirks, _] = raw[..] else { panic!("{raw:?}") };
    // What was seen, and how far p0f thinks that it came.
    let hops: Option<u8> = hops.split(['+', '-']).next().and_then(|seen| seen.parse().ok());
    let is_exact = !text(entry, "params").unwrap_or_default().contains("fuzzy");
    let family = family(entry).filter(|_| is_exact);
    any(facts, |fact| {
        let Fact::TcpSyn(syn) = fact else { return false };
        let options = syn.signature.split(' ').next().unwrap();
        // Without options the signature begins with what is unusual.
        let is_option = |word: &str| {
            matches!(word, "sok" | "ts" | "sack" | "nop" | "bad")
                || ["mss=", "ws=", "eol", "?"].iter().any(|kind| word.starts_with(kind))
        };
        let options = if options.split(',').all(is_option) { options } else { "" };
        let words: Vec<&str> = options.split(',').collect();
        let kinds: Vec<&str> = words
            .iter()
            .map(|word| word.split('=').next().unwrap())
            .filter(|word| !word.is_empty())
            .collect();
        let of_mss = words.iter().find_map(|word| word.strip_prefix("mss="));
        Some(syn.ip) == ip
            && syn.role == role
            && Some(syn.hop_limit) == hops
            && (mss == "*" || of_mss.unwrap_or("0") == mss)
            && (kinds.join(",") == layout.replace("eol+0", "eol")
                || quirks.split(',').any(|quirk| quirk == "bad"))
            && (syn.dont_fragment.unwrap_or(false) == quirks.split(',').any(|quirk| quirk == "df"))
            && family.is_none_or(|family| syn.system.as_deref().is_none_or(|ours| ours == family))
    })
}

fn family(entry: &Value) -> Option<&'static str> {
    let named = text(entry, "match")?;
    [("Windows", "windows"), ("Linux", "linux")]
        .into_iter()
        .find_map(|(word, family)| named.contains(word).then_some(family))
}
