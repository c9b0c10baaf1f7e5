"""Two namespaces and a veth pair: the scanner's end, and an end that answers for whole prefixes.

The answering end has its prefixes as local routes ("any-ip"), so the kernel answers ARP, echo, SYN and closed
ports for each address without one process in the way. Who is silent is decided by one nftables rule at the netdev
hook, before the stack. That work is done in the sender's own softirq, and is the same for every contestant.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCAN, PEER = "cmpA", "cmpB"
NIC, PEER_NIC = "cA", "cB"
MAC, PEER_MAC = "02:00:00:00:0a:01", "02:00:00:00:0b:01"
SOURCE, GATEWAY = "10.64.0.1", "10.64.0.2"
SOURCE6, GATEWAY6 = "fd00:64::1", "fd00:64::2"
ON_LINK = "10.65.0.0/16"  # asked by ARP; within the prefix of the scanner's own address, and not at its end
ROUTED = "10.80.0.0/12"  # behind the gateway, all alive
SILENT = "10.128.0.0/9"  # behind the gateway, dropped before the stack
ROUTED6 = "fd00:66::/112"
ON_LINK6 = "fd00:64::/64"  # asked by neighbour solicitation
OPEN_PORTS = (22, 80, 443, 513, 999)
CLONE_NEWNET = 0x40000000  # sched.h

# The whole machine's, because no namespace has its own: raised while we run, put back afterwards. The default
# backlog of a thousand frames, and a neighbour table of a thousand, would judge the kernel, not the scanners.
WHOLE_MACHINE = {
    "net/core/netdev_max_backlog": "300000",
    **{f"net/ipv{v}/neigh/default/gc_thresh{n}": "300000" for v in (4, 6) for n in (1, 2, 3)},
}
BOTH_ENDS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/all/accept_ra": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "100000000",
    "net/ipv4/icmp_msgs_burst": "100000000",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/tcp_syncookies": "2",  # always: a SYN costs no memory and is answered once
    "net/core/somaxconn": "65535",
}
LISTEN_BY = 20.0  # seconds that the answering end may take to stand


def run(*argv, timeout=60.0, **more):
    return subprocess.run([str(a) for a in argv], check=True, text=True, capture_output=True, timeout=timeout, **more).stdout


def ip(namespace, *words):
    return run("ip", "-n", namespace, *words)


def put(namespace, path, value):
    """Sets a sysctl in a namespace. One that this kernel lacks is left out."""
    run("ip", "netns", "exec", namespace, "sh", "-c", f"[ ! -e /proc/sys/{path} ] || echo {value} >/proc/sys/{path}")


def pids(namespace):
    told = subprocess.run(["ip", "netns", "pids", namespace], text=True, capture_output=True).stdout
    return [int(pid) for pid in told.split()]


class Topology:
    def __init__(self):
        self.before, self.end = {}, None

    def up(self):
        self.remove()
        for path, value in WHOLE_MACHINE.items():
            place = Path("/proc/sys") / path
            if place.exists() and int(place.read_text()) < int(value):
                self.before[place] = place.read_text()
                place.write_text(value)
        for namespace in (SCAN, PEER):
            run("ip", "netns", "add", namespace)
            for path, value in BOTH_ENDS.items():
                put(namespace, path, value)
        run("ip", "link", "add", NIC, "netns", SCAN, "address", MAC, "type", "veth",
            "peer", "name", PEER_NIC, "netns", PEER, "address", PEER_MAC)
        for namespace, nic in ((SCAN, NIC), (PEER, PEER_NIC)):
            put(namespace, f"net/ipv6/conf/{nic}/router_solicitations", "0")
            ip(namespace, "link", "set", "lo", "up")
            ip(namespace, "link", "set", nic, "up")
        self.addresses()
        self.end = subprocess.Popen(
            ["ip", "netns", "exec", PEER, sys.executable, str(HERE / "peer_end.py"), PEER_NIC, MAC, *map(str, OPEN_PORTS)],
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        watchdog = threading.Timer(LISTEN_BY, self.end.kill)
        watchdog.start()
        try:
            said = self.end.stdout.readline()
        finally:
            watchdog.cancel()
        if said.strip() != "ready":
            raise RuntimeError("the answering end does not stand")

    def addresses(self):
        for namespace, nic, own, other, mac in (
            (SCAN, NIC, (SOURCE, SOURCE6), (GATEWAY, GATEWAY6), PEER_MAC),
            (PEER, PEER_NIC, (GATEWAY, GATEWAY6), (SOURCE, SOURCE6), MAC),
        ):
            ip(namespace, "address", "add", f"{own[0]}/14", "dev", nic)
            ip(namespace, "address", "add", f"{own[1]}/64", "dev", nic, "nodad")
            for address in other:
                ip(namespace, "neigh", "replace", address, "lladdr", mac, "nud", "permanent", "dev", nic)
        for prefix in (ROUTED, SILENT):
            ip(SCAN, "route", "add", prefix, "via", GATEWAY)
        ip(SCAN, "route", "add", ROUTED6, "via", GATEWAY6)
        for prefix in (ON_LINK, ROUTED, ROUTED6):
            ip(PEER, "route", "add", "local", prefix, "dev", "lo")

    def solicit(self, addresses):
        """Real addresses, which answer solicitations: a local route does not (ndisc_recv_ns asks for an address, or
        for a proxy entry, whose table has 16 lists).

        Some thousands at most. The kernel walks all it has for each that is added (65,536 took it three minutes), and
        finds one in 256 lists: with 65,536 an answer took 50 µs, and that would be what is measured.
        """
        lines = "".join(f"address replace {address}/128 dev {PEER_NIC} nodad\n" for address in addresses)
        run("ip", "-n", PEER, "-6", "-batch", "-", input=lines)

    def rules(self, come=(), go=()):
        """What is done to frames at the answering end, and a count of the resets among them."""
        text = f"""
            table netdev compare
            delete table netdev compare
            table netdev compare {{
                counter resets {{ }}
                chain come {{
                    type filter hook ingress device "{PEER_NIC}" priority 0; policy accept;
                    tcp flags & rst == rst counter name resets
                    ip daddr {SILENT} drop
                    {"; ".join(come)}
                }}
                chain go {{
                    type filter hook egress device "{PEER_NIC}" priority 0; policy accept;
                    {"; ".join(go)}
                }}
            }}"""
        if not go:  # a chain without rules still costs a call a frame
            text = text[:text.index("chain go")] + "}"
        run("ip", "netns", "exec", PEER, "nft", "-f", "-", input=text)

    def resets(self):
        told = run("ip", "netns", "exec", PEER, "nft", "list", "counter", "netdev", "compare", "resets")
        return int(told.split("packets")[1].split()[0])

    def forget(self):
        """What the scanner's kernel learned of neighbours in the last run; the permanent ones stay."""
        for family in ("-4", "-6"):
            subprocess.run(["ip", family, "-n", SCAN, "neigh", "flush", "dev", NIC], capture_output=True)

    def remove(self):
        """Ends what runs in our two namespaces, and removes them. Also those that an earlier run could not."""
        for namespace in (SCAN, PEER):
            for pid in pids(namespace):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        there = run("ip", "netns", "list")
        for namespace in (SCAN, PEER):
            if namespace in there.split():
                # The link first: a namespace goes in the background, and its names with it.
                subprocess.run(["ip", "-n", namespace, "link", "delete", NIC], capture_output=True)
                run("ip", "netns", "delete", namespace)
        if self.end:
            self.end.kill()
            self.end.wait()

    def down(self):
        try:
            self.remove()
        finally:
            for place, value in self.before.items():
                place.write_text(value)


def candidates(count):
    """IPv6 addresses on the link. They differ above their last 24 bits, so all are in one multicast group: the kernel
    walks its list of groups for each solicitation."""
    return [f"fd00:64::1:{number:x}:0:1" for number in range(count)]


class Meter(threading.Thread):
    """Reads how many frames came in at the answering end, every few milliseconds, from a thread inside its namespace."""

    EVERY = 0.01  # seconds; one reading takes some 50 µs

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.entered, self.seen, self.fault = threading.Event(), threading.Event(), [], None

    def run(self):
        try:
            with open(f"/run/netns/{PEER}") as place:
                if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            self.seen.append((time.monotonic(), self.frames()))
        except OSError as fault:
            self.fault = fault
            return
        finally:
            self.entered.set()
        while not self.over.wait(self.EVERY):
            self.seen.append((time.monotonic(), self.frames()))
        self.seen.append((time.monotonic(), self.frames()))

    @staticmethod
    def frames():
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            if line.strip().startswith(f"{PEER_NIC}:"):
                return int(line.split(":")[1].split()[1])
        raise OSError(f"{PEER_NIC} is not there")

    def __enter__(self):
        self.start()
        self.entered.wait()
        if self.fault:
            raise self.fault
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def packets(self):
        return self.seen[-1][1] - self.seen[0][1]

    def rate(self):
        """Packets a second between the first and the last twentieth: without start, wait and stragglers."""
        first, total = self.seen[0][1], self.packets()
        if total < 1000:
            return None
        begin = next(s for s in self.seen if s[1] - first >= total * 0.05)
        end = next(s for s in self.seen if s[1] - first >= total * 0.95)
        took = end[0] - begin[0]
        return (end[1] - begin[1]) / took if took >= 3 * self.EVERY else None
