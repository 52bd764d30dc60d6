// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// Journals on a real server, and on a real cluster.
@Suite(
    "journals with redis-server", .serialized,
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct RealJournalTests {
    @Loop private static func check(_ redis: any RedisPort) async throws {
        var options = SyncOptions()
        options.interval = .milliseconds(500)
        let world = try await JournalWorld(options, on: redis)
        world.database.isAway = true
        let owner = world.sync()
        for number in 0..<200 { world.note(.level, "\(number)", number) }
        try await owner.exec(.level, "ann", 1)
        for number in 0..<20 { try await owner.exec(.log, "\(number)") }
        #expect(try await world.entries() == 221)

        // Taken for gone by the other, it goes on in another journal.
        world.cluster.hasForgottenAll = true
        world.cluster["chat-2"].servers.remove(["chat-1"])
        try await until("the other has the journal") {
            try await world.journals().keys.contains { $0.contains(":chat-2:") }
        }
        world.cluster.hasForgottenAll = false
        try await owner.exec(.level, "ann", 2)
        #expect(try await world.entries() >= 221)

        // It dies, starts again, and finds what is its own.
        world.cluster.crash("chat-1")
        world.database.isAway = false
        try await world.start("chat-1")
        await until("all is written") { world.database.rows.count == 201 && world.database.value("ann") == "2" }
        try await until("nothing is left") { try await world.entries() == 0 }
        #expect(Set(world.database.appended).count == 20)

        // Dead letters are there in the next start.
        world.database.refuses = { $0.id == "bob" }
        try await world.sync().exec(.level, "bob", 3)
        await until("it is given up") { world.sync().deadLetters.count == 1 }
        try await until("nothing is left") { try await world.entries() == 0 }
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        #expect(world.sync().deadLetters.map(\.letter.id) == ["bob"])
        await world.cluster.stopAll()
        #expect(try await world.journals().isEmpty)
    }

    @Test @Loop func onOneServer() async throws {
        try await withRedis { _, client in try await Self.check(client) }
    }

    @Test @Loop func onACluster() async throws {
        try await withCluster { _, client in try await Self.check(client) }
    }

    @Test @Loop func alwaysNeedsARedisThatWritesEachReply() async throws {
        try await withRedis { _, client in
            var options = SyncOptions()
            options.policy = .always
            let error = await failureText { _ = try await JournalWorld(options, on: client) }
            #expect(error.contains("needs a Redis with appendonly yes and appendfsync always"))
            for (name, value) in [("appendonly", "yes"), ("appendfsync", "always")] {
                try await client.send(RedisCommand("CONFIG", "SET", name, value))
            }
            let world = try await JournalWorld(options, on: client)
            try await world.sync().exec(.level, "ann", 1)
            await world.cluster.stopAll()
        }
    }
}
