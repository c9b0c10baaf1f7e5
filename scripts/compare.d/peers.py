"""The contestants: their command lines, and how to read who answered out of what they write.

Each peer gets the flags that its manual recommends for speed, in several variants, and the best of them counts.
A parser gives a set of packed addresses, or of (packed address, port).
"""

import functools
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import topology as at

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / "target/compare"
RUSTSCAN_BUILD = 1800.0  # seconds
LINE_RATE = "10000000"  # more than any of them reaches


@dataclass
class Contestant:
    tool: str
    label: str
    argv: list
    read: object = None  # of the text on stdout, to a set
    ours: bool = False
    prepare: object = None  # called before each run


def packed(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def attempt(read_line):
    """A reader of lines; what is no answer gives nothing."""
    def read(text):
        found = set()
        for line in text.splitlines():
            try:
                found.update(read_line(line.split()))
            except (IndexError, OSError, ValueError):
                continue
        return found
    return read


first_word = attempt(lambda words: [packed(words[0])])
address_and_port = attempt(lambda words: [(packed(words[0]), int(words[1]))])


def masscan_list(with_ports):
    """`open tcp 80 10.80.0.1 1795613045`, `open icmp 0 …`."""
    def line(words):
        if words[0] not in ("open", "up"):
            return []
        address = packed(words[3])
        return [(address, int(words[2]))] if with_ports else [address]
    return attempt(line)


def nmap_hosts(words):
    return [packed(words[1])] if words[0] == "Host:" and words[-1] == "Up" else []


def nmap_ports(words):
    """`Host: 10.80.0.1 () Ports: 22/open/tcp//ssh///, 80/open/tcp//http///`."""
    if words[0] != "Host:" or "Ports:" not in words:
        return []
    return [(packed(words[1]), int(word.split("/")[0]))
            for word in words[words.index("Ports:") + 1:] if word.split("/")[1:2] == ["open"]]


def rustscan_line(words):
    """`10.81.0.1 -> [22,80]`."""
    ports = "".join(words[2:]).strip("[]").split(",")
    return [(packed(words[0]), int(port)) for port in ports] if words[1] == "->" else []


def said(*argv):
    """The first line of what a command says that has a figure in it."""
    try:
        told = subprocess.run(argv, text=True, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return "not there"
    lines = (told.stdout + told.stderr).splitlines()
    return next((line.strip(" -") for line in lines if any(c.isdigit() for c in line)), "not there")


def versions():
    return {
        "nmap": said("nmap", "--version").split(" (")[0],
        "masscan": said("masscan", "--version").split(" (")[0],
        "zmap": said("zmap", "--version"),
        "arp-scan": said("arp-scan", "--version"),
        "fping": said("fping", "-v"),
        "tcpdump": said("tcpdump", "--version"),
        "tshark": said("tshark", "--version").replace("(Wireshark) ", "").split(" (")[0],
        "p0f": said("p0f", "-h").split(" by ")[0],
        "sqlite3": "sqlite3 " + said("sqlite3", "--version").split(" ")[0],
        "RustScan": said(rustscan(), "--version") if rustscan() else "RustScan: not there",
        "jiebei": said(str(jiebei()), "--version") if jiebei() else "jiebei: not built",
    }


def rustscan():
    return shutil.which("rustscan", path=f"{BUILT / 'bin'}:{os.environ.get('PATH', '')}")


def build_rustscan():
    """Debian has no package of it. Whether its build succeeds is its own affair: without it, it is told as missing."""
    if rustscan() or os.environ.get("COMPARE_RUSTSCAN") == "no" or not shutil.which("cargo"):
        return
    print("compare: building RustScan (once; COMPARE_RUSTSCAN=no leaves it out)", flush=True)
    try:
        subprocess.run(["cargo", "install", "--quiet", "--locked", "rustscan", "--root", str(BUILT)],
                       timeout=RUSTSCAN_BUILD, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        pass
    shutil.rmtree(BUILT / "build", ignore_errors=True)


def jiebei():
    path = Path(os.environ.get("JIEBEI", ROOT / "target/release/jiebei"))
    return path.resolve() if path.exists() else None


@functools.cache
def scan_help():
    """What our `scan` says of itself: nothing where it is not there."""
    binary = jiebei()
    told = binary and subprocess.run([binary, "scan", "--lang", "en", "--help"], text=True, capture_output=True, timeout=20)
    return told.stdout if told and told.returncode == 0 else ""


def ways():
    """The words of --io that this binary knows."""
    words = re.search(r"--io <([a-z|]+)>", scan_help())
    return words.group(1).split("|") if words else []


def ours(method, where, ports=None, rate="max", rounds=None, io=None):
    """`where` is --scope and --targets. The rates of a target and a prefix are set free, as the peers have none."""
    argv = [str(jiebei()), "scan", "-q", "--interface", at.NIC, "--method", method, *where, "--rate", str(rate)]
    for flag in ("--per-target", "--per-prefix"):
        argv += [flag, "max"] if flag in scan_help() else []
    argv += ["--ports", ports] if ports else []
    argv += ["--rounds", str(rounds)] if rounds else []
    argv += ["--io", io] if io else []
    label = ", ".join(filter(None, (io and f"--io {io}", rounds and f"--rounds {rounds}"))) or "scan"
    return Contestant("jiebei", label, argv, address_and_port if method in ("tcp", "udp") else first_word, ours=True)


def zmap(prefix, port=80, module=None, speed=("-B", "10G"), threads=1, cooldown=1, probes=1):
    argv = ["zmap", "-C", "/dev/null", "-b", "/dev/null", "-i", at.NIC, "-S", at.SOURCE, "-G", at.PEER_MAC,
            "-q", "-v", "1", *speed, "-T", str(threads), "-c", str(cooldown)]
    argv += ["-M", module] if module else ["-p", str(port)]
    argv += ["-P", str(probes)] if probes > 1 else []
    read = first_word if module else attempt(lambda words: [(packed(words[0]), port)])
    label = f"-T {threads} -c {cooldown}" + (f" -P {probes}" if probes > 1 else "")
    return Contestant("zmap", label, [*argv, prefix], read)


def masscan(prefix, ports=None, kind=None, rate=LINE_RATE, wait=1, retries=0):
    argv = ["masscan", "-e", at.NIC, "--source-ip", at.SOURCE, "--router-mac", at.PEER_MAC.replace(":", "-"),
            "--rate", str(rate), "--wait", str(wait), "-oL", "-"]
    argv += [f"-p{ports}"] if ports else [kind]
    # Without a repetition it misses what is answered at once; with one and without a rate it does not end.
    argv += ["--retries", str(retries)] if retries else []
    label = f"--rate {rate} --wait {wait}" + (f" --retries {retries}" if retries else "")
    return Contestant("masscan", label, [*argv, prefix], masscan_list(ports is not None))


def nmap(where, how, ports=False, retries=0, rate=("--min-rate", "100000"), more=()):
    argv = ["nmap", "-n", *how, "-T5", *rate, "--max-retries", str(retries), *more, "-oG", "-", *where]
    label = " ".join([*how, *rate, "--max-retries", str(retries), *more])
    return Contestant("nmap", label, argv, attempt(nmap_ports if ports else nmap_hosts))


def arp_scan(prefix, bandwidth, retry=1, patience=None):
    """Its patience is in milliseconds: 500 unless told."""
    waits = ["-t", str(patience)] if patience else []
    argv = ["arp-scan", "-I", at.NIC, "-x", "-q", "-N", "-B", bandwidth, "-r", str(retry), *waits, prefix]
    return Contestant("arp-scan", " ".join(["-B", bandwidth, "-r", str(retry), *waits]), argv, first_word)


def fping(file, interval="0", retries=0, family=()):
    argv = ["fping", *family, "-a", "-q", "-r", str(retries), "-i", interval, "-f", file]
    return Contestant("fping", f"-r {retries} -i {interval}", argv, first_word)


def rust_scan(file, ports, batch):
    argv = [rustscan(), "--no-config", "--no-banner", "-g", "-a", file, "-r", ports, "-b", str(batch),
            "-t", "500", "--ulimit", str(batch + 1000), "--scripts", "none"]
    return Contestant("RustScan", f"-b {batch} -t 500", argv, attempt(rustscan_line))
