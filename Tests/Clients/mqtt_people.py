# SPDX-License-Identifier: MIT
"""People of Chat over paho-mqtt, and what their programs have in common."""

import json
import os
import sys
import threading
import time
import traceback

import paho.mqtt.client as mqtt

DEADLINE_SECONDS = 20
# By which way, and the file of the authority that is believed where that is encrypted.
TRANSPORT = os.environ.get("MQTT_TRANSPORT", "tcp")
AUTHORITY = os.environ.get("MQTT_AUTHORITY")
MANY = 100


class Person:
    """A client whose network thread notes what comes; what a test asks for waits for it."""

    def __init__(self, level, port):
        self.port = port
        self.answers, self.heard, self.granted = {}, [], {}
        self.connects = self.disconnects = self.pongs = self.unsubscribed = 0
        self.refusal = None
        self.stays_away = False
        self.changed = threading.Condition()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"person{os.getpid()}", protocol=level, clean_session=True,
            transport=TRANSPORT)
        if TRANSPORT == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if AUTHORITY:
            self.client.tls_set(ca_certs=AUTHORITY)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_message
        self.client.on_subscribe = self.on_subscribe
        self.client.on_unsubscribe = self.on_unsubscribe
        self.client.on_log = self.on_log

    # What the client tells.

    def on_connect(self, client, data, flags, reason, properties):
        with self.changed:
            if reason.is_failure:
                self.refusal = str(reason)
            else:
                self.connects += 1
            expect(flags.session_present, False)

    def on_disconnect(self, client, data, flags, reason, properties):
        with self.changed:
            self.disconnects += 1
        if self.stays_away:
            client.disconnect()

    def on_message(self, client, data, message):
        body = json.loads(message.payload)
        with self.changed:
            if message.topic.startswith("answer/"):
                number = int(message.topic[len("answer/"):])
                expect(number in self.answers, False)
                self.answers[number] = body
            else:
                self.heard.append((message.topic, body))

    def on_subscribe(self, client, data, number, reasons, properties):
        with self.changed:
            self.granted[number] = [reason.value for reason in reasons]

    def on_unsubscribe(self, client, data, number, reasons, properties):
        self.unsubscribed = number

    def on_log(self, client, data, level, text):
        if "PINGRESP" in text:
            self.pongs += 1

    # What a test asks for.

    def connect(self):
        self.client.connect("localhost" if AUTHORITY else "127.0.0.1", self.port, keepalive=4)
        self.client.loop_start()
        self.wait_until(lambda: self.connects == 1, "CONNACK")

    def subscribe(self, topics):
        _, number = self.client.subscribe(topics)
        self.wait_until(lambda: number in self.granted, "SUBACK")
        return self.granted.pop(number)

    def unsubscribe(self, topic):
        _, number = self.client.unsubscribe(topic)
        self.wait_until(lambda: self.unsubscribed == number, "UNSUBACK")

    def notify(self, route, body):
        self.client.publish(route, json.dumps(body), qos=0)

    def begin(self, route, body, qos=1):
        return self.client.publish(route, json.dumps(body), qos=qos).mid

    def answer(self, number):
        self.wait_until(lambda: number in self.answers, f"answer to {number}")
        with self.changed:
            return self.answers.pop(number)

    def ask(self, route, body, qos=1):
        """The answer, when the broker's side of the exchange is done too."""
        message = self.client.publish(route, json.dumps(body), qos=qos)
        answer = self.answer(message.mid)
        self.wait_until(message.is_published, f"PUBACK or PUBCOMP of {message.mid}")
        return answer

    def next(self, topic):
        self.wait_until(lambda: any(name == topic for name, _ in self.heard), topic)
        with self.changed:
            found = next(one for one in self.heard if one[0] == topic)
            self.heard.remove(found)
        return found[1]

    def forget(self):
        with self.changed:
            self.heard.clear()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()

    def wait_until(self, condition, what):
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(
                    f"no {what} within {DEADLINE_SECONDS} s; connects {self.connects}, disconnects {self.disconnects}, "
                    f"refused {self.refusal}, answers {list(self.answers)}, heard {self.heard[-10:]}")
            time.sleep(0.01)


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {wanted}, found {found}")


def done(step):
    print(f"- {step}", flush=True)


def wish(what):
    print(f"> {what}", flush=True)
    expect(sys.stdin.readline().strip(), "done")


def run(main):
    try:
        main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        # Threads of clients would go on.
        os._exit(1)
    os._exit(0)
