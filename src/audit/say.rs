//! What people read of a finding, made from what is stored of it: so that a report in another
//! language needs nothing but the result.

use fluent_bundle::FluentValue;

use super::{Proof, Regulation, Remark};
use crate::observe::{
    Direction, Fact, Foreign, Log, Observation, PortState, RoutingProtocol, SeenBy,
};
use crate::result::v1;
use crate::texts::{Argument, Language, Texts};

/// A finding's sentences in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentences {
    pub title: String,
    pub remediation: String,
    pub refuted_by: String,
}

/// From rule, subject and detail alone.
pub fn say(finding: &v1::Finding, texts: &Texts, regulation: &Regulation) -> Sentences {
    let language = texts.language();
    let rule = regulation.rules.get(&finding.rule);
    let title = rule.map_or(finding.rule.as_str(), |rule| rule.title.of(language));
    let subject = subject(&finding.subject, texts);
    let name = finding.detail.get("registered_as").and_then(|name| name.as_str());
    let title = match name {
        Some(name) => texts.say(
            "audit-title-named",
            &[("title", title.into()), ("subject", subject.as_str().into()), ("name", shown(name))],
        ),
        None => texts
            .say("audit-title", &[("title", title.into()), ("subject", subject.as_str().into())]),
    };
    let arguments = [("subject", FluentValue::from(subject.as_str()))];
    let refuted_by = texts
        .find(&format!("audit-refuted-{}", finding.rule), &arguments)
        .unwrap_or_else(|| texts.say("audit-refuted-other", &arguments));
    let remediation = rule.map(|rule| rule.remediation.of(language).to_owned());
    Sentences { title, remediation: remediation.unwrap_or_default(), refuted_by }
}

/// The subject as people name it: what there is of address, MAC, prefix and port.
fn subject(subject: &v1::Subject, texts: &Texts) -> String {
    let device = match (&subject.ip, &subject.mac) {
        (Some(ip), Some(mac)) => Some(texts.say(
            "audit-subject-device",
            &[("ip", ip.as_str().into()), ("mac", mac.as_str().into())],
        )),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    let parts = [device.as_ref(), subject.prefix.as_ref(), subject.port.as_ref()];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The summary of one piece of evidence.
pub fn say_proof(proof: &Proof, log: &Log, texts: &Texts) -> String {
    match proof {
        Proof::Observed(id) => match log.get(*id) {
            Some(observation) => say_observation(observation, texts),
            None => texts.say("audit-gone", &[]),
        },
        Proof::Silence { ip, port, methods, .. } => {
            let mut arguments = vec![text("ip", ip), ("methods", methods.join(", ").into())];
            match port {
                Some(port) => {
                    arguments.push(text("port", port));
                    texts.say("audit-silence-port", &arguments)
                }
                None => texts.say("audit-silence", &arguments),
            }
        }
        Proof::Row { table, key, says } => {
            let arguments =
                [("table", (*table).into()), ("key", shown(key)), ("says", shown(says))];
            let sentence = if says.is_empty() { "audit-row-bare" } else { "audit-row" };
            texts.say(sentence, &arguments)
        }
    }
}

/// A remark in words.
pub fn say_remark(remark: &Remark, log: &Log, texts: &Texts) -> String {
    match remark {
        Remark::Odd(id) => match log.get(*id) {
            Some(observation) => {
                let mac = match &observation.fact {
                    Fact::Oddity { mac: Some(mac), .. } => mac.to_string(),
                    _ => "-".to_owned(),
                };
                let what = say_observation(observation, texts);
                let count = observation.count.to_string();
                texts.say(
                    "audit-remark-odd",
                    &[("mac", mac.into()), ("what", what.into()), ("count", count.into())],
                )
            }
            None => texts.say("audit-gone", &[]),
        },
        Remark::Tells { by, mac, protocol, role, address } => texts.say(
            &format!("audit-remark-tells-{role}"),
            &[
                text("ip", by),
                text("mac", mac),
                ("protocol", (*protocol).into()),
                text("address", address),
            ],
        ),
        Remark::Disagree { one, other, what } => texts.say(
            "audit-remark-disagree",
            &[text("one", one), text("other", other), ("what", (*what).into())],
        ),
    }
}

/// An observation in words.
pub fn say_observation(observation: &Observation, texts: &Texts) -> String {
    let count = ("count", FluentValue::from(observation.count.to_string()));
    let source = text("source", observation.source);
    let say = |key: &str, arguments: &[Argument<'_>]| texts.say(key, arguments);
    match &observation.fact {
        Fact::Interface { address, prefix, .. } => {
            say("audit-seen-interface", &[text("ip", address), text("prefix", prefix)])
        }
        Fact::Gateway { address } => say("audit-seen-gateway", &[text("ip", address)]),
        Fact::Binding { ip, mac } => {
            say("audit-seen-binding", &[text("ip", ip), text("mac", mac), source, count])
        }
        Fact::Tentative { ip, mac } => {
            say("audit-seen-tentative", &[text("ip", ip), text("mac", mac)])
        }
        Fact::Conflict { ip, mac } => {
            say("audit-seen-conflict", &[text("ip", ip), text("mac", mac)])
        }
        Fact::Traffic { ip, mac, .. } => {
            say("audit-seen-traffic", &[text("ip", ip), text("mac", mac)])
        }
        Fact::Answer { ip, mac, port, state, .. } => match (port, state) {
            (Some(port), PortState::Open) => {
                say("audit-seen-open", &[text("ip", ip), text("port", port), count])
            }
            (Some(port), PortState::Closed) => {
                say("audit-seen-closed", &[text("ip", ip), text("port", port)])
            }
            _ => say("audit-seen-alive", &[text("ip", ip), text("mac", mac), source, count]),
        },
        Fact::IcmpError(error) => say(
            "audit-seen-icmp-error",
            &[
                text("ip", error.target),
                text("from", error.from),
                ("code", format!("{}/{}", error.icmp_type, error.code).into()),
            ],
        ),
        Fact::Forwarding(answer) => {
            let code = match answer.icmp {
                Some((icmp_type, code)) => format!("ICMP {icmp_type}/{code}"),
                None => texts.say("audit-seen-itself", &[]),
            };
            say(
                "audit-seen-forwarding",
                &[
                    text("round", answer.round),
                    text("hops", answer.hop_limit),
                    text("mac", answer.mac),
                    text("destination", answer.destination),
                    text("from", answer.from),
                    ("code", code.into()),
                ],
            )
        }
        Fact::Hop { target, hop_limit, from, .. } => say(
            "audit-seen-hop",
            &[text("ip", target), text("hops", hop_limit), text("from", from)],
        ),
        Fact::RouterAdvertisement(ra) => {
            let mut prefixes: Vec<String> =
                ra.prefixes.iter().map(|information| information.prefix.to_string()).collect();
            prefixes.extend(ra.routes.iter().map(|route| route.prefix.to_string()));
            prefixes.truncate(8);
            say(
                "audit-seen-ra",
                &[
                    text("ip", ra.router),
                    text("mac", ra.mac),
                    (
                        "prefixes",
                        if prefixes.is_empty() { "-".into() } else { prefixes.join(" ").into() },
                    ),
                    text("lifetime", ra.lifetime),
                ],
            )
        }
        Fact::DhcpServer(server) => say(
            "audit-seen-dhcp-server",
            &[text("ip", server.ip), text("mac", server.mac), ("message", shown(&server.message))],
        ),
        Fact::DhcpClient(client) => say(
            "audit-seen-dhcp-client",
            &[text("mac", client.mac), ("message", shown(&client.message))],
        ),
        Fact::Lldp(neighbour) => {
            let name = neighbour.system_name.as_ref().unwrap_or(&neighbour.chassis);
            say("audit-seen-lldp", &[text("mac", neighbour.mac), ("name", foreign(name))])
        }
        Fact::RoutingSpeaker(speaker) => say(
            "audit-seen-routing",
            &[
                text("ip", speaker.ip),
                text("mac", speaker.mac),
                ("protocol", protocol(speaker.protocol).into()),
            ],
        ),
        Fact::Name { mac, ip, name, .. } => {
            say("audit-seen-name", &[text("ip", ip), text("mac", mac), ("name", foreign(name))])
        }
        Fact::Querier { ip, mac, .. } => {
            say("audit-seen-querier", &[text("ip", ip), text("mac", mac)])
        }
        Fact::Listener { ip, mac, group } => {
            say("audit-seen-listener", &[text("ip", ip), text("mac", mac), text("group", group)])
        }
        Fact::ToldNeighbour { by, ip, mac } => {
            say("audit-seen-told-neighbour", &[text("by", by), text("ip", ip), text("mac", mac)])
        }
        Fact::ToldAddress { by, ip, prefix } => {
            let prefix = prefix.map_or_else(|| "-".to_owned(), |prefix| prefix.to_string());
            say(
                "audit-seen-told-address",
                &[text("by", by), text("ip", ip), text("prefix", prefix)],
            )
        }
        Fact::ToldRoute { by, prefix, next_hop } => {
            let via = next_hop.map_or_else(|| "-".to_owned(), |next_hop| next_hop.to_string());
            say(
                "audit-seen-told-route",
                &[text("by", by), text("prefix", prefix), text("via", via)],
            )
        }
        Fact::PointerName { by, ip, name } => say(
            "audit-seen-pointer-name",
            &[text("by", by), text("ip", ip), ("name", foreign(name))],
        ),
        fact @ (Fact::NameServer(_)
        | Fact::NameClient(_)
        | Fact::NameQuery(_)
        | Fact::NameRecord(_)
        | Fact::ServiceInstance(_)
        | Fact::NetbiosName(_)
        | Fact::Browser(_)
        | Fact::Ssdp(_)
        | Fact::SnmpSpeaker(_)
        | Fact::DhcpTold(_)
        | Fact::Said(_)) => {
            let (ip, protocol) = heard_name(fact).unwrap_or(("-".to_owned(), "-"));
            say("audit-seen-heard-name", &[("ip", ip.into()), ("protocol", shown(protocol))])
        }
        Fact::Oddity { protocol, what, .. } => {
            say("audit-seen-oddity", &[("protocol", shown(protocol)), ("what", shown(what))])
        }
        Fact::Encapsulated { encapsulation, inner } => {
            let inside = Observation { fact: (**inner).clone(), ..observation.clone() };
            // Tunnels are read to a bounded depth, so this ends.
            let inner = say_observation(&inside, texts);
            say(
                "audit-seen-encapsulated",
                &[("encapsulation", shown(encapsulation)), ("inner", inner.into())],
            )
        }
        Fact::Asked(asked) => say(
            "audit-seen-asked",
            &[
                text("prefix", asked.prefix),
                ("method", shown(&asked.method)),
                text("asked", asked.asked),
            ],
        ),
        Fact::EgressProbe(probe) => say(
            "audit-seen-egress-probe",
            &[
                text("ip", probe.target),
                text("method", probe.method),
                text("carrier", probe.carrier),
                text("round", probe.round),
                text("canary", probe.canary),
            ],
        ),
        Fact::EgressReceipt(receipt) => {
            let or_none = |given: Option<String>| given.unwrap_or_else(|| "-".to_owned());
            let key = match receipt.seen_by {
                SeenBy::Collector => "audit-seen-egress-receipt",
                SeenBy::ProvedAnswer => "audit-seen-egress-proved-answer",
                SeenBy::Answer => "audit-seen-egress-answer",
            };
            say(
                key,
                &[
                    text("probe", receipt.probe),
                    text("observed", or_none(receipt.observed.map(|ip| ip.to_string()))),
                    text("port", receipt.observed_port),
                    text("entry", or_none(receipt.entry.map(|entry| entry.to_string()))),
                    // Its first half is enough to find the entry.
                    text(
                        "chain",
                        or_none(
                            receipt.chain.as_ref().map(|chain| chain.chars().take(32).collect()),
                        ),
                    ),
                ],
            )
        }
        Fact::ExternalAddress(told) => {
            let external = told.external.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            say(
                "audit-seen-external-address",
                &[
                    text("ip", told.ip),
                    text("mac", told.mac),
                    ("protocol", shown(&told.protocol)),
                    ("external", external.into()),
                ],
            )
        }
        Fact::Passage(passage) => say(
            "audit-seen-passage",
            &[
                text("local", passage.local),
                text("remote", passage.remote),
                text("mac", passage.mac),
                ("direction", direction(passage.direction).into()),
                ("what", shown(&passage.what)),
            ],
        ),
        Fact::EgressAsked(asked) => say(
            "audit-seen-egress-asked",
            &[
                text("prefix", asked.prefix),
                text("method", asked.method),
                text("asked", asked.asked),
            ],
        ),
        Fact::RouterFlag { ip, mac } => {
            say("audit-seen-router-flag", &[text("ip", ip), text("mac", mac)])
        }
        Fact::SeveralClocks { ip, clocks } => {
            say("audit-seen-several-clocks", &[text("ip", ip), text("clocks", clocks)])
        }
        Fact::TcpServer { ip, port } => {
            say("audit-seen-tcp-server", &[text("ip", ip), text("port", port)])
        }
        Fact::TcpSyn(syn) => say(
            "audit-seen-tcp-syn",
            &[
                text("ip", syn.ip),
                ("signature", shown(&syn.signature)),
                ("system", shown(syn.system.as_deref().unwrap_or("-"))),
            ],
        ),
        Fact::TlsClient(client) => say(
            "audit-seen-tls-client",
            &[
                text("ip", client.client),
                text("server", client.server),
                text("port", client.port),
                ("name", client.server_name.as_ref().map_or_else(|| "-".into(), foreign)),
                ("ja4", shown(&client.ja4)),
            ],
        ),
        Fact::TlsServer(server) => say(
            "audit-seen-tls-server",
            &[
                text("ip", server.ip),
                text("port", server.port),
                (
                    "version",
                    format!("{:#06x}", server.selected_version.unwrap_or(server.version)).into(),
                ),
            ],
        ),
        Fact::TlsCertificates(seen) => {
            let first = seen.chain.first();
            say(
                "audit-seen-tls-certificates",
                &[
                    text("ip", seen.ip),
                    ("subject", first.map_or_else(|| "-".into(), |first| foreign(&first.subject))),
                    ("issuer", first.map_or_else(|| "-".into(), |first| foreign(&first.issuer))),
                ],
            )
        }
        Fact::HttpHost(host) => say(
            "audit-seen-http-host",
            &[
                text("ip", host.client),
                text("server", host.server),
                text("port", host.port),
                ("host", foreign(&host.host)),
            ],
        ),
        Fact::UserAgent(agent) => say(
            "audit-seen-user-agent",
            &[text("ip", agent.client), ("agent", foreign(&agent.user_agent))],
        ),
        Fact::Spoken(spoken) => say(
            "audit-seen-spoken",
            &[
                text("ip", spoken.ip),
                ("port", spoken.port.map_or_else(|| "-".into(), |port| port.to_string().into())),
                ("protocol", shown(&spoken.protocol)),
                ("says", spoken.says.as_ref().map_or_else(|| "-".into(), foreign)),
            ],
        ),
        Fact::Smb(smb) => say(
            "audit-seen-smb",
            &[text("ip", smb.ip), ("dialect", shown(smb.dialect.as_deref().unwrap_or("-")))],
        ),
        Fact::NtlmServer(ntlm) => say(
            "audit-seen-ntlm-server",
            &[
                text("ip", ntlm.ip),
                ("computer", foreign(&ntlm.netbios_computer)),
                ("domain", foreign(&ntlm.netbios_domain)),
            ],
        ),
        Fact::NtlmClient(ntlm) => say(
            "audit-seen-ntlm-client",
            &[
                text("ip", ntlm.ip),
                ("host", foreign(&ntlm.host)),
                ("user", foreign(&ntlm.user)),
                ("domain", foreign(&ntlm.domain)),
            ],
        ),
        Fact::Ghost { ip, method, mac, .. } => {
            say("audit-seen-ghost", &[text("ip", ip), ("method", shown(method)), text("mac", mac)])
        }
        // What is heard on the link beside the audit's own ground: named, with who and what.
        Fact::Sender { mac } => say("audit-seen-sender", &[text("mac", mac)]),
        Fact::SourceAddress { ip } => say("audit-seen-source-address", &[text("ip", ip)]),
        Fact::Vlan { mac, vlan, .. } => {
            say("audit-seen-vlan", &[text("mac", mac), text("vlan", vlan)])
        }
        Fact::Labels { mac, .. } => heard("MPLS", mac, "-".to_owned(), texts),
        Fact::SpanningTree(tree) => {
            heard("STP", tree.mac, format!("{} → {}", tree.bridge.mac, tree.root.mac), texts)
        }
        Fact::DeviceAnnouncement(told) => {
            let device = told.device.as_ref().map_or_else(|| "-".to_owned(), Foreign::terminal);
            heard(&told.protocol, told.mac, device, texts)
        }
        Fact::LinkAggregation(told) => {
            heard(&told.protocol, told.mac, told.actor.system.to_string(), texts)
        }
        Fact::Isis(told) => heard("IS-IS", told.mac, told.system_id.clone(), texts),
        Fact::BgpOpen(told) => {
            heard("BGP", told.ip, format!("AS{} → {}", told.autonomous_system, told.peer), texts)
        }
        Fact::Redundancy(told) => heard(&told.protocol, told.ip, told.group.to_string(), texts),
        Fact::Pppoe(told) => {
            heard("PPPoE", told.mac, format!("{} → {}", told.message, told.peer), texts)
        }
        Fact::Tunnel(told) => say(
            "audit-seen-tunnel",
            &[text("kind", told.kind.word()), text("from", told.from), text("to", told.to)],
        ),
        Fact::ArpExchange(told) => {
            heard("ARP", told.mac, format!("{} → {}", told.ip, told.target), texts)
        }
        Fact::GroupMessage(told) => heard("IGMP/MLD", told.ip, told.group.to_string(), texts),
        Fact::Redirect(told) => heard(
            "ICMP redirect",
            told.ip,
            format!("{} → {}", told.destination, told.next_hop),
            texts,
        ),
    }
}

/// Who was heard speaking what.
fn heard_name(fact: &Fact) -> Option<(String, &str)> {
    let (ip, protocol) = match fact {
        Fact::NameServer(server) => (server.ip, "dns"),
        Fact::NameClient(client) => (client.ip, "dns"),
        Fact::NameQuery(query) => (query.ip, query.protocol.word()),
        Fact::NameRecord(record) => (record.ip, record.protocol.word()),
        Fact::ServiceInstance(service) => (service.ip, "dns-sd"),
        Fact::NetbiosName(name) => (name.ip, "netbios"),
        Fact::Browser(browser) => (browser.ip, "netbios"),
        Fact::Ssdp(message) => (message.ip, "ssdp"),
        Fact::SnmpSpeaker(speaker) => (speaker.ip, "snmp"),
        Fact::DhcpTold(told) => (told.ip, "dhcp"),
        Fact::Said(said) => (said.ip, said.protocol.as_str()),
        _ => return None,
    };
    Some((ip.to_string(), protocol))
}

/// Who said something in a protocol, and what in short.
fn heard(protocol: &str, who: impl ToString, what: String, texts: &Texts) -> String {
    let arguments = [("protocol", shown(protocol)), text("who", who), ("what", shown(&what))];
    texts.say("audit-seen-heard", &arguments)
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "→",
        Direction::Inbound => "←",
        Direction::Answered => "⇄",
    }
}

fn protocol(protocol: RoutingProtocol) -> &'static str {
    match protocol {
        RoutingProtocol::Vrrp => "VRRP",
        RoutingProtocol::Ospf => "OSPF",
        RoutingProtocol::Hsrp => "HSRP",
        RoutingProtocol::Eigrp => "EIGRP",
        RoutingProtocol::Rip => "RIP",
        RoutingProtocol::Pim => "PIM",
    }
}

/// An argument as its text: a number as it is, without a language's grouping.
fn text(name: &'static str, value: impl ToString) -> Argument<'static> {
    (name, FluentValue::from(value.to_string()))
}

/// Text that is not ours, without what a terminal would obey.
fn shown(text: &str) -> FluentValue<'static> {
    FluentValue::from(Foreign::new(text).terminal())
}

fn foreign(text: &Foreign) -> FluentValue<'static> {
    FluentValue::from(text.terminal())
}

/// The words of a language that a caller may want to fix beforehand.
impl Regulation {
    /// A rule's title in one language; the rule's own word where the regulation does not know it.
    pub fn title_of<'a>(&'a self, rule: &'a str, language: Language) -> &'a str {
        self.rules.get(rule).map_or(rule, |texts| texts.title.of(language))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RULES;

    #[test]
    fn every_rule_has_its_sentences_in_both_languages() {
        let regulation = Regulation::built_in("hunan-2026").unwrap();
        for language in Language::ALL {
            let texts = Texts::of(language);
            for rule in RULES {
                let finding: v1::Finding = serde_json::from_value(serde_json::json!({
                    "id": "", "rule": rule, "severity": "high", "confidence": "proved", "refuted_by": "",
                    "unit": null, "articles": [], "title": "", "remediation": "", "notice": null,
                    "subject": { "ip": "10.20.1.7", "mac": "02:00:00:00:00:07", "port": "tcp/80" },
                    "detail": { "registered_as": "gw\u{1b}[2J" }, "evidence": [],
                    "first_seen": "", "last_seen": "", "status": "open", "waiver": null
                }))
                .unwrap();
                let said = say(&finding, &texts, &regulation);
                for sentence in [&said.title, &said.remediation, &said.refuted_by] {
                    assert!(
                        !sentence.is_empty() && !sentence.contains("audit-"),
                        "{rule}: {sentence}"
                    );
                    assert!(!sentence.contains('\u{1b}'), "{rule}: {sentence:?}");
                }
                assert!(said.title.contains("10.20.1.7"), "{}", said.title);
                let own = format!("audit-refuted-{rule}");
                assert!(texts.find(&own, &[("subject", "".into())]).is_some(), "{own}");
            }
        }
    }
}
