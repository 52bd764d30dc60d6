# SPDX-License-Identifier: MIT
"""Measures what one client that never reads costs the others: whether they miss anything, and the server's CPU for each
delivery, in rounds with it and without it by turns.

    python3 stuck.py --port 3010 --pid 4711 [--receivers 10000] [--rounds 6] [--pushes 10] [--websocket] [--ca FILE]
        [--enter ROUTE BODY] [--all ROUTE] [--me ROUTE]

What is sent to the route `all` reaches everybody, as a push whose body has it in it; what is sent to `me` its sender.
`{}` in the body of `enter` is a number of the client's own. Prints one line of JSON.
"""
import argparse
import json
import os
import select
import socket
import ssl
import statistics
import subprocess

from attack import HANDSHAKE, UPGRADE, frame, message, package

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """Seconds that a process has worked, in the kernel too."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Client:
    """Whoever listens: finds the numbers of pushes in what it reads, and expects them one after the other."""

    def __init__(self, options, number, context, buffer=None):
        self.options, self.number, self.next, self.missed, self.answers = options, number, None, 0, 0
        self.held = b""
        line = socket.socket()
        if buffer:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        # From several addresses, of which none has enough ports or places for all.
        line.bind((f"127.0.0.{2 + number % 50}", 0))
        line.settimeout(60)
        line.connect(("127.0.0.1", options.port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line = context.wrap_socket(line, server_hostname="localhost") if context else line
        if options.websocket:
            self.line.sendall(UPGRADE)
            while b"\r\n\r\n" not in self.held:
                self.held += self.line.recv(4096)
            self.held = b""
        self.say(package(1, HANDSHAKE))
        self.line.recv(4096)
        self.say(package(2))
        if options.enter:
            route, body = options.enter
            self.ask(route, body.replace("{}", str(number)).encode())

    def say(self, data):
        self.line.sendall(frame(data) if self.options.websocket else data)

    def ask(self, route, body=b"{}"):
        answers = self.answers
        self.say(message(route, body, 1))
        while self.answers == answers:
            self.hear()

    def hear(self):
        """Reads what is there; the number of pushes in it."""
        pushes = 0
        while True:
            try:
                data = self.line.recv(1 << 16)
            except (ssl.SSLWantReadError, BlockingIOError):
                return pushes
            if not data:
                raise OSError(f"receiver {self.number} was closed")
            self.held += data
            pushes += self.packages()
            if self.line.gettimeout() != 0:
                return pushes

    def packages(self):
        pushes = place = 0
        while True:
            start = place
            if self.options.websocket:
                if len(self.held) < place + 4:
                    break
                short = self.held[place + 1] & 0x7F
                place += 2 if short < 126 else 4 if short == 126 else 10
            end = place + 4 + int.from_bytes(self.held[place + 1:place + 4], "big")
            if len(self.held) < max(end, place + 4):
                place = start
                break
            if self.held[place] == 4:
                pushes += self.heard(self.held[place + 4:end])
            place = end
        self.held = self.held[place:]
        return pushes

    def heard(self, body):
        if body[0] & 0x0E == 4:
            self.answers += 1
            return 0
        found = body.partition(b'"number":')[2].strip()
        if not found:
            return 0
        number = int(found[:9])
        if self.next is not None and number != self.next:
            self.missed += 1
        self.next = number + 1
        return 1


def queued(local):
    """Bytes that the server's kernel holds for who has this address."""
    found = subprocess.run(["ss", "-tnH", "dst", f"{local[0]}:{local[1]}"], capture_output=True, text=True)
    for line in found.stdout.split("\n"):
        if line.split()[:1] == ["ESTAB"]:
            return int(line.split()[2])
    return None


def stuck(options, context):
    """A client that has stopped to read, for whom the server's kernel takes nothing more."""
    client = Client(options, options.receivers + 1, context, buffer=4096)
    local, last, same = client.line.getsockname(), -1, 0
    text = json.dumps({"content": "x" * 8000}).encode()
    while same < 4:
        for _ in range(8):
            client.say(message(options.me, text))
        try:
            select.select([], [], [], 0.05)
        finally:
            now = queued(local)
        if now is None:
            raise OSError("the one that never reads was closed before it began")
        same = same + 1 if now <= last else 0
        last = max(now, last)
    return client


def pushed(options, crowd, poller, sender, first):
    """Sends pushes one after the other, each when the one before has come everywhere; seconds of the server's CPU."""
    begun = cpu(options.pid)
    for number in range(first, first + options.pushes):
        text = json.dumps({"content": "see you at the bridge", "target": "*", "number": 100_000_000 + number})
        sender.say(message(options.all, text.encode(), 1))
        left = len(crowd)
        while left > 0:
            ready = poller.poll(60)
            if not ready:
                raise OSError(f"push {number} has not come to {left} of them")
            for descriptor, _ in ready:
                left -= crowd[descriptor].hear()
    return cpu(options.pid) - begun


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--pid", type=int, required=True)
    words.add_argument("--receivers", type=int, default=10_000)
    words.add_argument("--rounds", type=int, default=6)
    words.add_argument("--pushes", type=int, default=10)
    words.add_argument("--websocket", action="store_true")
    words.add_argument("--ca")
    words.add_argument("--enter", nargs=2)
    words.add_argument("--all", default="chat.chatHandler.send")
    words.add_argument("--me", default="chat.chatHandler.send")
    options = words.parse_args()
    context = ssl.create_default_context(cafile=options.ca) if options.ca else None
    clients = [Client(options, number, context) for number in range(options.receivers)]
    crowd, poller = {one.line.fileno(): one for one in clients}, select.epoll()
    for one in clients:
        one.line.setblocking(False)
        poller.register(one.line.fileno(), select.EPOLLIN)
    number, costs = 0, {False: [], True: []}
    pushed(options, crowd, poller, clients[0], number)
    for turn in range(2 * options.rounds):
        number += options.pushes
        # Neither comes always first.
        with_it = (turn % 4) in (1, 2)
        one = stuck(options, context) if with_it else None
        seconds = pushed(options, crowd, poller, clients[0], number)
        costs[with_it].append(round(seconds / options.pushes / options.receivers * 1e6, 3))
        if one:
            if queued(one.line.getsockname()) is None:
                raise OSError("the one that never reads was closed in its round")
            one.line.close()
    ratios = [b / a for a, b in zip(costs[False], costs[True])]
    print(json.dumps({
        "receivers": options.receivers, "missed": sum(one.missed for one in clients),
        "us_without": costs[False], "us_with": costs[True],
        "median_without": statistics.median(costs[False]), "median_with": statistics.median(costs[True]),
        "ratio_of_medians": round(statistics.median(costs[True]) / statistics.median(costs[False]), 3),
        "median_of_ratios": round(statistics.median(ratios), 3),
    }))


if __name__ == "__main__":
    main()
