"""Keeps the bytes that arrive on a loopback port, as they arrive, until it is told to end.

A datagram has no end of its own once it is in a file, so each is followed by one line feed.
"""

import signal
import socket
import sys

protocol, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

with open(path, "wb", buffering=0) as kept:
    if protocol == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", port))
            while True:
                kept.write(datagrams.recv(65536) + b"\n")
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            while data := connection.recv(65536):
                kept.write(data)
