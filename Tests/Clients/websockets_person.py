# SPDX-License-Identifier: MIT
"""One connection of websockets, as published, that does what it is told in lines (orders.py).

pomelo's packages and messages are written here, by pomelo-protocol's README; WebSocket is the package's.

Usage: websockets_person.py HOST PORT
"""

import json
import sys

from orders import DEADLINE_SECONDS, Orders, say
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

HANDSHAKE, ACK, HEARTBEAT, DATA, KICK = range(1, 6)
REQUEST, NOTIFY, RESPONSE, PUSH = range(4)


def package(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def packages(frame):
    """All in a frame: the server may write several at once."""
    while frame:
        end = 4 + int.from_bytes(frame[1:4], "big")
        assert len(frame) >= end, frame
        yield frame[0], frame[4:end]
        frame = frame[end:]


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def message(kind, number, route, body):
    name = route.encode()
    numbered = varint(number) if kind == REQUEST else b""
    return bytes([kind << 1]) + numbered + bytes([len(name)]) + name + json.dumps(body).encode()


class Visitor:
    def __init__(self, host, port):
        self.socket = connect(f"ws://{host}:{port}/", open_timeout=DEADLINE_SECONDS)
        self.orders = Orders(self)
        self.kicked = False
        shake = {"sys": {"type": "websockets", "version": "1"}}
        self.socket.send(package(HANDSHAKE, json.dumps(shake).encode()))

    def ask(self, number, route, body):
        self.socket.send(package(DATA, message(REQUEST, int(number), route, body)))

    def tell(self, route, body):
        self.socket.send(package(DATA, message(NOTIFY, 0, route, body)))

    def close(self):
        self.socket.close()

    def hear(self):
        try:
            for frame in self.socket:
                for kind, body in packages(frame):
                    self.heard(kind, body)
            # The server said goodbye in WebSocket's own way.
            if not self.kicked:
                raise EOFError
        except ConnectionClosed as error:
            if not self.kicked:
                raise EOFError from error

    def heard(self, kind, body):
        if kind == HANDSHAKE:
            assert json.loads(body)["code"] == 200, body
            self.socket.send(package(ACK))
            say("connected")
        elif kind == HEARTBEAT:
            self.orders.later(lambda: self.socket.send(package(HEARTBEAT)))
        elif kind == KICK:
            self.kicked = True
            say("kicked", body.decode())
        else:
            assert kind == DATA, kind
            self.message(body)

    def message(self, body):
        flag = body[0]
        if flag == RESPONSE << 1:
            number, at = 0, 1
            while True:
                number |= (body[at] & 127) << 7 * (at - 1)
                at += 1
                if body[at - 1] < 128:
                    break
            say("answer", number, body[at:].decode())
        else:
            assert flag == PUSH << 1, flag
            end = 2 + body[1]
            say("push", body[2:end].decode(), body[end:].decode())


if __name__ == "__main__":
    Visitor(sys.argv[1], int(sys.argv[2])).orders.run()
