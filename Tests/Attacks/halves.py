# SPDX-License-Identifier: MIT
"""Begins handshakes of TLS that stop half way, and measures what the server keeps and does for them, and how long
somebody in earnest waits.

    python3 halves.py --port 3010 --pid 4711 --ca FILE [--halves 10000] [--stop hello] [--addresses 50] [--seconds 4]

Prints one line of JSON. Where they stop: silent, byte, part, hello, answer, garbage, drip (a byte of the greeting each
round).
"""
import argparse
import json
import os
import socket
import ssl
import statistics
import time

from attack import HANDSHAKE, package
from stuck import cpu

PAGE = os.sysconf("SC_PAGE_SIZE")
STOPS = ("silent", "byte", "part", "hello", "answer", "garbage", "drip")


def memory(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * PAGE


def greeting(context):
    """What a client says first."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(ours, theirs, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return theirs.read()


def earnest(port, context):
    """Seconds until a client has shaken hands twice, with TLS and with pomelo."""
    begun = time.time()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as line:
            line.sendall(package(1, HANDSHAKE))
            if line.recv(4096)[:1] != b"\1":
                raise OSError("no answer")
    return time.time() - begun


class Half:
    def __init__(self, port, address, stop, hello):
        self.line = socket.socket()
        self.line.bind((address, 0))
        self.line.settimeout(30)
        self.line.connect(("127.0.0.1", port))
        self.hello = hello
        self.said = {"silent": 0, "byte": 1, "part": len(hello) // 2, "drip": 1}.get(stop, len(hello))
        self.is_open = True
        self.say(b"GET / HTTP/1.1\r\n\r\n" if stop == "garbage" else hello[:self.said])
        if stop == "answer":
            try:
                self.line.recv(1 << 14)
            except OSError:
                self.is_open = False
        self.line.setblocking(False)

    def say(self, data):
        try:
            self.line.sendall(data)
        except OSError:
            self.is_open = False

    def drip(self):
        if self.is_open and self.said < len(self.hello):
            self.say(self.hello[self.said:self.said + 1])
            self.said += 1


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--pid", type=int, required=True)
    words.add_argument("--ca", required=True)
    words.add_argument("--halves", type=int, default=10_000)
    words.add_argument("--stop", choices=STOPS, default="hello")
    words.add_argument("--addresses", type=int, default=50)
    words.add_argument("--seconds", type=float, default=4)
    options = words.parse_args()
    context = ssl.create_default_context(cafile=options.ca)
    alone = [earnest(options.port, context) for _ in range(10)]
    before, begun, worked = memory(options.pid), time.time(), cpu(options.pid)
    hello, halves, waits, peak = greeting(context), [], [], 0
    for number in range(options.halves):
        address = f"127.0.0.{2 + number % options.addresses}"
        halves.append(Half(options.port, address, options.stop, hello))
        if number % 500 == 499:
            waits.append(earnest(options.port, context))
            peak = max(peak, memory(options.pid))
            # Those that had to make room take no descriptor of ours.
            halves = halves[-4000:]
    end = time.time() + options.seconds
    while time.time() < end:
        if options.stop == "drip":
            for one in halves:
                one.drip()
        waits.append(earnest(options.port, context))
        peak = max(peak, memory(options.pid))
        time.sleep(0.2)
    spent, took = cpu(options.pid) - worked, time.time() - begun
    del halves
    time.sleep(12)
    waits.append(earnest(options.port, context))
    print(json.dumps({
        "stop": options.stop, "halves": options.halves, "seconds": round(took, 1), "cpu_seconds": round(spent, 2),
        "cpu_us_each": round(spent / options.halves * 1e6), "before_mb": round(before / 1e6, 1),
        "peak_mb": round(peak / 1e6, 1), "after_mb": round(memory(options.pid) / 1e6, 1),
        "earnest_alone_ms": round(statistics.median(alone) * 1e3, 1),
        "earnest_median_ms": round(statistics.median(waits) * 1e3, 1), "earnest_max_ms": round(max(waits) * 1e3, 1),
    }))


if __name__ == "__main__":
    main()
