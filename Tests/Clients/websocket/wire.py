# SPDX-License-Identifier: MIT
"""A WebSocket client that sends whatever it is told to, right or wrong, and checks every byte that comes back.

Source: RFC 6455, RFC 7692.
"""

import base64
import os
import select
import socket
import struct
import time
import zlib

DEADLINE_SECONDS = 30
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
TAIL = b"\x00\x00\xff\xff"


class Wrong(Exception):
    """What a server must never do."""


def mask(payload, key):
    if not payload:
        return b""
    pattern = (key * (len(payload) // 4 + 1))[: len(payload)]
    whole = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return whole.to_bytes(len(payload), "big")


def frame(opcode, payload=b"", fin=True, rsv=0):
    """A masked frame; the three reserved bits are a number, the first of them 4."""
    key = os.urandom(4)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
    return head + key + mask(payload, key)


def fragments(opcode, payload, size, rsv=0):
    """One message in frames of so many bytes each."""
    parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    frames = []
    for number, part in enumerate(parts):
        first = number == 0
        frames.append(frame(opcode if first else 0, part, number == len(parts) - 1, rsv if first else 0))
    return b"".join(frames)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


class Deflate:
    """What was agreed on, read out of the server's answer."""

    def __init__(self, answer):
        self.parameters = {}
        name, *rest = [part.strip() for part in answer.split(";")]
        if name != "permessage-deflate":
            raise Wrong(f"it agrees to {answer}")
        for part in rest:
            key, _, value = part.partition("=")
            if key in self.parameters:
                raise Wrong(f"{key} twice in {answer}")
            self.parameters[key] = value
        self.server_bits = int(self.parameters.get("server_max_window_bits", 15))
        self.client_bits = int(self.parameters.get("client_max_window_bits") or 15)
        self.out, self.into = None, None

    def compress(self, message):
        if self.out is None or "client_no_context_takeover" in self.parameters:
            self.out = zlib.compressobj(6, zlib.DEFLATED, -max(self.client_bits, 9))
        short = self.out.compress(message) + self.out.flush(zlib.Z_SYNC_FLUSH)
        return short[:-4]

    def inflate(self, message):
        # A window as wide as was agreed on, and no wider: who refers to what is further back is found out.
        if self.into is None or "server_no_context_takeover" in self.parameters:
            self.into = zlib.decompressobj(-self.server_bits)
        return self.into.decompress(message + TAIL)


class Client:
    """One connection, upgraded; `offers` are those of Sec-WebSocket-Extensions."""

    def __init__(self, host, port, offers=()):
        self.socket = socket.create_connection((host, port), DEADLINE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.ended = False
        self.events = []
        self.parts, self.opcode, self.is_compressed = [], None, False
        self.deflate = None
        self.frames_seen = 0
        self.saved = [0, 0]
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET / HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
        ]
        if offers:
            lines.append("Sec-WebSocket-Extensions: " + ", ".join(offers))
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._read_head(bool(offers))

    def _read_head(self, has_offered):
        limit = time.monotonic() + DEADLINE_SECONDS
        while b"\r\n\r\n" not in self.unread:
            self._read(limit)
            if self.ended:
                raise Wrong(f"no upgrade: {self.unread!r}")
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise Wrong(f"no upgrade: {head!r}")
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-extensions":
                if not has_offered:
                    raise Wrong(f"it answers {value} to no offer")
                self.deflate = Deflate(value.strip())

    # ---- sending

    def send(self, data, chop=None):
        """Sends bytes, in pieces of so many; what has come meanwhile is read before each, or it might be lost."""
        size = chop or 1 << 16
        for at in range(0, len(data), size):
            rest = data[at:at + size]
            while rest and not self.ended:
                readable, writable, _ = select.select([self.socket], [self.socket], [], DEADLINE_SECONDS)
                if not readable and not writable:
                    raise Wrong("it neither reads nor writes")
                if readable:
                    self._read(time.monotonic() + DEADLINE_SECONDS)
                elif writable:
                    try:
                        rest = rest[self.socket.send(rest):]
                    except OSError:
                        self.ended = True

    def message(self, payload, opcode=TEXT, fragment=0):
        """A message, compressed if that was agreed on."""
        rsv = 0
        if self.deflate:
            short = self.deflate.compress(payload)
            self.saved[0] += len(payload)
            self.saved[1] += len(short)
            payload, rsv = short, 4
        self.send(fragments(opcode, payload, fragment or max(1, len(payload)), rsv))

    # ---- reading

    def _read(self, limit):
        self.socket.settimeout(max(0.01, limit - time.monotonic()))
        try:
            data = self.socket.recv(1 << 18)
        except socket.timeout:
            raise Wrong("nothing more comes, and the connection stays open") from None
        except OSError:
            data = b""
        self.ended = self.ended or not data
        self.unread += data

    def next(self, within=DEADLINE_SECONDS):
        """The next event; ("end",) when the connection has ended."""
        limit = time.monotonic() + within
        while True:
            event = self._decode()
            if event:
                self.events.append(event)
                return event
            if self.ended:
                return ("end",)
            self._read(limit)

    def rest(self):
        """All events to the end."""
        while self.next() != ("end",):
            pass
        return self.events

    def is_silent(self, seconds):
        """Whether nothing comes for so long; what comes stays for `next`."""
        if self.unread or self.ended:
            return False
        return not select.select([self.socket], [], [], seconds)[0]

    def _decode(self):
        while True:
            found = self._frame()
            if found is None:
                return None
            opcode, fin, rsv, payload = found
            self.frames_seen += 1
            event = self._event(opcode, fin, rsv, payload)
            if event:
                return event

    def _frame(self):
        data = self.unread
        if len(data) < 2:
            return None
        if data[1] & 0x80:
            raise Wrong("a masked frame from a server")
        length, head = data[1] & 0x7F, 2
        if length > 125:
            head, least = (4, 126) if length == 126 else (10, 65536)
            if len(data) < head:
                return None
            length = int.from_bytes(data[2:head], "big")
            if length < least:
                raise Wrong("a length not in its shortest form")
        if len(data) < head + length:
            return None
        self.unread = data[head + length:]
        return data[0] & 0xF, bool(data[0] & 0x80), data[0] >> 4 & 7, data[head:head + length]

    def _event(self, opcode, fin, rsv, payload):
        if opcode >= 8:
            if not fin or rsv or len(payload) > 125:
                raise Wrong("a control frame in parts, too long, or with a reserved bit")
            if opcode == CLOSE:
                return ("close", struct.unpack(">H", payload[:2])[0] if payload else None)
            return ({PING: "ping", PONG: "pong"}[opcode], payload)
        if rsv not in ((0, 4) if self.deflate and opcode else (0,)):
            raise Wrong(f"reserved bits {rsv}")
        if (opcode == 0) != (self.opcode is not None):
            raise Wrong("fragments out of order")
        if opcode:
            self.opcode, self.is_compressed, self.parts = opcode, rsv == 4, []
        self.parts.append(payload)
        if not fin:
            return None
        message, kind = b"".join(self.parts), self.opcode
        self.opcode = None
        if self.is_compressed:
            message = self.deflate.inflate(message)
        if kind == TEXT:
            message.decode()
        return ("text" if kind == TEXT else "binary", message)
