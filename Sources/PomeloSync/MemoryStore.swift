// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
public import PomeloLoop

/// Texts, hashes, lists and sets in this process's memory, as Redis has them; nothing of it outlives the process.
///
/// Commands, what they return and what is an error are those of Redis; a key whose time is over is not there.
///
/// - Complexity: bytes are counted as those of the texts, and 64 more for each key, field, item and member.
/// - Source: the in-memory commands of pomelo-sync 0.1, whose lists are called sets.
@Loop public final class MemoryStore {
    /// What a key holds.
    public enum Kind: String, Sendable {
        /// One text.
        case string
        /// Texts by the names of their fields.
        case hash
        /// Texts in an order.
        case list
        /// Texts, each once.
        case set
    }

    /// How long a key stays.
    public enum Lifetime: Sendable, Hashable {
        /// There is no such key.
        case noKey
        /// Until it is removed.
        case unlimited
        /// So many seconds more, rounded.
        case seconds(Int)
    }

    private static let overhead = 64

    /// What is held, as it is counted.
    public private(set) var bytes = 0
    private let clock: any LoopClock
    private let random: RandomSource
    let maxBytes: Int
    private var entries: [Text: MemoryEntry] = [:]
    /// No entry's time is over before.
    private var firstEnd = Int64.max

    /// An empty store, of the application's `clock` and `random`; what would make it larger than `maxBytes` throws.
    public init(clock: any LoopClock, random: RandomSource, maxBytes: Int = 64 << 20) {
        self.clock = clock
        self.random = random
        self.maxBytes = maxBytes
    }

    // MARK: entries

    private var milliseconds: Int64 { Int64(clamping: clock.now / 1_000_000) }

    /// What a key holds, of whatever kind.
    func entry(_ key: Text) -> MemoryEntry? {
        guard let entry = entries[key] else { return nil }
        if entry.end < milliseconds {
            remove(key)
            return nil
        }
        return entry
    }

    /// What a key holds; nil when it is not there.
    ///
    /// - Throws: `.wrongType` when it holds something else.
    func entry(_ key: Text, _ kind: Kind) throws(MemoryStoreError) -> MemoryEntry? {
        guard let entry = entry(key) else { return nil }
        guard entry.kind == kind else { throw .wrongType }
        return entry
    }

    /// The entry of a key that takes what is counted as so many bytes more; a new one where there is none.
    ///
    /// - Throws: `.full`; nothing has changed then.
    func charged(
        _ key: Text, _ kind: Kind, _ old: MemoryEntry?, _ more: Int
    ) throws(MemoryStoreError) -> MemoryEntry {
        let size = old == nil ? more + Self.size(key) : more
        try makeRoom(size, sparing: key)
        bytes += size
        let entry = old ?? MemoryEntry(kind)
        entry.bytes += size
        if old == nil { entries[key] = entry }
        return entry
    }

    func makeRoom(_ size: Int, sparing keys: Text...) throws(MemoryStoreError) {
        guard size > 0, bytes + size > maxBytes else { return }
        removeEnded(sparing: keys)
        if bytes + size > maxBytes { throw .full(limit: maxBytes) }
    }

    /// Something was taken out of an entry; one that is empty then is gone.
    func took(_ size: Int, from entry: MemoryEntry, _ key: Text) {
        bytes -= size
        entry.bytes -= size
        if entry.isEmpty { remove(key) }
    }

    static func size(_ texts: Text...) -> Int { texts.reduce(overhead) { $0 + $1.string.utf8.count } }

    @discardableResult
    func remove(_ key: Text) -> MemoryEntry? {
        guard let entry = entries.removeValue(forKey: key) else { return nil }
        bytes -= entry.bytes
        return entry
    }

    func removeEnded(sparing keys: [Text] = []) {
        let now = milliseconds
        guard firstEnd < now else { return }
        for (name, entry) in entries where entry.end < now && !keys.contains(name) { remove(name) }
        firstEnd = entries.values.lazy.map(\.end).min() ?? .max
    }

    // MARK: keys

    /// How many keys there are, those whose time is over included until they are looked for.
    public var count: Int { entries.count }

    /// Removes keys; returns how many there were.
    @discardableResult
    public func del(_ keys: String...) -> Int {
        keys.reduce(0) { $0 + (entry(Text($1)) != nil && remove(Text($1)) != nil ? 1 : 0) }
    }

    /// Whether there is such a key.
    public func exists(_ key: String) -> Bool { entry(Text(key)) != nil }

    /// What a key holds; nil when it is not there.
    public func type(_ key: String) -> Kind? { entry(Text(key))?.kind }

    /// Has a key end after so many seconds, at once when they are none; false when it is not there.
    ///
    /// - Throws: `.invalidExpiry` when no clock has such a time.
    @discardableResult
    public func expire(_ key: String, _ seconds: Int) throws(MemoryStoreError) -> Bool {
        let (span, isLong) = Int64(seconds).multipliedReportingOverflow(by: 1000)
        if isLong || span.addingReportingOverflow(clock.wallMilliseconds).overflow { throw .invalidExpiry }
        return end(Text(key), after: span)
    }

    /// Has a key end at a time, in seconds since 1970, at once when it has passed; false when it is not there.
    ///
    /// Judged now, and not by what becomes of the wall clock.
    ///
    /// - Throws: `.invalidExpiry` when no clock has such a time.
    @discardableResult
    public func expireat(_ key: String, _ seconds: Int) throws(MemoryStoreError) -> Bool {
        let (time, isLong) = Int64(seconds).multipliedReportingOverflow(by: 1000)
        let (span, isPast) = time.subtractingReportingOverflow(clock.wallMilliseconds)
        if isLong { throw .invalidExpiry }
        return end(Text(key), after: isPast ? .min : span)
    }

    private func end(_ key: Text, after span: Int64) -> Bool {
        guard let entry = entry(key) else { return false }
        if span <= 0 {
            remove(key)
        } else {
            let (end, isNever) = milliseconds.addingReportingOverflow(span)
            entry.end = isNever ? .max : end
            firstEnd = min(firstEnd, entry.end)
        }
        return true
    }

    /// How long a key stays.
    public func ttl(_ key: String) -> Lifetime {
        guard let entry = entry(Text(key)) else { return .noKey }
        return entry.end == .max ? .unlimited : .seconds(Int((entry.end - milliseconds + 500) / 1000))
    }

    /// Has a key stay that was to end; false when it was not.
    @discardableResult
    public func persist(_ key: String) -> Bool {
        guard let entry = entry(Text(key)), entry.end != .max else { return false }
        entry.end = .max
        return true
    }

    /// Gives what a key holds another name, with its lifetime, in the place of what had that.
    ///
    /// - Throws: `.noSuchKey`; `.full` when the new name is so much longer.
    public func rename(_ key: String, _ name: String) throws(MemoryStoreError) {
        let (key, name) = (Text(key), Text(name))
        guard let entry = entry(key) else { throw .noSuchKey }
        if key == name { return }
        let longer = Self.size(name) - Self.size(key)
        try makeRoom(longer - (self.entry(name)?.bytes ?? 0), sparing: key, name)
        remove(name)
        entries[key] = nil
        entries[name] = entry
        entry.bytes += longer
        bytes += longer
    }

    /// The keys of a pattern with `*`, `?`, `[a-z]`, `[^a]` and `\`, in no order.
    ///
    /// - Complexity: looks at all keys.
    public func keys(_ pattern: String) -> [String] {
        removeEnded()
        let glob = Glob(Array(pattern.utf8))
        return entries.keys.lazy.map(\.string).filter { glob.matches(Array($0.utf8)) }
    }

    /// Any key, each as likely as another; nil when there is none.
    ///
    /// - Complexity: of the order of the number of keys.
    public func randomkey() -> String? {
        removeEnded()
        if entries.isEmpty { return nil }
        let steps = Int(random.next() % UInt64(entries.count))
        return entries.keys[entries.index(entries.startIndex, offsetBy: steps)].string
    }
}

/// What one key holds: what is not of its kind is empty.
final class MemoryEntry {
    let kind: MemoryStore.Kind
    var string = Text("")
    var hash: [Text: Text] = [:]
    var list: Deque<Text> = []
    var set: Set<Text> = []
    var bytes = 0
    /// In monotonic milliseconds.
    var end = Int64.max

    init(_ kind: MemoryStore.Kind) { self.kind = kind }

    var isEmpty: Bool { kind != .string && hash.isEmpty && list.isEmpty && set.isEmpty }
}

/// Why a command of a `MemoryStore` changed nothing; the texts are those of Redis.
public enum MemoryStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The key holds another kind of value.
    case wrongType
    /// The text is no whole number of 64 bits as Redis writes it.
    case notAnInteger
    /// The sum is no whole number of 64 bits.
    case overflow
    /// There is nothing to be renamed.
    case noSuchKey
    /// No clock has such a time.
    case invalidExpiry
    /// The store would be larger than it may be.
    case full(limit: Int)

    /// For people.
    public var description: String {
        switch self {
        case .wrongType: "WRONGTYPE Operation against a key holding the wrong kind of value"
        case .notAnInteger: "ERR value is not an integer or out of range"
        case .overflow: "ERR increment or decrement would overflow"
        case .noSuchKey: "ERR no such key"
        case .invalidExpiry: "ERR invalid expire time"
        case .full(let limit): "OOM command not allowed when used memory > \(limit) bytes"
        }
    }
}
