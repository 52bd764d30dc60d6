// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Keeps values in memory and brings them to their sinks in the background: the last one of each id, or of a key
/// without ids each one, in order.
///
/// - Guarantee: the values of one id reach the sink one after the other, in the order of the calls; each is written, or
///   has become a dead letter, or waits. What waits is lost when the process ends without `stop`.
/// - Source: pomelo-sync 0.1 (`exec`, `flush`, `sync`, `isDone`, `info`).
@Loop public final class SyncService: Component {
    /// `sync`.
    public let name = "sync"
    /// Told each value that is given up.
    public var onDeadLetter: (@Loop (DeadLetter) -> Void)?

    /// What waits and what was done.
    public struct Info: Sendable, Hashable {
        /// Values that are not written.
        public var pending = 0
        /// Calls of `exec` and `flush` that were taken.
        public var executed = 0
        /// Values that sinks have confirmed; the rest of those executed were merged, or are dead letters.
        public var written = 0
        /// Values that were given back to wait again.
        public var retries = 0
        /// Values that were given up.
        public var deadLetters = 0
        /// How long the oldest value has waited.
        public var oldestAge = Duration.zero
    }

    /// Between two rounds of a stop.
    private static let pause = Duration.milliseconds(200)

    private struct Lane {
        let line: any SyncLine
        let writer: SyncWriter
    }

    private let owner: SyncOwner
    private let log: Logger
    private let sinks: [Text: any SyncSink]
    private var tables: [Text: Lane] = [:]
    private var queues: [Text: Lane] = [:]
    private var isStopped = false

    init(_ context: ServiceContext, _ options: SyncOptions, _ sinks: [Text: any SyncSink]) {
        self.sinks = sinks
        log = context.log
        owner = SyncOwner(
            options, context.clock, context.random, VersionClock(context.clock, context.serverID),
            DeadLetters(limit: options.deadLetterLimit))
        owner.letters.onLetter = { [weak self] in self?.gaveUp($0) }
    }

    // MARK: values

    /// Notes the value of an id; it is written within the interval, unless another one takes its place before.
    ///
    /// - Throws: `SyncError` `.unknownKey`, `.otherType`, `.overloaded`, `.stopped`; nothing is noted then.
    public func exec<Value>(_ key: SyncKey<Value>, _ id: String, _ value: Value) throws(SyncError) {
        let (table, writer) = try table(key)
        try table.put(Text(id), value)
        writer.wake()
    }

    /// Notes a value without an id: each of them is written, in the order of the calls.
    ///
    /// - Throws: as `exec` with an id.
    public func exec<Value>(_ key: SyncKey<Value>, _ value: Value) throws(SyncError) {
        let (queue, writer) = try queue(key)
        try queue.append(value)
        writer.wake()
    }

    /// Writes the value of an id now, in the place of one that waits, and returns when the sink has it.
    ///
    /// - Throws: `SyncError`: as `exec`; `.notWritten` when the sink has not taken it, and it waits; `.refused` when it
    ///   never will.
    public func flush<Value>(_ key: SyncKey<Value>, _ id: String, _ value: Value) async throws(SyncError) {
        let (table, writer) = try table(key)
        let number = try table.put(Text(id), value)
        switch await table.flushed(Text(id), number, wake: writer.hurry) {
        case .written: return
        case .failed(let reason, _): throw .notWritten(reason)
        case .refused(let reason): throw .refused(reason)
        }
    }

    /// Gives a value without an id to the sink now, past those that wait, and returns when the sink has it; it is not
    /// noted, and not tried again.
    ///
    /// - Throws: `SyncError`: as `exec`; `.refused` when the sink has not taken it.
    public func execSync<Value>(_ key: SyncKey<Value>, _ value: Value) async throws(SyncError) {
        let (queue, _) = try queue(key)
        let outcomes: [SyncOutcome]?
        do {
            let version = owner.versions.version(owner.versions.next())
            let entry = SyncEntry(key: key.name, id: nil, value: try key.encode(value), version: version)
            guard let sink = sinks[queue.name] else { throw SyncError.unknownKey(key.name.string) }
            outcomes = try await owner.clock.within(owner.options.write) { try await sink.write([entry]) }
        } catch {
            throw .refused("\(error)")
        }
        switch outcomes?.first {
        case .written: return
        case .failed(let reason), .refused(let reason): throw .refused(reason)
        case nil: throw .refused("the sink did not answer within \(owner.options.write)")
        }
    }

    /// Tries to write everything that waits, and returns when all of it has been tried once.
    ///
    /// - Returns: how many values still wait.
    @discardableResult
    public func sync() async -> Int {
        await withTaskGroup(of: Void.self) { group in
            for lane in lanes { group.addTask { @Loop @Sendable in await lane.writer.drain() } }
        }
        return owner.tally.pending
    }

    /// Whether nothing waits; dead letters do not count.
    public var isDone: Bool { owner.tally.pending == 0 }

    /// What waits and what was done.
    public var info: Info {
        let oldest = lanes.compactMap(\.line.oldest).min()
        return Info(
            pending: owner.tally.pending, executed: owner.tally.executed, written: owner.tally.written,
            retries: owner.tally.retries, deadLetters: owner.letters.letters.count,
            oldestAge: oldest.map { owner.clock.elapsed(since: $0) } ?? .zero)
    }

    // MARK: dead letters

    /// Those there are, the oldest first, by the numbers that `dropDeadLetter` takes.
    public var deadLetters: [(number: UInt64, letter: DeadLetter)] {
        owner.letters.letters.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Forgets one; returns it, or nil when there is none of the number.
    @discardableResult
    public func dropDeadLetter(_ number: UInt64) -> DeadLetter? { owner.letters.remove(number) }

    private func gaveUp(_ letter: DeadLetter) {
        let id = letter.id.map { "\($0)".forLog } ?? "-"
        log.error(
            "a value is given up",
            metadata: ["sync.key": "\(letter.key)", "sync.id": "\(id)", "sync.reason": "\(letter.reason)"])
        onDeadLetter?(letter)
    }

    // MARK: lines

    private var lanes: [Lane] { Array(tables.values) + Array(queues.values) }

    private func table<Value>(_ key: SyncKey<Value>) throws(SyncError) -> (SyncTable<Value>, SyncWriter) {
        let lane = try lane(&tables, key.name) { SyncTable(key, owner) }
        guard let table = lane.line as? SyncTable<Value> else { throw .otherType(key.name.string) }
        return (table, lane.writer)
    }

    private func queue<Value>(_ key: SyncKey<Value>) throws(SyncError) -> (SyncQueue<Value>, SyncWriter) {
        let lane = try lane(&queues, key.name) { SyncQueue(key, owner) }
        guard let queue = lane.line as? SyncQueue<Value> else { throw .otherType(key.name.string) }
        return (queue, lane.writer)
    }

    private func lane(
        _ lanes: inout [Text: Lane], _ name: Text, _ make: () -> any SyncLine
    ) throws(SyncError) -> Lane {
        if isStopped { throw .stopped }
        if let lane = lanes[name] { return lane }
        guard let sink = sinks[name] else { throw .unknownKey(name.string) }
        let line = make()
        let lane = Lane(line: line, writer: SyncWriter(line, sink, owner, log))
        lanes[name] = lane
        return lane
    }

    // MARK: Component

    /// Prepares the sinks.
    public func start() async throws {
        for sink in distinctSinks { try await sink.start() }
    }

    /// A little longer than `stopSeconds`.
    public var stopDeadline: Duration? { owner.options.stop + .seconds(2) }

    /// Writes what waits, within `stopSeconds`, and says what is left.
    public func stop() async {
        isStopped = true
        let limit = owner.clock.deadline(after: owner.options.stop)
        while !isDone, owner.clock.now < limit {
            let round = Loop.spawn { await self.sync() }
            let timer = owner.clock.schedule(at: limit) { [self] in stopWriters() }
            await round.value
            owner.clock.cancel(timer)
            if !isDone { await owner.clock.sleep(for: min(Self.pause, owner.clock.left(until: limit))) }
        }
        stopWriters()
        if !isDone {
            let left = lanes.filter { $0.line.count > 0 }.map { "\($0.line.count) of \($0.line.name)" }
            log.error("values are lost that no sink has taken", metadata: ["sync.left": "\(left.sorted())"])
        }
        for sink in distinctSinks { await sink.stop() }
    }

    private func stopWriters() {
        for lane in lanes { lane.writer.stop() }
    }

    private var distinctSinks: [any SyncSink] {
        var seen: Set<ObjectIdentifier> = []
        return sinks.sorted { $0.key < $1.key }.map(\.value).filter { seen.insert(ObjectIdentifier($0)).inserted }
    }
}
