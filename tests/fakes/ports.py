"""A port that a server can have."""
import random
import socket
from contextlib import suppress


def free_port(preferred=()):
    """Return the first of the preferred ports that is free, else another; the Tool Shed's port, 929 higher, is free too.

    It is below the ports that outgoing connections get, so it stays free until it is used.
    """
    for port in (*preferred, *random.sample(range(20000, 30000), 100)):
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            for trial, number in ((one, port), (other, port + 929)):
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # as Galaxy does: one that it had just now
                trial.bind(("127.0.0.1", number))
            return port
    raise AssertionError("no port is free")
