"""Addresses of servers: whether one listens."""

from __future__ import annotations

import socket

KNOCK_S = 5.0  # how long a server may take to answer at all


def knock(host: str, port: int) -> None:
    """Check that a server listens; its own client would try for minutes.

    Args:
        host: Name or address.
        port: TCP port.

    Raises:
        OSError: It does not.
    """
    socket.create_connection((host, port), KNOCK_S).close()
