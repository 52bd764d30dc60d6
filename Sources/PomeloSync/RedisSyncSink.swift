// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloCore
public import PomeloLoop
public import PomeloRedis

/// Keeps values in Redis, where any client reads them.
///
/// ```
/// <prefix>:<key>:<id>   hash  value; version, 20 digits, and server: a value that is not later than it is not written
/// <prefix>:<key>        list  of the values without an id, in the order they came
/// ```
///
/// - Guarantee: of values of one id that several servers write the latest stays. A value without an id may be there
///   twice when its confirmation was lost.
/// - Complexity: one round trip a batch, on a cluster one to each of its nodes.
@Loop public final class RedisSyncSink: SyncReader {
    private nonisolated static let apply = RedisScript(
        name: "sync.apply", source: String(decoding: PackageResources.apply_lua, as: UTF8.self))
    private let redis: any RedisPort
    private let prefix: String

    /// Writes through a port that others may use as well.
    public init(_ redis: any RedisPort, prefix: String = "pomelo:sync") {
        self.redis = redis
        self.prefix = prefix
    }

    /// - Throws: `RedisError` when Redis has told nothing.
    public func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        if batch.isEmpty { return [] }
        let first = batch.firstIndex { $0.id == nil } ?? batch.endIndex
        if first == batch.endIndex { return try await redis.execute(batch.map(step)).map(Self.outcome) }
        var outcomes = try await write(Array(batch[..<first]))
        let run = batch[first...].prefix { $0.id == nil && $0.key == batch[first].key }
        outcomes += try await append(run)
        return outcomes + (try await write(Array(batch[run.endIndex...])))
    }

    /// Appends values of one key in one command, or in a few that follow each other: none is there behind one that is
    /// not.
    private func append(_ run: ArraySlice<SyncEntry>) async throws -> [SyncOutcome] {
        var rest = run
        var outcomes: [SyncOutcome] = []
        while let first = rest.first {
            var bytes = 0
            let part = rest.prefix { entry in
                defer { bytes += entry.value.count }
                return bytes == 0 || bytes + entry.value.count <= Self.maxBytes
            }
            let reply = try await redis.pipeline([
                RedisCommand("RPUSH", arguments: [.text(place(first))] + part.map { .bytes($0.value) })
            ])
            let outcome = reply.first.map(Self.outcome) ?? .failed("no reply")
            // Those behind wait with it, or are refused for the same reason.
            let many = outcome == .written ? part.count : rest.count
            outcomes += [SyncOutcome](repeating: outcome, count: many)
            rest = rest.dropFirst(many)
        }
        return outcomes
    }

    /// Of one command, unless one value has more.
    private static let maxBytes = 1 << 20

    private func place(_ entry: SyncEntry) -> String { "\(prefix):\(entry.key)" }

    /// Reads the hash of an id.
    ///
    /// - Throws: `RedisError`.
    public func stored(_ key: Text, _ id: Text) async throws -> StoredValue? {
        let fields = try await redis.send(RedisCommand("HMGET", "\(prefix):\(key):\(id)", "value", "version", "server"))
        guard let parts = fields.array, parts.count == 3, let value = parts[0].bytes, let number = parts[1].string,
            let server = parts[2].string
        else { return nil }
        return StoredValue(
            value: value, version: SyncVersion(number: UInt64(number) ?? 0, server: ServerID(server)))
    }

    /// Reads the end of the list of a key.
    ///
    /// - Throws: `RedisError`.
    public func entries(_ key: Text, limit: Int) async throws -> [Bytes] {
        guard limit > 0 else { return [] }
        let list = try await redis.send(RedisCommand("LRANGE", "\(prefix):\(key)", "\(-limit)", "-1"))
        return (list.array ?? []).compactMap(\.bytes)
    }

    private func step(_ entry: SyncEntry) -> RedisStep {
        let digits = String(entry.version.number)
        let number = String(repeating: "0", count: 20 - digits.count) + digits
        return .script(
            Self.apply, keys: ["\(place(entry)):\(entry.id ?? "")"],
            args: [.bytes(entry.value), .text(number), .text(entry.version.server.rawValue)])
    }

    private static func outcome(_ reply: RedisReply) -> SyncOutcome {
        guard let text = reply.errorText else { return .written }
        // Something else has the key: that does not pass.
        return reply.errorCode == "WRONGTYPE" ? .refused(text) : .failed(text)
    }
}
