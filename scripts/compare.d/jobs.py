"""The jobs: what is asked, of whom, what is there to be found, and who competes."""

import ipaddress
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import captures
import peers
import topology as at
from peers import arp_scan, fping, masscan, nmap, ours, packed, rust_scan, zmap

ONE_IN_16 = 5  # the last four bits of those that are alive
# What stays of a frame at the answering end, for `1 in 16`: the kernel would answer for each address.
SPARSE_IP = f"ip daddr {at.ROUTED} ip daddr & 0.0.0.15 != 0.0.0.{ONE_IN_16} drop"
SPARSE_ARP = f"arp operation request arp daddr ip & 0.0.0.15 != 0.0.0.{ONE_IN_16} arp daddr ip {at.ON_LINK} drop"
LOSS = "meta protocol {ip, arp} numgen random mod 100 0 drop"
GENTLE = 1000  # packets a second


@dataclass
class Job:
    name: str
    title: str
    asked: int = 0  # questions that one round takes
    truth: set = None
    who: list = field(default_factory=list)
    come: tuple = ()
    go: tuple = ()
    burners: bool = False
    timeout: float = 120.0
    runs: int = None  # fewer than the others, where one run is long
    unit: str = "address"
    by_rate: bool = False  # packets a second is what counts
    before: object = None  # takes the topology
    amount: int = 0  # packets of a file that is read, for a rate
    remark: str = ""
    rows: list = field(default_factory=list)  # what was measured, in the order of `who`


@dataclass
class Setting:
    quick: bool
    scratch: Path
    scan: bool  # whether our `scan` is there

    def us(self, *contestants):
        return [make() for make in contestants] if self.scan else []


def hosts(prefix):
    net = ipaddress.ip_network(prefix)
    first = int(net.network_address)
    width = net.max_prefixlen // 8
    return [(first + n).to_bytes(width, "big") for n in range(net.num_addresses)]


def on_port(addresses, *ports):
    return {(address, port) for address in addresses for port in ports}


def sparse(prefix):
    return [address for address in hosts(prefix) if address[3] & 15 == ONE_IN_16]


def listed(setting, name, addresses):
    path = setting.scratch / name
    path.write_text("".join(f"{address}\n" for address in addresses))
    return str(path)


def texts(prefix):
    return [str(address) for address in ipaddress.ip_network(prefix)]


def count(number):
    return f"{number:,}"


def tx_silence(s):
    prefix = "10.128.0.0/14" if s.quick else "10.128.0.0/10"
    who = s.us(*(lambda io=io: ours("tcp", ["--scope", prefix], "80", io=io) for io in peers.ways()))
    who += [zmap(prefix, threads=1), zmap(prefix, threads=2), masscan(prefix, "80", wait=0)]
    if bare := os.environ.get("COMPARE_BARE"):
        who.append(peers.Contestant("bare sender", "COMPARE_BARE", ["sh", "-c", bare]))
    size = ipaddress.ip_network(prefix).num_addresses
    return Job("tx-silence", f"SYN to {count(size)} addresses, nobody answers", size, set(), who, by_rate=True,
               remark="The middle nine tenths of the packets count, by the peer's own counter.")


def syn_contestants(s, prefix, cooldowns=(1,)):
    who = s.us(lambda: ours("tcp", ["--scope", prefix], "80"))
    who += [zmap(prefix, threads=t, cooldown=c) for c in cooldowns for t in (1, 2)] + [zmap(prefix, cooldown=0)]
    who += [masscan(prefix, "80"), masscan(prefix, "80", rate=100000, retries=1),
            nmap([prefix], ["-Pn", "-sS", "-p80", "--open"], ports=True)]
    return who


def syn(name, prefix, cooldowns=(1,), title="all open", **more):
    def make(s):
        there = on_port(hosts(prefix), 80)
        return Job(name, f"SYN to port 80 of {count(len(there))} addresses, {title}", len(there), there,
                   syn_contestants(s, prefix, cooldowns), **more)
    return make


def syn_16(s):
    return syn("syn-16", "10.80.0.0/18", (1,))(s) if s.quick else syn("syn-16", "10.80.0.0/16", (1, 8))(s)


def syn_12(s):
    return None if s.quick else syn("syn-12", "10.80.0.0/12", timeout=300.0)(s)


def syn_busy(s):
    prefix = "10.80.0.0/18" if s.quick else "10.80.0.0/16"
    return syn("syn-16-busy", prefix, title="all open; a process that burns on each core", burners=True)(s)


def icmp_16(s):
    prefix = "10.80.0.0/18" if s.quick else "10.80.0.0/16"
    there, file = set(hosts(prefix)), listed(s, "icmp.txt", texts(prefix))
    who = s.us(lambda: ours("icmp", ["--scope", prefix]))
    who += [fping(file), fping(file, interval="0.01"), zmap(prefix, module="icmp_echoscan"),
            zmap(prefix, module="icmp_echoscan", threads=2), zmap(prefix, module="icmp_echoscan", cooldown=0), masscan(prefix, kind="--ping"),
            masscan(prefix, kind="--ping", rate=100000, retries=1), nmap([prefix], ["-sn", "-PE"])]
    return Job("icmp-16", f"echo to {count(len(there))} addresses, all answer", len(there), there, who)


def icmpv6_64k(s):
    prefix = "fd00:66::/116" if s.quick else at.ROUTED6
    there, file = set(hosts(prefix)), listed(s, "icmpv6.txt", texts(prefix))
    who = s.us(lambda: ours("icmpv6", ["--scope", prefix]))
    who += [fping(file, family=["-6"]), fping(file, interval="0.01", family=["-6"]),
            nmap(["-6", "-iL", file], ["-sn", "-PE"])]
    return Job("icmpv6-64k", f"echo to {count(len(there))} IPv6 addresses, all answer", len(there), there, who)


def arp_contestants(s, prefix, dead=False):
    who = s.us(lambda: ours("arp", ["--scope", prefix]))
    who += [arp_scan(prefix, "100M"), arp_scan(prefix, "500M"), arp_scan(prefix, "100M", patience=50), nmap([prefix], ["-sn", "-PR"])]
    return who + ([] if dead else [masscan(prefix, kind="--arp", rate=100000, retries=1)])


def arp_16(s):
    prefix = "10.65.0.0/18" if s.quick else at.ON_LINK
    there = set(hosts(prefix))
    return Job("arp-16", f"ARP for {count(len(there))} addresses, all answer", len(there), there, arp_contestants(s, prefix))


def ndp_64k(s):
    number = 16384 if s.quick else 65536
    addresses = at.candidates(number)
    alive, file = addresses[ONE_IN_16::16], listed(s, "ndp.txt", addresses)
    who = s.us(lambda: ours("ndp", ["--scope", at.ON_LINK6, "--targets", file]))
    who += [nmap(["-6", "-iL", file], ["-sn", "-PR"]), fping(file, family=["-6"])]
    return Job("ndp-64k", f"neighbour solicitation for {count(number)} IPv6 candidates on the link, 1 in 16 answers", number,
               {packed(a) for a in alive}, who, before=lambda topology: topology.solicit(alive),
               remark="fping asks by echo: its kernel solicits, up to three times, and all packets count.")


def alive_arp(s):
    prefix = "10.65.0.0/20" if s.quick else at.ON_LINK
    size = len(hosts(prefix))
    return Job("alive-1-in-16-arp", f"ARP for {count(size)} addresses, 1 in 16 answers", size, set(sparse(prefix)),
               arp_contestants(s, prefix, dead=True), come=(SPARSE_ARP,))


def alive_syn(s):
    prefix = "10.80.0.0/20" if s.quick else "10.80.0.0/16"
    size = len(hosts(prefix))
    return Job("alive-1-in-16-syn", f"SYN to port 80 of {count(size)} addresses, 1 in 16 is there and open", size,
               on_port(sparse(prefix), 80), syn_contestants(s, prefix), come=(SPARSE_IP,))


def ports_256x1000(s):
    prefix = "10.81.0.0/28" if s.quick else "10.81.0.0/24"
    addresses, file = hosts(prefix), listed(s, "ports.txt", texts(prefix))
    there = on_port(addresses, *at.OPEN_PORTS)
    who = s.us(lambda: ours("tcp", ["--scope", prefix], "1-1000"))
    how = ["-Pn", "-sS", "-p1-1000", "--open"]
    who += [nmap([prefix], how, ports=True, more=["--defeat-rst-ratelimit"]), nmap([prefix], how, ports=True),
            masscan(prefix, "1-1000"), masscan(prefix, "1-1000", rate=100000, retries=1)]
    remark = ""
    if peers.rustscan():
        who += [rust_scan(file, "1-1000", batch) for batch in (1000, 5000)]
    else:
        remark = "RustScan is not there: Debian has no package, and it was not built."
    return Job("ports-256x1000", f"SYN to ports 1–1000 of {len(addresses)} addresses; {len(at.OPEN_PORTS)} are open, the others reset",
               len(addresses) * 1000, there, who, unit="port", remark=remark)


def loss(s):
    prefix = "10.80.0.0/20" if s.quick else "10.80.0.0/16"
    there = on_port(hosts(prefix), 80)
    who = s.us(lambda: ours("tcp", ["--scope", prefix], "80", rounds=3), lambda: ours("tcp", ["--scope", prefix], "80", rounds=1))
    who += [zmap(prefix, probes=1), zmap(prefix, probes=2), zmap(prefix, probes=3), masscan(prefix, "80", rate=100000, retries=2),
            nmap([prefix], ["-Pn", "-sS", "-p80", "--open"], ports=True, retries=2)]
    return Job("loss-1-percent", f"SYN to port 80 of {count(len(there))} addresses, all open; 1 % is lost on the way there and 1 % back",
               len(there), there, who, come=(LOSS,), go=(LOSS,))


def gentle(s):
    prefix = "10.80.0.0/20" if s.quick else "10.80.0.0/16"
    there = on_port(hosts(prefix), 80)
    who = s.us(lambda: ours("tcp", ["--scope", prefix], "80", rate=GENTLE))
    who += [zmap(prefix, speed=("-r", str(GENTLE))), masscan(prefix, "80", rate=GENTLE),
            nmap([prefix], ["-Pn", "-sS", "-p80", "--open"], ports=True, rate=("--min-rate", str(GENTLE), "--max-rate", str(GENTLE)))]
    return Job("gentle-1000pps", f"SYN to port 80 of {count(len(there))} addresses at {GENTLE} a second", len(there), there, who,
               runs=1, timeout=300.0)


def reading(s):
    amount = 100_000 if s.quick else 1_000_000
    file = str(captures.mixed(s.scratch, amount))
    out = s.scratch / "watched"
    who = []
    if peers.jiebei():
        who.append(peers.Contestant("jiebei", "watch --read", [str(peers.jiebei()), "watch", "--read", file, "--out", str(out), "-q"],
                                    ours=True, prepare=lambda: shutil.rmtree(out, ignore_errors=True)))
    who += [peers.Contestant("tcpdump", "-nn -r", ["tcpdump", "-nn", "-r", file]),
            peers.Contestant("tcpdump", "-nn -vv -r", ["tcpdump", "-nn", "-vv", "-r", file]),
            peers.Contestant("tshark", "-n -r", ["tshark", "-n", "-r", file]),
            peers.Contestant("tshark", "-n -q -z endpoints", ["tshark", "-n", "-q", "-z", "endpoints,eth", "-r", file]),
            peers.Contestant("p0f", "-r", ["p0f", "-f", "/etc/p0f/p0f.fp", "-r", file])]
    return Job("captures", f"a capture file of {count(amount)} mixed packets read", who=who, amount=amount, timeout=300.0,
               remark="They do different things with what they read: tcpdump and tshark print it, p0f names systems, "
                      "`watch` folds an inventory and writes a report.")


def audit(s):
    if not peers.jiebei():
        return None
    devices, assets = (5_000, 100_000) if s.quick else (50_000, 1_000_000)
    world = captures.registered(s.scratch, devices, assets, peers.jiebei())
    if world is None:
        return None
    judged = s.scratch / "judged"
    us = peers.Contestant("jiebei", "audit --registry", [str(peers.jiebei()), "audit", str(world.result), "--registry", str(world.registry),
                          "--out", str(judged), "-q"], read=lambda _: world.ours(judged), ours=True,
                          prepare=lambda: shutil.rmtree(judged, ignore_errors=True))
    them = peers.Contestant("sqlite3", "import, index, join", ["sqlite3", ":memory:", f".read {world.script}"], read=peers.first_word)
    return Job("audit-million", f"{count(devices)} devices seen, held against {count(assets)} registered assets: who is not registered",
               who=[us, them], truth=world.unknown, timeout=300.0,
               remark="sqlite3 reads the same CSV file and joins by address; `audit` checks the whole registry, runs every rule and writes the reports.")


ALL = {
    "tx-silence": tx_silence,
    "syn-16": syn_16,
    "syn-12": syn_12,
    "syn-16-busy": syn_busy,
    "icmp-16": icmp_16,
    "icmpv6-64k": icmpv6_64k,
    "arp-16": arp_16,
    "ndp-64k": ndp_64k,
    "alive-1-in-16-arp": alive_arp,
    "alive-1-in-16-syn": alive_syn,
    "ports-256x1000": ports_256x1000,
    "loss-1-percent": loss,
    "gentle-1000pps": gentle,
    "captures": reading,
    "audit-million": audit,
}
