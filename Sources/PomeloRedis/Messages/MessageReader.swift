// SPDX-License-Identifier: MIT
import PomeloBytes
package import PomeloLoop

/// One reader of some channels, and what waits for it.
@Loop package final class MessageReader {
    let channels: [ChannelID]
    fileprivate var onEnd: (@Loop (MessageReader) -> Void)?
    /// Before the channels at the server, and nobody's business.
    private let prefix: KeyPrefix
    private var queue: MessageQueue
    private var isFinished = false
    private var waiters: [CheckedContinuation<RedisMessageEvent?, Never>] = []

    package convenience init(_ channels: [ChannelID], _ bounds: RedisMessageBounds) {
        self.init(channels, bounds, prefix: KeyPrefix(""))
    }

    init(_ channels: [ChannelID], _ bounds: RedisMessageBounds, prefix: KeyPrefix) {
        self.channels = channels
        self.prefix = prefix
        queue = MessageQueue(bounds)
    }

    func next() async -> RedisMessageEvent? {
        switch await take() {
        case .message(let channel, let payload): .message(channel: prefix.removed(from: channel), payload: payload)
        case .gap(let channels): .gap(channels.map(prefix.removed(from:)))
        case nil: nil
        }
    }

    private func take() async -> RedisMessageEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                if Task.isCancelled { end() }
                if let event = queue.removeFirst() {
                    waiter.resume(returning: event)
                } else if isFinished {
                    waiter.resume(returning: nil)
                } else {
                    waiters.append(waiter)
                }
            }
        } onCancel: {
            Loop.spawn { self.end() }
        }
    }

    /// Nobody reads any more.
    package func end() {
        queue = MessageQueue(RedisMessageBounds(events: 1, bytes: 1))
        finish()
        onEnd?(self)
        onEnd = nil
    }

    /// Nothing more comes; what is there can be read.
    fileprivate func finish() {
        isFinished = true
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.resume(returning: nil) }
    }

    fileprivate func receive(_ channel: String, _ payload: [UInt8]) -> Bool {
        guard !isFinished else { return true }
        defer { serve() }
        return queue.append(channel, payload)
    }

    fileprivate func tellGap(_ channels: [String]) {
        guard !isFinished else { return }
        _ = queue.appendGap(channels)
        serve()
    }

    private func serve() {
        while !waiters.isEmpty, let event = queue.removeFirst() { waiters.removeFirst().resume(returning: event) }
    }
}

/// The readers of one client, by channel.
@Loop package final class MessageReaders {
    /// Told the channels that have lost their last reader.
    package var onAbandoned: (@Loop ([ChannelID]) -> Void)?
    /// Told that a reader was too slow: some of its messages were dropped.
    package var onOverflow: (@Loop () -> Void)?
    private var readers: [ChannelID: [MessageReader]] = [:]

    package nonisolated init() {}

    package func add(_ reader: MessageReader) {
        for channel in Set(reader.channels) { readers[channel, default: []].append(reader) }
        reader.onEnd = { [weak self] in self?.remove($0) }
    }

    package func has(_ channel: ChannelID) -> Bool { readers[channel] != nil }

    package func receive(_ channel: ChannelID, _ payload: [UInt8]) {
        for reader in readers[channel] ?? [] where !reader.receive(channel.name.string, payload) { onOverflow?() }
    }

    /// Tells each reader about those of its channels.
    package func tellGap(_ channels: Set<ChannelID>) {
        var told: [ObjectIdentifier: MessageReader] = [:]
        for channel in channels {
            for reader in readers[channel] ?? [] { told[ObjectIdentifier(reader)] = reader }
        }
        for reader in told.values {
            reader.tellGap(Set(reader.channels).intersection(channels).map(\.name).sorted().map(\.string))
        }
    }

    /// Ends all; what waits for them can still be read.
    package func finish() {
        let all = readers.values.joined()
        for reader in all { reader.onEnd = nil }
        readers = [:]
        for reader in all { reader.finish() }
    }

    private func remove(_ reader: MessageReader) {
        var abandoned: [ChannelID] = []
        for channel in Set(reader.channels) {
            guard var left = readers[channel] else { continue }
            left.removeAll { $0 === reader }
            readers[channel] = left.isEmpty ? nil : left
            if left.isEmpty { abandoned.append(channel) }
        }
        if !abandoned.isEmpty { onAbandoned?(abandoned) }
    }
}
