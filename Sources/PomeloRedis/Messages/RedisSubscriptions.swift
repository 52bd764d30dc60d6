// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// The channels of one client on a connection of their own, subscribed again after every loss.
@Loop final class RedisSubscriptions {
    private static let aliveEvery = (least: Duration.seconds(4), most: Duration.seconds(5))
    /// Channels subscribed again in one round trip; the least bound of pending commands has room for it.
    private static let batch = 16

    private struct Entry {
        var handler: @Loop ([UInt8]) -> Void
        /// The server has confirmed it once.
        var confirmed = false
    }

    /// Told the channels on which messages may have been missed, once they are subscribed again.
    var onGap: (@Loop ([String]) -> Void)?

    private let connection: RedisConnection
    private var entries: [Text: Entry] = [:]
    private var inbox: [(channel: String, payload: [UInt8])] = []
    private var aliveTimer: TimerID?

    init(_ connection: RedisConnection) {
        self.connection = connection
        connection.onMessage = { [weak self] channel, payload in self?.received(channel, payload) }
        connection.observe { [weak self] event in
            switch event {
            case .up(_, let reconnected): self?.cameUp(reconnected)
            case .down: self?.wentDown()
            }
        }
    }

    func stop() async {
        entries = [:]
        await connection.stop()
    }

    func subscribe(
        _ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void
    ) async throws(RedisError) {
        let known = entries[Text(channel)]?.confirmed == true
        // Before the confirmation: the first message may come right behind it.
        entries[Text(channel)] = Entry(handler: handler, confirmed: known)
        if known { return }
        do throws(RedisError) {
            try await connection.startAndWait(within: connection.configuration.commandTimeout)
            // One channel a command, so that every command has one reply.
            guard let reply = try await connection.pipeline([RedisCommand("SUBSCRIBE", channel)]).first else {
                throw .protocolError("no reply")
            }
            _ = try reply.get()
        } catch {
            if entries[Text(channel)]?.confirmed == false { entries[Text(channel)] = nil }
            throw error
        }
        entries[Text(channel)]?.confirmed = true
    }

    func unsubscribe(_ channel: String) {
        guard entries.removeValue(forKey: Text(channel)) != nil, connection.isUp else { return }
        ask(RedisCommand("UNSUBSCRIBE", channel))
    }

    /// Sends now and looks at the answer only for being one: silence ends the connection.
    private func ask(_ command: RedisCommand) {
        Loop.spawn { [connection] in
            do throws(RedisError) {
                _ = try await connection.pipeline([command])
            } catch {
                connection.logger.debug(
                    "no answer on the message connection", metadata: ["redis.reason": "\(error)"])
            }
        }
    }

    // MARK: connection

    private func cameUp(_ reconnected: Bool) {
        beat()
        guard reconnected else { return }
        let channels = entries.keys.filter { entries[$0]?.confirmed == true }.sorted().map(\.string)
        if !channels.isEmpty { Loop.spawn { await self.resubscribe(channels) } }
    }

    private func resubscribe(_ channels: [String]) async {
        do throws(RedisError) {
            for start in stride(from: 0, to: channels.count, by: Self.batch) {
                let batch = channels[start..<min(start + Self.batch, channels.count)]
                let replies = try await connection.pipeline(batch.map { RedisCommand("SUBSCRIBE", $0) })
                for (channel, reply) in zip(batch, replies) {
                    guard let text = reply.errorText else { continue }
                    connection.logger.error(
                        "a channel cannot be subscribed again",
                        metadata: ["redis.channel": "\(channel)", "redis.reason": "\(text)"])
                }
            }
            onGap?(channels)
        } catch {
            // Lost again meanwhile: the next connection does it all again.
            connection.logger.debug("not subscribed again", metadata: ["redis.reason": "\(error)"])
        }
    }

    private func wentDown() {
        if let aliveTimer { connection.clock.cancel(aliveTimer) }
        aliveTimer = nil
    }

    /// A connection that only listens would not notice that the server has gone.
    private func beat() {
        let clock = connection.clock
        let earliest = clock.deadline(after: Self.aliveEvery.least)
        let latest = clock.deadline(after: Self.aliveEvery.most)
        aliveTimer = clock.schedule(from: earliest, to: latest) { [weak self] in
            guard let self else { return }
            ask(RedisCommand("PING"))
            beat()
        }
    }

    // MARK: messages

    private func received(_ channel: String, _ payload: [UInt8]) {
        if inbox.isEmpty { Loop.spawn { self.deliver() } }
        inbox.append((channel, payload))
    }

    private func deliver() {
        let messages = inbox
        inbox = []
        for (channel, payload) in messages { entries[Text(channel)]?.handler(payload) }
    }
}
