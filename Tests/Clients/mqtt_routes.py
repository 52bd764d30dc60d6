# SPDX-License-Identifier: MIT
"""paho-mqtt at a server that hands everything to two routes, as pomelo's connector does.

Usage: mqtt_routes.py 3|4 PORT

What these routes serve knows nothing of MQTT, so each answer is no message: it is left out, and a subscription that is
not granted is refused; nobody's connection ends for it.
"""

import sys

from mqtt_people import Person, done, expect, run


def main():
    person = Person(int(sys.argv[1]), int(sys.argv[2]))
    person.connect()
    expect(person.subscribe([("a/b", 1), ("c", 0)]), [0x80, 0x80])
    for qos in (0, 1, 2):
        message = person.client.publish("a/b", b"\xff\x00", qos=qos)
        person.wait_until(message.is_published, f"the end of QoS {qos}")
    person.unsubscribe("a/b")
    expect((person.answers, person.heard, person.disconnects), ({}, [], 0))
    person.leave()
    done("publish, subscribe, unsubscribe")


if __name__ == "__main__":
    run(main)
