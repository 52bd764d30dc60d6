// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloSync
import PomeloSyncSQLite
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import Chat

/// The example remembers its guests, whatever has stopped.
@Suite(.serialized) struct GuestBookTests {
    @Loop private func start() async throws -> (ServerProcesses, file: String) {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let file = "\(chat.folder)/book/guests.sqlite"
        try chat.write("guests", ["development": ["file": .string(file)]])
        try await chat.startAll()
        return (chat, file)
    }

    @Loop private func enter(_ room: String, _ chat: ServerProcesses) async throws -> (TestClient, last: JSON?) {
        let client = try await chat.connect("connector-server-1")
        let reply = try await client.request(
            "connector.entryHandler.enter", ["username": "ann", "rid": .string(room)])
        #expect(reply["users"] == ["ann"], "\(reply)")
        return (client, reply["last"])
    }

    @Loop private func say(_ words: JSON, _ client: TestClient) async throws {
        #expect(try await client.request("chat.chatHandler.send", ["content": words, "target": "*"]) == [:])
    }

    @Test @Loop func whoComesAgainAfterEverythingWasRestartedIsGreeted() async throws {
        let (chat, _) = try await start()
        let (ann, first) = try await enter("hall", chat)
        #expect(first == nil)
        for words: JSON in ["one", "two"] { try await say(words, ann) }
        ann.close()
        for id in chat.ids { chat[id].signal(SIGTERM) }
        for id in chat.ids { #expect(try await chat.awaitExit(id) == .exited(0)) }
        // The file is enough.
        #expect(try await chat.redisCommand(["FLUSHALL"]) == "OK")
        try await chat.startAll()
        let (again, last) = try await enter("attic", chat)
        #expect(last == ["room": "hall", "said": 2])
        try await say("three", again)
        try await again.leave()
        // Written when she left: no server needs to stop.
        try await eventually("ann is greeted from the attic") {
            let (client, last) = try await enter("hall", chat)
            try await client.leave()
            return last == ["room": "attic", "said": 3]
        }
        try await chat.stop()
    }

    @Test @Loop func whatTheJournalHasIsThereAfterEveryServerWasKilled() async throws {
        let (chat, path) = try await start()
        let file = try SQLiteSyncSink(path, [SQLTable(.guest)])
        try await file.start()
        let (ann, _) = try await enter("hall", chat)
        try await say("one", ann)
        try await eventually("the journal or the file has it") {
            let keys = try await chat.redisCommand(["--scan", "--pattern", "pomelo:{sync:*:j:*"])
            for key in keys.split(separator: "\n") {
                if try await chat.redisCommand(["HVALS", String(key)]).contains(#"\"said\":1"#) { return true }
            }
            return try await file.value(of: .guest, "ann")?.said == 1
        }
        await file.stop()
        for id in chat.ids { chat[id].signal(SIGKILL) }
        for id in chat.ids { _ = try await chat.awaitExit(id) }
        ann.close()
        try await chat.startAll()
        try await eventually("ann may come in, and is greeted", within: .seconds(20)) {
            let client = try await chat.connect("connector-server-1")
            let reply = try await client.request(
                "connector.entryHandler.enter", ["username": "ann", "rid": "hall"])
            client.close()
            return reply["last"] == ["room": "hall", "said": 1]
        }
        try await chat.stop()
    }
}
