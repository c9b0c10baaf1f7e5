"""What runs at the answering end: listeners for any address, a little chatter, true checksums.

    peer_end.py INTERFACE SCANNER_MAC PORT...

Prints "ready" when all of it stands, and runs until it is killed.
"""

import array
import fcntl
import selectors
import socket
import struct
import sys
import time

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h
ETHERTYPE = 0x88B5  # IEEE 802: local experiments
# A wire is never quite silent. masscan hangs in libpcap's poll where it is: it ends with the first frame after its time.
CHATTER = 0.1


def checksums_in_software(interface):
    """A veth leaves checksums unfinished, which no card does: readers would have to be lenient."""
    value = array.array("I", [ETHTOOL_STXCSUM, 0])
    request = struct.pack("16sQ", interface.encode(), value.buffer_info()[0]) + bytes(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)


def main(interface, mac, *ports):
    checksums_in_software(interface)
    waiting = selectors.DefaultSelector()
    for port in ports:
        listener = socket.create_server(("", int(port)), family=socket.AF_INET6, backlog=65535, dualstack_ipv6=True)
        listener.setblocking(False)
        waiting.register(listener, selectors.EVENT_READ)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("0200000000bb") + ETHERTYPE.to_bytes(2, "big") + bytes(46)
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        for key, _ in waiting.select(max(0, due - time.monotonic())):
            try:
                key.fileobj.accept()[0].close()
            except OSError:
                pass  # it hung up first
        if time.monotonic() >= due:
            wire.send(frame)
            due += CHATTER


if __name__ == "__main__":
    main(*sys.argv[1:])
