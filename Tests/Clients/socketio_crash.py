# SPDX-License-Identifier: MIT
"""People of Chat over a client of socket.io, whose connector crashes and is started again; others hear of it.

Usage: socketio_crash.py new|old TRANSPORT[,TRANSPORT] PORT OTHERPORT

Ann and Dan are at the connector that crashes, Bob is at the other. Lines as in socketio_lesson.py.
"""

import os
import sys

from socketio_people import done, expect, person, run, wish

room = f"room{os.getpid()}"
ANN, BOB, DAN = f"ann{os.getpid()}", f"bob{os.getpid()}", f"dan{os.getpid()}"


def enter(newcomer, name, number):
    return sorted(newcomer.ask(number, "connector.entryHandler.enter", {"username": name, "rid": room})["users"])


def hear(one, route, name):
    while one.next_push(route)["body"]["user"] != name:
        pass


def say(sender, number, content, hearers):
    expect(sender.ask(number, "chat.chatHandler.send", {"content": content, "target": "*"}), {})
    for one in hearers:
        expect(one.next_push("onChat")["body"]["msg"], content)


def main():
    kind, transports, port, other = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4])
    ann, dan, bob = (person(kind, one, transports) for one in (port, port, other))
    for number, (one, name) in enumerate(((ann, ANN), (dan, DAN), (bob, BOB))):
        one.connect()
        one.wait_until(lambda: one.connects == 1, "connect")
        expect(enter(one, name, 1), sorted([ANN, DAN, BOB][:number + 1]))
    say(bob, 2, "hello", [ann, dan, bob])
    done("connect, enter, push")

    seen = [(one, one.connects, one.disconnects) for one in (ann, dan)]
    wish("crash the connector")
    for one, connects, disconnects in seen:
        one.wait_until(lambda: one.disconnects > disconnects or one.connects > connects, "end of the connection")
    done("notice the crash")
    for one, connects, _ in seen:
        one.reconnect()
        one.wait_until(lambda: one.connects > connects, "reconnect")
        one.pushes.clear()
    done("reconnect")

    # Ann enters again; Dan is there, and does not: for everybody else he has left.
    expect(ANN in enter(ann, ANN, 3), True)
    hear(bob, "onLeave", DAN)
    for one, number in ((bob, 4), (ann, 5)):
        expect(sorted(one.ask(number, "chat.chatHandler.list", {})["users"]), sorted([ANN, BOB]))
    done("no ghost")
    say(bob, 6, "welcome back", [ann, bob])
    say(ann, 7, "thank you", [ann, bob])
    expect([name for name, _ in dan.pushes], [])
    done("enter, push")

    for one in (ann, dan, bob):
        one.leave()


if __name__ == "__main__":
    run(main)
