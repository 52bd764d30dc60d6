// SPDX-License-Identifier: MIT
//
// SyncLoad: what it costs to keep values with `PomeloSync`, beside a plain dictionary and beside direct writes.
// Reading order: SyncLoad, SyncServer (an application with nothing but sync), Gauges.
import Glibc
import Pomelo
import PomeloRedis
import PomeloSync
import PomeloSyncSQLite

/// `SyncLoad <mode> <count> [port of a Redis | folder]` prints what it has used.
@main struct SyncLoad {
    static func main() async throws {
        let words = Array(CommandLine.arguments.dropFirst())
        guard words.count >= 2, let mode = Mode(rawValue: words[0]), let count = Int(words[1]) else {
            throw Usage(
                description: "usage: SyncLoad \(Mode.allCases.map(\.rawValue).joined(separator: "|")) count [place]")
        }
        guard await ProcessWideExecutor.install() else { throw Usage(description: "no executor hooks") }
        let place = words.dropFirst(2).first ?? ""
        try await Loop.run { try await SyncRun(count, place).run(mode) }
    }
}

struct Usage: Error, CustomStringConvertible { let description: String }

enum Mode: String, CaseIterable {
    /// The original's way: a dictionary by key and id in one text.
    case dictionary
    /// `exec` with `memoryOnly`, not awaited and awaited.
    case merged, awaited
    /// `exec` with `everyBatch`, many callers that wait.
    case journaled
    /// A HSET for each value, many callers that wait; and a transaction for each value, one after the other.
    case direct, directSQLite
    /// Resident memory of values that wait.
    case pending, pendingJournaled
    /// Everything that waits to a sink that costs nothing, and to a file.
    case flush, flushSQLite
    /// How evenly values leave over intervals.
    case spread
    /// Values that one process leaves in its journal, and the next one brings to its sink.
    case leave, replay
}

extension SyncKey<Int> {
    static let level = SyncKey("level")
}

@Loop struct SyncRun {
    private static let callers = 2000
    private static let idCount = 10_000
    private let count: Int
    private let place: String

    init(_ count: Int, _ place: String) {
        self.count = count
        self.place = place
    }

    /// At most 15 bytes each.
    private static func ids(_ count: Int) -> [String] { (0..<count).map { "player-\($0)" } }

    func run(_ mode: Mode) async throws {
        switch mode {
        case .dictionary: try await dictionary()
        case .merged: try await merged()
        case .awaited: try await awaited()
        case .journaled: try await journaled()
        case .direct: try await direct()
        case .directSQLite: try await directSQLite()
        case .pending: try await pending(.memoryOnly)
        case .pendingJournaled: try await pending(.everyBatch)
        case .flush: try await flush(CountingSink())
        case .flushSQLite: try await flush(try await file())
        case .spread: try await spread()
        case .leave: try await leave()
        case .replay: try await replay()
        }
    }

    // MARK: exec

    private func dictionary() async throws {
        let ids = Self.ids(Self.idCount)
        var values: [String: Int] = [:]
        let meter = CostMeter()
        for number in 0..<count { values["level" + ids[number % ids.count]] = number }
        meter.report(count, "left=\(values.count)")
    }

    private func merged() async throws {
        let server = try await SyncServer(CountingSink()) { $0.policy = .memoryOnly }
        let ids = Self.ids(Self.idCount)
        let meter = CostMeter()
        for start in stride(from: 0, to: count, by: 10_000) {
            try note(server.sync, ids, start..<min(start + 10_000, count))
            await Loop.yield()
        }
        meter.report(count)
        await server.stop()
    }

    private func note(_ sync: SyncService, _ ids: [String], _ numbers: Range<Int>) throws {
        for number in numbers { try sync.exec(.level, ids[number % ids.count], number) }
    }

    private func awaited() async throws {
        let server = try await SyncServer(CountingSink()) { $0.policy = .memoryOnly }
        let ids = Self.ids(Self.idCount)
        let meter = CostMeter()
        for number in 0..<count { try await server.sync.exec(.level, ids[number % ids.count], number) }
        meter.report(count)
        await server.stop()
    }

    private func journaled() async throws {
        let sink = CountingSink()
        let server = try await SyncServer(sink, port: place) { _ in }
        let ids = Self.ids(Self.idCount)
        try await spread(over: Self.callers, count / 10) { try await server.sync.exec(.level, ids[$0 % ids.count], $0) }
        let meter = CostMeter()
        try await spread(over: Self.callers, count) { try await server.sync.exec(.level, ids[$0 % ids.count], $0) }
        meter.report(count)
        await server.sync.sync()
        await server.stop()
    }

    /// So many callers, each with its share, one call after the other.
    private func spread(over callers: Int, _ count: Int, _ body: @escaping @Loop (Int) async throws -> Void)
        async throws
    {
        var failure: (any Error)?
        let tasks = (0..<callers).map { caller in
            Loop.spawn {
                do {
                    for number in stride(from: caller, to: count, by: callers) { try await body(number) }
                } catch {
                    failure = error
                }
            }
        }
        for task in tasks { await task.value }
        if let failure { throw failure }
    }

    // MARK: without sync

    private func direct() async throws {
        let redis = RedisClient(SyncServer.redis(place))
        try await redis.start()
        let ids = Self.ids(Self.idCount)
        let meter = CostMeter()
        try await spread(over: Self.callers, count) { number in
            try await redis.send(RedisCommand("HSET", "level", ids[number % ids.count], "\(number)"))
        }
        meter.report(count)
        await redis.stop()
    }

    private func directSQLite() async throws {
        let file = try await file()
        try await file.start()
        let ids = Self.ids(Self.idCount)
        let meter = CostMeter()
        for number in 0..<count {
            let version = SyncVersion(number: UInt64(number), server: "game-1")
            let value = Array("\(number)".utf8)
            _ = try await file.write([
                SyncEntry(key: "level", id: Text(ids[number % ids.count]), value: value, version: version)
            ])
        }
        meter.report(count)
        await file.stop()
    }

    private func file() async throws -> SQLiteSyncSink {
        var options = SQLiteSyncSink.Options()
        options.synchronous = .normal
        let file = try SQLiteSyncSink("\(place)/sync.sqlite", [SQLTable(.level)], options: options)
        try await file.migrate()
        return file
    }

    // MARK: what waits

    private func pending(_ policy: SyncPolicy) async throws {
        let server = try await SyncServer(CountingSink(), port: policy == .memoryOnly ? nil : place) {
            $0.policy = policy
            $0.interval = .seconds(3600)
            $0.maxPending = 10_000_000
        }
        // Their texts are the application's; 15 bytes are in the string itself.
        let before = residentBytes()
        for number in 0..<count {
            if number % 1000 == 999 {
                try await server.sync.exec(.level, "player-\(number)", number)
                await Loop.yield()
            } else {
                try noteOne(server.sync, number)
            }
        }
        let bytes = residentBytes() - before
        print("operations=\(count) bytes=\(bytes) peak=\(peakResidentBytes())")
        exit(0)
    }

    private func noteOne(_ sync: SyncService, _ number: Int) throws {
        try sync.exec(.level, "player-\(number)", number)
    }

    private func flush(_ sink: any SyncSink) async throws {
        let server = try await SyncServer(sink) {
            $0.policy = .memoryOnly
            $0.interval = .seconds(3600)
        }
        let ids = Self.ids(count)
        try note(server.sync, ids, 0..<count)
        let stalls = StallMeter()
        let meter = CostMeter()
        let left = await server.sync.sync()
        meter.report(count, "\(await stalls.stop()) left=\(left)")
        await server.stop()
    }

    private func spread() async throws {
        let sink = CountingSink()
        // A sixteenth of the interval, four of the ticks at which values become due.
        sink.bucketNanoseconds = 312_500_000
        let interval = Duration.seconds(5)
        let server = try await SyncServer(sink) {
            $0.policy = .memoryOnly
            $0.interval = interval
        }
        let ids = Self.ids(Self.idCount)
        let end = SystemClock.shared.deadline(after: interval * 4)
        var number = 0
        // All come at once at first, and then each twice in an interval.
        try note(server.sync, ids, 0..<ids.count)
        while SystemClock.shared.now < end {
            await SystemClock.shared.sleep(for: .milliseconds(50))
            try note(server.sync, ids, number..<(number + ids.count / 50))
            number += ids.count / 50
        }
        let buckets = sink.buckets.dropFirst().dropLast()
        let mean = Double(buckets.reduce(0, +)) / Double(buckets.count)
        let info = server.sync.info
        print(
            "operations=\(info.executed) peak_to_mean=\(Double(buckets.max() ?? 0) / mean)"
                + " merge_ratio=\(Double(info.executed) / Double(max(1, info.written)))")
        await server.stop()
    }

    // MARK: journals

    private func leave() async throws {
        let server = try await SyncServer(CountingSink(), port: place) { $0.interval = .seconds(3600) }
        try await spread(over: Self.callers, count) { try await server.sync.exec(.level, "player-\($0)", $0) }
        print("operations=\(count)")
        exit(0)
    }

    private func replay() async throws {
        let sink = CountingSink()
        let meter = CostMeter()
        let stalls = StallMeter()
        let server = try await SyncServer(sink, port: place) { _ in }
        while sink.count < count { await SystemClock.shared.sleep(for: .milliseconds(5)) }
        let span = sink.last - sink.first
        meter.report(count, "replay_ns=\(span) \(await stalls.stop())")
        await server.stop()
    }
}
