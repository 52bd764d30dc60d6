// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop
import PomeloRedis

/// Keeps values in memory and brings them to their sinks in the background: the last one of each id, or of a key
/// without ids each one, in order.
///
/// - Guarantee: the values of one id reach the sink one after the other, in the order of the calls; each is written, or
///   has become a dead letter, or waits. What waits, and dead letters, survive what `SyncPolicy` says.
/// - Source: pomelo-sync 0.1 (`exec`, `flush`, `sync`, `isDone`, `info`).
@Loop public final class SyncService: Component {
    /// `sync`.
    public let name = "sync"
    /// Told each value that is given up.
    public var onDeadLetter: (@Loop (DeadLetter) -> Void)? {
        get { owner.letters.onLetter }
        set { owner.letters.onLetter = newValue }
    }

    /// What waits and what was done.
    public struct Info: Sendable, Hashable {
        /// Values that are not written.
        public var pending = 0
        /// What they take in the journal, in bytes.
        public var pendingBytes = 0
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
        /// Whether the journal takes values now; true without one.
        public var isJournaled = true
    }

    private static let replayPatience = Duration.seconds(10)
    private static let startAttempts = 5

    let owner: SyncOwner
    let log: Logger
    let lanes: SyncLanes
    private let policy: SyncPolicy
    private let store: JournalStore?
    private(set) var claims: JournalClaims?
    private(set) lazy var retried = RetriedLetters(owner)

    init(
        _ context: ServiceContext, _ options: SyncOptions, _ sinks: [Text: SinkEntry], _ store: JournalStore?,
        _ policy: SyncPolicy
    ) {
        self.store = store
        self.policy = policy
        log = context.log
        owner = SyncOwner(
            options, context.clock, context.random, VersionClock(context.clock, context.serverID),
            DeadLetters(limit: options.deadLetterLimit, log))
        lanes = SyncLanes(sinks, owner, log)
        guard let store else { return }
        let journal = Journal(store, owner, context.serverID, context.instance, log)
        journal.lines = { [lanes] in lanes.all.map(\.line) }
        owner.journal = journal
        claims = JournalClaims(store, journal, owner, context) { [lanes] in
            lanes.mapped($0, $1)
        } _: { [lanes] in
            lanes.all.map(\.line)
        }
    }

    // MARK: values

    /// Notes the value of an id, and returns when the journal has it, or at once without one; it is written within the
    /// interval, unless another one takes its place before.
    ///
    /// - Complexity: one round trip for all calls of a turn; two when it comes while another one is under way.
    /// - Throws: `SyncError` `.unknownKey`, `.otherType`, `.overloaded`, `.stopped`: nothing is noted then;
    ///   `.notJournaled`; `.refused` when no journal takes it.
    public func exec<Value>(_ key: SyncKey<Value>, _ id: String, _ value: Value) async throws(SyncError) {
        let (table, values, writer) = try lanes.table(key)
        while owner.mustWait { await owner.room() }
        try checkOpen()
        let id = Text(id)
        try table.put(id) { values.put(value, over: $0) }
        writer.noted()
        guard let journal = owner.journal else { return }
        try await journal.written()
        if let reason = table.refusals.reason(id) { throw .refused(reason) }
    }

    /// Notes a value without an id: each of them is written, in the order of the calls.
    ///
    /// - Complexity: as `exec` with an id.
    /// - Throws: as `exec` with an id.
    public func exec<Value>(_ key: SyncKey<Value>, _ value: Value) async throws(SyncError) {
        let (queue, writer) = try lanes.queue(key)
        while owner.mustWait { await owner.room() }
        try checkOpen()
        let number = try queue.append(value)
        writer.noted()
        guard let journal = owner.journal else { return }
        try await journal.written()
        if let reason = queue.refusals.reason(number) { throw .refused(reason) }
    }

    /// Notes the value of an id, and does not wait for the journal: it acknowledges nothing.
    ///
    /// - Throws: as the one that waits; nothing is noted then.
    public func exec<Value>(_ key: SyncKey<Value>, _ id: String, _ value: Value) throws(SyncError) {
        let (table, values, writer) = try lanes.table(key)
        try table.put(Text(id)) { values.put(value, over: $0) }
        writer.noted()
    }

    /// Notes a value without an id, and does not wait for the journal: it acknowledges nothing.
    ///
    /// - Throws: as the one that waits; nothing is noted then.
    public func exec<Value>(_ key: SyncKey<Value>, _ value: Value) throws(SyncError) {
        let (queue, writer) = try lanes.queue(key)
        try queue.append(value)
        writer.noted()
    }

    /// Before a value is noted whose caller waits for the journal.
    ///
    /// REENTRANCY: a task without executor preference may be suspended wherever a function that waits returns to it, so
    /// this does not wait: nothing comes between what is looked at here and the note.
    private func checkOpen() throws(SyncError) {
        if owner.isClosed { throw .stopped }
        guard let journal = owner.journal else { return }
        // Values of one id are one that waits, however many callers there are.
        if journal.waiting >= owner.options.maxPending { throw owner.overloaded }
        if let reason = journal.refusal { throw .notJournaled(reason) }
    }

    /// Writes the value of an id now, in the place of one that waits, and returns when the sink has it.
    ///
    /// - Throws: `SyncError`: as `exec`; `.notWritten` when the sink has not taken it, and it waits; `.refused` when it
    ///   never will.
    public func flush<Value>(_ key: SyncKey<Value>, _ id: String, _ value: Value) async throws(SyncError) {
        let (table, values, writer) = try lanes.table(key)
        let number = try table.put(Text(id)) { values.put(value, over: $0) }
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
        let (queue, _) = try lanes.queue(key)
        let outcomes: [SyncOutcome]?
        do {
            let version = owner.versions.version(owner.versions.next())
            let entry = SyncEntry(key: key.name, id: nil, value: try key.encode(value), version: version)
            guard let sink = lanes.sink(of: queue.name) else { throw SyncError.unknownKey(key.name.string) }
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
            for lane in lanes.all { group.addTask { @Loop @Sendable in await lane.writer.drain() } }
        }
        return owner.tally.pending
    }

    /// Whether nothing waits; dead letters do not count.
    public var isDone: Bool { owner.tally.pending == 0 }

    /// What waits and what was done.
    public var info: Info {
        let oldest = lanes.all.compactMap(\.line.oldest).min()
        return Info(
            pending: owner.tally.pending, pendingBytes: owner.tally.bytes, executed: owner.tally.executed,
            written: owner.tally.written, retries: owner.tally.retries, deadLetters: owner.letters.letters.count,
            oldestAge: oldest.map { owner.clock.elapsed(since: $0) } ?? .zero,
            isJournaled: owner.journal?.away == nil)
    }

    // MARK: Component

    /// Prepares the sinks, and has written what earlier starts of this server have left in journals, for ten seconds at
    /// most.
    ///
    /// - Throws: what a sink throws; `PomeloError` when Redis is not what the policy needs; `RedisError`.
    public func start() async throws {
        for sink in lanes.sinks { try await sink.start() }
        if let store, let claims {
            try await JournalCheck.run(store.redis, policy, log)
            try await patiently { try await self.owner.journal?.start() }
            try await patiently { try await claims.start() }
            _ = try await owner.clock.within(Self.replayPatience) { await self.sync() }
        }
        meter()
    }

    /// A start does not end with one answer of Redis that does not come.
    private func patiently(_ body: @Loop () async throws -> Void) async throws {
        for _ in 1..<Self.startAttempts {
            do { return try await body() } catch is RedisError {}
            await owner.clock.sleep(for: .milliseconds(300))
        }
        try await body()
    }

    private func meter() {
        _ = owner.clock.schedule(after: .seconds(1)) { [self] in
            if owner.isClosed { return }
            owner.meter.record(info)
            meter()
        }
    }
}
