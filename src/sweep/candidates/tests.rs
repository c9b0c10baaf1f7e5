use super::*;

fn addresses(texts: &[&str]) -> BTreeSet<Ipv6Addr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn source_of(candidates: &Candidates, address: &str) -> Option<&'static str> {
    let address: IpAddr = address.parse().unwrap();
    let of = candidates.by_source.iter().find(|(_, list)| list.contains(&address));
    of.map(|(source, _)| *source)
}

fn ask(prefix: &str, on_link: OnLink, seeds: &Seeds) -> Candidates {
    let prefix: Prefix = prefix.parse().unwrap();
    of(prefix, on_link, seeds, &AddressSet::of([prefix]), &BTreeSet::new(), MOST_AT_FIRST)
}

fn seeds() -> Seeds {
    Seeds {
        registered: addresses(&["2001:db8:20:1:dead:beef:1:2", "2001:db8:20:2::a:7"]),
        answered: addresses(&["2001:db8:20:1::1:40", "2001:db8:20:1::1:60", "2001:db8:20:1::1:50"]),
        hops: addresses(&["2001:db8:20:1::abc0"]),
        dns: addresses(&["2001:db8:20:1::d:5"]),
        snmp: addresses(&["2001:db8:20:1::e:5"]),
        heard: addresses(&["2001:db8:20:1::f:5", "fe80::5054:ff:fe01:2345"]),
        macs: ["00:1b:21:aa:bb:cc".parse().unwrap()].into(),
        // A router joins the group of its anycast address.
        joined: [
            ("00:1b:21:00:00:01".parse().unwrap(), 0x05_1234),
            ("00:1b:21:00:00:02".parse().unwrap(), 0),
        ]
        .into(),
        ipv4: ["10.20.1.7".parse().unwrap(), "10.20.1.254".parse().unwrap()].into(),
        ..Seeds::default()
    }
    .ready()
}

#[test]
fn every_source_has_what_it_stands_for() {
    let candidates = ask("2001:db8:20:1::/64", OnLink::Here, &seeds());
    for (address, source) in [
        ("2001:db8:20:1:dead:beef:1:2", "registry"),
        ("2001:db8:20:1::f:5", "heard"),
        ("2001:db8:20:1::d:5", "dns"),
        ("2001:db8:20:1::e:5", "snmp"),
        ("2001:db8:20:1::abc0", "hops"),
        ("2001:db8:20:1::abc1", "hops"),
        ("2001:db8:20:1::1", "low-byte"),
        ("2001:db8:20:1::ff", "low-byte"),
        ("2001:db8:20:1:21b:21ff:feaa:bbcc", "eui64"),
        ("2001:db8:20:1::a:7", "structure"),
        ("2001:db8:20:1::1:41", "sequential"),
        ("2001:db8:20:1::1:70", "sequential"),
        ("2001:db8:20:1::1:80", "sequential"),
        ("2001:db8:20:1::1000", "sequential"),
        ("2001:db8:20:1::a14:107", "ipv4"),
        ("2001:db8:20:1:10:20:1:7", "ipv4"),
        ("2001:db8:20:1::254", "ipv4"),
        ("2001:db8:20:1::5:1234", "solicited-node"),
        ("2001:db8:20:1:21b:21ff:fe05:1234", "solicited-node"),
        ("2001:db8:20:1::a05:1234", "solicited-node"),
        ("2001:db8:20:1::443", "port"),
        ("2001:db8:20:1::1bb", "port"),
        ("2001:db8:20:1::8080", "port"),
        ("2001:db8:20:1::cafe", "words"),
        ("2001:db8:20:1::dead:beef", "words"),
        ("2001:db8:20:1::cafe:1", "words"),
        ("2001:db8:20:1:21b:21ff:feaa:bbcd", "vendor"),
        ("2001:db8:20:1:21b:21ff:feaa:bbbc", "vendor"),
    ] {
        assert_eq!(source_of(&candidates, address), Some(source), "{address}");
    }
    let told: BTreeSet<&str> = candidates.by_source.iter().map(|(source, _)| *source).collect();
    let all: BTreeSet<&str> = ALL.iter().map(|source| source.name()).collect();
    assert_eq!(told.len(), all.len() - 2, "all but `whole` and `subnet-router`: {told:?}");
    assert_eq!(source_of(&candidates, "2001:db8:20:1::"), None, "no router's anycast on the link");
    let once: BTreeSet<IpAddr> = candidates.addresses().collect();
    assert_eq!(once.len(), candidates.count(), "an address is one source's");
}

#[test]
fn behind_a_router_nobody_of_the_link_is_looked_for() {
    let candidates = ask("2001:db8:20:9::/64", OnLink::Beyond, &seeds());
    assert_eq!(source_of(&candidates, "2001:db8:20:9:21b:21ff:feaa:bbcc"), None);
    assert_eq!(source_of(&candidates, "2001:db8:20:9:21b:21ff:fe05:1234"), None);
    // What is there elsewhere may be there too.
    assert_eq!(source_of(&candidates, "2001:db8:20:9::1:40"), Some("structure"));
    assert_eq!(source_of(&candidates, "2001:db8:20:9::"), Some("subnet-router"));
}

#[test]
fn the_fence_holds_and_small_prefixes_are_whole() {
    let prefix: Prefix = "2001:db8:20:1::/64".parse().unwrap();
    let fence = AddressSet::of(["2001:db8:20:1::/127".parse().unwrap()]);
    let asked = BTreeSet::new();
    let candidates = of(prefix, OnLink::Beyond, &seeds(), &fence, &asked, MOST_AT_FIRST);
    let all: Vec<String> = candidates.addresses().map(|address| address.to_string()).collect();
    assert_eq!(all, ["2001:db8:20:1::", "2001:db8:20:1::1"]);
    let candidates = ask("2001:db8:20:1::40/126", OnLink::Beyond, &Seeds::default());
    assert_eq!(candidates.by_source[0].0, "whole");
    assert_eq!(candidates.count(), 4);
}

#[test]
fn nobody_starves_and_the_bound_holds() {
    let many = |from: u32, count: u32| {
        (from..from + count)
            .map(|n| Ipv6Addr::from_bits((0x2001_0db8_0020_0001 << 64) | u128::from(n) << 20))
    };
    let seeds = Seeds {
        registered: many(1, 5000).collect(),
        macs: (0..60u8).map(|n| Mac([0, 0x1b, 0x21, n, 0, 0])).collect(),
        ipv4: (0..2000u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a14_0000 + n)).collect(),
        ..Seeds::default()
    }
    .ready();
    let candidates = ask("2001:db8:20:1::/64", OnLink::Here, &seeds);
    assert_eq!(candidates.count(), MOST_AT_FIRST);
    let counts: std::collections::BTreeMap<&str, usize> =
        candidates.by_source.iter().map(|(source, list)| (*source, list.len())).collect();
    assert_eq!(counts["registry"], MOST_AT_FIRST / 4 * 3);
    for guess in ["low-byte", "eui64", "ipv4", "port", "words", "vendor"] {
        assert!(counts[guess] >= 40, "{counts:?}");
    }
    // Without the many that are named the guesses have all the room.
    let candidates = ask("2001:db8:20:2::/64", OnLink::Here, &seeds);
    assert!(candidates.count() > 1500 && candidates.count() < MOST_AT_FIRST);
}

#[test]
fn a_second_asking_holds_what_is_new_and_no_next_page() {
    let prefix: Prefix = "2001:db8:20:1::/64".parse().unwrap();
    let allowed = AddressSet::of([prefix]);
    let first = ask("2001:db8:20:1::/64", OnLink::Here, &seeds());
    let mut asked: BTreeSet<IpAddr> = first.addresses().collect();
    let again = of(prefix, OnLink::Here, &seeds(), &allowed, &asked, MOST_LEARNT);
    assert!(again.is_empty(), "{again:?}");
    let mut wiser = seeds();
    wiser.answered.extend(addresses(&["2001:db8:20:1::1:70", "2001:db8:20:1::7:7"]));
    let learnt = of(prefix, OnLink::Here, &wiser.ready(), &allowed, &asked, MOST_LEARNT);
    assert_eq!(source_of(&learnt, "2001:db8:20:1::1:80"), None, "asked before");
    assert_eq!(source_of(&learnt, "2001:db8:20:1::1:f0"), Some("sequential"));
    assert_eq!(source_of(&learnt, "2001:db8:20:1::7:8"), Some("sequential"));
    assert!(learnt.count() < 100, "{}", learnt.count());
    asked.extend(learnt.addresses());
}

#[test]
fn a_shorter_prefix_is_looked_into_where_something_is_known() {
    let candidates = ask("2001:db8:20::/48", OnLink::Beyond, &seeds());
    for address in ["2001:db8:20:1::1", "2001:db8:20:2::1", "2001:db8:20::1", "2001:db8:20:f::1"] {
        assert!(source_of(&candidates, address).is_some(), "{address}");
    }
    assert!(candidates.count() <= MOST_AT_FIRST);
}

#[test]
fn the_registry_tells_whose_machines_a_segment_holds() {
    let row = |unit: &str, ips: &[&str], mac: &str| Row {
        unit: unit.into(),
        ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        macs: vec![mac.parse().unwrap()],
    };
    let seeds = Seeds {
        rows: vec![
            row("water", &["10.20.9.7"], "00:1b:21:00:00:09"),
            row("roads", &["10.20.8.7"], "00:1b:21:00:00:08"),
        ],
        ipv4: ["10.20.8.7".parse().unwrap(), "10.20.9.7".parse().unwrap()].into(),
        segments: vec![
            ("2001:db8:20:9::/64".parse().unwrap(), "water".into()),
            ("10.20.9.0/24".parse().unwrap(), "water".into()),
            ("10.20.8.0/24".parse().unwrap(), "roads".into()),
        ],
        ..Seeds::default()
    }
    .ready();
    let prefix = "2001:db8:20:9::/64".parse().unwrap();
    let place = Place::new(prefix, OnLink::Beyond, &seeds);
    assert_eq!(place.macs, ["00:1b:21:00:00:09".parse::<Mac>().unwrap()]);
    let first: std::net::Ipv4Addr = "10.20.9.7".parse().unwrap();
    assert_eq!((place.ipv4[0], place.ipv4.len()), (first, 2));
}

#[test]
fn drawn_identifiers_teach_nothing() {
    for (text, numbered) in [
        ("::1:40", true),
        ("::10:20:1:7", true),
        ("::8c2f:91ab:77d0:e1f4", false),
        ("::21b:21ff:feaa:bbcc", false),
        ("::", false),
    ] {
        let address: Ipv6Addr = text.parse().unwrap();
        assert_eq!(is_numbered(interface_id(address.to_bits())), numbered, "{text}");
    }
}
