// SPDX-License-Identifier: MIT
import PomeloBytes

/// Texts by the names of their fields.
extension MemoryStore {
    /// Has a field hold a text; true when the field is new.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func hset(_ key: String, _ field: String, _ value: String) throws(MemoryStoreError) -> Bool {
        try hmset(key, [(field, value)]) == 1
    }

    /// Has fields hold texts, all of them or, when that throws, none; returns how many are new.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func hmset(_ key: String, _ pairs: [(field: String, value: String)]) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        let old = try entry(key, .hash)
        var fields: [Text: Text] = [:]
        for pair in pairs { fields[Text(pair.field)] = Text(pair.value) }
        guard !fields.isEmpty else { return 0 }
        let more = fields.reduce(0) { sum, pair in
            sum + Self.size(pair.key, pair.value) - (old?.hash[pair.key].map { Self.size(pair.key, $0) } ?? 0)
        }
        let entry = try charged(key, .hash, old, more)
        let before = entry.hash.count
        entry.hash.merge(fields) { $1 }
        return entry.hash.count - before
    }

    /// The text of a field; nil when it is not there.
    ///
    /// - Throws: `.wrongType`.
    public func hget(_ key: String, _ field: String) throws(MemoryStoreError) -> String? {
        try entry(Text(key), .hash)?.hash[Text(field)]?.string
    }

    /// All fields and their texts, in no order.
    ///
    /// - Throws: `.wrongType`.
    public func hgetall(_ key: String) throws(MemoryStoreError) -> [(field: String, value: String)] {
        (try entry(Text(key), .hash)?.hash ?? [:]).map { ($0.key.string, $0.value.string) }
    }

    /// All fields, in no order.
    ///
    /// - Throws: `.wrongType`.
    public func hkeys(_ key: String) throws(MemoryStoreError) -> [String] { try hgetall(key).map(\.field) }

    /// The texts of all fields, in no order.
    ///
    /// - Throws: `.wrongType`.
    public func hvals(_ key: String) throws(MemoryStoreError) -> [String] { try hgetall(key).map(\.value) }

    /// How many fields there are.
    ///
    /// - Throws: `.wrongType`.
    public func hlen(_ key: String) throws(MemoryStoreError) -> Int { try entry(Text(key), .hash)?.hash.count ?? 0 }

    /// Whether there is such a field.
    ///
    /// - Throws: `.wrongType`.
    public func hexists(_ key: String, _ field: String) throws(MemoryStoreError) -> Bool {
        try hget(key, field) != nil
    }

    /// Removes fields; returns how many there were.
    ///
    /// - Throws: `.wrongType`.
    @discardableResult
    public func hdel(_ key: String, _ fields: String...) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        guard let entry = try entry(key, .hash) else { return 0 }
        var removed = 0
        for field in fields.lazy.map({ Text($0) }) {
            guard let value = entry.hash.removeValue(forKey: field) else { continue }
            removed += 1
            took(Self.size(field, value), from: entry, key)
        }
        return removed
    }
}
