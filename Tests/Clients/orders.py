# SPDX-License-Identifier: MIT
"""What a program here is told to do in lines on its standard input, and what it says of it: as c/orders.h."""

import json
import os
import sys
import threading

DEADLINE_SECONDS = 15
# What the server that the tests start tells its clients.
HEARTBEAT_SECONDS = 3

lock = threading.RLock()


def say(*words):
    with lock:
        print(*words, flush=True)


class Orders:
    """A client that can `ask`, `tell`, `hear` (until the connection ends) and `close`, and who tells it to."""

    def __init__(self, client):
        self.client = client
        self.leaving = False

    def run(self):
        """Until the input ends. The connection is heard in a thread of its own."""
        threading.Thread(target=self.hear, daemon=True).start()
        for line in sys.stdin:
            verb, rest = line.rstrip("\n").split(" ", 1)
            number, rest = rest.split(" ", 1) if verb == "ask" else (None, rest)
            route, body = rest.split(" ", 1)
            with lock:
                if verb == "ask":
                    self.client.ask(number, route, json.loads(body))
                else:
                    self.client.tell(route, json.loads(body))
        self.leaving = True
        self.client.close()

    def hear(self):
        try:
            self.client.hear()
        except (EOFError, OSError) as error:
            if not self.leaving:
                say("lost", type(error).__name__)
        except BaseException:
            if not self.leaving:
                sys.excepthook(*sys.exc_info())
                os._exit(1)

    def later(self, action):
        """A heartbeat's time from now, unless the connection is gone by then."""

        def act():
            try:
                with lock:
                    action()
            except OSError:
                pass

        timer = threading.Timer(HEARTBEAT_SECONDS, act)
        timer.daemon = True
        timer.start()
