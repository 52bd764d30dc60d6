// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// Keeps a store equal to the channels of this process: restored before clients come, then written by a
/// `ChangeFlusher`.
///
/// Unlike published state (`WriteBehind`) its entries hang on no lease: they are the truth after a restart. So they are
/// read before anything is written, carry no sequence, and are not compared with the memory again.
@Loop final class ChannelPersister {
    /// Values written in one call.
    private static let batchLength = 512

    let name = "channels of this process"
    private let store: any LocalChannelStore
    private let index: String
    private weak var service: ChannelService?
    private let log: Logger
    private let context: ServiceContext
    private lazy var flusher = ChangeFlusher(self, clock: context.clock, random: context.random, log: log)
    private var changes = ChannelChanges()
    /// Nothing is written before everything was read.
    private var isRestored = false
    private var isReading = false

    init(_ store: any LocalChannelStore, prefix: String, _ service: ChannelService) {
        self.store = store
        self.service = service
        context = service.context
        index = "\(prefix):\(context.serverID)"
        log = context.log
    }

    /// Writes what is left, once.
    ///
    /// - Throws: what the store throws.
    func stop() async throws { try await flusher.stop() }

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
        flusher.kick()
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
    func note(_ name: ChannelName) { note { $0.note(name, channels: $1) } }

    /// A channel was destroyed, or was there before the store.
    func rewrite(_ name: ChannelName) { note { $0.note(name, replaces: true, channels: $1) } }

    /// A membership has changed.
    func note(_ name: ChannelName, _ member: ChannelMember) {
        let members = service?.getChannel(name)?.count ?? 0
        note { $0.note(name, member, members: members, channels: $1) }
    }

    private func note(_ mark: (inout ChannelChanges, _ channels: Int) -> Void) {
        guard !isReading else { return }
        mark(&changes, service?.count ?? 0)
        flusher.kick()
    }
}

// MARK: writing

extension ChannelPersister: PendingChanges {
    var hasChanges: Bool { !changes.isEmpty }
    var mayWrite: Bool { isRestored }

    /// Writes one channel.
    func write() async throws {
        if changes.comparesAll {
            let known = try await store.load(index).compactMap(name)
            changes.compared(known + (service?.names ?? []))
        }
        guard let (name, change) = changes.take() else { return }
        do {
            try await write(name, change)
        } catch {
            changes.putBack(change, of: name)
            throw error
        }
    }

    private func write(_ name: ChannelName, _ change: ChannelChanges.Change) async throws {
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
