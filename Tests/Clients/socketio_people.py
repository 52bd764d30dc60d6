# SPDX-License-Identifier: MIT
"""People of LessonChat over three clients of socket.io, as published, behind one set of words.

What pomelo says over socket.io is text: to the server `id (4 characters) length (1) route body`, one character a
byte in the head; from it JSON, or an array of JSON.
"""

import json
import logging
import os
import struct
import sys
import threading
import time
import traceback

DEADLINE_SECONDS = 20


class Person:
    """What a person of either kind is told, and what the test asks of it."""

    def __init__(self, port):
        self.port = port
        self.answers = {}
        self.pushes = []
        self.connects = 0
        self.disconnects = 0
        self.changed = threading.Condition()

    # What a client tells.

    def heard(self, text):
        said = json.loads(text)
        with self.changed:
            for one in said if isinstance(said, list) else [said]:
                if one.get("id"):
                    if one["id"] in self.answers:
                        raise AssertionError(f"request {one['id']} is answered twice")
                    self.answers[one["id"]] = one["body"]
                else:
                    self.pushes.append((one["route"], one))
            self.changed.notify_all()

    def connected(self):
        with self.changed:
            self.connects += 1
            self.changed.notify_all()

    def disconnected(self):
        with self.changed:
            self.disconnects += 1
            self.changed.notify_all()

    # What the test asks for.

    def notify(self, route, body):
        self.say(encode(0, route, body))

    def begin(self, number, route, body):
        self.say(encode(number, route, body))

    def answer(self, number):
        self.wait_until(lambda: number in self.answers, f"answer to request {number}")
        return self.answers.pop(number)

    def ask(self, number, route, body):
        self.begin(number, route, body)
        return self.answer(number)

    def next_push(self, route):
        self.wait_until(lambda: any(name == route for name, _ in self.pushes), f"push {route}")
        with self.changed:
            found = next(push for push in self.pushes if push[0] == route)
            self.pushes.remove(found)
        return found[1]

    def wait_until(self, condition, what):
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > end:
                heard = [name for name, _ in self.pushes]
                raise AssertionError(
                    f"no {what} within {DEADLINE_SECONDS} s; connects {self.connects}, disconnects {self.disconnects}, "
                    f"answers to {list(self.answers)}, pushes {heard[-20:]}")
            self.wait_a_little()


class NewPerson(Person):
    """python-socketio of either version; it reads on a thread of its own."""

    def __init__(self, port, transports):
        super().__init__(port)
        import socketio

        self.transports = transports
        self.read, self.called = [], []
        logger = logging.Logger("engine.io", logging.INFO)
        logger.addHandler(ReadingOrder(self))
        self.client = socketio.Client(
            reconnection_delay=1, reconnection_delay_max=1, randomization_factor=0, engineio_logger=logger)
        self.client.on("connect", lambda: self.connected())
        self.client.on("disconnect", lambda *reason: self.disconnected())
        self.client.on("message", self.called.append)

    def connect(self):
        self.client.connect(f"http://127.0.0.1:{self.port}", transports=self.transports)

    def transport(self):
        return self.client.transport()

    def say(self, text):
        self.client.emit("message", text)

    def reconnect(self):
        """Nothing: the client comes back by itself."""

    def wait_a_little(self):
        with self.changed:
            self.changed.wait(0.05)

    def was_read(self, packet):
        if packet.startswith("2["):
            self.read.append(json.loads(packet[1:])[1])
            self.heard(self.read[-1])

    def leave(self):
        self.wait_until(lambda: sorted(self.called) == sorted(self.read), "call for each message that was read")
        self.client.disconnect()


class ReadingOrder(logging.Handler):
    """What the client reads, in its order, as its reader logs it: it calls `message` on a thread for each."""

    def __init__(self, person):
        super().__init__()
        self.person = person

    def emit(self, record):
        if record.msg.startswith("Received packet") and record.args[0] == "MESSAGE":
            self.person.was_read(record.args[1])


class OldPerson(Person):
    """socketIO-client, which speaks 0.9 and reads while it is waited for."""

    def __init__(self, port, transports):
        super().__init__(port)
        self.transports = transports
        self.client = None
        self.is_lost = False

    def connect(self):
        from socketIO_client import BaseNamespace, SocketIO

        person = self

        class Namespace(BaseNamespace):
            def on_connect(self):
                person.connected()

            def on_reconnect(self):
                person.connected()

            def on_disconnect(self):
                person.is_lost = True
                person.disconnected()

            def on_message(self, data):
                person.heard(data)

        self.client = SocketIO("127.0.0.1", self.port, Namespace, transports=self.transports)
        self.is_lost = False
        connects = self.connects
        self.wait_until(lambda: self.connects > connects, "connect packet")

    def transport(self):
        return self.client._transport_name

    def say(self, text):
        self.client.message(text)

    def reconnect(self):
        """It comes back by itself over WebSocket alone; in polling it asks for its old session for ever."""
        if self.transports == ["xhr-polling"]:
            self.connect()
        else:
            self.is_lost = False

    def wait_a_little(self):
        if self.is_lost:
            time.sleep(0.05)
            return
        try:
            self.client.wait(seconds=0.05)
        except AttributeError as error:
            # The name of an exception that the WebSocket library no longer has, met when the connection is lost.
            if "SSLError" not in str(error):
                raise
            self.is_lost = True
            self.disconnected()

    def leave(self):
        self.client.disconnect()


def encode(number, route, body):
    head = "".join(map(chr, struct.pack(">I", number))) + chr(len(route))
    return head + route + json.dumps(body, ensure_ascii=False)


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {wanted}, found {found}")


def person(kind, port, transports):
    return {"new": NewPerson, "old": OldPerson}[kind](port, transports)


# ---- a program that the runner runs

def wish(words):
    print(f"> {words}", flush=True)
    if sys.stdin.readline() != "done\n":
        raise AssertionError(f"the runner did not {words}")


def done(step):
    print(f"- {step}", flush=True)


def run(main):
    """Runs a program's main, and ends with its status."""
    status = 0
    try:
        main()
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    # Whoever left says so on a thread; who was kicked leaves threads that wait for longer than a minute.
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(timeout=0.5)
    os._exit(status)
