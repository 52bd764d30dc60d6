# SPDX-License-Identifier: MIT
"""A pomelo client over UDP, of the standard library alone, against Tests/UDPServer.

It does what pomelo's clients do, and what whoever uses datagrams must: what is not answered is said again. It prints
`served` after a conversation, `told` when the server says that it stops, `back` when it has found the next one, and
`again` when it has noticed by itself that one is gone, and found another.

Usage: udp_client.py HOST PORT
"""

import json
import socket
import sys
import time

DEADLINE_SECONDS = 30
RETRY_SECONDS = 0.2
HANDSHAKE, ACK, HEARTBEAT, DATA, KICK = range(1, 6)
REQUEST, NOTIFY, RESPONSE, PUSH = range(4)


def package(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def packages(datagram):
    while datagram:
        size = int.from_bytes(datagram[1:4], "big")
        yield datagram[0], datagram[4:4 + size]
        datagram = datagram[4 + size:]


class Client:
    def __init__(self, address):
        self.address = address
        self.last_id = 0
        self.begin()

    def begin(self):
        """A new socket, so a new port: for the server it is another client."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.welcome = self.kicked = None
        self.answers, self.pushes, self.heartbeats = {}, [], 0

    def send(self, datagram):
        self.socket.sendto(datagram, self.address)

    def receive(self, seconds):
        self.socket.settimeout(seconds)
        try:
            datagram, _ = self.socket.recvfrom(65536)
        except (socket.timeout, ConnectionError):
            return
        for kind, body in packages(datagram):
            if kind == HANDSHAKE:
                self.welcome = json.loads(body)
            elif kind == HEARTBEAT:
                self.heartbeats += 1
            elif kind == KICK:
                self.kicked = json.loads(body)["reason"]
            elif kind == DATA:
                self.message(body)

    def message(self, body):
        kind, rest = body[0] >> 1, body[1:]
        if kind == RESPONSE:
            number, shift = 0, 0
            while True:
                number |= (rest[0] & 127) << shift
                more, rest = rest[0] & 128, rest[1:]
                shift += 7
                if not more:
                    break
            self.answers[number] = json.loads(rest)
        elif kind == PUSH:
            size = rest[0]
            self.pushes.append((rest[1:1 + size].decode(), json.loads(rest[1 + size:])))

    def repeat(self, datagram, condition, what, seconds=DEADLINE_SECONDS):
        """Sends a datagram again and again until the condition holds; false when time is up."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                if what is None:
                    return False
                raise AssertionError(f"no {what} within {seconds} s")
            if datagram is not None:
                self.send(datagram)
            self.receive(RETRY_SECONDS)
        return True

    def connect(self):
        hello = json.dumps({"sys": {"type": "python-udp", "version": "0.0.1"}, "user": {}}).encode()
        self.repeat(package(HANDSHAKE, hello), lambda: self.welcome, "handshake")
        expect(self.welcome, {"code": 200, "sys": {"heartbeat": 20}})
        self.repeat(package(ACK), lambda: self.heartbeats > 0, "first heartbeat")

    def ask(self, route, body):
        self.last_id += 1
        number = self.last_id
        head = bytes([REQUEST << 1, number, len(route)]) + route.encode()
        request = package(DATA, head + json.dumps(body).encode())
        self.repeat(request, lambda: number in self.answers, f"answer to {route}")
        return self.answers[number]

    def notify(self, route, body):
        head = bytes([NOTIFY << 1, len(route)]) + route.encode()
        self.send(package(DATA, head + json.dumps(body).encode()))

    def is_alive(self, seconds=2):
        before = self.heartbeats
        return self.repeat(package(HEARTBEAT), lambda: self.heartbeats > before, None, seconds)


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {wanted}, found {found}")


def enter(address, name):
    client = Client(address)
    client.connect()
    expect(client.ask("room.roomHandler.enter", {"name": name}), {"name": name})
    return client


def converse(address):
    ann, bob = enter(address, "ann"), enter(address, "bob")
    said = ("onSay", {"text": "hé 中"})
    expect(ann.ask("room.roomHandler.say", {"text": "hé 中"}), {})
    for one in (ann, bob):
        one.repeat(None, lambda: said in one.pushes, "push")
    # Two packages in a datagram, a datagram of nonsense, and one from a port that never shook hands.
    ann.send(package(HEARTBEAT) + package(HEARTBEAT))
    ann.send(b"nonsense")
    stranger = Client(address)
    stranger.send(package(HEARTBEAT))
    stranger.receive(RETRY_SECONDS)
    expect(stranger.heartbeats, 0)
    assert ann.is_alive()
    expect(ann.ask("room.roomHandler.none", {}), {"code": 500})
    bob.notify("room.roomHandler.leave", {})
    bob.repeat(None, lambda: bob.kicked, "kick")
    expect(bob.kicked, "bye")
    assert not bob.is_alive(0.5), "who was kicked is no client any more"
    return ann


def again(client):
    client.begin()
    client.connect()
    expect(client.ask("room.roomHandler.enter", {"name": "ann"}), {"name": "ann"})


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    client = converse(address)
    print("served", flush=True)
    client.repeat(None, lambda: client.kicked, "goodbye")
    expect(client.kicked, "server stopped")
    print("told", flush=True)
    again(client)
    print("back", flush=True)
    end = time.monotonic() + DEADLINE_SECONDS
    while client.is_alive():
        assert time.monotonic() < end, "the server was not ended"
        time.sleep(0.1)
    expect(client.kicked, None)
    again(client)
    print("again", flush=True)


if __name__ == "__main__":
    main()
