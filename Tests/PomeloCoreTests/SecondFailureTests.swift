// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// What is still wrong when something fails while a failure heals, and what must not be forgotten then.
@Suite struct SecondFailureTests {
    // MARK: suspects

    @Test @Loop func aSessionIsNotSentToASuspect() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 2))
        try await cluster.startAll { app in
            let id = app.serverID.rawValue
            try app.configure("all", "chat") { app in
                try app.handle(Routes { $0.on(raw: "chat.test.where") { _, _ in Array(id.utf8) } })
            }
        }
        let socket = try #require(cluster.connect("connector-1"))
        let servers = cluster["connector-1"].servers
        for (suspect, other) in [("chat-1", "chat-2"), ("chat-2", "chat-1")] as [(ServerID, String)] {
            servers.setSuspect(suspect, true)
            #expect(await socket.ask("chat.test.where") == other)
            servers.setSuspect(suspect, false)
        }
    }

    // MARK: transactions

    @Test @Loop func anUndoThatFailsEndsTheAttempts() async throws {
        let stage = try TransactionTests.Stage(failures: ["undo a": 9, "b": 1])
        let handlers = [stage.step("a", undo: true), stage.step("b")]
        let result = await stage.run(handlers: handlers, TransactionPolicy(attempts: 3))
        guard case .failure(let error) = result else {
            Issue.record("it succeeded")
            return
        }
        #expect(error.attempts == 1 && error.standing == ["a"] && error.notUndone.keys.sorted() == ["a"])
        #expect(stage.journal.entries == ["a", "b", "undo a"])
    }

    @Test @Loop func whoIsCancelledDoesNotTryAgain() async throws {
        let stage = try TransactionTests.Stage()
        let step = TransactionStep("a") {
            stage.journal.note("a")
            await stage.door.pass()
            throw TransactionTests.Refusal("a is not possible")
        }
        let task = Loop.spawn {
            let policy = TransactionPolicy(attempts: 3)
            stage.journal.note(
                await failureCode { try await stage.app.transaction("trade", handlers: [step], policy: policy) })
        }
        await stage.cluster.settle()
        task.cancel()
        stage.door.open()
        await stage.cluster.advance(by: .seconds(5))
        #expect(stage.journal.entries.count == 2 && stage.journal.entries.first == "a")
        #expect(stage.journal.entries.last?.hasPrefix("transaction trade") == true)
    }

    // MARK: crons

    @Test @Loop func aJobThatFailsRunsAgainAtItsNextTime() async throws {
        let (cluster, journal) = (TestCluster(TestCluster.records(connectors: 0, chats: 1)), Journal<String>())
        try await cluster.start("chat-1") { app in
            try app.crons.serve("note.failure") {
                journal.note("run")
                throw Fault(500, "no")
            }
            try app.addCrons([try Cron("a", "*/10 * * * * *", "note.failure")])
        }
        await cluster.advance(by: .seconds(45), step: .milliseconds(500))
        #expect(journal.entries.count >= 4)
    }

    // MARK: a store of channels

    /// A chat whose only channel, with one member, is in its store.
    @Loop private func room() async throws -> (ChannelWorld, MemoryLocalChannelStore, Channel) {
        let store = MemoryLocalChannelStore()
        let world = try await ChannelWorld { if $0.serverID == "chat-1" { $0.channelService.store = store } }
        try await world.user("ann", "connector-1")
        let room = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        #expect(store.sets["pomelo:channels:chat-1:room"] == ["connector-1:ann"])
        store.isAway = true
        return (world, store, room)
    }

    @Test @Loop func aBatchThatFailedIsWrittenAfterwards() async throws {
        let (world, store, room) = try await room()
        room.leave("ann", "connector-1")
        // It fails, is tried again, and fails again.
        await world.cluster.advance(by: .seconds(2))
        store.isAway = false
        await world.cluster.advance(by: .seconds(1))
        #expect(store.sets == ["pomelo:channels:chat-1": ["pomelo:channels:chat-1:room"]])
    }

    @Test @Loop func aRewriteThatFailedIsARewriteAfterwards() async throws {
        let (world, store, room) = try await room()
        room.destroy()
        world["chat-1"].channelService.createChannel("room")
        await world.cluster.advance(by: .seconds(2))
        store.isAway = false
        await world.cluster.advance(by: .seconds(1))
        #expect(store.sets == ["pomelo:channels:chat-1": ["pomelo:channels:chat-1:room"]])
    }
}
