// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

extension SyncKey<Int> {
    static let level = SyncKey("level")
    static let coins = SyncKey("coins") { $0 + $1 }
}

extension SyncKey<String> {
    static let log = SyncKey("log")
}

/// A sink that notes what it gets, and does as it is told.
@Loop final class NotingSink: SyncSink {
    struct Away: Error, CustomStringConvertible {
        var description: String { "away" }
    }

    private(set) var batches: [[SyncEntry]] = []
    private(set) var calls = 0
    /// The last value of each id, as text.
    private(set) var values: [String: String] = [:]
    private(set) var appended: [String] = []
    /// What comes back for an entry; throws for all of its batch.
    var answer: @Loop (SyncEntry) throws -> SyncOutcome = { _ in .written }
    /// How long a write takes; nil: for ever.
    var delay: Duration? = .zero
    let clock: any LoopClock

    init(_ clock: any LoopClock) { self.clock = clock }

    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        calls += 1
        guard let delay else {
            await clock.sleep(for: .seconds(1_000_000))
            throw Away()
        }
        if delay > .zero { await clock.sleep(for: delay) }
        let outcomes = try batch.map(answer)
        batches.append(batch)
        for (entry, outcome) in zip(batch, outcomes) where outcome == .written {
            let text = String(decoding: entry.value, as: UTF8.self)
            if let id = entry.id { values[id.string] = text } else { appended.append(text) }
        }
        return outcomes
    }
}

/// A server with `Sync`, on time that moves when told to.
@Loop final class SyncWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
    let sink: NotingSink
    var sync: SyncService { cluster["chat-1"].sync }

    init(_ options: SyncOptions = SyncOptions()) async throws {
        let sink = NotingSink(cluster.clock)
        self.sink = sink
        try await cluster.startAll { app in
            try app.use(
                Sync(options: options) { sinks in
                    sinks.map(.level, to: sink)
                    sinks.map(.coins, to: sink)
                    sinks.map(.log, to: sink)
                })
        }
    }

    func pass(_ duration: Duration) async {
        await cluster.advance(by: duration, step: duration > .seconds(5) ? .milliseconds(500) : .milliseconds(20))
    }
}
