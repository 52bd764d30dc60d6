// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloRedis

/// What is told to plugins, on its way into a stream of Redis for each of them.
///
/// Events that are superseded by the next of their kind are not written: who delivers tells the latest.
///
/// - Guarantee: events of one process reach a plugin's stream in their order, each once, or, when Redis did not say
///   whether it took one, perhaps twice. What waits while Redis is away is bounded; beyond it the newest are left out,
///   counted and logged.
@Loop final class PluginOutbox {
    private static let maxBytes = 4 << 20
    private static let batch = 256
    /// Of a stream; what is older is lost to a plugin that has been away for that many events.
    static let streamLength = 100_000

    private struct Entry {
        let plugin: PluginID
        let text: String
    }

    /// Takes what is told to the latest only.
    var onCoalesced: (@Loop (ExtensionEvent) -> Void)?
    /// Called when a stream of this process's has grown.
    var onWritten: (@Loop (PluginID) -> Void)?
    private let redis: any RedisPort
    private let keys: PluginKeys
    private let follower: PluginFollower
    private let clock: any LoopClock
    private let random: RandomSource
    private let overflow: LimitedLog
    private let failures: LimitedLog
    private var waiting: Deque<Entry> = []
    private var bytes = 0
    private var writing: Task<Void, Never>?

    init(_ redis: any RedisPort, _ follower: PluginFollower, _ context: ServiceContext) {
        self.redis = redis
        self.follower = follower
        keys = PluginKeys(cluster: context.clusterName)
        clock = context.clock
        random = context.random
        overflow = LimitedLog(
            context.log, clock, "an event is not told to a plugin: too many wait for Redis", lines: 1, per: .seconds(10)
        )
        failures = LimitedLog(
            context.log, clock, "events for plugins wait: Redis does not take them", lines: 1, per: .seconds(30))
    }

    /// Whether something waits to be written.
    var isEmpty: Bool { waiting.isEmpty && writing == nil }

    func take(_ event: ExtensionEvent, coalesced: Bool) {
        let implementers = follower.view.implementers(of: PluginImplementers.owner, event.point.name)
        guard !implementers.isEmpty else { return }
        if coalesced {
            onCoalesced?(event)
            return
        }
        let text = event.stored
        for implementer in implementers {
            guard bytes + text.utf8.count <= Self.maxBytes else {
                overflow.write(["plugin": "\(implementer.id)", "event": "\(event.point)"])
                continue
            }
            bytes += text.utf8.count
            waiting.append(Entry(plugin: implementer.id, text: text))
        }
        write()
    }

    private func write() {
        guard writing == nil, !waiting.isEmpty else { return }
        writing = Loop.spawn {
            var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
            while !self.waiting.isEmpty, !Task.isCancelled {
                do {
                    try await self.writeBatch()
                    backoff.succeeded()
                } catch {
                    self.failures.write(["plugins.reason": "\(error)", "plugins.waiting": "\(self.waiting.count)"])
                    await self.clock.sleep(for: self.random.jittered(backoff.failed()))
                }
            }
            self.writing = nil
        }
    }

    private func writeBatch() async throws(RedisError) {
        let entries = Array(waiting.prefix(Self.batch))
        let replies = try await redis.pipeline(
            entries.map { entry in
                RedisCommand(
                    "XADD", keys.outbox(entry.plugin), "MAXLEN", "~", Self.streamLength, "*", "e", entry.text)
            })
        // What was refused stays in front, with all behind it: events of a plugin keep their order.
        let taken = replies.prefix { $0.errorText == nil }.count
        for entry in waiting.prefix(taken) { bytes -= entry.text.utf8.count }
        waiting.removeFirst(taken)
        for plugin in Set(entries.prefix(taken).map(\.plugin)) { onWritten?(plugin) }
        if taken < replies.count, let text = replies[taken].errorText { throw .reply(text) }
    }

    /// Writes what waits, for as long as a stop has.
    func stop(within limit: Duration) async {
        let end = clock.deadline(after: limit)
        while !isEmpty, clock.now < end { await clock.sleep(for: .milliseconds(20)) }
        writing?.cancel()
        let lost = waiting.count
        if lost > 0 { overflow.write(["plugins.lost": "\(lost)"]) }
    }
}

extension ExtensionEvent {
    /// As a stream has it: key and body, so that who delivers need not read the body.
    var stored: String {
        "\(key.utf8.count):\(point.name.text)\n\(key)\(String(decoding: json.encoded(), as: UTF8.self))"
    }
}

/// An event as a stream has it.
struct StoredEvent: Sendable, Hashable {
    /// The stream's name for it.
    let number: String
    let point: PointName
    /// Events with one key are told in their order.
    let key: String
    let body: Bytes

    init?(_ number: String, _ text: String) {
        let bytes = Bytes(text.utf8)
        guard let line = bytes.firstIndex(of: UInt8(ascii: "\n")), let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            colon < line, let length = Int(String(decoding: bytes[..<colon], as: UTF8.self)), length >= 0,
            bytes.count - line - 1 >= length
        else { return nil }
        self.number = number
        point = PointName(String(decoding: bytes[(colon + 1)..<line], as: UTF8.self))
        key = String(decoding: bytes[(line + 1)..<(line + 1 + length)], as: UTF8.self)
        body = Bytes(bytes[(line + 1 + length)...])
    }
}
