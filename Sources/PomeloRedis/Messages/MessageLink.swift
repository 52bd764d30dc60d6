// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// What a subscribed connection receives unasked.
enum RedisPush: Equatable {
    case message(channel: String, payload: [UInt8], isSharded: Bool)
    /// The server carries the channel no longer; or, in the same words, what an SUNSUBSCRIBE is answered.
    case ended(channel: String)

    init?(_ reply: RedisReply) {
        guard case .array(let parts) = reply, parts.count == 3, let kind = parts[0].bytes, let channel = parts[1].string
        else { return nil }
        switch (kind, parts[2]) {
        case (Self.published, .bulk(let payload)):
            self = .message(channel: channel, payload: payload, isSharded: false)
        case (Self.sharded, .bulk(let payload)):
            self = .message(channel: channel, payload: payload, isSharded: true)
        case (Self.unsubscribed, _):
            self = .ended(channel: channel)
        default:
            return nil
        }
    }

    private static let published = Array("message".utf8)
    private static let sharded = Array("smessage".utf8)
    private static let unsubscribed = Array("sunsubscribe".utf8)
}

/// Told what comes over a link; calls may come from within C and only change state.
@Loop protocol MessageLinkOwner: AnyObject {
    func received(_ channel: ChannelID, _ payload: [UInt8])
    /// From here on messages may be missed.
    func lost(_ channels: Set<ChannelID>)
    /// They are subscribed again; not told within C.
    func regained(_ channels: Set<ChannelID>)
    /// The server does not subscribe the channel again; not told within C.
    func refused(_ channel: ChannelID, _ error: RedisError, on link: MessageLink)
    /// The server has ended the subscription; not told within C.
    func expelled(_ channel: ChannelID, from link: MessageLink)
}

/// Channels on one connection of their own, subscribed again after every loss.
@Loop final class MessageLink {
    private static let beatEvery = (least: Duration.seconds(4), most: Duration.seconds(5))
    /// Channels subscribed in one round trip.
    private static let batch = 512

    let connection: RedisConnection
    weak var owner: (any MessageLinkOwner)?
    /// Grows with every message.
    private(set) var messages = 0
    /// Subscribed, or to be subscribed again.
    private(set) var channels: Set<ChannelID> = []
    /// Of them, those that the server does not have at present.
    private var missing: Set<ChannelID> = []
    /// Those that the server has ended since they were asked for last: the word may come right behind the confirmation.
    private var ended: Set<ChannelID> = []
    /// SUNSUBSCRIBEs that are not answered.
    private var leaving: [ChannelID: Int] = [:]
    private var isFilling = false
    /// More was missing while it filled.
    private var mustFillAgain = false
    private var beatTimer: TimerID?

    init(_ connection: RedisConnection) {
        self.connection = connection
        connection.onPush = { [weak self] push in self?.received(push) ?? true }
        connection.observe { [weak self] event in
            switch event {
            case .up(_, let reconnected): self?.cameUp(reconnected)
            case .down: self?.wentDown()
            }
        }
    }

    func stop() async {
        channels = []
        missing = []
        wentDown()
        await connection.stop()
    }

    // MARK: subscribing

    /// Subscribes channels, and says for each whether the server refused it.
    ///
    /// - Throws: `RedisError` when the server did not confirm in time; then none of them will be subscribed again.
    func subscribe(_ ids: [ChannelID]) async throws(RedisError) -> [RedisError?] {
        try await connection.startAndWait(within: connection.configuration.commandTimeout)
        // What the server says of them counts from here on, and not only when the confirmation has been looked at.
        let added = ids.filter { channels.insert($0).inserted }
        var outcomes: [RedisError?] = []
        do throws(RedisError) {
            for batch in ids.parts(of: Self.batch) {
                outcomes += zip(batch, try await subscribed(batch)).map(Self.refusal)
            }
        } catch {
            forget(added)
            throw error
        }
        let refused = Set(zip(ids, outcomes).filter { $1 != nil }.map(\.0))
        forget(added.filter(refused.contains))
        for id in ids where !refused.contains(id) { channels.insert(id) }
        return outcomes
    }

    /// Whether the server does not have a channel at present.
    func lacks(_ id: ChannelID) -> Bool { missing.contains(id) }

    private func forget(_ ids: [ChannelID]) {
        channels.subtract(ids)
        missing.subtract(ids)
    }

    private func subscribed(_ batch: [ChannelID]) async throws(RedisError) -> [RedisReply] {
        ended.subtract(batch)
        return try await connection.pipeline(batch.map(Self.subscription))
    }

    /// Takes channels over from another link, now or when the connection is up; told by `regained`.
    func adopt(_ ids: Set<ChannelID>) {
        channels.formUnion(ids)
        missing.formUnion(ids)
        connection.startInBackground()
        if isFilling { mustFillAgain = true } else { fill() }
    }

    /// Ends subscriptions; the server is told in the background.
    func unsubscribe(_ ids: some Sequence<ChannelID>) {
        for id in ids {
            channels.remove(id)
            missing.remove(id)
            ended.remove(id)
            guard connection.isUp else { continue }
            if id.isSharded { leaving[id, default: 0] += 1 }
            ask(RedisCommand(id.isSharded ? "SUNSUBSCRIBE" : "UNSUBSCRIBE", id.name.string))
        }
    }

    /// Subscribes all channels once more, as if they had been lost.
    func resubscribe() {
        owner?.lost(channels)
        missing = channels
        fill()
    }

    /// One channel a command, so that every command has one reply, and an error is that of one channel.
    private static func subscription(_ id: ChannelID) -> RedisCommand {
        RedisCommand(id.isSharded ? "SSUBSCRIBE" : "SUBSCRIBE", id.name.string)
    }

    private static func refusal(_ id: ChannelID, _ reply: RedisReply) -> RedisError? {
        guard let text = reply.errorText else { return nil }
        guard id.isSharded, text.contains("unknown command") else { return .reply(text) }
        return .reply("messages of shards need Redis 7: \(text)")
    }

    /// Sends now and looks at the answer only for being one: silence ends the connection.
    private func ask(_ command: RedisCommand) {
        Loop.spawn { [connection] in
            do throws(RedisError) {
                _ = try await connection.pipeline([command])
            } catch {
                connection.logger.debug("no answer on the message connection", metadata: ["redis.reason": "\(error)"])
            }
        }
    }

    // MARK: connection

    private func cameUp(_ reconnected: Bool) {
        beat()
        if reconnected { missing = channels }
        fill()
    }

    private func wentDown() {
        if let beatTimer { connection.clock.cancel(beatTimer) }
        beatTimer = nil
        leaving = [:]
        ended = []
        owner?.lost(channels)
    }

    /// Subscribes what is missing; what is refused is tried again with the next beat.
    private func fill() {
        guard !isFilling, !missing.isEmpty, connection.isUp else { return }
        isFilling = true
        Loop.spawn {
            await self.subscribeMissing()
            self.isFilling = false
            guard self.mustFillAgain else { return }
            self.mustFillAgain = false
            self.fill()
        }
    }

    private func subscribeMissing() async {
        var regained: Set<ChannelID> = []
        var refused: [(ChannelID, RedisError)] = []
        do throws(RedisError) {
            let ids = missing.sorted { ($0.name, $0.isSharded ? 1 : 0) < ($1.name, $1.isSharded ? 1 : 0) }
            for batch in ids.parts(of: Self.batch) {
                for (id, reply) in zip(batch, try await subscribed(batch)) where channels.contains(id) {
                    if let error = Self.refusal(id, reply) {
                        refused.append((id, error))
                    } else if !ended.contains(id) {
                        missing.remove(id)
                        regained.insert(id)
                    }
                }
            }
        } catch {
            // Lost again meanwhile: the next connection does it all again.
            connection.logger.debug("not subscribed again", metadata: ["redis.reason": "\(error)"])
        }
        if !regained.isEmpty { owner?.regained(regained) }
        for (id, error) in refused { owner?.refused(id, error, on: self) }
    }

    /// A connection that only listens would not notice that the server has gone.
    private func beat() {
        let clock = connection.clock
        let earliest = clock.deadline(after: Self.beatEvery.least)
        let latest = clock.deadline(after: Self.beatEvery.most)
        beatTimer = clock.schedule(from: earliest, to: latest) { [weak self] in
            guard let self else { return }
            ask(RedisCommand("PING"))
            fill()
            beat()
        }
    }

    // MARK: messages

    /// False for what is the reply to a command.
    private func received(_ push: RedisPush) -> Bool {
        switch push {
        case .message(let channel, let payload, let isSharded):
            messages += 1
            owner?.received(ChannelID(channel, isSharded: isSharded), payload)
            return true
        case .ended(let channel):
            let id = ChannelID(channel, isSharded: true)
            if let count = leaving[id] {
                leaving[id] = count > 1 ? count - 1 : nil
                return false
            }
            guard channels.contains(id) else { return true }
            ended.insert(id)
            missing.insert(id)
            owner?.lost([id])
            // Not within the callback from C.
            Loop.enqueueSynchronous { [weak self] in
                if let self { owner?.expelled(id, from: self) }
            }
            return true
        }
    }
}

extension Array {
    fileprivate func parts(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
