// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Moving a slot from one master to another, in one call or step by step.
extension RedisClusterServers {
    /// The node that serves a slot, as most nodes would say.
    ///
    /// - Throws: `NetworkError` when none does, or no node answers.
    public func owner(of slot: Int) async throws(NetworkError) -> Int {
        for (index, node) in nodes.enumerated() where node.isRunning && !node.isPaused {
            let rows = try await node.command("CLUSTER", "NODES").map { $0.split(separator: " ") }
            guard let own = rows.first(where: { $0.count > 2 && $0[2].contains("myself") }) else { continue }
            if own.dropFirst(8).contains(where: { Self.range($0)?.contains(slot) == true }) { return index }
        }
        throw NetworkError(code: "ENOENT", description: "nobody serves slot \(slot)")
    }

    /// Moves a slot with its keys, while clients use them.
    ///
    /// - Throws: `NetworkError` with what a node refused.
    public func moveSlot(_ slot: Int, from: Int, to: Int) async throws(NetworkError) {
        try await beginMove(slot, from: from, to: to)
        while try await moveKeys(slot, from: from, to: to) > 0 {}
        try await endMove(slot, from: from, to: to)
    }

    /// The first step: from now on `from` answers `ASK` for keys of the slot that it does not have.
    ///
    /// - Throws: `NetworkError` with what a node refused.
    public func beginMove(_ slot: Int, from: Int, to: Int) async throws(NetworkError) {
        try await nodes[to].command("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", id(of: from))
        try await nodes[from].command("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", id(of: to))
    }

    /// The second step, until none is left: takes some keys over; none has a line break in its name.
    ///
    /// - Returns: how many.
    /// - Throws: `NetworkError` with what a node refused.
    @discardableResult
    public func moveKeys(_ slot: Int, from: Int, to: Int, atMost count: Int = 100) async throws(NetworkError) -> Int {
        let keys = try await nodes[from].command("CLUSTER", "GETKEYSINSLOT", "\(slot)", "\(count)")
            .filter { !$0.isEmpty }
        guard !keys.isEmpty else { return 0 }
        var login: [String] = []
        if let needed = nodes[to].login {
            login = needed.user.map { ["AUTH2", $0, needed.password] } ?? ["AUTH", needed.password]
        }
        try await nodes[from].command(
            ["MIGRATE", "127.0.0.1", "\(nodes[to].port)", "", "0", "5000"] + login + ["KEYS"] + keys)
        return keys.count
    }

    /// The last step: the slot is `to`'s, and every master knows.
    ///
    /// - Throws: `NetworkError` with what a node refused, for instance keys that are left.
    public func endMove(_ slot: Int, from: Int, to: Int) async throws(NetworkError) {
        for node in [to, from] + nodes.indices.filter({ $0 != to && $0 != from })
        where nodes[node].isRunning && !nodes[node].isPaused {
            guard try await nodes[node].info("role") == "master" else { continue }
            try await nodes[node].command("CLUSTER", "SETSLOT", "\(slot)", "NODE", id(of: to))
        }
    }

    /// `5` or `0-5460`; a slot on the move stands in brackets, behind the range it is still a part of.
    private static func range(_ text: Substring) -> ClosedRange<Int>? {
        let ends = text.split(separator: "-").compactMap { Int($0) }
        guard let first = ends.first, let last = ends.last, !text.hasPrefix("[") else { return nil }
        return first...last
    }
}
