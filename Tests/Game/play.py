# SPDX-License-Identifier: MIT
"""People who use pypomelo, as published, play the game, and meet everything it answers and pushes.

Usage: play.py GATE_HOST GATE_PORT

Lines that begin with "> " ask the runner for something, which says "done" when it is.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "Clients"))
from pypomelo.protocol import Protocol  # noqa: E402
from pypomelo_socket import DEADLINE_SECONDS, SocketClient  # noqa: E402

met = 0


def expect(found, wanted):
    global met
    if found != wanted:
        raise AssertionError(f"expected {wanted}, found {found}")
    met += 1


def wish(words):
    print(f"> {words}", flush=True)
    if sys.stdin.readline() != "done\n":
        raise AssertionError(f"the runner did not {words}")


class Person(SocketClient):
    """Somebody at a connector, or at the gate."""

    def __init__(self, address):
        super().__init__()
        self.kicked = None
        self.connect(*address)

    def on_protocol(self, package):
        # pypomelo closes at a kick, and drops its reason.
        if package.proto_type == Protocol.PROTO_TYPE_FIN:
            self.kicked = json.loads(package.data)["reason"]
        super().on_protocol(package)

    def login(self, name, area):
        self.name = name
        return self.ask("connector.entryHandler.login", {"name": name, "area": area})

    def move(self, dx, dy):
        return self.ask("area.areaHandler.move", {"dx": dx, "dy": dy})

    def look(self):
        return self.ask("area.areaHandler.look", {})

    def say(self, words):
        return self.ask("chat.chatHandler.say", {"text": words})

    def report(self):
        return self.ask("connector.pulseHandler.report", {})

    def ask_at_once(self, count, route, body):
        """Answers to requests that do not wait for each other, in the order of their arrival."""
        answers = []
        for _ in range(count):
            self.send_request(route, body, lambda client, route, request, response: answers.append(response))
        self.wait_until(lambda: len(answers) == count, f"{count} answers to {route}")
        return answers

    def next_push_that(self, route, holds):
        """Drops pushes of a route until one is as it should be."""
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            push = self.next_push(route)
            if holds(push):
                return push
            if time.monotonic() > end:
                raise AssertionError(f"no such {route}, but {push}")

    def has_push(self, route):
        return any(name == route for name, _ in self.pushes)


def await_that(condition, what):
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never true: {what}")
        time.sleep(0.05)


def connector_of(gate, name):
    person = Person(gate)
    entry = person.ask("gate.gateHandler.queryEntry", {"name": name})
    person.close()
    expect((entry["code"], entry["region"]), (200, "eu"))
    return entry["host"], entry["port"]


def at_the_gate(gate):
    person = Person(gate)
    expect(person.ask("gate.gateHandler.queryEntry", {}), {"code": 400, "message": "name is missing"})
    expect(person.ask("gate.gateHandler.fly", {}), {"code": 500})
    expect(person.ask("gate", {}), {"code": 500})
    person.close()


def two_names(gate):
    """Names of people whom the gate sends to different connectors, with their addresses."""
    first = connector_of(gate, "ann")
    for name in ["bob", "cleo", "dora", "emil", "fay", "gus", "hana", "ivo"]:
        address = connector_of(gate, name)
        if address != first:
            return ("ann", first), (name, address)
    raise AssertionError("the gate sent all to one connector")


def coming_in(ann, bob, bobs_name):
    login = "connector.entryHandler.login"
    expect(ann.look(), {"code": 401, "message": "log in first"})
    expect(ann.ask(login, {"area": 1}), {"code": 400, "message": "name is missing"})
    expect(ann.ask(login, {"name": "ann", "area": "1"}), {"code": 400, "message": "area is not a whole number"})
    expect(ann.login("ann", 99), {"code": 404, "message": "no such area"})
    place = ann.login("ann", 1)
    expect((place["area"], place["name"], place["spot"]), (1, "Meadow", {"x": 0, "y": 0}))
    expect(ann.login("ann", 1), {"code": 409, "message": "you are in the game"})
    expect(bob.login("ann", 1), {"code": 409, "message": "ann is in the game"})
    expect(bob.login(bobs_name, 1)["server"], place["server"])
    expect(ann.next_push("onArrive"), {"name": bobs_name})
    expect(ann.look()["others"], [bobs_name])
    return place["server"]


def in_the_area(ann, bob):
    expect(ann.move(1, 0), {"x": 1, "y": 0})
    expect(bob.next_push("onMove"), {"name": "ann", "spot": {"x": 1, "y": 0}})
    expect(ann.has_push("onMove"), False)
    expect(ann.move(0, 1), {"code": 1001, "message": "a wall"})
    expect(ann.move(5, 0), {"code": 1002, "message": "too far"})
    expect(ann.ask("area.areaHandler.move", {"dx": 1}), {"code": 400, "message": "dy is missing"})
    expect(ann.ask("area.areaHandler.fly", {}), {"code": 500})
    way = ann.ask("area.areaHandler.path", {"x": 3, "y": 1})
    expect((len(way["steps"]), way["steps"][-1]), (3, {"x": 3, "y": 1}))
    expect(ann.ask("area.areaHandler.path", {"x": 7, "y": 7}), {"code": 404, "message": "no way leads there"})


def resting(ann):
    rest = "area.areaHandler.rest"
    expect(ann.ask(rest, {"milliseconds": 2000}), {"code": 504, "message": "the request took too long"})
    answers = ann.ask_at_once(6, rest, {"milliseconds": 200})
    expect(answers, 2 * [{"code": 429, "message": "too many requests wait"}] + 4 * [{}])


def buying(ann):
    def buy(item):
        return ann.ask("area.shopHandler.buy", {"item": item})

    expect(buy("moon"), {"code": 404, "message": "no such thing"})
    expect(buy("crown"), {"code": 402, "message": "too dear"})
    expect(buy("lamp"), {"gold": 20, "bag": ["lamp"]})
    expect(buy("rope"), {"gold": 15, "bag": ["lamp", "rope"]})
    expect(buy("rope"), {"code": 409, "message": "the bag is full"})
    expect(ann.look()["gold"], 15)


def talking(ann, bob):
    expect(ann.say("hello"), {"by": 2})
    for person in ann, bob:
        expect(person.next_push("onSay"), {"from": "ann", "text": "hello"})
    whisper = "chat.chatHandler.whisper"
    expect(ann.ask(whisper, {"text": "psst", "to": bob.name}), {"by": 1})
    expect(bob.next_push("onSay"), {"from": "ann", "text": "psst"})
    expect(ann.has_push("onSay"), False)
    expect(ann.ask(whisper, {"text": "psst"}), {"code": 400, "message": "to is missing"})
    expect(ann.ask(whisper, {"text": "psst", "to": "zoe"}), {"code": 404, "message": "zoe is not online"})
    where = "chat.chatHandler.whereIs"
    expect(bob.ask(where, {"name": "ann", "area": 1}), {"x": 1, "y": 0})
    expect(bob.ask(where, {"name": "ann", "area": 2}), {"code": 404, "message": "ann is not in area 2"})
    bytes_back = {"any": ["thing", 1, None]}
    expect(ann.ask("connector.probeHandler.echo", bytes_back), bytes_back)


def travelling(ann, bob, home):
    """To an area of the other server and back."""
    travel = "connector.entryHandler.travel"
    places = [bob.ask(travel, {"area": area}) for area in [2, 3, 4]]
    expect(ann.next_push("onDepart"), {"name": bob.name})
    for place in places:
        bob.ask(travel, {"area": place["area"]})
        # The session's number chooses the server that a remote was called at by the same number.
        expect(bob.look()["server"], place["server"])
    away = next(place for place in places if place["server"] != home)
    bob.ask(travel, {"area": away["area"]})
    ann.move(1, 0)
    expect(bob.look()["others"], [])
    expect(bob.has_push("onMove"), False)
    wanted = {"name": bob.name, "area": away["area"]}
    expect(ann.ask("chat.chatHandler.whereIs", wanted), {"x": 0, "y": 0})
    expect(bob.ask(travel, {"area": 99}), {"code": 404, "message": "no such area"})
    expect(bob.look()["server"], away["server"])
    return away


def jobs(ann, bob, away):
    grown = [ann.next_push("onGrow")["herbs"] for _ in range(2)]
    expect(grown[1] - grown[0], 1 if ann.look()["server"] == "area-1" else 2)
    news = bob.next_push_that("onNews", lambda news: news["players"] == 2)
    expect(news["servers"], ["area-1", "area-2"])
    expect(news["featured"]["area"], 2)


def game_masters(ann, bob, gate):
    kick = "chat.masterHandler.kick"
    expect(ann.ask(kick, {"name": bob.name, "reason": "spite"}), {"code": 403, "message": "for game masters"})
    root = Person(connector_of(gate, "root"))
    root.login("root", 1)
    census = "chat.masterHandler.census"
    await_that(lambda: sum(root.ask(census, {}).values()) == 3, "the census counts three")
    expect(sorted(root.ask(census, {})), ["area-1", "area-2"])
    invoke = "chat.masterHandler.invoke"
    count = {"server": "area-1", "route": "area.areaRemote.count"}
    expect(root.ask(invoke, count)["reply"], root.ask(census, {})["area-1"])
    expect(root.ask(invoke, {**count, "route": "area.areaRemote.fly"}), {"code": 500})
    expect(root.ask(invoke, {}), {"code": 400, "message": "server or route is missing"})
    expect(root.ask(kick, {"name": "zoe", "reason": "spite"}), {"sessions": 0})
    expect(root.ask(kick, {"name": bob.name, "reason": "mischief"}), {"sessions": 1})
    bob.wait_until(lambda: bob.kicked, "a kick")
    expect(bob.kicked, "mischief")
    expect(root.ask("connector.entryHandler.logout", {}), {})
    expect(root.look(), {"code": 401, "message": "log in first"})
    report = root.report()
    expect(report["attendance"][-2:], ["bind root", "unbind root"])
    root.close()


def what_the_plugin_saw(address, name):
    person = Person(address)
    mine = [event for event in person.report()["attendance"] if f" {name}" in event]
    expect(mine, [f"bind {name}", f"close {name} (kicked: mischief)"])
    person.close()


def servers_come_and_go(ann, home):
    other = "area-2" if home == "area-1" else "area-1"
    before = ann.look()
    expect(before["server"], home)
    started = ann.report()["topology"]
    expect([event for event in started if event.startswith("start")], [f"start {ann.report()['server']}", "start all"])
    expect(sum(event == f"add {home}" for event in started), 1)
    expect(any("gate" in event for event in started), False)

    wish(f"stop {home}")
    expect(ann.next_push("onClosing"), {"server": home})
    await_that(lambda: ann.look().get("server") == other, "the other server has the area")
    expect({**ann.look(), "server": home}, before)
    expect(ann.report()["topology"][-1], f"remove {home}")
    # News may have left while the server that has the area now had not found her yet.
    expect(ann.next_push_that("onNews", lambda news: news["servers"] == [other] and news["players"] > 0)["players"], 1)
    expect(ann.move(-1, 0), {"x": before["spot"]["x"] - 1, "y": 0})

    wish(f"start {home}")
    await_that(lambda: ann.look()["server"] == home, "the area is back at its server")
    expect(ann.look()["spot"], {"x": before["spot"]["x"] - 1, "y": 0})
    expect(ann.report()["topology"][-2:], [f"remove {home}", f"add {home}"])
    # The other server gives the area back as soon as it hears of this one.
    news = ann.next_push_that("onNews", lambda news: len(news["servers"]) == 2 and news["players"] == 1)
    expect(news["servers"], ["area-1", "area-2"])

    wish("stop chat-1")
    await_that(lambda: ann.say("?").get("code") == 503, "chat is closed")
    expect(ann.say("?"), {"code": 503, "message": "chat is closed"})
    wish("start chat-1")
    await_that(lambda: ann.say("back") == {"by": 1}, "chat is open")
    expect(ann.next_push("onSay"), {"from": "ann", "text": "back"})


def redis_comes_and_goes(ann):
    """And forgets everything; those who are in the game play on."""
    before = ann.look()
    wish("stop redis")
    expect(ann.say("anybody?"), {"code": 500})
    expect(ann.move(1, 0), {"code": 503, "message": "the world cannot be written"})
    expect(ann.look(), before)
    wish("start redis")
    await_that(lambda: ann.say("back") == {"by": 1}, "there is talk again")
    await_that(lambda: ann.move(1, 0).get("x") == before["spot"]["x"] + 1, "the world is written again")


def the_channel_ends(ann, gate):
    """The gate is up, and has no channels."""
    root = Person(connector_of(gate, "root"))
    root.login("root", 1)
    expect(root.say("to all"), {"by": 2})
    # Redis was away until a moment ago, and each server finds it again by itself.
    await_that(lambda: root.ask("chat.masterHandler.disband", {}) == {}, "the channel ends")
    expect(root.say("to nobody"), {"by": 0})
    root.close()


def main():
    gate = (sys.argv[1], int(sys.argv[2]))
    at_the_gate(gate)
    (_, anns), (bobs_name, bobs) = two_names(gate)
    ann, bob = Person(anns), Person(bobs)
    home = coming_in(ann, bob, bobs_name)
    in_the_area(ann, bob)
    resting(ann)
    buying(ann)
    talking(ann, bob)
    away = travelling(ann, bob, home)
    jobs(ann, bob, away)
    game_masters(ann, bob, gate)
    what_the_plugin_saw(bobs, bobs_name)
    servers_come_and_go(ann, home)
    redis_comes_and_goes(ann)
    the_channel_ends(ann, gate)
    report = ann.report()
    expect(report["calls"]["area.areaRemote.arrive"] >= 1, True)
    expect(report["failures"]["area.areaRemote.arrive"], 1)
    ann.close()
    print(f"{met} expectations met")


if __name__ == "__main__":
    main()
