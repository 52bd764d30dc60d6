# SPDX-License-Identifier: MIT
"""WebSocket clients as published, websockets and autobahn, against a server that sends every message back.

  python interop.py websockets|autobahn HOST PORT on|off
"""

import asyncio
import json
import sys

TEXTS = ["", "a", "Hello, κόσμε", json.dumps([{"id": number, "name": f"player {number % 7}"} for number in range(3000)])]
MESSAGES = TEXTS + [text.encode() for text in TEXTS] + [bytes(range(256)) * 1000] + [f"again {n % 3}" * 50 for n in range(20)]


def websockets_client(host, port, deflates):
    from websockets.sync.client import connect

    with connect(f"ws://{host}:{port}/", compression="deflate" if deflates else None, max_size=None) as client:
        names = [extension.name for extension in client.protocol.extensions]
        expect(names, ["permessage-deflate"] if deflates else [])
        for message in MESSAGES:
            client.send(message)
            expect(client.recv(timeout=20), message)
        # In fragments.
        client.send(iter(["frag", "", "ments" * 300]))
        expect(client.recv(timeout=20), "frag" + "ments" * 300)
        if not client.ping().wait(20):
            raise AssertionError("no pong")


def autobahn_client(host, port, deflates):
    from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from autobahn.websocket.compress import (
        PerMessageDeflateOffer, PerMessageDeflateResponse, PerMessageDeflateResponseAccept)

    loop = asyncio.new_event_loop()
    ended = loop.create_future()
    waiting = list(MESSAGES)

    class Client(WebSocketClientProtocol):
        def onOpen(self):
            self.agreed = self._perMessageCompress is not None
            self.say()

        def say(self):
            self.sendMessage(encoded(waiting[0]), isBinary=isinstance(waiting[0], bytes))

        def onMessage(self, payload, isBinary):
            sent = waiting.pop(0)
            if payload != encoded(sent) or isBinary != isinstance(sent, bytes):
                return self.end(AssertionError(f"{payload[:60]} is no echo of {sent[:60]}"))
            if waiting:
                return self.say()
            self.sendClose(1000)

        def onClose(self, wasClean, code, reason):
            if waiting or not wasClean or self.agreed != deflates:
                return self.end(AssertionError(f"closed {code} {reason}, {len(waiting)} are left"))
            self.end(None)

        def end(self, error):
            if not ended.done():
                ended.set_exception(error) if error else ended.set_result(None)

    factory = WebSocketClientFactory(f"ws://{host}:{port}/", loop=loop)
    factory.protocol = Client
    if deflates:
        factory.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=lambda answer: PerMessageDeflateResponseAccept(answer)
            if isinstance(answer, PerMessageDeflateResponse) else None)
    loop.run_until_complete(loop.create_connection(factory, host, port))
    loop.run_until_complete(asyncio.wait_for(ended, 60))


def encoded(message):
    return message.encode() if isinstance(message, str) else message


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {str(wanted)[:80]}, found {str(found)[:80]}")


def main():
    name, host, port, word = sys.argv[1:]
    {"websockets": websockets_client, "autobahn": autobahn_client}[name](host, int(port), word == "on")
    print(f"{name}, compression {word}: {len(MESSAGES)} messages came back")


main()
