// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Channels of processes kept in memory, as long as the object lives: for tests of restarts.
@Loop public final class MemoryLocalChannelStore: LocalChannelStore {
    /// What an absent store throws.
    public struct Away: Error {}

    /// Values by key.
    public private(set) var sets: [Text: Set<Text>] = [:]
    /// Every call throws while it is set.
    public var isAway = false
    /// Calls so far, those that threw too.
    public private(set) var calls = 0

    /// An empty store.
    public init() {}

    /// Adds to a set.
    public func add(_ values: [String], to key: String) async throws {
        try enter()
        sets[Text(key), default: []].formUnion(values.map { Text($0) })
    }

    /// Removes from a set; an empty one is gone.
    public func remove(_ values: [String], from key: String) async throws {
        try enter()
        sets[Text(key)]?.subtract(values.map { Text($0) })
        if sets[Text(key)]?.isEmpty == true { sets[Text(key)] = nil }
    }

    /// The values of a set.
    public func load(_ key: String) async throws -> [String] {
        try enter()
        return (sets[Text(key)] ?? []).sorted().map(\.string)
    }

    /// Removes a set.
    public func removeAll(_ key: String) async throws {
        try enter()
        sets[Text(key)] = nil
    }

    private func enter() throws {
        calls += 1
        if isAway { throw Away() }
    }
}
