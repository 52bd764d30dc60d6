# SPDX-License-Identifier: MIT
"""One connection of pypomelo, as published, over TCP, that does what it is told in lines (orders.py).

Usage: pypomelo_person.py HOST PORT
"""

import json
import sys

from orders import Orders, say
from pypomelo.protocol import Protocol
from pypomelo_socket import SocketClient


class Person(SocketClient):
    def __init__(self):
        super().__init__()
        self.orders = Orders(self)

    def on_connected(self, client, user_data):
        super().on_connected(client, user_data)
        say("connected")

    def on_heartbeat(self, client):
        self.orders.later(self.send_heartbeat)

    def on_push(self, client, route, push_data):
        say("push", route, json.dumps(push_data))

    def ask(self, number, route, body):
        self.send_request(route, body, lambda client, route, request, response: say(
            "answer", number, json.dumps(response)))

    def tell(self, route, body):
        self.send_notify(route, body)

    def hear(self):
        # pypomelo closes at a kick, and drops its reason.
        while self.hear_one() != Protocol.PROTO_TYPE_FIN:
            pass
        say("kicked")


if __name__ == "__main__":
    person = Person()
    person.connect(sys.argv[1], int(sys.argv[2]))
    person.orders.run()
