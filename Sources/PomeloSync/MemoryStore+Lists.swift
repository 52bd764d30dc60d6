// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes

/// Texts in an order, and texts that are there once each.
extension MemoryStore {
    // MARK: lists

    /// Puts texts behind the last one; returns how many there are.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func rpush(_ key: String, _ values: String...) throws(MemoryStoreError) -> Int {
        try push(key, values) { list, value in list.append(value) }
    }

    /// Puts texts before the first one, one after the other; returns how many there are.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func lpush(_ key: String, _ values: String...) throws(MemoryStoreError) -> Int {
        try push(key, values) { list, value in list.prepend(value) }
    }

    private func push(
        _ key: String, _ values: [String], _ add: (inout Deque<Text>, Text) -> Void
    ) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        let old = try entry(key, .list)
        guard !values.isEmpty else { return old?.list.count ?? 0 }
        let entry = try charged(key, .list, old, values.reduce(0) { $0 + Self.size(Text($1)) })
        for value in values { add(&entry.list, Text(value)) }
        return entry.list.count
    }

    /// Takes the first text out; nil when there is none.
    ///
    /// - Throws: `.wrongType`.
    @discardableResult
    public func lpop(_ key: String) throws(MemoryStoreError) -> String? { try pop(key) { $0.popFirst() } }

    /// Takes the last text out; nil when there is none.
    ///
    /// - Throws: `.wrongType`.
    @discardableResult
    public func rpop(_ key: String) throws(MemoryStoreError) -> String? { try pop(key) { $0.popLast() } }

    private func pop(_ key: String, _ take: (inout Deque<Text>) -> Text?) throws(MemoryStoreError) -> String? {
        guard let entry = try entry(Text(key), .list), let value = take(&entry.list) else { return nil }
        took(Self.size(value), from: entry, Text(key))
        return value.string
    }

    /// How many texts there are.
    ///
    /// - Throws: `.wrongType`.
    public func llen(_ key: String) throws(MemoryStoreError) -> Int { try entry(Text(key), .list)?.list.count ?? 0 }

    /// The texts from one place to another, both included; places below 0 count from the end, -1 being the last.
    ///
    /// - Throws: `.wrongType`.
    public func lrange(_ key: String, _ start: Int, _ stop: Int) throws(MemoryStoreError) -> [String] {
        guard let list = try entry(Text(key), .list)?.list else { return [] }
        let first = max(0, start < 0 ? start + list.count : start)
        let last = min(list.count - 1, stop < 0 ? stop + list.count : stop)
        return first <= last ? list[first...last].map(\.string) : []
    }

    /// Takes texts out that are equal to one: so many from the first, below 0 from the last, with 0 all; returns how
    /// many there were.
    ///
    /// - Complexity: of the order of the list's length.
    /// - Throws: `.wrongType`.
    @discardableResult
    public func lrem(_ key: String, _ count: Int, _ value: String) throws(MemoryStoreError) -> Int {
        let (key, value) = (Text(key), Text(value))
        guard let entry = try entry(key, .list) else { return 0 }
        let places = entry.list.indices.filter { entry.list[$0] == value }
        let limit = count == 0 ? places.count : Int(clamping: count.magnitude)
        let doomed = Set(count < 0 ? places.suffix(limit) : places.prefix(limit))
        guard !doomed.isEmpty else { return 0 }
        entry.list = Deque(entry.list.indices.lazy.filter { !doomed.contains($0) }.map { entry.list[$0] })
        took(doomed.count * Self.size(value), from: entry, key)
        return doomed.count
    }

    // MARK: sets

    /// Adds texts; returns how many are new.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func sadd(_ key: String, _ members: String...) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        let old = try entry(key, .set)
        let new = Set(members.map { Text($0) }).subtracting(old?.set ?? [])
        guard !new.isEmpty else { return 0 }
        try charged(key, .set, old, new.reduce(0) { $0 + Self.size($1) }).set.formUnion(new)
        return new.count
    }

    /// Takes texts out; returns how many there were.
    ///
    /// - Throws: `.wrongType`.
    @discardableResult
    public func srem(_ key: String, _ members: String...) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        guard let entry = try entry(key, .set) else { return 0 }
        var removed = 0
        for member in members {
            guard let gone = entry.set.remove(Text(member)) else { continue }
            removed += 1
            took(Self.size(gone), from: entry, key)
        }
        return removed
    }

    /// All texts, in no order.
    ///
    /// - Throws: `.wrongType`.
    public func smembers(_ key: String) throws(MemoryStoreError) -> [String] {
        (try entry(Text(key), .set)?.set ?? []).map(\.string)
    }

    /// Whether there is such a text.
    ///
    /// - Throws: `.wrongType`.
    public func sismember(_ key: String, _ member: String) throws(MemoryStoreError) -> Bool {
        try entry(Text(key), .set)?.set.contains(Text(member)) ?? false
    }

    /// How many texts there are.
    ///
    /// - Throws: `.wrongType`.
    public func scard(_ key: String) throws(MemoryStoreError) -> Int { try entry(Text(key), .set)?.set.count ?? 0 }
}
