// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// All channels of one frontend, and the rule that memberships end with sessions.
@Loop final class OwnedChannels: SessionObserver {
    private let sessions: SessionService
    private let clock: any LoopClock
    /// How long an `add` of a user without a session waits for one; zero refuses it.
    private let pendingFor: Duration
    private var channels: [ChannelName: OwnedChannel] = [:]
    private var byUser: [UserID: Set<ChannelName>] = [:]
    private var pending: [UserID: [(channel: ChannelName, until: UInt64)]] = [:]
    /// Told about every change of a (channel, user) membership.
    var changed: @Loop (ChannelName, UserID) -> Void = { _, _ in }
    /// Told about every membership that ended while its channel goes on, with its number, and whether a list may have
    /// it.
    var ended: @Loop (ChannelName, UserID, UInt64, _ isListed: Bool) -> Void = { _, _, _, _ in }
    private(set) var lastNumber: UInt64 = 0

    /// Users whose adds wait for a session, at most.
    private static let pendingLimit = 10_000

    init(_ sessions: SessionService, _ clock: any LoopClock, pendingFor: Duration) {
        self.sessions = sessions
        self.clock = clock
        self.pendingFor = pendingFor
        sessions.addObserver(self)
    }

    var names: [ChannelName] { Array(channels.keys) }
    var nameCount: Int { channels.count }
    subscript(_ name: ChannelName) -> OwnedChannel? { channels[name] }
    func contains(_ name: ChannelName, _ uid: UserID) -> Bool { channels[name]?.contains(uid) ?? false }
    func count(_ name: ChannelName) -> Int { channels[name]?.count ?? 0 }
    func members(_ name: ChannelName) -> [UserID] { channels[name]?.uids.sorted() ?? [] }

    /// - Throws: `PomeloError` `.noSession` when the user has none here, and adds do not wait for one.
    func add(_ uid: UserID, to name: ChannelName) throws {
        let userSessions = sessions.get(byUid: uid)
        guard !userSessions.isEmpty else { return try wait(uid, name) }
        if channel(name).add(uid, userSessions, number: nextNumber()) { joined(name, uid) }
    }

    /// - Throws: `PomeloError` `.noSession` when the session is gone or not bound.
    func add(device id: SessionID, to name: ChannelName) throws {
        guard let session = sessions.get(id), let uid = session.uid else {
            throw PomeloError(.noSession, "there is no bound session \(id)")
        }
        if channel(name).add(device: session, of: uid, number: nextNumber()) { joined(name, uid) }
    }

    func leave(_ uid: UserID, _ name: ChannelName) {
        forget(pending: name, of: uid)
        guard let channel = channels[name], let number = channel.number(of: uid) else { return }
        _ = channel.remove(uid, sessions.get(byUid: uid))
        end(number, of: uid, in: channel)
    }

    func leave(device id: SessionID, _ name: ChannelName) {
        guard let session = sessions.get(id), let uid = session.uid, let channel = channels[name],
            let number = channel.number(of: uid), channel.remove(device: session, of: uid)
        else { return }
        end(number, of: uid, in: channel)
    }

    func destroy(_ name: ChannelName) {
        for uid in Array(pending.keys) { forget(pending: name, of: uid) }
        guard let channel = channels[name] else { return }
        for uid in Array(channel.uids) {
            _ = channel.remove(uid, sessions.get(byUid: uid))
            left(channel, uid)
        }
    }

    // MARK: sessions

    func bound(_ session: ClientSession, to uid: UserID) {
        for name in byUser[uid] ?? [] { channels[name]?.sessionCame(session, of: uid) }
        let now = clock.now
        for entry in pending.removeValue(forKey: uid) ?? [] where entry.until > now {
            if channel(entry.channel).add(uid, [session], number: nextNumber()) { joined(entry.channel, uid) }
        }
    }

    func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        for name in byUser[uid] ?? [] {
            guard let channel = channels[name], let number = channel.number(of: uid) else { continue }
            guard channel.sessionWent(session, of: uid) || last else { continue }
            _ = channel.remove(uid, [])
            end(number, of: uid, in: channel)
        }
    }

    // MARK: book-keeping

    private func channel(_ name: ChannelName) -> OwnedChannel {
        if let known = channels[name] { return known }
        let channel = OwnedChannel(name)
        channels[name] = channel
        return channel
    }

    /// Numbers of memberships only grow, so the order of numbers is that of coming.
    func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    private func joined(_ name: ChannelName, _ uid: UserID) {
        byUser[uid, default: []].insert(name)
        changed(name, uid)
    }

    private func end(_ number: UInt64, of uid: UserID, in channel: OwnedChannel) {
        left(channel, uid)
        ended(channel.name, uid, number, channel.isListed(number))
    }

    private func left(_ channel: OwnedChannel, _ uid: UserID) {
        byUser[uid]?.remove(channel.name)
        if byUser[uid]?.isEmpty == true { byUser[uid] = nil }
        if channel.isEmpty { channels[channel.name] = nil }
        changed(channel.name, uid)
    }

    private func forget(pending name: ChannelName, of uid: UserID) {
        pending[uid]?.removeAll { $0.channel == name }
        if pending[uid]?.isEmpty == true { pending[uid] = nil }
    }

    private func wait(_ uid: UserID, _ name: ChannelName) throws {
        let now = clock.now
        guard pendingFor > .zero else {
            throw PomeloError(.noSession, "\(uid) has no session here")
        }
        if pending.count >= Self.pendingLimit { pending = pending.filter { $0.value.contains { $0.until > now } } }
        guard pending.count < Self.pendingLimit else {
            throw PomeloError(.overloaded, "\(Self.pendingLimit) adds wait for sessions")
        }
        pending[uid, default: []].append((name, clock.deadline(after: pendingFor)))
    }
}
