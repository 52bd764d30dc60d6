// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// Keeps a store equal to the channels of this process: restored before clients come, then written behind.
///
/// What waits is not a log but what differs: a mark per changed member, and beyond a bound "all of the channel", or
/// "all". One call is made at a time, so an older state is never written over a newer one.
@Loop final class ChannelKeeper {
    private struct Change {
        /// What the store has of the channel goes first.
        var replaces = false
        var members: Set<ChannelMember> = []
    }

    /// Values written in one call.
    private static let batchLength = 512
    /// Marks of one channel beyond its members.
    private static let spareMarks = 1024
    /// Changed channels beyond those that are there.
    private static let spareChannels = 10_000

    private let store: any LocalChannelStore
    private let index: String
    private weak var service: ChannelService?
    private let clock: any LoopClock
    private let random: RandomSource
    private let log: Logger
    private var changes: [ChannelName: Change] = [:]
    private var comparesAll = false
    /// Nothing is written before everything was read.
    private var isRestored = false
    private var isReading = false
    private var isStopped = false
    private var task: Task<Void, Never>?
    private var retryTimer: TimerID?

    init(_ store: any LocalChannelStore, prefix: String, _ service: ChannelService) {
        self.store = store
        self.service = service
        let application = service.application
        index = "\(prefix):\(application.serverID)"
        clock = application.clock
        random = application.random
        log = application.log
    }

    // MARK: restoring

    /// Makes the channels of the store, each with its own members; who has no session any more leaves as usual.
    ///
    /// - Throws: `PomeloError` `.unreachable` when the store cannot be read.
    func restore() async throws {
        do {
            for key in try await store.load(index) {
                guard let service, let name = name(key) else { continue }
                let channel = service.createChannel(name)
                for value in try await store.load(key) { restore(value, channel) }
            }
        } catch {
            throw PomeloError(.unreachable, "the channels of \(index) cannot be restored: \(error)", cause: error)
        }
        isRestored = true
        begin()
    }

    private func restore(_ value: String, _ channel: Channel) {
        guard let member = ChannelMember(value) else {
            return log.warning("not a member of \(channel.name.rawValue.forLog) in the store: \(value.forLog)")
        }
        isReading = true
        let isMember = channel.add(member.uid, member.frontend)
        isReading = false
        if !isMember { note(channel.name, member) }
    }

    private func key(_ name: ChannelName) -> String { "\(index):\(name)" }

    private func name(_ key: String) -> ChannelName? {
        let start = "\(index):".utf8
        guard key.utf8.starts(with: start) else {
            log.warning("not a channel of \(index.forLog) in the store: \(key.forLog)")
            return nil
        }
        return ChannelName(String(Substring(key.utf8.dropFirst(start.count))))
    }

    // MARK: marks

    /// A channel was made.
    func note(_ name: ChannelName) { mark(name) { _ in } }

    /// A channel was destroyed, or was there before the store.
    func rewrite(_ name: ChannelName) { mark(name) { $0 = Change(replaces: true) } }

    /// A membership has changed.
    func note(_ name: ChannelName, _ member: ChannelMember) {
        let limit = (service?.getChannel(name)?.count ?? 0) + Self.spareMarks
        mark(name) { change in
            if !change.replaces { change.members.insert(member) }
            if change.members.count > limit { change = Change(replaces: true) }
        }
    }

    private func mark(_ name: ChannelName, _ edit: (inout Change) -> Void) {
        guard !isReading, !comparesAll else { return }
        edit(&changes[name, default: Change()])
        if changes.count > Self.spareChannels + (service?.count ?? 0) {
            changes = [:]
            comparesAll = true
        }
        begin()
    }

    // MARK: writing

    /// Writes what is left, once.
    ///
    /// - Throws: what the store throws.
    func stop() async throws {
        isStopped = true
        if let retryTimer { clock.cancel(retryTimer) }
        await task?.value
        if isRestored { try await write() }
    }

    private func begin() {
        guard isRestored, !isStopped, task == nil, retryTimer == nil else { return }
        task = Loop.spawn {
            do {
                try await self.write()
            } catch {
                self.retry(error)
            }
            self.task = nil
            if self.comparesAll || !self.changes.isEmpty { self.begin() }
        }
    }

    private func retry(_ error: any Error) {
        log.warning("channels are not written to their store", metadata: ["error": "\(error)"])
        guard !isStopped else { return }
        retryTimer = clock.schedule(after: random.jittered(.milliseconds(500))) { [weak self] in
            self?.retryTimer = nil
            self?.begin()
        }
    }

    private func write() async throws {
        while comparesAll || !changes.isEmpty {
            if comparesAll { try await markAll() }
            guard let (name, change) = changes.first else { return }
            changes[name] = nil
            do {
                try await write(name, change)
            } catch {
                // REENTRANCY: what was marked meanwhile stays marked.
                let later = changes[name] ?? Change()
                let replaces = change.replaces || later.replaces
                changes[name] = Change(replaces: replaces, members: change.members.union(later.members))
                throw error
            }
        }
    }

    private func write(_ name: ChannelName, _ change: Change) async throws {
        let channel = service?.getChannel(name)
        let members = channel.map { Self.members(of: $0) } ?? []
        let added = change.replaces ? members : change.members.intersection(members)
        let removed = change.replaces ? [] : change.members.subtracting(members)
        let key = key(name)
        if change.replaces || channel == nil { try await store.removeAll(key) }
        guard channel != nil else { return try await store.remove([key], from: index) }
        try await store.add([key], to: index)
        for batch in Self.batches(added) { try await store.add(batch, to: key) }
        for batch in Self.batches(removed) { try await store.remove(batch, from: key) }
    }

    /// Marks every channel that is here or in the store.
    private func markAll() async throws {
        let known = try await store.load(index).compactMap(name)
        comparesAll = false
        for name in known + (service?.names ?? []) { changes[name] = Change(replaces: true) }
    }

    private static func members(of channel: Channel) -> Set<ChannelMember> {
        var members: Set<ChannelMember> = []
        for (frontend, uids) in channel.members {
            for uid in uids { members.insert(ChannelMember(uid: uid, frontend: frontend)) }
        }
        return members
    }

    private static func batches(_ members: Set<ChannelMember>) -> [[String]] {
        let texts = members.map { Text($0.text) }.sorted().map(\.string)
        return stride(from: 0, to: texts.count, by: batchLength).map {
            Array(texts[$0..<min($0 + batchLength, texts.count)])
        }
    }
}
