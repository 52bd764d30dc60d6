// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
public import PomeloLoop
public import PomeloSync

/// What every sink of `PomeloSync` that two servers may write to must do; run all cases against a sink of your own.
///
/// The keys are `level`, of values with ids, and `log`, of values without.
@Loop public struct SyncSinkSuite {
    /// One rule each.
    public enum Case: String, CaseIterable, Sendable {
        case writes, newest, twoOwners, oddIDs, order, poison, poisonInOrder, largeValue, outage
    }

    private let make: @Loop () async throws -> any SyncReader
    private let spoil: @Loop (SyncEntry) async throws -> SyncEntry
    private let setAway: @Loop (Bool) async throws -> Void

    /// `make` returns started sinks that share their data, `spoil` makes an entry one that the sink never takes, and
    /// `setAway` takes what is behind the sinks away, and brings it back with its data.
    public init(
        _ make: @escaping @Loop () async throws -> any SyncReader,
        spoil: @escaping @Loop (SyncEntry) async throws -> SyncEntry,
        setAway: @escaping @Loop (Bool) async throws -> Void
    ) {
        self.make = make
        self.spoil = spoil
        self.setAway = setAway
    }

    /// Runs one case on empty data.
    ///
    /// - Throws: `SuiteFailure` naming the rule; what the sink throws.
    public func run(_ name: Case) async throws {
        let sink = try await make()
        switch name {
        case .writes: try await writes(sink)
        case .newest: try await newest(sink)
        case .twoOwners: try await twoOwners(sink, try await make())
        case .oddIDs: try await oddIDs(sink)
        case .order: try await order(sink)
        case .poison: try await poison(sink)
        case .poisonInOrder: try await poisonInOrder(sink)
        case .largeValue: try await largeValue(sink)
        case .outage: try await outage(sink)
        }
        await sink.stop()
    }

    // MARK: tools

    private func entry(_ id: Text?, _ value: String, _ number: UInt64, at server: ServerID = "a") -> SyncEntry {
        SyncEntry(
            key: id == nil ? "log" : "level", id: id, value: Array(value.utf8),
            version: SyncVersion(number: number, server: server))
    }

    private func expect<Value: Equatable>(_ what: String, _ value: Value, _ expected: Value) throws {
        if value != expected { throw SuiteFailure("\(what): \(value), not \(expected)") }
    }

    private func write(_ what: String, _ sink: any SyncReader, _ batch: [SyncEntry]) async throws {
        try expect(what, try await sink.write(batch), batch.map { _ in .written })
    }

    private func value(_ sink: any SyncReader, _ id: Text) async throws -> String? {
        try await sink.stored("level", id).map { String(decoding: $0.value, as: UTF8.self) }
    }

    private func log(_ sink: any SyncReader, limit: Int = 10_000) async throws -> [String] {
        try await sink.entries("log", limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    private func isRefused(_ outcome: SyncOutcome) -> Bool {
        if case .refused = outcome { true } else { false }
    }

    // MARK: rules

    private func writes(_ sink: any SyncReader) async throws {
        try expect("nothing written", try await sink.stored("level", "ann"), nil)
        try expect("no entries", try await log(sink), [])
        let ids = (0..<600).map { Text("id-\($0)") }
        try await write("a batch", sink, ids.map { entry($0, "1", 10) })
        for id in ids { try expect("\(id)", try await value(sink, id), "1") }
        let stored = try await sink.stored("level", "id-7")
        try expect("version", stored?.version, SyncVersion(number: 10, server: "a"))
        try expect("an empty batch", try await sink.write([]), [])
    }

    private func newest(_ sink: any SyncReader) async throws {
        // By the number to its last digit, then by the server.
        let high = UInt64(Int64.max) - 1
        let steps: [(SyncEntry, String)] = [
            (entry("ann", "1", 10), "1"), (entry("ann", "0", 9), "1"), (entry("ann", "2", high), "2"),
            (entry("ann", "3", high - 1), "2"), (entry("ann", "4", high, at: "b"), "4"),
            (entry("ann", "5", high), "4"), (entry("ann", "6", high, at: "b"), "4"), (entry("ann", "7", high + 1), "7"),
        ]
        for (entry, expected) in steps {
            try await write("\(entry.version)", sink, [entry])
            try expect("after \(entry.version)", try await value(sink, "ann"), expected)
        }
    }

    private func twoOwners(_ one: any SyncReader, _ other: any SyncReader) async throws {
        for round in 0..<20 {
            let ids = (0..<50).map { Text("id-\($0)") }
            let number = UInt64(100 + round)
            // The later one comes first every other time, and both at once.
            let first = ids.map { entry($0, "\(2 * round + round % 2)", number + UInt64(round % 2)) }
            let second = ids.reversed().map { entry($0, "\(2 * round + 1)", number, at: "b") }
            let writing = Task { try await one.write(first) }
            try await write("the other", other, second)
            try expect("the one", try await writing.value, first.map { _ in SyncOutcome.written })
            let expected = "\(2 * round + 1)"
            for id in [ids[0], ids[49]] { try expect("\(id) in \(round)", try await value(one, id), expected) }
        }
        await other.stop()
    }

    private func oddIDs(_ sink: any SyncReader) async throws {
        let ids: [Text] = [
            "", "'; DROP TABLE level; --", "\"", "a:b{c}", "e\u{301}", "\u{e9}", "😀", "$1", "?1", "%s\\",
        ]
        try await write("odd ids", sink, ids.enumerated().map { entry($1, "\($0)", 1) })
        for (index, id) in ids.enumerated() { try expect("\(id)", try await value(sink, id), "\(index)") }
    }

    private func order(_ sink: any SyncReader) async throws {
        for start in stride(from: 0, to: 200, by: 50) {
            let batch = (start..<start + 50).map { entry(nil, "\($0)", UInt64(1000 + $0)) }
            try await write("entries", sink, batch)
        }
        try expect("order", try await log(sink), (0..<200).map(String.init))
        try expect("the last", try await log(sink, limit: 3), ["197", "198", "199"])
    }

    private func poison(_ sink: any SyncReader) async throws {
        var batch = (0..<20).map { entry(Text("id-\($0)"), "1", 10) }
        for place in [0, 7, 8, 19] { batch[place] = try await spoil(batch[place]) }
        let outcomes = try await sink.write(batch)
        for (place, outcome) in outcomes.enumerated() {
            let isPoison = [0, 7, 8, 19].contains(place)
            try expect("outcome of \(place), \(outcome)", isRefused(outcome), isPoison)
            if !isPoison { try expect("value of \(place)", try await value(sink, Text("id-\(place)")), "1") }
        }
        try expect("outcomes", outcomes.count, 20)
    }

    private func poisonInOrder(_ sink: any SyncReader) async throws {
        var batch = (0..<9).map { entry(nil, "\($0)", UInt64(100 + $0)) }
        let spoiled = try await spoil(batch[4])
        // Where one list takes everything there is no poison.
        if spoiled == batch[4] { return }
        batch[4] = spoiled
        let outcomes = try await sink.write(batch)
        try expect("refused", outcomes.map(isRefused), (0..<9).map { $0 == 4 })
        try expect("the others", try await log(sink), ["0", "1", "2", "3", "5", "6", "7", "8"])
    }

    private func largeValue(_ sink: any SyncReader) async throws {
        let text = "\"" + String(repeating: "0123456789abcdef", count: 1 << 16) + "\""
        try await write("a large value", sink, [entry("ann", text, 1)])
        try expect("its size", try await value(sink, "ann")?.utf8.count, text.utf8.count)
    }

    private func outage(_ sink: any SyncReader) async throws {
        try await write("before", sink, [entry("ann", "1", 10), entry("bob", "1", 10)])
        try await setAway(true)
        var isTold = false
        do {
            let outcomes = try await sink.write([entry("ann", "2", 11), entry("bob", "2", 11)])
            isTold = outcomes.allSatisfy { if case .failed = $0 { true } else { false } }
        } catch {
            isTold = true
        }
        try expect("an outage is told, and no value is refused for it", isTold, true)
        try await setAway(false)
        // A connection may need a batch to notice.
        do { _ = try await sink.write([entry("cid", "1", 10)]) } catch { isTold = true }
        try await write("after", sink, [entry("ann", "2", 11), entry("bob", "2", 11)])
        try expect("ann", try await value(sink, "ann"), "2")
        try expect("bob", try await value(sink, "bob"), "2")
    }
}
