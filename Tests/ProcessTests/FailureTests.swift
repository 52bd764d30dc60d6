// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// What users see when a part of the Chat cluster dies, hangs or comes back.
@Suite(.serialized) struct FailureTests {
    /// The Redis lease of a server, and what the reaper may take beyond it.
    static let ghostBound = Duration.seconds(12)

    @Test @Loop func redisDiesAndComesBackEmpty() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        let eve = try await chat.connect("connector-server-1")
        await chat.redis.kill9()

        for _ in 0..<3 {
            #expect(try await ann.request("chat.chatHandler.send", ["content": "still", "target": "*"]) == [:])
            #expect(try await bob.next("onChat")["msg"] == "still")
        }
        let enter = try await timed {
            try await eve.request("connector.entryHandler.enter", ["username": "eve", "rid": "hall"])
        }
        #expect(enter.value == ["code": 500])
        #expect(enter.took < promised(.seconds(2)))
        let whisper = try await timed {
            try await ann.request("chat.chatHandler.send", ["content": "x", "target": "bob"])
        }
        #expect(whisper.value == ["code": 503, "message": "presence unknown"])
        #expect(whisper.took < promised(.seconds(2)))

        try await chat.redis.restart(empty: true)
        try await eventually("members and statuses are back", within: .seconds(5)) {
            try await chat.redisHolds([
                "POMELO:CHANNEL:hall:connector-server-1": ["ann*hall"],
                "POMELO:CHANNEL:hall:connector-server-2": ["bob*hall"],
                "POMELO:STATUS:ann*hall": ["connector-server-1"],
                "POMELO:STATUS:bob*hall": ["connector-server-2"],
            ])
        }
        let back = try await eve.request("connector.entryHandler.enter", ["username": "eve", "rid": "hall"])
        #expect(back == ["users": ["ann", "bob", "eve"]])
        // The chat server's own connection may be back behind the connectors': bob is never said to be away.
        try await eventually("a whisper arrives", within: .seconds(5)) {
            let answer = try await ann.request("chat.chatHandler.send", ["content": "again", "target": "bob"])
            #expect(answer == [:] || answer == ["code": 503, "message": "presence unknown"])
            return answer == [:]
        }
        #expect(try await bob.next("onChat")["msg"] == "again")
        for client in [ann, bob, eve] { #expect(client.end == nil) }
        try await chat.stop()
    }

    @Test @Loop func redisHangs() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let eve = try await chat.connect("connector-server-1")
        chat.redis.pause()
        let enter = try await timed {
            try await eve.request("connector.entryHandler.enter", ["username": "eve", "rid": "hall"])
        }
        #expect(enter.value == ["code": 500])
        #expect(enter.took < promised(.seconds(2.2)))
        #expect(try await ann.request("chat.chatHandler.send", ["content": "still", "target": "*"]) == [:])
        chat.redis.resume()
        try await eventually("eve comes in", within: .seconds(5)) {
            try await eve.request("connector.entryHandler.enter", ["username": "eve", "rid": "hall"])["users"] != nil
        }
        try await chat.stop()
    }

    @Test @Loop func chatServerIsKilled() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        // Which of the two serves this room: the one that, frozen, lets a request hang.
        for id in ["chat-server-1", "chat-server-2"] {
            try await chat[id].freeze()
            let request = try ann.ask("chat.chatHandler.send", Array(#"{"content":"x","target":"*"}"#.utf8))
            await SystemClock.shared.sleep(for: .milliseconds(300))
            if ann.pushes.contains(where: { $0.route == "onChat" }) {
                _ = try await ann.answer(to: request)
                chat[id].thaw()
                continue
            }
            chat[id].signal(SIGKILL)
            let answer = try await timed { try await ann.answer(to: request) }
            #expect(String(decoding: answer.value, as: UTF8.self) == #"{"code":500}"#)
            #expect(answer.took < promised(.seconds(1)))
            let other = id == "chat-server-1" ? "chat-server-2" : "chat-server-1"
            #expect(chat[other].status == nil)
            try await eventually("the other one serves", within: .seconds(3)) {
                try await ann.request("chat.chatHandler.send", ["content": "y", "target": "*"]) == [:]
            }
            break
        }
        try await chat.stop()
    }

    /// Bob enters elsewhere at once, and dan does not come back: that is what the others hear.
    @Test @Loop func connectorIsKilled() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        let dan = try await chat.enter("dan", "hall", at: "connector-server-2")
        for _ in [bob, dan] { _ = try await ann.next("onAdd") }
        ann.patience = Self.ghostBound
        let killed = SystemClock.shared.now
        chat["connector-server-2"].signal(SIGKILL)
        _ = try await bob.closed()
        let back = try await chat.enter("bob", "hall", at: "connector-server-1")
        _ = back
        #expect(try await ann.next("onAdd") == ["user": "bob"])

        try await gateAvoids("connector-server-2", chat, within: .seconds(3))
        #expect(try await ann.next("onLeave") == ["user": "dan"])
        try await eventually("they are not there any more", within: Self.ghostBound) {
            try await chat.redisHolds([
                "POMELO:CHANNEL:hall:connector-server-2": [], "POMELO:STATUS:dan*hall": [],
                "POMELO:STATUS:bob*hall": ["connector-server-1"],
            ])
        }
        #expect(!ann.pushes.contains { $0.route == "onLeave" })
        #expect(Duration.nanoseconds(Int64(SystemClock.shared.now - killed)) < Self.ghostBound)
        let carl = try await chat.enter("carl", "hall", at: "connector-server-1")
        _ = carl
        #expect(try await ann.next("onAdd") == ["user": "carl"])
        try await chat.stop()
    }

    @Test @Loop func connectorIsRestartedAtOnce() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        let cid = try await chat.enter("cid", "hall", at: "connector-server-2")
        for _ in [bob, cid] { _ = try await ann.next("onAdd") }
        chat["connector-server-2"].signal(SIGKILL)
        _ = try await chat.awaitExit("connector-server-2")
        let back = try await chat.enter("bob", "hall", at: "connector-server-1")
        _ = back
        let restarted = try await timed {
            try chat.launch("connector-server-2")
            try await chat.awaitUp("connector-server-2")
            let dan = try await chat.connect("connector-server-2")
            try await eventually("it serves", within: .seconds(5)) {
                try await dan.request("connector.entryHandler.enter", ["username": "dan", "rid": "hall"])["users"]
                    == ["ann", "bob", "dan"]
            }
        }
        #expect(restarted.took < promised(.seconds(5)))
        #expect(try await chat.redisSet("POMELO:CHANNEL:hall:connector-server-2") == ["dan*hall"])
        #expect(try await ann.next("onLeave") == ["user": "cid"])
        #expect(!ann.pushes.contains { $0.route == "onLeave" })
        try await chat.stop()
    }

    @Test @Loop func connectorIsFrozen() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        _ = bob
        _ = try await ann.next("onAdd")
        try await chat["connector-server-2"].freeze()
        let answer = try await timed {
            let id = try ann.ask("chat.chatHandler.send", Array(#"{"content":"x","target":"*"}"#.utf8))
            let heard = try await timed { try await ann.next("onChat") }
            #expect(heard.took < promised(.milliseconds(500)))
            return try await ann.answer(to: id)
        }
        #expect(String(decoding: answer.value, as: UTF8.self) == "{}")
        #expect(answer.took < promised(.seconds(3)))
        try await eventually("the log says who has not confirmed", within: .seconds(3)) {
            ["chat-server-1", "chat-server-2"].contains { id in
                chat[id].lines.contains { $0.contains("not confirmed by") && $0.contains("connector-server-2") }
            }
        }
        try await gateAvoids("connector-server-2", chat, within: .seconds(3))
        chat["connector-server-2"].thaw()
        try await chat.stop()
    }

    /// The gate stops handing out a connector, for any user.
    @Loop private func gateAvoids(_ id: String, _ chat: ServerProcesses, within limit: Duration) async throws {
        let client = try await chat.connect("gate-server-1")
        let avoided = chat.clientPorts[id].map { JSON.int(Int64($0)) }
        try await eventually("the gate avoids \(id)", within: limit) {
            for number in 0..<12 {
                let entry = try await client.request("gate.gateHandler.queryEntry", ["uid": .string("user\(number)")])
                if entry["port"] == avoided { return false }
            }
            return true
        }
        client.close()
    }
}
