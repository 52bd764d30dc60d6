// SPDX-License-Identifier: MIT
import PomeloBytes

/// Texts, and the numbers that they may be.
extension MemoryStore {
    /// Has a key hold a text, in the place of whatever it holds, and for an unlimited time.
    ///
    /// - Throws: `.full`.
    public func set(_ key: String, _ value: String) throws(MemoryStoreError) {
        try put(Text(key), Text(value))
    }

    private func put(_ key: Text, _ value: Text) throws(MemoryStoreError) {
        let size = value.string.utf8.count
        try makeRoom(size + Self.size(key) - (entry(key)?.bytes ?? 0), sparing: key)
        remove(key)
        try charged(key, .string, nil, size).string = value
    }

    /// The text of a key; nil when it is not there.
    ///
    /// - Throws: `.wrongType`.
    public func get(_ key: String) throws(MemoryStoreError) -> String? {
        try entry(Text(key), .string)?.string.string
    }

    /// Has a key hold a text, and returns the one before; nil when there was none.
    ///
    /// - Throws: `.wrongType`, `.full`.
    @discardableResult
    public func getset(_ key: String, _ value: String) throws(MemoryStoreError) -> String? {
        let before = try get(key)
        try set(key, value)
        return before
    }

    /// The texts of keys; nil for what is not there, or no text.
    public func mget(_ keys: [String]) -> [String?] {
        keys.map { key in
            guard let entry = entry(Text(key)), entry.kind == .string else { return nil }
            return entry.string.string
        }
    }

    /// Has each key hold its text, all of them or, when that throws, none.
    ///
    /// - Throws: `.full`.
    public func mset(_ pairs: [(key: String, value: String)]) throws(MemoryStoreError) {
        removeEnded()
        var sizes: [Text: Int] = [:]
        for pair in pairs { sizes[Text(pair.key)] = Self.size(Text(pair.key), Text(pair.value)) }
        let more = sizes.reduce(0) { $0 + $1.value - (entry($1.key)?.bytes ?? 0) }
        if bytes + more > maxBytes { throw .full(limit: maxBytes) }
        for pair in pairs { remove(Text(pair.key)) }
        for pair in pairs { try put(Text(pair.key), Text(pair.value)) }
    }

    /// Adds 1; a key that is not there holds 0.
    ///
    /// - Throws: `.wrongType`, `.notAnInteger`, `.overflow`, `.full`.
    @discardableResult
    public func incr(_ key: String) throws(MemoryStoreError) -> Int { try incrby(key, 1) }

    /// Takes 1 away; a key that is not there holds 0.
    ///
    /// - Throws: as `incr`.
    @discardableResult
    public func decr(_ key: String) throws(MemoryStoreError) -> Int { try incrby(key, -1) }

    /// Adds a number; a key that is not there holds 0.
    ///
    /// - Throws: as `incr`.
    @discardableResult
    public func incrby(_ key: String, _ number: Int) throws(MemoryStoreError) -> Int {
        let key = Text(key)
        let old = try entry(key, .string)
        let text = old?.string ?? "0"
        guard let value = Int(text.string), Text("\(value)") == text else { throw .notAnInteger }
        let (sum, isTooLarge) = value.addingReportingOverflow(number)
        if isTooLarge { throw .overflow }
        let result = Text("\(sum)")
        let more = result.string.utf8.count - (old?.string.string.utf8.count ?? 0)
        try charged(key, .string, old, more).string = result
        return sum
    }

    /// Takes a number away; a key that is not there holds 0.
    ///
    /// - Throws: as `incr`; `.overflow` for the lowest number, whose opposite is none.
    @discardableResult
    public func decrby(_ key: String, _ number: Int) throws(MemoryStoreError) -> Int {
        if number == .min { throw .overflow }
        return try incrby(key, -number)
    }

    /// The length of a text in bytes; 0 when the key is not there.
    ///
    /// - Throws: `.wrongType`.
    public func strlen(_ key: String) throws(MemoryStoreError) -> Int { try get(key)?.utf8.count ?? 0 }
}
