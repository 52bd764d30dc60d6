// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// What is configured, and what cannot be.
@Suite struct SyncOptionTests {
    @Test @Loop func aKeyHasOneSink() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let sink = NotingSink(cluster.clock)
        let error = await failureText {
            try await cluster.startAll { app in
                try app.use(
                    Sync { sinks in
                        sinks.map(.level, to: sink)
                        sinks.map(.level, to: sink)
                    })
            }
        }
        #expect(error.contains("the key \"level\" is mapped twice"))
    }

    @Test @Loop func valuesWithWhichNothingWouldBeWrittenAreErrors() async throws {
        for change: @Sendable (inout SyncOptions) -> Void in [
            { $0.maxBatch = 0 }, { $0.maxPending = -1 }, { $0.attempts = 0 }, { $0.interval = .zero },
            { $0.write = .seconds(-1) },
        ] {
            var options = SyncOptions()
            change(&options)
            let error = await failureText { _ = try await SyncWorld(options) }
            #expect(error.contains("must be more than 0"))
        }
    }

    @Test @Loop func aJournalNeedsARedisAndACluster() async throws {
        var options = SyncOptions()
        options.policy = .everyBatch
        #expect(await failureText { _ = try await SyncWorld(options) }.contains("needs a Redis"))
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1), hasRegistry: false)
        let redis = FakeRedis(clock: cluster.clock)
        let error = await failureText { try await cluster.startAll { try $0.use(Sync(redis: redis) { _ in }) } }
        #expect(error.contains("needs the Cluster plugin"))
    }

    @Test @Loop func aKeyHoldsNoSeparatorOfAJournal() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let sink = NotingSink(cluster.clock)
        let error = await failureText {
            try await cluster.startAll { app in
                try app.use(Sync { sinks in sinks.map(SyncKey<Int>("a\u{1}b"), to: sink) })
            }
        }
        #expect(error.contains("a key holds the byte 0 or 1"))
    }

    @Test @Loop func anIntervalOfOnesOwnIsKept() async throws {
        var options = SyncOptions()
        options.interval = .seconds(4)
        let world = try await SyncWorld(options)
        for id in 0..<100 { try await world.sync.exec(.level, "\(id)", id) }
        await world.pass(.seconds(2))
        #expect((20...80).contains(world.sink.values.count))
        await world.pass(.milliseconds(2100))
        #expect(world.sink.values.count == 100)
    }
}
