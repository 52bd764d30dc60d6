// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The contract of the Chat example, on real processes and each kind of Redis.
@Suite(.serialized) struct ChatContractTests {
    @Test(arguments: RedisWorld.Kind.allCases) @Loop func theContract(_ kind: RedisWorld.Kind) async throws {
        let world = try await RedisWorld.start(kind)
        let chat = world.processes
        try await gate(chat)
        try await enterRefusals(chat)
        try await rooms(chat)
        try await saying(chat)
        try await leaving(world)
        try await spellings(world)
        try await hostileTexts(chat)
        try await world.stop()
        for id in chat.ids { #expect(chat[id].status == .exited(0), "\(id): \(chat[id].lines.suffix(3))") }
    }

    @Loop private func gate(_ chat: ServerProcesses) async throws {
        let client = try await chat.connect("gate-server-1", as: .webSocket)
        for uid: JSON in ["", .null, 5, ["a"]] {
            #expect(try await client.request("gate.gateHandler.queryEntry", ["uid": uid]) == ["code": 500])
        }
        #expect(try await client.request("gate.gateHandler.queryEntry", [:]) == ["code": 500])
        var ports: Set<Int64> = []
        for number in 0..<20 {
            let first = try await client.request("gate.gateHandler.queryEntry", ["uid": .string("user\(number)")])
            let second = try await client.request("gate.gateHandler.queryEntry", ["uid": .string("user\(number)")])
            #expect(first == second)
            #expect(first["code"] == 200 && first["host"] == "127.0.0.1")
            ports.insert(first["port"]?.int ?? 0)
            #expect(chat.clientPorts[first["id"]?.string ?? ""].map(Int64.init) == first["port"]?.int)
        }
        let expected = ["connector-server-1", "connector-server-2"].compactMap { chat.clientPorts[$0].map(Int64.init) }
        #expect(ports == Set(expected))
        client.close()
    }

    @Loop private func enterRefusals(_ chat: ServerProcesses) async throws {
        let refused: JSON = ["code": 500, "error": true]
        let client = try await chat.connect("connector-server-1")
        let long = String(repeating: "x", count: 21)
        let bad: [JSON] = [
            [:], ["username": "ann"], ["rid": "r"], ["username": "", "rid": "r"], ["username": "a*b", "rid": "r"],
            ["username": "a", "rid": "r:1"], ["username": .string(long), "rid": "r"], ["username": 5, "rid": "r"],
            ["username": "a", "rid": .null], ["username": ["a"], "rid": "r"],
            // One character, 60 KB.
            ["username": .string("a" + String(repeating: "\u{301}", count: 30_000)), "rid": "r"],
        ]
        for body in bad {
            #expect(try await client.request("connector.entryHandler.enter", body) == refused, "\(body)")
        }
        #expect(try await client.request("chat.chatHandler.send", ["content": "x", "target": "*"]) == ["code": 500])
        let longest = String(repeating: "é", count: 20)
        let entered = try await client.request(
            "connector.entryHandler.enter", ["username": .string(longest), "rid": .string(longest)])
        #expect(entered == ["users": [.string(longest)]])
        #expect(try await client.request("connector.entryHandler.enter", ["username": "b", "rid": "r"]) == refused)
        try await client.leave()
    }

    @Loop private func rooms(_ chat: ServerProcesses) async throws {
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.connect("connector-server-2", as: .webSocket)
        let taken = try await bob.request("connector.entryHandler.enter", ["username": "ann", "rid": "hall"])
        #expect(taken == ["code": 500, "error": true])
        let entered = try await bob.request("connector.entryHandler.enter", ["username": "bob", "rid": "hall"])
        #expect(entered == ["users": ["ann", "bob"]])
        #expect(try await ann.next("onAdd") == ["user": "bob"])
        let other = try await chat.enter("ann", "kitchen", at: "connector-server-2")
        for client in [ann, bob, other] { try await client.leave() }
    }

    @Loop private func saying(_ chat: ServerProcesses) async throws {
        let ann = try await chat.enter("ann", "talk", at: "connector-server-1")
        let bob = try await chat.enter("bob", "talk", at: "connector-server-2")
        _ = try await ann.next("onAdd")
        let all: JSON = ["content": "hi all", "target": "*", "rid": "elsewhere", "from": "mallory"]
        #expect(try await ann.request("chat.chatHandler.send", all) == [:])
        let said: JSON = ["msg": "hi all", "from": "ann", "target": "*"]
        #expect(try await ann.next("onChat") == said)
        #expect(try await bob.next("onChat") == said)
        #expect(try await bob.request("chat.chatHandler.send", ["content": "psst", "target": "ann"]) == [:])
        #expect(try await ann.next("onChat") == ["msg": "psst", "from": "bob", "target": "ann"])
        for target: JSON in ["nobody", "", 7, "a*b"] {
            #expect(
                try await bob.request("chat.chatHandler.send", ["content": "x", "target": target]) == ["code": 404])
        }
        let long = String(repeating: "x", count: 16_382)
        #expect(try await bob.request("chat.chatHandler.send", ["content": .string(long), "target": "ann"]) == [:])
        #expect(try await ann.next("onChat")["msg"]?.string == long)
        let longer: JSON = ["content": .string(long + "x"), "target": "ann"]
        #expect(try await bob.request("chat.chatHandler.send", longer) == ["code": 413])
        #expect(bob.pushes.isEmpty)
        for client in [ann, bob] { try await client.leave() }
    }

    @Loop private func leaving(_ world: RedisWorld) async throws {
        let chat = world.processes
        let ann = try await chat.enter("ann", "door", at: "connector-server-1")
        let bob = try await chat.enter("bob", "door", at: "connector-server-2")
        try await eventually("redis has both") {
            try await world.holds(["connector-server-1": ["ann"], "connector-server-2": ["bob"]], of: "door")
        }
        try await bob.leave()
        #expect(try await ann.next("onLeave") == ["user": "bob"])
        #expect(try await ann.request("chat.chatHandler.send", ["content": "x", "target": "bob"]) == ["code": 404])
        try await eventually("redis has forgotten bob") {
            guard try await world.members("POMELO:STATUS:bob*door").isEmpty else { return false }
            return try await world.holds(["connector-server-1": ["ann"], "connector-server-2": []], of: "door")
        }
        try await ann.leave()
    }

    /// Names that differ in their bytes are two; rooms and names may begin with a mark.
    @Loop private func spellings(_ world: RedisWorld) async throws {
        let chat = world.processes
        let (one, other, room) = ("Zo\u{e9}", "Zoe\u{301}", "\u{301}room")
        let first = try await chat.enter(one, room, at: "connector-server-1")
        let second = try await chat.connect("connector-server-1")
        let entered = try await second.request(
            "connector.entryHandler.enter", ["username": .string(other), "rid": .string(room)])
        #expect(entered == ["users": [.string(other), .string(one)]])
        #expect(try await first.next("onAdd") == ["user": .string(other)])
        #expect(
            try await second.request("chat.chatHandler.send", ["content": "psst", "target": .string(one)]) == [:])
        let said: JSON = ["msg": "psst", "from": .string(other), "target": .string(one)]
        #expect(try await first.next("onChat") == said)
        #expect(second.pushes.isEmpty)
        try await second.leave()
        #expect(try await first.next("onLeave") == ["user": .string(other)])
        try await first.leave()
        // One by one: to a dictionary of strings they are one.
        let users = [one, other].map { "POMELO:STATUS:\($0)*\(room)" }
        for key in users + [world.channelKey(of: room, at: "connector-server-1")] {
            try await eventually("redis has forgotten \(key)") { try await world.members(key).isEmpty }
        }
    }

    /// Each of these took a connector seconds, the last 45; an innocent client waits for none of them.
    @Loop private func hostileTexts(_ chat: ServerProcesses) async throws {
        let marks = String(repeating: "\u{301}\u{316}", count: 20_000)
        let turned = String(repeating: "\u{316}\u{301}", count: 20_000)
        let attacker = try await chat.connect("connector-server-1")
        let innocent = try await chat.enter("ann", "quiet", at: "connector-server-1")
        let long = JSON.string(String(repeating: marks, count: 12))
        let bodies: [JSON] = [
            [marks: 1, turned: 2], ["username": long, "rid": "r"], ["username": "a", "rid": long],
            ["username": .string("*" + marks), "rid": .string(turned)],
        ]
        for body in bodies {
            let answer = try await timed {
                async let refused = attacker.request("connector.entryHandler.enter", body)
                let said = try await innocent.request("chat.chatHandler.send", ["content": "x", "target": "*"])
                return (said, try await refused)
            }
            #expect(answer.value.0 == [:] && answer.value.1 == ["code": 500, "error": true])
            #expect(answer.took < promised(.seconds(2)), "\(answer.took)")
        }
        let target = try await timed {
            try await innocent.request("chat.chatHandler.send", ["content": "x", "target": long])
        }
        #expect(target.value == ["code": 404] && target.took < promised(.seconds(2)))
        attacker.close()
        try await innocent.leave()
    }
}
