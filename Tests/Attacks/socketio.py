# SPDX-License-Identifier: MIT
"""What attackers and innocent clients of socket.io do, for attack.py beside it: Engine.IO 4, and 0.9 in one attack."""
import json
import os
import random
import socket
import threading
import time

POLL = "/socket.io/?EIO=4&transport=polling"
SOCKET = "/socket.io/?EIO=4&transport=websocket"


# ---- what goes over the wire

def packet(route, body, number=0):
    """The event of one pomelo message; a number makes it a request."""
    head = "".join(chr(number >> shift & 255) for shift in (24, 16, 8, 0)) + chr(len(route))
    return "42" + json.dumps(["message", head + route + json.dumps(body)])


def request(method, path, body="", headers=""):
    data = body.encode()
    length = f"Content-Length: {len(data)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{headers}\r\n".encode() + data


def upgrade(path):
    return request("GET", path, headers="Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")


def frame(text):
    """A masked text frame; the mask is zero, which leaves the text as it is."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xFE" + len(data).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + data


# ---- connections

class Line:
    """One connection; from an address of its own on this machine, when that is wanted."""

    def __init__(self, port, anywhere=False):
        source = (f"127.{random.randrange(1, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}", 0)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20,
                                               source_address=source if anywhere else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise OSError("the connection was closed")
        self.buffer += data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def answer(self):
        """Status and body."""
        head = self.head()
        length = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")]
        count = int(length[0].split(":")[1]) if length else 0
        while len(self.buffer) < count:
            self.more()
        body, self.buffer = self.buffer[:count], self.buffer[count:]
        return int(head.split(" ")[1]), body.decode("utf-8", "replace")

    def ask(self, method, path, body=""):
        self.send(request(method, path, body))
        return self.answer()

    def text(self):
        """The next text frame; a server's frames have no mask."""
        while True:
            if len(self.buffer) >= 2:
                size, start = self.buffer[1] & 127, 2
                if size == 126 and len(self.buffer) >= 4:
                    size, start = int.from_bytes(self.buffer[2:4], "big"), 4
                if size < 126 or start == 4:
                    if len(self.buffer) >= start + size:
                        kind, data = self.buffer[0] & 15, self.buffer[start:start + size]
                        self.buffer = self.buffer[start + size:]
                        if kind == 8:
                            raise OSError("the WebSocket was closed")
                        return data.decode()
            self.more()

    def begin(self):
        """Begins a session; its path, or None when it was refused."""
        status, body = self.ask("GET", POLL)
        return POLL + "&sid=" + json.loads(body[1:].split("\x1e")[0])["sid"] if status == 200 else None


# ---- attacks: each is given the port and the instant at which to end, and goes on until then

def until(end, act):
    while time.time() < end:
        try:
            act()
        except (OSError, ValueError, KeyError):
            time.sleep(0.01)


def sessions(anywhere):
    """Begins sessions and forgets them."""
    def attack(port, end):
        def act():
            line = Line(port, anywhere)
            while time.time() < end:
                for _ in range(20):
                    line.send(request("GET", POLL))
                    line.answer()
                if anywhere:
                    return
        until(end, act)
    return attack


def strangers(port, end):
    """Says much in the names of others."""
    body = "x" * 200_000

    def act():
        Line(port).ask("POST", POLL + "&sid=" + "%032x" % random.getrandbits(128), body)
    until(end, act)


def overlaps(port, end):
    """Polls twice at once, and says two things at once."""
    def act():
        one, other = Line(port), Line(port)
        path = one.begin()
        one.ask("POST", path, "40")
        one.ask("GET", path)
        method = random.choice(["GET", "POST"])
        half = request("POST", path, "3" * 1000)[:-500] if method == "POST" else request("GET", path)
        one.send(half)
        other.send(half)
        other.answer()
    until(end, act)


def upgrades(port, end):
    """Several WebSockets for one session, with probes, upgrades and polls in any order."""
    def act():
        one, polls = Line(port), Line(port)
        path = one.begin()
        one.ask("POST", path, "40")
        sockets = [Line(port) for _ in range(3)]
        for each in sockets:
            each.send(upgrade(path.replace("polling", "websocket")))
        deeds = [frame("2probe"), frame("5"), frame("4x"), frame("2probe") + frame("5")]
        for _ in range(12):
            if random.random() < 0.3:
                polls.send(request("GET", path))
            try:
                random.choice(sockets).send(random.choice(deeds))
            except OSError:
                pass
    until(end, act)


def slowbodies(port, end):
    """Bodies of a megabyte, a byte at a time."""
    lines = []
    while time.time() < end:
        try:
            if len(lines) < 300:
                line = Line(port)
                path = line.begin()
                line.send(request("POST", path, headers="").replace(b"Length: 0", b"Length: 1000000") + b"x" * 20_000)
                lines.append(line)
            random.choice(lines).send(b"x")
        except (OSError, TypeError):
            lines = lines[-200:]
            time.sleep(0.01)


def pipeline(port, end):
    """Thousands of requests in one breath."""
    many = (request("GET", "/socket.io/1/xhr-polling/none") + request("GET", POLL)
            + request("POST", POLL + "&sid=none")) * 300

    def act():
        line = Line(port)

        def read():
            try:
                while line.socket.recv(1 << 16):
                    pass
            except OSError:
                pass
        threading.Thread(target=read, daemon=True).start()
        line.socket.settimeout(1)
        while time.time() < end:
            line.send(many)
    until(end, act)


def heads(port, end):
    """Heads that are too long, too many, or never end."""
    long = b"GET " + POLL.encode() + b" HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000
    many = request("GET", POLL, headers="".join(f"X{n}: {n}\r\n" for n in range(90)))
    endless = b"GET " + POLL.encode() + b" HTTP/1.1\r\nX: " + b"x" * 8000
    kept = []

    def act():
        Line(port).send(long)
        Line(port).send(many)
        line = Line(port)
        line.send(endless)
        kept.append(line)
        if len(kept) > 300:
            kept.pop(0)
    until(end, act)


def tightpolls(port, end):
    """As a client of 0.9 that was told `0::` and polls on, as fast as it can."""
    def act():
        line = Line(port)
        sid = line.ask("GET", "/socket.io/1/")[1].split(":")[0]
        path = "/socket.io/1/xhr-polling/" + sid
        line.ask("GET", path)
        line.ask("POST", path, "0::")
        while time.time() < end:
            line.ask("GET", path)
    until(end, act)


ATTACKS = {
    "sessions": sessions(False), "sessions-anywhere": sessions(True), "strangers": strangers, "overlaps": overlaps,
    "upgrades": upgrades, "slowbodies": slowbodies, "pipeline": pipeline, "heads": heads, "tightpolls": tightpolls,
}


# ---- ten thousand

def batches(port, requests, anywhere=True, size=20):
    """Status and body for each of many requests, some of them a connection; None where that was closed."""
    for start in range(0, len(requests), size):
        part, answered = requests[start:start + size], 0
        try:
            line = Line(port, anywhere)
            line.send(b"".join(part))
            for _ in part:
                yield line.answer()
                answered += 1
            line.socket.close()
        except OSError:
            for _ in part[answered:]:
                yield None


def known(port, paths):
    """How many sessions there are: what no session is asked tells who is there, and is no sign of life."""
    answers = batches(port, [request("PUT", path) for path in paths])
    return sum(answer is not None and "unknown" not in answer[1] for answer in answers)


def crowd(port, count, anywhere, deadline):
    """Begins sessions that never poll, and counts from outside which of them there are, until there is none."""
    begun = time.time()
    paths = []
    for answer in batches(port, [request("GET", POLL)] * count, anywhere):
        if answer is not None and answer[0] == 200:
            paths.append(POLL + "&sid=" + json.loads(answer[1][1:].split("\x1e")[0])["sid"])
    opened = time.time()
    result = {"begun": len(paths), "opened_s": round(opened - begun, 2), "known": known(port, paths)}
    result["counted_s"] = round(time.time() - opened, 2)
    left = paths
    while left and time.time() < begun + deadline:
        time.sleep(1)
        left = paths if known(port, paths) else []
    result.update(left=len(left) and known(port, left), expired_s=round(time.time() - opened, 2))
    begun = time.time()
    Client(port, True)
    return {**result, "newcomer_ms": round((time.time() - begun) * 1000, 1)}


# ---- the innocent

class Client:
    """Enters a room of its own over a WebSocket or by polling, and says something twenty times a second."""

    def __init__(self, port, polls):
        self.polls, self.number, self.waits = polls, 1, []
        self.speaking = Line(port)
        if polls:
            self.hearing = Line(port)
            self.path = self.speaking.begin()
            if self.path is None:
                raise OSError("refused")
        else:
            self.hearing = self.speaking
            self.speaking.send(upgrade(SOCKET))
            self.speaking.head()
        self.say("40")
        self.expect(lambda text: text.startswith("40"))
        name = f"{'poll' if polls else 'sock'}{os.getpid()}.{random.randrange(1000)}"
        self.ask("connector.entryHandler.enter", {"username": name[-20:], "rid": name})
        self.waits = []

    def say(self, text):
        if not self.polls:
            return self.speaking.send(frame(text))
        status, body = self.speaking.ask("POST", self.path, text)
        if status != 200:
            raise OSError(f"status {status}: {body}")

    def expect(self, wanted):
        while True:
            texts = [self.hearing.text()] if not self.polls else None
            if texts is None:
                status, body = self.hearing.ask("GET", self.path)
                if status != 200:
                    raise OSError(f"status {status}: {body}")
                texts = body.split("\x1e")
            found = [text for text in texts if wanted(text)]
            for text in texts:
                if text == "2":
                    self.say("3")
                elif text in ("1", "41"):
                    raise OSError("the session was ended")
            if found:
                return

    def ask(self, route, body):
        self.number = self.number % 100 + 1
        answer = '{\\"id\\":%d,' % self.number
        begun = time.time()
        self.say(packet(route, body, self.number))
        self.expect(lambda text: answer in text)
        self.waits.append(time.time() - begun)

    def live(self, end):
        while time.time() < end or len(self.waits) < 10:
            self.ask("chat.chatHandler.send", {"content": "hello", "target": "*"})
            time.sleep(0.05)
