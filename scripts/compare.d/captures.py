"""Files that jobs read: a mixed capture, and a registry with the capture of a network beside it."""

import csv
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import peers

HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)  # classic pcap, microseconds, Ethernet
BEGIN = 1_760_000_000  # the first packet's time, in Unix seconds: any moment of the past
UNITS = 64  # each with a /16 of its own
HOSTS = 4_000  # in the mixed capture: a busy segment. tcpdump keeps those of one prefix in one list, and 50,000 would be its end
WATCH = 300.0  # seconds that reading the network's capture may take


def write(path, frames):
    with open(path, "wb") as file:
        file.write(HEAD)
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", BEGIN + number // 10_000, number % 10_000 * 100, len(frame), len(frame)))
            file.write(frame)
    return path


def frames_of(path):
    """The frames of a classic pcap file of Ethernet, in either octet order; nothing of another file."""
    octets = path.read_bytes()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(octets[:4])
    if order is None or len(octets) < 24 or struct.unpack_from(order + "I", octets, 20)[0] != 1:
        return
    at = 24
    while at + 16 <= len(octets):
        length = struct.unpack_from(order + "I", octets, at + 8)[0]
        frame = octets[at + 16:at + 16 + length]
        if len(frame) < length:
            return
        yield frame
        at += 16 + length


def arp(mac, address):
    return (b"\xff" * 6 + mac + b"\x08\x06" + bytes.fromhex("0001080006040001") + mac + address + bytes(6) + address + bytes(18))


def checksum(octets):
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(mac, source, target, number):
    """A SYN as Linux makes it, so that p0f has something to name."""
    options = bytes.fromhex("020405b40402080a") + struct.pack(">II", number + 1, 0) + bytes.fromhex("01030307")
    tcp = struct.pack(">HHIIHHHH", 1024 + number % 60_000, 443, number, 0, 0xA002, 64240, 0, 0) + options
    total = checksum(source + target + struct.pack(">HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack(">H", total) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), number & 0xFFFF, 0x4000, 64, 6, 0) + source + target
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return b"\x02\0\0\0\x0b\x01" + mac + b"\x08\x00" + head + tcp


def mixed(scratch, amount):
    """The captures of the tests over and over, and two frames of our own after each of theirs."""
    theirs = [frame for path in sorted((peers.ROOT / "tests/captures").glob("*.pcap")) for frame in frames_of(path)]

    def frames():
        number = 0
        while True:
            for frame in theirs:
                host = number // 3 % HOSTS
                mac = b"\x00\x1b" + host.to_bytes(4, "big")
                address = (0x0A400000 + host).to_bytes(4, "big")
                yield from (frame, arp(mac, address), syn(mac, address, b"\x0a\x41\0\1", number))
                number += 3

    source = frames()
    return write(scratch / "mixed.pcap", (next(source) for _ in range(amount)))


@dataclass
class World:
    registry: Path
    result: Path
    script: Path
    unknown: set

    @staticmethod
    def ours(folder):
        """The addresses in our findings of the rule that the join is."""
        with open(folder / "findings.csv", encoding="utf-8-sig", newline="") as file:
            return {peers.packed(row["ip"]) for row in csv.DictReader(file) if row["rule"] == "unregistered-device" and row["ip"]}


def address(number, offset):
    return (0x0A000000 | number % UNITS << 16 | number // UNITS + offset).to_bytes(4, "big")


def words(octets):
    return ".".join(map(str, octets))


def registered(scratch, devices, assets, jiebei):
    """Devices of which every second one is registered. None where `watch` cannot read the capture."""
    registry = scratch / "registry"
    registry.mkdir(exist_ok=True)
    unit = [f"4301{number:02}" for number in range(UNITS)]
    (registry / "units.csv").write_text("unit\n" + "".join(f"{u}\n" for u in unit))
    (registry / "segments.csv").write_text(
        "unit,prefix,registration\n" + "".join(f"{u},10.{number}.0.0/16,closed\n" for number, u in enumerate(unit)))
    with open(registry / "assets.csv", "w") as file:
        file.write("unit,name,ip,mac,status\n")
        for number in range(assets):
            mac = b"\x00\x1b" + number.to_bytes(4, "big")
            file.write(f"{unit[number % UNITS]},asset{number},{words(address(number, 256))},{mac.hex(':')},online\n")
    seen, unknown = [], set()
    for number in range(devices):
        if number % 2:
            seen.append((b"\x00\x1b" + number.to_bytes(4, "big"), address(number, 256)))
        else:
            stranger = address(number, 40_000)  # above the registered ones of its /16
            seen.append((b"\x00\x1c" + number.to_bytes(4, "big"), stranger))
            unknown.add(stranger)
    capture = write(scratch / "network.pcap", (arp(*device) for device in seen))
    (scratch / "observed.csv").write_text("ip,mac\n" + "".join(f"{words(ip)},{mac.hex(':')}\n" for mac, ip in seen))
    script = scratch / "join.sql"
    script.write_text(f".mode csv\n.import {registry / 'assets.csv'} assets\n.import {scratch / 'observed.csv'} observed\n"
                      "create index by_ip on assets(ip);\n.mode list\n"
                      "select observed.ip from observed left join assets on assets.ip = observed.ip where assets.ip is null;\n")
    result = scratch / "network"
    try:
        subprocess.run([jiebei, "watch", "--read", capture, "--out", result, "-q"], check=True, capture_output=True, timeout=WATCH)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return World(registry, result, script, unknown)
