# SPDX-License-Identifier: MIT
"""pypomelo, as published, with a socket.

pypomelo leaves the socket to a subclass of its Client. Its own Tornado subclass needs a Tornado without Python 3.10+
support, so this one brings blocking sockets; protocol, messages and dispatch are the package's.
"""

import socket
import time

from pypomelo.client import Client
from pypomelo.protocol import Protocol

DEADLINE_SECONDS = 15


class SocketClient(Client):
    """The transport: what arrives is read only while somebody waits for it."""

    def __init__(self):
        super().__init__(self)
        self.socket = None
        self.connected = False
        self.heartbeats = 0
        self.pushes = []

    def connect(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=DEADLINE_SECONDS)
        self.send_sync()
        self.wait_until(lambda: self.connected, "handshake")

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    # What pypomelo tells its handler, which is this object.

    def on_connected(self, client, user_data):
        self.connected = True

    def on_heartbeat(self, client):
        self.heartbeats += 1

    def on_push(self, client, route, push_data):
        self.pushes.append((route, push_data))

    # What the test asks for.

    def ask(self, route, body):
        answers = []
        self.send_request(route, body, lambda client, route, request, response: answers.append(response))
        self.wait_until(lambda: answers, f"answer to {route}")
        return answers[0]

    def next_push(self, route):
        self.wait_until(lambda: any(name == route for name, _ in self.pushes), f"push {route}")
        found = next(push for push in self.pushes if push[0] == route)
        self.pushes.remove(found)
        return found[1]

    def wait_until(self, condition, what):
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"no {what} within {DEADLINE_SECONDS} s")
            self.hear_one()

    def hear_one(self):
        """Waits for a package and has pypomelo act on it; its type."""
        package = Protocol.unpack(self.read(4))
        if package.length > 0:
            package.append(self.read(package.length))
        self.on_protocol(package)
        return package.proto_type

    def read(self, count):
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise EOFError("the server closed the connection")
            data += chunk
        return data
