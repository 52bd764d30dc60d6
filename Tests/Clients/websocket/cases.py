# SPDX-License-Identifier: MIT
"""The cases of the Autobahn test suite, by their published numbers: what is sent and what must come of it.

A case is a generator of its own that says how it ends: PASS, or NonStrict with a reason; whatever else it raises has
failed. Payloads of categories 12 and 13 are made here, of the same kinds as the suite's files.

Source: https://github.com/crossbario/autobahn-testsuite (the list of cases), RFC 6455, RFC 7692.
"""

import json
import random
import zlib

from wire import BINARY, CLOSE, PING, PONG, TEXT, Client, Wrong, close, fragments, frame

CASES = {}
HELLO = b"Hello, world!"
KOSME = "κόσμε".encode()


class NonStrict(Exception):
    """Allowed, and not what the suite would like best; the text says why it is so."""


class World:
    """Where the server is, and how much is to be tried."""

    def __init__(self, host, port, full):
        self.host, self.port, self.full = host, port, full
        self.note = ""

    def client(self, offers=()):
        return Client(self.host, self.port, offers)


def case(number):
    def add(function):
        CASES[number] = function
        return function
    return add


def expect(found, wanted):
    if found != wanted:
        raise Wrong(f"expected {short(wanted)}, found {short(found)}")


def short(value):
    text = repr(value)
    return text if len(text) < 160 else text[:150] + "…"


def goes_well(world, data, events, chop=None):
    """Everything is legal: what is expected comes, and a close frame is answered by another."""
    client = world.client()
    client.send(data, chop)
    for event in events:
        expect(client.next(), event)
    client.send(close(1000))
    expect(client.rest(), events + [("close", 1000)])


def is_refused(world, data, events=(), codes=(1002,), chop=None):
    """The server ends the connection with one of the codes, after it has answered what was right."""
    client = world.client()
    client.send(data, chop)
    found = client.rest()
    if not found or found[-1][0] != "close" or found[-1][1] not in codes:
        raise Wrong(f"expected to be closed with one of {codes}, found {short(found)}")
    if len(found) == 1 and events:
        raise NonStrict("what came before is not answered any more")
    expect(found[:-1], list(events))


def add_well(number, data, events, chop=None):
    CASES[number] = lambda world: goes_well(world, data, events, chop)


def add_refused(number, data, events=(), codes=(1002,), chop=None):
    CASES[number] = lambda world: is_refused(world, data, events, codes, chop)


def text(payload):
    return ("text", payload)


# ---- 1: messages of several lengths, the last in pieces of 997 bytes

for group, (opcode, kind, byte) in enumerate([(TEXT, "text", b"*"), (BINARY, "binary", b"\xfe")], 1):
    for number, length in enumerate([0, 125, 126, 127, 128, 65535, 65536, 65536], 1):
        add_well(
            f"1.{group}.{number}", frame(opcode, byte * length), [(kind, byte * length)], 997 if number == 8 else None)

# ---- 2: pings and pongs

for number, (payload, chop) in {
    1: (b"", None), 2: (b"Hello, world!", None), 3: (b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", None),
    4: (b"\xfe" * 125, None), 6: (b"\xfe" * 125, 1),
}.items():
    add_well(f"2.{number}", frame(PING, payload), [("pong", payload)], chop)
add_refused("2.5", frame(PING, b"\xfe" * 126))
add_well("2.7", frame(PONG), [])
add_well("2.8", frame(PONG, b"unsolicited pong payload"), [])
add_well(
    "2.9", frame(PONG, b"unsolicited pong payload") + frame(PING, b"ping payload"), [("pong", b"ping payload")])
TEN = [b"payload-%d" % number for number in range(10)]
for number, chop in [(10, None), (11, 1)]:
    add_well(
        f"2.{number}", b"".join(frame(PING, one) for one in TEN), [("pong", one) for one in TEN], chop)

# ---- 3 and 4: reserved bits and opcodes

add_refused("3.1", frame(TEXT, HELLO, rsv=1))
for number, rsv, chop in [(2, 2, None), (3, 3, 1), (4, 4, 1)]:
    data = frame(TEXT, HELLO) + frame(TEXT, HELLO, rsv=rsv) + frame(PING)
    add_refused(f"3.{number}", data, [text(HELLO)], chop=chop)
add_refused("3.5", frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", rsv=5))
add_refused("3.6", frame(PING, HELLO, rsv=6))
add_refused("3.7", frame(CLOSE, rsv=7))
for group, opcodes in [(1, range(3, 8)), (2, range(11, 16))]:
    for number, opcode in enumerate(opcodes, 1):
        payload = HELLO if number in (2, 4, 5) else b""
        if number <= 2:
            add_refused(f"4.{group}.{number}", frame(opcode, payload))
        else:
            add_refused(
                f"4.{group}.{number}", frame(TEXT, HELLO) + frame(opcode, payload) + frame(PING), [text(HELLO)],
                chop=1 if number == 5 else None)

# ---- 5: fragments

ONE, TWO, THREE, FOUR, FIVE = (b"fragment%d" % number for number in range(1, 6))
BOTH = frame(TEXT, ONE, False) + frame(0, TWO)
add_refused("5.1", frame(PING, ONE, False) + frame(0, TWO))
add_refused("5.2", frame(PONG, ONE, False) + frame(0, TWO))
for number, chop in [(3, None), (4, 1), (5, 1)]:
    add_well(f"5.{number}", BOTH, [text(ONE + TWO)], chop)
for number, chop in [(6, None), (7, 1), (8, 1)]:
    add_well(
        f"5.{number}", frame(TEXT, ONE, False) + frame(PING, b"ping payload") + frame(0, TWO),
        [("pong", b"ping payload"), text(ONE + TWO)], chop)
for start, fin in [(9, True), (12, False)]:
    for number, chop in enumerate([None, 1, 1], start):
        add_refused(f"5.{number}", frame(0, b"non-continuation payload", fin) + frame(TEXT, HELLO), chop=chop)
add_refused("5.15", BOTH + frame(0, THREE, False) + frame(TEXT, FOUR), [text(ONE + TWO)])
for number, fin in [(16, False), (17, True)]:
    add_refused(f"5.{number}", 2 * (frame(0, ONE, fin) + frame(TEXT, TWO, False) + frame(0, THREE)))
add_refused("5.18", frame(TEXT, ONE, False) + frame(TEXT, TWO))


def pings_between(world, chop):
    client = world.client()
    client.send(frame(TEXT, ONE, False) + frame(0, TWO, False) + frame(PING, b"pongme 1!"), chop)
    expect(client.next(), ("pong", b"pongme 1!"))
    client.send(frame(0, THREE, False) + frame(0, FOUR, False) + frame(PING, b"pongme 2!") + frame(0, FIVE), chop)
    expect(client.next(), ("pong", b"pongme 2!"))
    expect(client.next(), text(ONE + TWO + THREE + FOUR + FIVE))
    client.send(close(1000))
    expect(client.rest()[3:], [("close", 1000)])


CASES["5.19"] = lambda world: pings_between(world, None)
CASES["5.20"] = lambda world: pings_between(world, 1)

# ---- 6: UTF-8

add_well("6.1.1", frame(TEXT), [text(b"")])
add_well("6.1.2", frame(TEXT, b"", False) + frame(0, b"", False) + frame(0), [text(b"")])
add_well(
    "6.1.3", frame(TEXT, b"", False) + frame(0, b"middle frame payload", False) + frame(0),
    [text(b"middle frame payload")])
LETTERS = ["Hello-µ@ßöä".encode(), "üàá-UTF-8!!".encode()]
add_well("6.2.1", frame(TEXT, b"".join(LETTERS)), [text(b"".join(LETTERS))])
add_well("6.2.2", frame(TEXT, LETTERS[0], False) + frame(0, LETTERS[1]), [text(b"".join(LETTERS))])
add_well("6.2.3", fragments(TEXT, b"".join(LETTERS), 1), [text(b"".join(LETTERS))])
add_well("6.2.4", fragments(TEXT, KOSME, 1), [text(KOSME)])
BAD = KOSME + b"\xed\xa0\x80edited"
add_refused("6.3.1", frame(TEXT, BAD), codes=(1007,))
add_refused("6.3.2", fragments(TEXT, BAD, 1), codes=(1007,))


def fails_fast(world, parts):
    """The second part shows that the whole cannot be UTF-8."""
    client = world.client()
    client.send(parts[0])
    if not client.is_silent(0.2):
        raise Wrong(f"closed too early: {client.rest()}")
    client.send(parts[1])
    was_silent = client.is_silent(0.3)
    client.send(parts[2])
    expect(client.rest(), [("close", 1007)])
    if was_silent:
        raise NonStrict("text is looked at when the message is whole")


WHOLE = KOSME + b"\xf4\x90\x80\x80edited"
for number, cuts in [(1, (11, 15)), (2, (12, 13))]:
    pieces = [WHOLE[: cuts[0]], WHOLE[cuts[0]:cuts[1]], WHOLE[cuts[1]:]]
    frames = [frame(TEXT, pieces[0], False), frame(0, pieces[1], False), frame(0, pieces[2])]
    CASES[f"6.4.{number}"] = lambda world, frames=frames: fails_fast(world, frames)
    data = frame(TEXT, WHOLE)
    chops = [data[: 6 + cuts[0]], data[6 + cuts[0]:6 + cuts[1]], data[6 + cuts[1]:]]
    CASES[f"6.4.{number + 2}"] = lambda world, chops=chops: fails_fast(world, chops)


def scattered(ranges):
    return [b"".join(bytes([byte, 0x20]) for byte in range(low, high)) for low, high in ranges]


def of_hex(words):
    return [bytes.fromhex(word) for word in words.split()]


CUT = of_hex("c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf")
# Each group: the texts, in the order of their numbers. Whether they are UTF-8 is asked of Python, which is strict.
UTF8 = {
    5: ["hello$world".encode(), "hello¢world".encode(), "hello€world".encode(), "hello\U00024b62world".encode(), KOSME],
    6: [KOSME[:length] for length in range(1, 12)],
    7: of_hex("00 c280 e0a080 f0908080"),
    8: of_hex("f888808080 fc8480808080"),
    9: of_hex("7f dfbf efbfbf f48fbfbf"),
    10: of_hex("f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"),
    11: of_hex("ed9fbf ee8080 efbfbd f48fbfbf f4908080"),
    12: of_hex("80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf") + [bytes(range(0x80, 0xBF))],
    13: scattered([(0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD)]),
    14: CUT,
    15: [b"".join(CUT)],
    16: of_hex("fe ff fefeffff"),
    17: of_hex("c0af e080af f08080af f8808080af fc80808080af"),
    18: of_hex("c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"),
    19: of_hex("c080 e08080 f0808080 f880808080 fc8080808080"),
    20: of_hex("eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"),
    21: of_hex(
        "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf"),
    22: [chr(plane << 16 | low).encode() for plane in range(17) for low in (0xFFFE, 0xFFFF)],
    23: [chr(point).encode() for point in range(0xFFF9, 0x10000)],
}
for group, texts in UTF8.items():
    for number, payload in enumerate(texts, 1):
        try:
            payload.decode()
            add_well(f"6.{group}.{number}", frame(TEXT, payload), [text(payload)])
        except UnicodeDecodeError:
            add_refused(f"6.{group}.{number}", frame(TEXT, payload), codes=(1007,))

# ---- 7: the end


def ends(number, data, events, codes=(1000,)):
    """The close frame is the client's, and whatever follows it is ignored."""
    add_refused(number, data, events, codes)


ends("7.1.1", frame(TEXT, HELLO) + close(1000), [text(HELLO)])
ends("7.1.2", close(1000) + close(1000), [])
ends("7.1.3", close(1000) + frame(PING), [])
ends("7.1.4", close(1000) + frame(TEXT, HELLO), [])
ends("7.1.5", frame(TEXT, ONE, False) + close(1000) + frame(0, TWO), [])
LONG = (b"BAsd7&jh23" * 26215)[: 256 * 1024]
ends("7.1.6", frame(TEXT, LONG) + frame(TEXT, HELLO) + close(1000) + frame(PING), [text(LONG), text(HELLO)])
ends("7.3.1", close(), [], (None, 1000))
ends("7.3.2", frame(CLOSE, b"a"), [], (1002,))
ends("7.3.3", close(1000), [])
ends("7.3.4", close(1000, b"Hello World!"), [])
ends("7.3.5", close(1000, b"*" * 123), [])
ends("7.3.6", close(1000, b"*" * 124), [], (1002,))
ends("7.5.1", close(1000, BAD), [], (1002, 1007))
for number, code in enumerate([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999], 1):
    ends(f"7.7.{number}", close(code), [], (code, 1000))
for number, code in enumerate([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999], 1):
    ends(f"7.9.{number}", close(code), [], (1002,))
for number, code in enumerate([5000, 65535], 1):
    ends(f"7.13.{number}", close(code), [], (1000, 1002, code))

# ---- 9: large messages, and many

KIB, MIB = 1 << 10, 1 << 20


def size(world, wanted):
    """Not in full, a sixteenth of what is over 64 KiB."""
    return wanted if world.full or wanted <= 64 * KIB else max(64 * KIB, wanted // 16)


def echoes(world, opcode, payload, fragment=0, chop=None):
    client = world.client()
    data = fragments(opcode, payload, fragment or max(1, len(payload)))
    client.send(data, chop)
    expect(client.next(60 if world.full else 30), ("text" if opcode == TEXT else "binary", payload))
    client.send(close(1000))
    expect(client.rest()[1:], [("close", 1000)])


def round_trips(world, opcode, length):
    client = world.client()
    byte = b"*" if opcode == TEXT else b"\xfe"
    for _ in range(1000 if world.full else 100):
        client.events.clear()
        client.send(frame(opcode, byte * length))
        expect(client.next(), ("text" if opcode == TEXT else "binary", byte * length))
    client.send(close(1000))
    expect(client.rest()[1:], [("close", 1000)])


def add_large(number, opcode, total, fragment=0, chop=None):
    byte = b"*" if opcode == TEXT else b"\xfe"
    CASES[number] = lambda world: echoes(world, opcode, byte * size(world, total), fragment, chop)


for offset, opcode in enumerate([TEXT, BINARY]):
    for number, total in enumerate([64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB], 1):
        add_large(f"9.{1 + offset}.{number}", opcode, total)
    for number in range(1, 10):
        add_large(f"9.{3 + offset}.{number}", opcode, 4 * MIB, fragment=64 * 4 ** (number - 1))
    for number in range(1, 7):
        add_large(f"9.{5 + offset}.{number}", opcode, MIB, chop=64 * 2 ** (number - 1))
    for number, length in enumerate([0, 16, 64, 256, 1024, 4096], 1):
        CASES[f"9.{7 + offset}.{number}"] = lambda world, o=opcode, n=length: round_trips(world, o, n)

# ---- 10: frames of 1300 bytes

add_well("10.1.1", fragments(TEXT, b"*" * 65536, 1300), [text(b"*" * 65536)])

# ---- 12 and 13: permessage-deflate, with several payloads and several parameters

SIZES = [(length, 0) for length in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)] + [
    (8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096),
    (131072, 32768),
]


def payloads():
    """JSON, a grey picture, words, HTML, and what cannot be compressed any more."""
    chance = random.Random(7692)
    words = [
        "".join(chance.choice("abdefghiklmnoprstuvwäöü") for _ in range(chance.randint(2, 9))) for _ in range(800)]
    people = [
        {"id": number, "name": chance.choice(words), "score": chance.random(), "friends": chance.sample(range(999), 5)}
        for number in range(2000)]
    prose = " ".join(chance.choice(words) for _ in range(40000))
    rows = "".join(f"<tr><td>{chance.choice(words)}</td><td>{chance.random()}</td></tr>\n" for _ in range(6000))
    grey, picture = 128, bytearray()
    for _ in range(262144):
        grey = min(255, max(0, grey + chance.randint(-4, 4)))
        picture.append(grey)
    return [
        (json.dumps(people).encode(), TEXT), (bytes(picture), BINARY), (prose.encode(), BINARY),
        (f"<html><table>{rows}</table></html>".encode(), TEXT),
        (zlib.compress(chance.randbytes(200_000)), BINARY),
    ]


PAYLOADS = payloads()


def part(payload, opcode, start, length):
    """So many characters of a text, or bytes, from a place on and then from the beginning."""
    whole = payload.decode() if opcode == TEXT else payload
    doubled = whole[start:start + length]
    while len(doubled) < length:
        doubled += whole[: length - len(doubled)]
    return (doubled.encode() if opcode == TEXT else doubled), (start + length) % len(whole)


def keeps_word(offer, answer):
    """Whether what was asked of the server is in its answer: a narrower window is as good."""
    for name in offer.split(";")[1:]:
        key, _, value = name.strip().partition("=")
        if not key.startswith("server_"):
            continue
        if key not in answer or value and not 8 <= int(answer[key]) <= int(value):
            raise Wrong(f"{name.strip()} was asked for, and the answer is {answer}")


def compressed(world, which, offers, length, fragment):
    client = world.client(offers)
    if client.deflate is None:
        raise Wrong("permessage-deflate is not agreed to")
    keeps_word(offers[0], client.deflate.parameters)
    payload, opcode = PAYLOADS[which]
    count = 1000 if world.full else max(2, min(20, 65536 // length))
    place = 0
    for _ in range(count):
        client.events.clear()
        message, place = part(payload, opcode, place, length)
        client.message(message, opcode, fragment)
        expect(client.next(), ("text" if opcode == TEXT else "binary", message))
    client.send(close(1000))
    expect(client.rest()[1:], [("close", 1000)])
    world.note = f"{client.saved[1] * 100 // max(1, client.saved[0])} % of the bytes"


# What a client of the suite says that asks a server for such a context and window.
USUAL = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
OFFERS = [
    [USUAL],
    [USUAL + "; server_no_context_takeover"],
    [USUAL + "; server_max_window_bits=9"],
    [USUAL + "; server_max_window_bits=15"],
    [USUAL + "; server_no_context_takeover; server_max_window_bits=9"],
    [USUAL + "; server_no_context_takeover; server_max_window_bits=15"],
    [USUAL + "; server_no_context_takeover; server_max_window_bits=9", USUAL + "; server_no_context_takeover", USUAL],
]
for number, (length, fragment) in enumerate(SIZES, 1):
    for which in range(5):
        CASES[f"12.{which + 1}.{number}"] = (
            lambda world, w=which, n=length, f=fragment: compressed(world, w, [USUAL], n, f))
    for which, offers in enumerate(OFFERS, 1):
        CASES[f"13.{which}.{number}"] = (
            lambda world, o=offers, n=length, f=fragment: compressed(world, 0, o, n, f))
