// SPDX-License-Identifier: MIT
import DequeModule
package import PomeloBytes

/// A channel: those of shards have names of their own.
package struct ChannelID: Hashable, Sendable {
    package let name: Text
    package let isSharded: Bool

    package init(_ name: String, isSharded: Bool = false) {
        self.name = Text(name)
        self.isSharded = isSharded
    }
}

/// What waits for one reader; pure.
struct MessageQueue {
    private let bounds: RedisMessageBounds
    /// Channels of what was dropped: a gap before everything else.
    private var dropped: Set<Text> = []
    private var events: Deque<RedisMessageEvent> = []
    private var bytes = 0

    init(_ bounds: RedisMessageBounds) { self.bounds = bounds }

    /// Events that wait, the gap of what was dropped not counted.
    var count: Int { events.count }

    /// Appends what was published; false when something had to be dropped, the first time since the last gap was read.
    mutating func append(_ channel: String, _ payload: [UInt8]) -> Bool {
        push(.message(channel: channel, payload: payload))
    }

    /// Appends a gap; one behind another is one.
    mutating func appendGap(_ channels: [String]) -> Bool {
        guard case .gap(let others)? = events.last else { return push(.gap(channels)) }
        let both = Set((others + channels).map { Text($0) }).sorted().map(\.string)
        bytes -= Self.size(events.removeLast())
        return push(.gap(both))
    }

    mutating func removeFirst() -> RedisMessageEvent? {
        if !dropped.isEmpty {
            defer { dropped = [] }
            return .gap(dropped.sorted().map(\.string))
        }
        return takeFirst()
    }

    private mutating func push(_ event: RedisMessageEvent) -> Bool {
        let hadDropped = !dropped.isEmpty
        events.append(event)
        bytes += Self.size(event)
        while count > bounds.events || bytes > bounds.bytes, let oldest = takeFirst() {
            switch oldest {
            case .message(let channel, _): dropped.insert(Text(channel))
            case .gap(let channels): dropped.formUnion(channels.map { Text($0) })
            }
        }
        return hadDropped || dropped.isEmpty
    }

    private mutating func takeFirst() -> RedisMessageEvent? {
        guard let event = events.popFirst() else { return nil }
        bytes -= Self.size(event)
        return event
    }

    private static func size(_ event: RedisMessageEvent) -> Int {
        switch event {
        case .message(let channel, let payload): channel.utf8.count + payload.count + 64
        case .gap(let channels): channels.reduce(64) { $0 + $1.utf8.count }
        }
    }
}
