# SPDX-License-Identifier: MIT
"""People of Chat over paho-mqtt, as published: topics are routes, and everything that may happen to a client.

Usage: mqtt_chat.py 3|4 GATEPORT

The number is the protocol's: 3 is MQTT 3.1, 4 is 3.1.1. Lines that begin with "> " ask the runner for something, which
says "done" when it is; "- " names what went well.
"""

import os
import sys

from mqtt_people import MANY, Person, done, expect, run, wish

room = f"room{os.getpid()}"
ANN, BOB = f"ann{os.getpid()}", f"bob{os.getpid()}"


def enter(newcomer, name, qos=1):
    return sorted(newcomer.ask("connector.entryHandler.enter", {"username": name, "rid": room}, qos)["users"])


def send(sender, content, hearers, qos=1):
    expect(sender.ask("chat.chatHandler.send", {"content": content, "target": "*"}, qos), {})
    for one in hearers:
        expect(one.next("onChat")["msg"], content)


def main():
    level, gate = int(sys.argv[1]), int(sys.argv[2])
    asker = Person(level, gate)
    asker.connect()
    entries = [asker.ask("gate.gateHandler.queryEntry", {"uid": name}) for name in (ANN, BOB)]
    asker.leave()
    ann, bob = (Person(level, entry["port"]) for entry in entries)
    for one in (ann, bob):
        one.connect()
    done("connect by the gate")

    expect(ann.subscribe([("onChat", 0), ("#", 1), ("onAdd/+", 2)]), [0, 1, 1])
    ann.unsubscribe("onChat")
    done("subscribe")

    expect(enter(ann, ANN), [ANN])
    expect(enter(bob, BOB, qos=2), sorted([ANN, BOB]))
    expect(ann.next("onAdd"), {"user": BOB})
    done("login")

    for qos in (1, 2):
        for content in ("hello", "哈哈, Grüße, 😀", "x" * 10_000):
            send(ann, content, [ann, bob], qos)
    bob.notify("chat.chatHandler.send", {"content": "no answer", "target": "*"})
    for one in (ann, bob):
        expect(one.next("onChat")["msg"], "no answer")
        expect(one.answers, {})
    expect(ann.ask("chat.chatHandler.none", {}), {"code": 500})
    expect(ann.ask("no/route", {}), {"code": 500})
    done("push")

    numbers = [ann.begin("chat.chatHandler.send", {"content": f"{n} 💬", "target": "*"}) for n in range(MANY)]
    for one in (ann, bob):
        expect([one.next("onChat")["msg"] for _ in range(MANY)], [f"{n} 💬" for n in range(MANY)])
    for number in numbers:
        expect(ann.answer(number), {})
    done("many pushes in order")

    pongs = ann.pongs
    ann.wait_until(lambda: ann.pongs >= pongs + 2, "answers to pings")
    expect(ann.disconnects, 0)
    done("keep-alive")

    # Nobody's method has this name, and who asks for it is thrown out.
    bob.stays_away = True
    bob.notify("chat.chatHandler.constructor", {})
    expect(bob.next("onKick"), {"reason": "attack"})
    bob.wait_until(lambda: bob.disconnects == 1, "the end of the connection")
    expect(ann.next("onLeave"), {"user": BOB})
    bob.leave()
    bob = Person(level, entries[1]["port"])
    bob.connect()
    expect(enter(bob, BOB), sorted([ANN, BOB]))
    expect(ann.next("onAdd"), {"user": BOB})
    done("kick, and come back")

    seen = [(one, one.connects, one.disconnects) for one in (ann, bob)]
    wish("restart the connectors")
    for one, _, disconnects in seen:
        one.wait_until(lambda: one.disconnects > disconnects, "the end of the connection")
    done("server restart")
    # paho comes back by itself.
    for one, connects, _ in seen:
        one.wait_until(lambda: one.connects > connects, "reconnect")
    for one, name in ((ann, ANN), (bob, BOB)):
        expect(name in enter(one, name), True)
    for one in (ann, bob):
        one.forget()
    send(ann, "we are back", [ann, bob])
    done("reconnect")

    bob.leave()
    expect(ann.next("onLeave"), {"user": BOB})
    ann.leave()
    done("disconnect")


if __name__ == "__main__":
    run(main)
