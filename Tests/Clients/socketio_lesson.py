# SPDX-License-Identifier: MIT
"""Two people of LessonChat over a client of socket.io: everything that may happen to them.

Usage: socketio_lesson.py new|old TRANSPORT[,TRANSPORT] PORT

Lines that begin with "> " ask the runner for something, which says "done" when it is; "- " names what went well.
"""

import sys

from socketio_people import done, expect, person, run, wish

WELCOME = {"code": 0, "message": "登录成功"}
SENT = {"code": 0, "message": "发送成功"}
MANY = 100
# Whom an earlier run left behind, the server does not miss at once.
lesson = " ".join(sys.argv[1:3])
ANN, BOB = f"ann {lesson}", f"bob {lesson}"


def log_in(newcomer, name, number, others=()):
    body = {"userId": name, "lessonId": lesson}
    expect(newcomer.ask(number, "connector.handler.login", body), WELCOME)
    for one in (newcomer, *others):
        expect(one.next_push("onJoin")["body"], {"userId": name})


def send(sender, number, content, hearers):
    body = {"type": 1, "content": content}
    expect(sender.ask(number, "chat.handler.send", body), SENT)
    for one in hearers:
        heard = one.next_push("onMessage")["body"]
        expect((heard["type"], heard["content"]), (1, content))


def main():
    kind, transports, port = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
    ann, bob = person(kind, port, transports), person(kind, port, transports)
    for one in (ann, bob):
        one.connect()
        one.wait_until(lambda: one.connects == 1, "connect")
        # Both named: the client begins with the first and changes over to the second.
        wanted = "websocket" if "websocket" in transports else transports[0]
        one.wait_until(lambda: one.transport() == wanted, f"change to {wanted}")
    done("connect")

    log_in(ann, ANN, 1)
    log_in(bob, BOB, 1, [ann])
    done("login")

    send(ann, 2, "hello", [ann, bob])
    send(bob, 127, "hello", [ann, bob])
    for number, content in ((128, "哈哈"), (200, "Grüße, 😀"), (255, "\u2028"), (65_537, "\ufffd"), (2**31 - 1, "é")):
        send(bob, number, content, [ann, bob])
    done("request")

    bob.notify("chat.handler.send", {"type": 1, "content": "no answer"})
    for one in (ann, bob):
        expect(one.next_push("onMessage")["body"]["content"], "no answer")
        expect(one.answers, {})
    done("push")

    for number in range(MANY):
        ann.begin(1000 + number, "chat.handler.send", {"type": 1, "content": f"{number} 💬"})
    for one in (ann, bob):
        heard = [one.next_push("onMessage")["body"]["content"] for _ in range(MANY)]
        expect(heard, [f"{number} 💬" for number in range(MANY)])
    for number in range(MANY):
        expect(ann.answer(1000 + number), SENT)
    done("many pushes in order")

    # Nobody's method has this name, and who asks for it is thrown out.
    bob.notify("chat.handler.constructor", {})
    expect(bob.next_push("onKick"), {"route": "onKick", "reason": "attack"})
    bob.wait_until(lambda: bob.disconnects > 0, "disconnect after the kick")
    expect(ann.next_push("onLeave")["body"], {"userId": BOB})
    done("kick")

    bob = person(kind, port, transports)
    bob.connect()
    log_in(bob, BOB, 1, [ann])
    send(bob, 2, "again", [ann, bob])
    done("come back after the kick")

    seen = [(one, one.connects, one.disconnects) for one in (ann, bob)]
    wish("restart the connector")
    for one, connects, disconnects in seen:
        # One client comes back without telling that it was away.
        one.wait_until(lambda: one.disconnects > disconnects or one.connects > connects, "end of the connection")
    done("server restart")
    for one, connects, _ in seen:
        one.reconnect()
        one.wait_until(lambda: one.connects > connects, "reconnect")
        one.pushes.clear()
    log_in(ann, ANN, 1)
    log_in(bob, BOB, 2, [ann])
    send(ann, 3, "we are back", [ann, bob])
    done("reconnect")

    bob.leave()
    expect(ann.next_push("onLeave")["body"], {"userId": BOB})
    ann.leave()
    done("disconnect")


if __name__ == "__main__":
    run(main)
