// SPDX-License-Identifier: MIT
import PomeloRedis

/// All data of a `FakeRedis` at one instant.
public struct FakeRedisState: Sendable {
    /// A name, key, field, member or value: any bytes.
    typealias Word = [UInt8]

    private struct Entry {
        var content: any FakeRedisContent
        /// Unix milliseconds; nil for a key that stays.
        var end: Int64?
    }

    /// Unix milliseconds, set before every command.
    var now: Int64 = 0 {
        didSet { if now != oldValue { microsecondsTold = 0 } }
    }
    private var microsecondsTold: Int64 = 0
    private var entries: [Word: Entry] = [:]
    /// The slots whose keys commands on all keys see; nil for all.
    var scope: Range<Int>?

    /// No data.
    public init() {}

    /// Which microsecond after `now` has not been told yet.
    mutating func nextMicrosecond() -> Int64 {
        defer { microsecondsTold += 1 }
        return microsecondsTold
    }

    // MARK: keys of any type

    private func live(_ key: Word) -> Entry? {
        guard let entry = entries[key] else { return nil }
        if let end = entry.end, end <= now { return nil }
        return entry
    }

    /// All keys in scope that have not expired, in no order.
    var keys: [Word] { entries.keys.filter { isInScope($0) && live($0) != nil } }

    private func isInScope(_ key: Word) -> Bool { scope?.contains(KeySlot(of: key).number) ?? true }

    func content(_ key: Word) -> (any FakeRedisContent)? { live(key)?.content }

    /// When a key ends; nil for one that stays, and for none.
    func end(of key: Word) -> Int64? { live(key)?.end }

    mutating func setEnd(of key: Word, _ end: Int64?) { entries[key]?.end = end }

    /// Returns whether there was such a key.
    @discardableResult mutating func remove(_ key: Word) -> Bool {
        let wasThere = live(key) != nil
        entries[key] = nil
        return wasThere
    }

    /// Removes all keys in scope.
    mutating func removeAll() { entries = entries.filter { !isInScope($0.key) } }

    /// Replaces all keys of some slots by those another state has.
    mutating func replace(_ slots: Range<Int>, by other: FakeRedisState) {
        let theirs = other.entries.filter { slots.contains(KeySlot(of: $0.key).number) }
        entries = entries.filter { !slots.contains(KeySlot(of: $0.key).number) }
        entries.merge(theirs) { _, their in their }
    }

    mutating func rename(_ key: Word, to other: Word) {
        guard let entry = live(key) else { return }
        entries[key] = nil
        entries[other] = entry
    }

    /// Replaces whatever is there, and when it ends.
    mutating func put(_ content: some FakeRedisContent, at key: Word, until end: Int64?) {
        entries[key] = Entry(content: content, end: end)
    }

    // MARK: keys of one type

    /// What is at the key; nil when there is nothing.
    func read<Content: FakeRedisContent>(_ key: Word, _ type: Content.Type) throws(Refusal) -> Content? {
        guard let entry = live(key) else { return nil }
        guard let content = entry.content as? Content else { throw .wrongType }
        return content
    }

    /// Changes in place what is at the key, beginning with nothing; what is empty then is removed.
    mutating func update<Content: FakeRedisContent, Value>(
        _ key: Word, _ type: Content.Type, _ body: (inout Content) throws(Refusal) -> Value
    ) throws(Refusal) -> Value {
        var (content, end) = try take(key, type)
        defer { if !content.isEmpty { entries[key] = Entry(content: content, end: end) } }
        return try body(&content)
    }

    /// Taken out, so that the only reference to a large set is the one that changes it.
    private mutating func take<Content: FakeRedisContent>(
        _ key: Word, _ type: Content.Type
    ) throws(Refusal) -> (Content, Int64?) {
        let end = end(of: key)
        let content = try read(key, type) ?? Content()
        entries[key] = nil
        return (content, end)
    }
}

/// The value of one key.
protocol FakeRedisContent: Sendable {
    /// What TYPE answers.
    static var typeName: String { get }
    /// Whether a key with this value ceases to exist.
    var isEmpty: Bool { get }
    init()
}

extension FakeRedisState {
    /// Why a command was not executed, in the words of Redis.
    struct Refusal: Error {
        let text: String

        init(_ text: String) { self.text = text }

        static let wrongType = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
        static let syntax = Refusal("ERR syntax error")
        static let notInteger = Refusal("ERR value is not an integer or out of range")
        static let notFloat = Refusal("ERR value is not a valid float")
        static let overflow = Refusal("ERR increment or decrement would overflow")

        static func arity(_ name: String) -> Refusal {
            Refusal("ERR wrong number of arguments for '\(name.lowercased())' command")
        }

        static func expireTime(_ name: String) -> Refusal {
            Refusal("ERR invalid expire time in '\(name)' command")
        }
    }
}
