// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// Says which link carries a channel.
@Loop protocol MessageCarriers: AnyObject {
    /// Links that exist; none before the first channel.
    var links: [MessageLink] { get }
    /// The link of a channel now; its owner is set by who asks.
    func link(for channel: ChannelID) async throws(RedisError) -> MessageLink
    /// The server has refused a channel, or has ended its subscription (without an error); true when it may be
    /// somewhere else now.
    func wasWrong(about channel: ChannelID, _ error: RedisError?) -> Bool
    /// Channels have left their links for others.
    func channelsHaveMoved()
    /// Ends all connections.
    func stop() async
}

/// One link for all channels.
@Loop final class SingleCarrier: MessageCarriers {
    private let link: MessageLink

    init(_ connection: RedisConnection) { link = MessageLink(connection) }

    var links: [MessageLink] { [link] }
    func link(for channel: ChannelID) async throws(RedisError) -> MessageLink { link }
    func wasWrong(about channel: ChannelID, _ error: RedisError?) -> Bool { false }
    func channelsHaveMoved() {}
    func stop() async { await link.stop() }
}

/// The channels of one client: who listens to them, and which link carries them.
@Loop final class RedisSubscriptions: MessageLinkOwner {
    private struct Entry {
        var handler: (@Loop ([UInt8]) -> Void)?
        /// The server has confirmed it once, on this link.
        var link: MessageLink?
        /// It was lost, and nobody has been told.
        var isMissed = false
        /// Its gaps are nobody's business.
        var isInternal = false
    }

    /// Told the channels on which messages may have been missed, once they are subscribed again.
    var onGap: (@Loop ([String]) -> Void)?
    /// Counted: gaps told, by whatever cause.
    var onGapTold: (@Loop () -> Void)?
    let carriers: any MessageCarriers

    private let logger: Logger
    private let readers = MessageReaders()
    private var entries: [ChannelID: Entry] = [:]
    private var inbox: [(channel: ChannelID, payload: [UInt8])] = []
    /// Channels that are not where they were looked for, and are looked for again together.
    private var strays: Set<ChannelID> = []
    /// Nodes may send a channel to each other for as long as they disagree.
    private var pauses = Backoff(first: .milliseconds(10), limit: .seconds(1), settled: .seconds(3))
    private var lastRouted: UInt64?
    private var routing: TimerID?

    init(_ carriers: any MessageCarriers, _ logger: Logger) {
        self.carriers = carriers
        self.logger = logger
        readers.onAbandoned = { [weak self] in self?.abandoned($0) }
        readers.onOverflow = { [weak self] in self?.onGapTold?() }
    }

    /// Whether anybody outside has a channel.
    var isUsed: Bool { entries.values.contains { !$0.isInternal } }

    func stop() async {
        entries = [:]
        readers.finish()
        await carriers.stop()
    }

    // MARK: handlers

    func subscribe(
        _ channel: String, isInternal: Bool = false, _ handler: @escaping @Loop ([UInt8]) -> Void
    ) async throws(RedisError) {
        let id = ChannelID(channel)
        // Before the confirmation: the first message may come right behind it.
        entries[id, default: Entry(isInternal: isInternal)].handler = handler
        do throws(RedisError) {
            try await confirm([id])
        } catch {
            if entries[id]?.link == nil {
                entries[id]?.handler = nil
                abandoned([id])
            }
            throw error
        }
    }

    func unsubscribe(_ channel: String) {
        let id = ChannelID(channel)
        entries[id]?.handler = nil
        abandoned([id])
    }

    // MARK: readers

    func messages(
        on channels: [ChannelID], _ bounds: RedisMessageBounds, prefix: KeyPrefix = KeyPrefix("")
    ) async throws(RedisError) -> RedisMessageSequence {
        let reader = MessageReader(channels, bounds, prefix: prefix)
        let sequence = RedisMessageSequence(reader)
        for id in channels where entries[id] == nil { entries[id] = Entry() }
        readers.add(reader)
        do throws(RedisError) {
            try await confirm(channels)
        } catch {
            reader.end()
            throw error
        }
        return sequence
    }

    // MARK: subscribing

    /// Subscribes those that are not; what nobody wants any more when it is confirmed is given back.
    private func confirm(_ ids: [ChannelID], attempts: Int = 5) async throws(RedisError) {
        var elsewhere: [ChannelID] = []
        var byLink: [ObjectIdentifier: (link: MessageLink, ids: [ChannelID])] = [:]
        for id in Set(ids) where entries[id]?.link == nil {
            let link = try await carriers.link(for: id)
            link.owner = self
            byLink[ObjectIdentifier(link), default: (link, [])].ids.append(id)
        }
        var failure: RedisError?
        for (link, ids) in byLink.values {
            for (id, error) in zip(ids, try await link.subscribe(ids)) {
                if let error {
                    let mayMove = attempts > 1 && carriers.wasWrong(about: id, error)
                    if mayMove { elsewhere.append(id) } else { failure = error }
                } else if entries[id] != nil {
                    entries[id]?.link = link
                    // The server has ended it meanwhile, when there was no link to ask anew for.
                    if link.lacks(id) { expelled(id, from: link) }
                } else {
                    link.unsubscribe([id])
                }
            }
        }
        if let failure { throw failure }
        if !elsewhere.isEmpty { try await confirm(elsewhere, attempts: attempts - 1) }
    }

    /// Forgets channels that nobody listens to.
    private func abandoned(_ ids: [ChannelID]) {
        for id in ids where entries[id]?.handler == nil && !readers.has(id) {
            entries.removeValue(forKey: id)?.link?.unsubscribe([id])
        }
    }

    /// Asks anew where channels are; those that have moved are subscribed there.
    func route(_ ids: Set<ChannelID>) async {
        for id in ids {
            guard let former = entries[id]?.link else { continue }
            do throws(RedisError) {
                move(id, from: former, to: try await carriers.link(for: id))
            } catch {
                // The former link tries again with its next beat, and asks then.
                logger.debug("a channel has no place", metadata: ["redis.reason": "\(error)"])
            }
        }
        carriers.channelsHaveMoved()
    }

    /// Asks a moment later, of all that have come together, and later each time while it goes on.
    private func routeSoon(_ link: MessageLink) {
        guard routing == nil else { return }
        let clock = link.connection.clock
        if let lastRouted { pauses.ended(after: clock.elapsed(since: lastRouted)) }
        routing = clock.schedule(after: link.connection.random.jittered(pauses.failed())) { [weak self] in
            guard let self else { return }
            routing = nil
            lastRouted = clock.now
            let ids = strays
            strays = []
            let others = Set(entries.keys.filter(\.isSharded)).subtracting(ids)
            Loop.spawn {
                await self.route(ids)
                await self.followSlots(of: others)
            }
        }
    }

    /// The nodes of a cluster have changed: channels of shards follow their slots.
    func followSlots() {
        guard let link = carriers.links.first, entries.keys.contains(where: \.isSharded) else { return }
        routeSoon(link)
    }

    private func followSlots(of ids: Set<ChannelID>) async {
        for id in ids {
            guard let former = entries[id]?.link else { continue }
            do throws(RedisError) {
                let link = try await carriers.link(for: id)
                if link !== former { move(id, from: former, to: link) }
            } catch {
                logger.debug("a channel has no place", metadata: ["redis.reason": "\(error)"])
            }
        }
        carriers.channelsHaveMoved()
    }

    private func move(_ id: ChannelID, from former: MessageLink, to link: MessageLink) {
        guard entries[id]?.link === former else { return }
        if link !== former {
            former.unsubscribe([id])
            entries[id]?.isMissed = true
            entries[id]?.link = link
            link.owner = self
        }
        link.adopt([id])
    }

    // MARK: MessageLinkOwner

    func lost(_ channels: Set<ChannelID>) {
        for id in channels { entries[id]?.isMissed = true }
    }

    func regained(_ channels: Set<ChannelID>) {
        let missed = channels.filter { entries[$0]?.isMissed == true }
        for id in missed { entries[id]?.isMissed = false }
        readers.tellGap(missed)
        // Messages that came before the gap are to be heard before it.
        deliver()
        let told = channels.filter { !$0.isSharded && entries[$0]?.handler != nil && entries[$0]?.isInternal == false }
        if missed.contains(where: { entries[$0]?.isInternal == false }) { onGapTold?() }
        if !told.isEmpty { onGap?(told.map(\.name).sorted().map(\.string)) }
    }

    func refused(_ channel: ChannelID, _ error: RedisError, on link: MessageLink) {
        if carriers.wasWrong(about: channel, error) {
            strays.insert(channel)
            routeSoon(link)
        } else {
            logger.error(
                "a channel cannot be subscribed again",
                metadata: ["redis.channel": "\(channel.name)", "redis.reason": "\(error)"])
        }
    }

    func expelled(_ channel: ChannelID, from link: MessageLink) {
        _ = carriers.wasWrong(about: channel, nil)
        strays.insert(channel)
        routeSoon(link)
    }

    func received(_ channel: ChannelID, _ payload: [UInt8]) {
        guard let entry = entries[channel] else { return }
        if readers.has(channel) {
            // The subscription is there before the word that it is.
            if entry.isMissed {
                entries[channel]?.isMissed = false
                readers.tellGap([channel])
                onGapTold?()
            }
            readers.receive(channel, payload)
        }
        guard entry.handler != nil else { return }
        if inbox.isEmpty { Loop.spawn { self.deliver() } }
        inbox.append((channel, payload))
    }

    private func deliver() {
        let messages = inbox
        inbox = []
        for (channel, payload) in messages { entries[channel]?.handler?(payload) }
    }
}
