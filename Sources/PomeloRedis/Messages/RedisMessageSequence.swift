// SPDX-License-Identifier: MIT
import PomeloLoop

/// What a reader of channels is told, in order.
public enum RedisMessageEvent: Sendable, Hashable {
    /// Published to the channel.
    case message(channel: String, payload: [UInt8])
    /// Between what was told before and what follows, messages on these channels may have been missed: the connection
    /// was lost and the channels are subscribed again, or the reader was too slow.
    case gap([String])
}

/// How much may wait for a reader; beyond it the oldest messages are dropped, and a gap stands in their place.
public struct RedisMessageBounds: Sendable, Hashable {
    /// Messages and gaps.
    public var events: Int
    /// Bytes of channels and payloads, 64 more an event.
    public var bytes: Int

    /// 10 000 events, 4 MiB.
    public init(events: Int = 10_000, bytes: Int = 4 << 20) {
        self.events = max(1, events)
        self.bytes = max(1, bytes)
    }
}

/// The messages of some channels, from the server's confirmation on; read once, by one reader.
///
/// It outlives the loss of the connection: what may have been missed stands in it as a gap. It ends when the client
/// stops, when the task that reads is cancelled, and when it is dropped. With its last reader a channel is
/// unsubscribed.
///
/// - Guarantee: at most once; per channel in the order of publication; no loss without a gap.
/// - Isolation: any; messages are kept on the loop.
public struct RedisMessageSequence: AsyncSequence, Sendable {
    /// A message or a gap.
    public typealias Element = RedisMessageEvent
    /// Never thrown.
    public typealias Failure = Never

    private let owner: Owner

    package init(_ reader: MessageReader) { owner = Owner(reader) }

    /// Reads what has not been read: iterators of one sequence share its messages.
    public func makeAsyncIterator() -> Iterator { Iterator(owner: owner) }

    /// Ends it now; what has not been read is dropped.
    @Loop public func end() { owner.reader.end() }

    /// Reads one after the other.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let owner: Owner

        /// The next event; nil at the end.
        public mutating func next() async -> RedisMessageEvent? { await owner.reader.next() }

        /// The next event; nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> RedisMessageEvent? {
            await owner.reader.next()
        }
    }

    /// Gone when nobody can read any more.
    fileprivate final class Owner: Sendable {
        let reader: MessageReader

        init(_ reader: MessageReader) { self.reader = reader }

        deinit {
            let reader = reader
            Loop.spawn { reader.end() }
        }
    }
}
