// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

extension SyncKey<Int> {
    fileprivate static let short = SyncKey("a.b")
    fileprivate static let long = SyncKey("a.b1")
}

/// What pomelo-sync did otherwise.
@Suite struct OriginalTests {
    /// It put key and id together, and one of the two was lost.
    @Test @Loop func regressionAKeyAndAnIDAreNotJoined() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let (one, other) = (NotingSink(cluster.clock), NotingSink(cluster.clock))
        try await cluster.startAll { app in
            try app.use(
                Sync { sinks in
                    sinks.map(.short, to: one)
                    sinks.map(.long, to: other)
                })
        }
        let sync = cluster["chat-1"].sync
        try await sync.exec(.short, "1", 1)
        try await sync.exec(.long, "", 2)
        #expect(await sync.sync() == 0)
        #expect(one.values == ["1": "1"] && other.values == ["": "2"])
        await cluster.stopAll()
    }

    /// Its `info` threw, and its `isDone` did not count what was under way.
    @Test @Loop func regressionInfoAndIsDoneTellTheTruth() async throws {
        let world = try await SyncWorld()
        world.sink.delay = .seconds(1)
        for value in 1...3 { try await world.sync.exec(.level, "ann", value) }
        try await world.sync.exec(.log, "hi")
        #expect(!world.sync.isDone)
        #expect(world.sync.info.pending == 2 && world.sync.info.executed == 4)
        async let left = world.sync.sync()
        await world.pass(.milliseconds(500))
        #expect(!world.sync.isDone)
        await world.pass(.seconds(1))
        #expect(await left == 0 && world.sync.isDone)
        #expect(world.sync.info.pending == 0 && world.sync.info.written == 2)
        #expect(world.sink.values == ["ann": "3"] && world.sink.appended == ["\"hi\""])
        await world.cluster.stopAll()
    }

    /// It took an error of a mapping for success.
    @Test @Loop func regressionWhatASinkDoesNotTakeIsTriedAgain() async throws {
        let world = try await SyncWorld()
        world.sink.answer = { _ in .failed("busy") }
        try await world.sync.exec(.level, "ann", 1)
        #expect(await world.sync.sync() == 1)
        #expect(world.sync.info.retries == 1)
        world.sink.answer = { _ in .written }
        #expect(await world.sync.sync() == 0)
        #expect(world.sink.values == ["ann": "1"])
        await world.cluster.stopAll()
    }
}
