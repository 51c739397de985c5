"""Ports that stay free while the one who has them is away for a moment."""

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 10_000
ATTEMPTS = 200
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections.

    A broker that is killed and comes back must find its port again, while clients try to connect all the time: with a
    port out of the system's own range, one of them could be given it, even to talk to itself.
    """
    first_given = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 49_152
    for _ in range(ATTEMPTS):
        port = random.randrange(LOWEST, max(first_given, LOWEST + 1_000))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"none of {ATTEMPTS} ports tried is free")
