// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloRedis

/// An event that a plugin has not taken after all attempts.
struct DeadEvent: Sendable {
    /// The stream's name for it.
    let number: String
    let reason: String
    /// The beginning of its body.
    let body: String
}

/// The streams of events for plugins: `pomelo:{c}:plugq:<id>`, and `…:dead`; a field `e`, and `why` of dead ones.
@Loop final class PluginStreams {
    private static let maxDead = 10_000
    private let redis: any RedisPort
    private let keys: PluginKeys

    init(_ redis: any RedisPort, cluster: String) {
        self.redis = redis
        keys = PluginKeys(cluster: cluster)
    }

    /// The next events, entries that are none, and the number of the last of them all.
    func read(
        _ id: PluginID, behind last: String?, count: Int
    ) async throws(RedisError) -> (events: [StoredEvent], unreadable: [String], end: String?) {
        let from = last.map { "(\($0)" } ?? "-"
        let replies = try await redis.pipeline([
            RedisCommand("XRANGE", keys.outbox(id), from, "+", "COUNT", count)
        ])
        let entries = try replies.first?.get().array ?? []
        var (events, unreadable): ([StoredEvent], [String]) = ([], [])
        for entry in entries {
            guard let number = entry.array?.first?.string else { continue }
            if let text = Self.field("e", of: entry), let event = StoredEvent(number, text) {
                events.append(event)
            } else {
                unreadable.append(number)
            }
        }
        return (events, unreadable, entries.last?.array?.first?.string)
    }

    func remove(_ id: PluginID, _ numbers: [String]) async throws(RedisError) {
        _ = try await redis.pipeline([RedisCommand("XDEL", keys.outbox(id)).appending(numbers)]).first?.get()
    }

    /// Makes an event a dead letter.
    func bury(_ id: PluginID, _ event: StoredEvent, _ reason: String) async throws(RedisError) {
        let replies = try await redis.transaction([
            RedisCommand(
                "XADD", keys.dead(id), "MAXLEN", "~", Self.maxDead, "*", "e", event.text, "why",
                String(reason.prefix(512))),
            RedisCommand("XDEL", keys.outbox(id), event.number),
        ])
        for reply in replies { _ = try reply.get() }
    }

    /// A page of dead letters, behind a number.
    func dead(_ id: PluginID, behind last: String?) async throws(RedisError) -> [DeadEvent] {
        let from = last.map { "(\($0)" } ?? "-"
        let replies = try await redis.pipeline([RedisCommand("XRANGE", keys.dead(id), from, "+", "COUNT", 256)])
        return (try replies.first?.get().array ?? []).compactMap { entry in
            guard let number = entry.array?.first?.string else { return nil }
            let event = Self.field("e", of: entry).flatMap { StoredEvent(number, $0) }
            let body = event.map { String(decoding: $0.body.prefix(512), as: UTF8.self) } ?? ""
            return DeadEvent(number: number, reason: Self.field("why", of: entry) ?? "", body: body)
        }
    }

    /// Has dead letters told again, behind all that waits, or drops them; those that were there come back.
    func settle(_ id: PluginID, _ numbers: [String], again: Bool) async throws(RedisError) -> [String] {
        var done: [String] = []
        for number in numbers.prefix(1024) {
            let found = try await redis.pipeline([RedisCommand("XRANGE", keys.dead(id), number, number)])
            guard let entry = try found.first?.get().array?.first, let text = Self.field("e", of: entry) else {
                continue
            }
            let removal = RedisCommand("XDEL", keys.dead(id), number)
            let addition = RedisCommand(
                "XADD", keys.outbox(id), "MAXLEN", "~", PluginOutbox.streamLength, "*", "e", text)
            let replies = try await redis.transaction(again ? [addition, removal] : [removal])
            for reply in replies { _ = try reply.get() }
            done.append(number)
        }
        return done
    }

    /// Everything of a plugin that is gone.
    func forget(_ id: PluginID) async throws(RedisError) {
        _ = try await redis.pipeline([RedisCommand("UNLINK", keys.outbox(id), keys.dead(id))]).first?.get()
    }

    /// Whether that is a stream's name of one entry: `-` and `+` are of many, and an error is Redis's own.
    static func isNumber(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                    && UInt64(Substring(part)) != nil
            }
    }

    private static func field(_ name: String, of entry: RedisReply) -> String? {
        guard let words = entry.array?.last?.array else { return nil }
        for index in stride(from: 0, to: words.count - 1, by: 2) where Text(words[index].string ?? "") == Text(name) {
            return words[index + 1].string
        }
        return nil
    }
}

extension StoredEvent {
    var text: String {
        "\(key.utf8.count):\(point.text)\n\(key)\(String(decoding: body, as: UTF8.self))"
    }
}
