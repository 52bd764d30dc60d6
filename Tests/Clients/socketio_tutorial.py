# SPDX-License-Identifier: MIT
"""The three tests of pomelo's tutorial on global channels, by a client of socket.io of its time: socketIO-client.

Usage: socketio_tutorial.py PORT
"""

import sys

from socketio_people import expect, person


def main():
    xialei = person("old", int(sys.argv[1]), ["websocket"])

    # connector::connect
    xialei.connect()

    # connector::login
    xialei.begin(1, "connector.handler.login", {"userId": "xialei", "lessonId": 4})
    expect(xialei.next_push("onJoin")["body"]["userId"], "xialei")
    expect(xialei.answer(1)["code"], 0)

    # chat::send
    xialei.begin(2, "chat.handler.send", {"type": 1, "content": "哈哈"})
    heard = xialei.next_push("onMessage")["body"]
    expect((heard["type"], heard["content"]), (1, "哈哈"))
    expect(xialei.answer(2)["code"], 0)
    xialei.leave()


if __name__ == "__main__":
    main()
