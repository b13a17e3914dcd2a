"""Servers behind nginx: one answers too late, one hangs up, and one speaks FastCGI and complains on
standard error, on several lines, as PHP does.
"""

import socket
import struct
import threading
import time


def serve(port, answer):
    listener = socket.create_server(("127.0.0.1", port))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def late(connection):
    connection.recv(65536)
    time.sleep(3)


def hang_up(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    connection.close()


def record(kind, text):
    return struct.pack(">BBHHBB", 1, kind, 1, len(text), 0, 0) + text


def complain(connection):
    connection.recv(65536)
    warning = (
        b"PHP message: PHP Warning:  Undefined variable $total in /srv/shop/cart.php on line 12\n"
        b'PHP message: PHP Fatal error:  Uncaught Exception: no stock, client: "none"\n'
        b"Stack trace:\n#0 {main}\n  thrown in /srv/shop/cart.php on line 40"
    )
    page = b"Status: 500\r\nContent-Type: text/plain\r\n\r\nsorry"
    ended = record(3, struct.pack(">IBBBB", 0, 0, 0, 0, 0))
    connection.sendall(record(7, warning) + record(6, page) + record(6, b"") + ended)
    connection.close()


serve(8001, late)
serve(8002, hang_up)
serve(9000, complain)
threading.Event().wait()
