#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second pomelo-protobuf, written from what the original does, and what it makes of random schemas and values.

    python3 generate.py 20261127 60 > random.jsonl

One line a schema: its source, its parsed form, and cases. `encode`: a value and its bytes, or null when it has no such
form. `decode`: bytes and their JSON, or null when they are to be refused. The checked-in file has the seed and the
number above; `POMELO_PROTOBUF_VECTORS` gives the tests another one, as large as you like.
"""
import base64, hashlib, json, math, random, re, struct, sys

LARGEST = 2**53 - 1
WIRE = {"uInt32": 0, "int32": 0, "sInt32": 0, "uInt64": 0, "sInt64": 0, "bool": 0, "double": 1, "float": 5, "string": 2}
SIGNED = ("int32", "sInt32", "sInt64")


class Bad(Exception):
    pass


# --- what JavaScript does


def script_order(entries):
    """Integer-like keys first, ascending, then the others as they were set."""
    def index(name):
        return int(name) if re.fullmatch(r"0|[1-9][0-9]*", name) and int(name) < 2**32 - 1 else None
    numbered = sorted((e for e in entries.items() if index(e[0]) is not None), key=lambda e: index(e[0]))
    return dict(numbered + [e for e in entries.items() if index(e[0]) is None])


def stringify(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_int(value):
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        raise Bad("NaN")
    if isinstance(value, str):
        found = re.match(r"[ \t\n\v\f\r]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(?!0[xX])([0-9]+))", value)
        if not found:
            raise Bad("NaN")
        sign, sixteen, ten = found.groups()
        number = int(sixteen, 16) if sixteen else int(ten)
        if number >= 2**64:
            raise Bad("too large")
        return -number if sign == "-" else number
    if isinstance(value, float):
        if abs(value) >= 2**64:
            raise Bad("too large")
        return math.trunc(value)
    return value


# --- schemas


def parse_message(source):
    fields, nested, tags = {}, {}, {}
    for key, value in source.items():
        words = key.split(" ")
        if words[0] == "message" and len(words) == 2:
            nested[words[1]] = parse_message(value)
        elif words[0] in ("required", "optional", "repeated") and len(words) == 3 and value not in tags:
            fields[words[2]] = {"option": words[0], "type": words[1], "tag": value}
            tags[value] = words[2]
    parsed = script_order(fields)
    parsed["__messages"] = script_order(nested)
    parsed["__tags"] = {str(tag): tags[tag] for tag in sorted(tags)}
    return parsed


def parse(source):
    return script_order({name: parse_message(message) for name, message in source.items()})


def fields_of(message):
    return {name: field for name, field in message.items() if not name.startswith("__")}


def look_up(root, message, kind):
    return message["__messages"].get(kind) or root.get("message " + kind)


# --- encoding


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def key(tag, kind):
    return varint(tag << 3 | WIRE.get(kind, 2))


def encode_value(root, message, kind, value, depth):
    if kind in SIGNED or kind in ("uInt32", "uInt64"):
        number = parse_int(value)
        if kind in SIGNED:
            number = -number * 2 - 1 if number < 0 else number * 2
        if not 0 <= number <= (LARGEST if kind.endswith("32") else 2**64 - 1):
            raise Bad("range")
        return varint(number)
    if kind == "bool":
        if not isinstance(value, (bool, int, float)):
            raise Bad("no bool")
        return b"\1" if value else b"\0"
    if kind in ("float", "double"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Bad("no number")
        if kind == "double":
            return struct.pack("<d", float(value))
        try:
            return struct.pack("<f", float(value))
        except OverflowError:
            return struct.pack("<f", math.copysign(math.inf, value))
    if kind == "string":
        if not isinstance(value, str):
            raise Bad("no text")
        text = value.encode()
        return varint(len(text)) + text
    inner = encode_message(root, look_up(root, message, kind), value, depth + 1)
    return varint(len(inner)) + inner


def encode_field(root, message, field, value, depth):
    head, kind = key(field["tag"], field["type"]), field["type"]
    if field["option"] != "repeated":
        return head + encode_value(root, message, kind, value, depth)
    if not isinstance(value, list):
        raise Bad("no list")
    elements = [encode_value(root, message, kind, element, depth) for element in value]
    if not elements:
        return b""
    if WIRE.get(kind, 2) == 2:
        return b"".join(head + element for element in elements)
    return head + varint(len(elements)) + b"".join(elements)


def encode_message(root, message, value, depth=1):
    if not isinstance(value, dict) or depth > 64:
        raise Bad("no object")
    out = b""
    for name, field in fields_of(message).items():
        if value.get(name) is None:
            if field["option"] == "required":
                raise Bad("missing")
            continue
        out += encode_field(root, message, field, value[name], depth)
    return out


# --- decoding


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def varint(self, end, largest=2**64 - 1):
        number = shift = 0
        while True:
            if self.at >= end:
                raise Bad("cut short")
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 127) << shift
            shift += 7
            if number >= 2**64 or shift > 70:
                raise Bad("too large")
            if byte < 128:
                break
        if number > largest:
            raise Bad("too large")
        return number

    def take(self, count, end):
        if count > end - self.at:
            raise Bad("cut short")
        self.at += count
        return self.data[self.at - count:self.at]


def text_of(data):
    def surrogates(found):
        units = [0xD000 | (b[1] & 63) << 6 | b[2] & 63 for b in (found[0][i:i + 3] for i in range(0, len(found[0]), 3))]
        if len(units) == 2:
            return chr(0x10000 + ((units[0] & 0x3FF) << 10 | units[1] & 0x3FF)).encode()
        return "\uFFFD".encode()
    pair = rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]|\xed[\xa0-\xbf][\x80-\xbf]"
    return re.sub(pair, surrogates, data).decode("utf-8", "replace")


def decode_value(root, message, kind, reader, end, depth):
    if kind in WIRE and WIRE[kind] == 0:
        number = reader.varint(end, LARGEST if kind.endswith("32") else 2**64 - 1)
        if kind == "bool":
            return number > 0
        return (-(number >> 1) - 1 if number & 1 else number >> 1) if kind in SIGNED else number
    if kind == "float" or kind == "double":
        size = 4 if kind == "float" else 8
        number = struct.unpack("<f" if size == 4 else "<d", reader.take(size, end))[0]
        if not math.isfinite(number):
            return None
        # Ours spells whole numbers within 64 bits out.
        return int(number) if number.is_integer() and abs(number) < 2**64 else number
    length = reader.varint(end)
    if length > end - reader.at:
        raise Bad("cut short")
    if kind == "string":
        return text_of(reader.take(length, end))
    return decode_message(root, look_up(root, message, kind), reader, reader.at + length, depth + 1)


def decode_message(root, message, reader, end, depth=1):
    if depth > 64:
        raise Bad("too deep")
    result, fields = {}, fields_of(message)
    while reader.at < end:
        head = reader.varint(end, 2**31 - 1)
        name = message["__tags"].get(str(head >> 3))
        if name is None:
            if head & 7 != 2:
                raise Bad("unknown")
            reader.take(reader.varint(end), end)
            continue
        kind = fields[name]["type"]
        if fields[name]["option"] != "repeated":
            result[name] = decode_value(root, message, kind, reader, end, depth)
            continue
        elements = result.setdefault(name, [])
        count = 1
        if WIRE.get(kind, 2) != 2:
            count = reader.varint(end)
            if count > (end - reader.at) // {"float": 4, "double": 8}.get(kind, 1):
                raise Bad("too many")
        for _ in range(count):
            elements.append(decode_value(root, message, kind, reader, end, depth))
    return result


# --- chance

dice = random.Random()
NAMES = ["a", "b", "x", "name", "list", "7", "12", "constructor", "größe", "位置", "emoji😀", "long_name_of_a_field"]
TEXTS = ["", "a", "hello", "中文", "😀", "é\u0301", "line\n\"quoted\"\\", "\u0000\u001f", "x" * 130, "\u2028", "｡"]
NUMBERS = [0, 1, -1, 2, -2, 63, -64, 64, 127, 128, 300, 16383, 16384, 2**31 - 1, -2**31, 2**32 - 1, 2**32, 2**52 - 1,
           -2**52, 2**52, LARGEST, 2**63 - 1, -2**63, 2**64 - 1, 1.9, -0.5, -1.5, 1e-7, 1e300, 2.5e10]
ODD = [None, True, False, "12abc", " -7", "0x1F", "", "abc", [], {}, [1], "1e3", "99999999999999999999"]


def random_message(types, depth):
    source, inner = {}, list(types)
    if depth < 3 and dice.random() < 0.4:
        for name in dice.sample(["A", "B", "P"], dice.randint(1, 2)):
            source["message " + name] = random_message(types, depth + 1)
            inner.append(name)
    tags = dice.sample(list(range(1, 20)) + [127, 2047, 2048, 2**28 - 1], 12)
    for name in dice.sample(NAMES, dice.randint(0, 6)):
        kind = dice.choice(list(WIRE) + inner * 3)
        option = dice.choice(["required", "optional", "optional", "repeated"] if kind in WIRE else ["optional", "repeated"])
        source[f"{option} {kind} {name}"] = tags[0] if dice.random() < 0.05 else tags.pop()
    if dice.random() < 0.1:
        source[dice.choice(["nothing", "required x", "required  int32 y", "message a b"])] = 1
    entries = list(source.items())
    dice.shuffle(entries)
    return dict(entries)


def random_source():
    roots = dice.sample(["Seat", "Node", "A"], dice.randint(0, 2))
    source = {f"message {name}": random_message(roots, 1) for name in roots}
    for route in dice.sample(["onMove", "chat.chatHandler.send", "5", "on😀", "a.b.c"], dice.randint(1, 3)):
        source[route] = random_message(roots, 0)
    return source


def random_value(root, message, depth):
    value = {}
    names = list(fields_of(message).items())
    dice.shuffle(names)
    for name, field in names:
        if field["option"] == "required" and dice.random() < 0.99 or depth < 3 and dice.random() < 0.6:
            if field["option"] == "repeated":
                count = dice.choice([0, 1, 1, 2, 3])
                value[name] = [random_element(root, message, field["type"], depth) for _ in range(count)]
            else:
                value[name] = random_element(root, message, field["type"], depth)
            if dice.random() < 0.02:
                value[name] = dice.choice(ODD)
    if dice.random() < 0.2:
        value["no field of it"] = dice.choice(ODD)
    return value


def random_element(root, message, kind, depth):
    if kind in ("float", "double"):
        return dice.choice([0, 1.5, -2.25, 0.1, dice.uniform(-1e6, 1e6), 1e300, 2**60])
    if kind == "string":
        return dice.choice(TEXTS)
    if kind == "bool":
        return dice.random() < 0.5
    if kind in WIRE:
        if dice.random() < 0.03:
            return dice.choice(NUMBERS + ODD)
        bits = dice.randint(0, 31 if dice.random() < 0.8 else 52)
        number = dice.getrandbits(bits) if bits else 0
        return -number if kind in SIGNED and dice.random() < 0.5 else number
    return random_value(root, look_up(root, message, kind), depth + 1)


def wild(root, message, depth):
    """Bytes as no encoder writes them: in any order, fields twice, lists in parts, fields of nobody."""
    out, fields = b"", fields_of(message)
    for name, field in dice.choices(list(fields.items()), k=dice.randint(0, 6)) if fields else []:
        kind, head = field["type"], key(field["tag"], field["type"])
        def element():
            if kind == "string":
                text = dice.choice([dice.randbytes(dice.randint(0, 6)), dice.choice(TEXTS).encode(),
                                    b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\xbd", b"a\xf0\x9f\x98"])
                return varint(len(text)) + text
            if kind in ("float", "double"):
                return dice.randbytes(4 if kind == "float" else 8)
            if kind in WIRE:
                return varint(dice.getrandbits(dice.randint(1, 64)) if dice.random() < 0.1 else dice.getrandbits(20))
            inner = wild(root, look_up(root, message, kind), depth + 1) if depth < 3 else b""
            return varint(len(inner)) + inner
        count = dice.randint(0, 3) if field["option"] == "repeated" and WIRE.get(kind, 2) != 2 else 1
        counted = field["option"] == "repeated" and WIRE.get(kind, 2) != 2
        out += head + (varint(count) if counted else b"") + b"".join(element() for _ in range(count))
    if dice.random() < 0.2:
        out += varint(99 << 3 | 2) + b"\x02hi"
    return out


def mutated(data):
    data = bytearray(data or b"\x08")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data)) if data else 0
        choice = dice.randint(0, 3)
        if choice == 0 and data:
            data[at] = dice.getrandbits(8)
        elif choice == 1:
            data[at:at] = dice.randbytes(dice.randint(1, 3))
        elif choice == 2:
            del data[at:at + dice.randint(1, 4)]
        else:
            del data[at:]
    return bytes(data)


def attempt(work):
    try:
        return work()
    except Bad:
        return None


def line():
    source = random_source()
    root = parse(source)
    form = stringify(root)
    cases = {"encode": [], "decode": []}
    for route in (name for name in root if not name.startswith("message ")):
        message = root[route]
        for _ in range(5):
            value = random_value(root, message, 0)
            data = attempt(lambda: encode_message(root, message, value))
            cases["encode"].append([route, value, None if data is None else data.hex()])
            datas = [wild(root, message, 0), mutated(data), mutated(wild(root, message, 0))]
            for data in datas + ([] if data is None else [data]):
                decoded = attempt(lambda: stringify(decode_message(root, message, Reader(data), len(data))))
                cases["decode"].append([route, data.hex(), decoded])
    version = base64.b64encode(hashlib.md5((form + "{}").encode()).digest()).decode()
    return {"source": source, "form": form, "version": version, **cases}


if __name__ == "__main__":
    dice.seed(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        print(stringify(line()))
