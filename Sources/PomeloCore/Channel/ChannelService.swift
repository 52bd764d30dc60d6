// SPDX-License-Identifier: MIT
import Logging
public import PomeloBytes
public import PomeloLoop

/// Channels of this process: groups of users at frontends, known here only.
///
/// - Source: pomelo 2.2.7, lib/common/service/channelService.js.
@Loop public final class ChannelService {
    /// Members at other frontends are asked about again this often, in case the question was forgotten there.
    private static let sweepInterval = Duration.seconds(60)

    let context: ServiceContext
    private var channels: [ChannelName: Channel] = [:]
    private var watched: [ServerID: WatchedMembers] = [:]
    private var lastGeneration: UInt64 = 0
    private var sweepTimer: TimerID?
    private let watch: SessionWatch?
    /// Asks a frontend about its users.
    private let notifier: @Loop (ServerID) -> WatchNotifier
    private var persister: ChannelPersister?
    /// Where channels and members are kept over a restart of this server, when set before `start`.
    public var store: (any LocalChannelStore)?
    /// The first part of every key in the store.
    public var storePrefix = "pomelo:channels"
    /// At a frontend, by name: which sessions a broadcast with that filter reaches.
    public var broadcastFilters: [Text: BroadcastFilter] = [:]

    init(_ context: ServiceContext, watch: SessionWatch?, notifier: @escaping @Loop (ServerID) -> WatchNotifier) {
        self.context = context
        self.watch = watch
        self.notifier = notifier
        let own = context.serverID
        watch?.ended = { [weak self] uid in self?.watched[own]?.end(uid) }
        context.servers.observe { [weak self] change in self?.follow(change) }
        context.procedures.immediate(.channelEnded, addressed: true) { [unowned self] caller, payload in
            self.ended(try WatchList(payload), at: caller.server)
            return []
        }
        serveBroadcasts()
    }

    var fanout: Fanout { context.fanout }

    // MARK: channels

    /// The channel of this name, made when there is none.
    @discardableResult
    public func createChannel(_ name: ChannelName) -> Channel {
        if let known = channels[name] { return known }
        let channel = Channel(name, self)
        channels[name] = channel
        persister?.note(name)
        return channel
    }

    /// The channel of this name, or nil.
    public func getChannel(_ name: ChannelName) -> Channel? { channels[name] }

    /// The channel of this name; when there is none, one is made or not.
    public func getChannel(_ name: ChannelName, create: Bool) -> Channel? {
        create ? createChannel(name) : getChannel(name)
    }

    /// The names of all channels, sorted.
    public var names: [ChannelName] { channels.keys.sorted() }

    /// How many channels there are.
    public var count: Int { channels.count }

    /// Ends a channel and all memberships in it; its object refuses further use.
    public func destroyChannel(_ name: ChannelName) {
        guard let channel = channels.removeValue(forKey: name) else { return }
        for (frontend, uids) in channel.end() {
            for uid in uids { left(channel, uid, frontend) }
        }
        persister?.rewrite(name)
    }

    /// Pushes to users whose frontends are known.
    @discardableResult
    public func pushMessageByUids<Message>(
        _ push: Push<Message>, _ message: Message, _ users: [(uid: UserID, frontend: ServerID)]
    ) async throws -> PushReport {
        // Each once: a user named twice has still one message.
        let grouped = Dictionary(grouping: users, by: \.frontend).mapValues { Set($0.map(\.uid)).sorted() }
        return await fanout.push(try PushMessage(push, message), to: grouped)
    }

    // MARK: life

    /// Brings back the channels of the store, before clients come.
    ///
    /// - Throws: `PomeloError` `.unreachable` when the store cannot be read.
    func start() async throws {
        guard let store else { return }
        let before = names
        let persister = ChannelPersister(store, prefix: storePrefix, self)
        self.persister = persister
        try await persister.restore()
        for name in before { persister.rewrite(name) }
    }

    /// Writes what is left to the store, and asks about members no more.
    func stop() async {
        if let sweepTimer { context.clock.cancel(sweepTimer) }
        for entry in watched.values { entry.stop() }
        watch?.stop()
        guard let persister else { return }
        do {
            let written: Void? = try await context.clock.within(context.limits.stopPhase) {
                try await persister.stop()
            }
            if written == nil { throw PomeloError(.unreachable, "the store did not answer in time") }
        } catch {
            context.log.warning("the last changes of channels are not in their store: \(error)")
        }
    }

    // MARK: members, for channels

    /// Whether a user can be a member at this server.
    func accepts(_ uid: UserID, _ frontend: ServerID) -> Bool {
        if frontend == context.serverID { return !context.sessions.get(byUid: uid).isEmpty }
        return context.servers[frontend]?.record.isFrontend ?? true
    }

    func joined(_ channel: Channel, _ uid: UserID, _ frontend: ServerID) {
        lastGeneration += 1
        watchedMembers(at: frontend).join(uid, channel.name, generation: lastGeneration)
    }

    func left(_ channel: Channel, _ uid: UserID, _ frontend: ServerID) {
        guard let entry = watched[frontend] else { return }
        entry.leave(uid, channel.name)
        if entry.isEmpty { drop(frontend) }
    }

    /// A membership of a channel has changed.
    func note(_ channel: Channel, _ uid: UserID, _ frontend: ServerID) {
        persister?.note(channel.name, ChannelMember(uid: uid, frontend: frontend))
    }

    /// Has frontends looked after a user that a push has not found at all of them.
    func ask(_ uid: UserID, _ frontends: [ServerID]) {
        for frontend in frontends { watched[frontend]?.ask(uid) }
    }

    // MARK: frontends

    private func watchedMembers(at frontend: ServerID) -> WatchedMembers {
        let instance = context.servers[frontend]?.instance
        if let known = watched[frontend] {
            if known.instance == instance || instance == nil { return known }
            // What was known of another start is void.
            if known.instance != nil { known.endAll() }
        }
        let entry = watched[frontend] ?? makeWatched(at: frontend)
        entry.instance = instance
        return entry
    }

    private func makeWatched(at frontend: ServerID) -> WatchedMembers {
        let isOwn = frontend == context.serverID
        let entry = WatchedMembers(isOwn ? nil : notifier(frontend)) { [weak self] uid, channel in
            self?.channels[channel]?.leave(uid, frontend)
        }
        watched[frontend] = entry
        if sweepTimer == nil { scheduleSweep() }
        return entry
    }

    private func drop(_ frontend: ServerID) { watched.removeValue(forKey: frontend)?.stop() }

    private func ended(_ list: WatchList, at frontend: ServerID) {
        for (uid, generation) in list.users { watched[frontend]?.end(uid, generation: generation) }
    }

    private func follow(_ change: ServerChange) {
        switch change {
        case .removed(let ids):
            for id in ids { watched[id]?.endAll() }
        case .added(let records):
            for record in records where watched[record.id] != nil { _ = watchedMembers(at: record.id) }
        case .replaced: break
        }
    }

    private func scheduleSweep() {
        sweepTimer = context.clock.schedule(after: context.random.jittered(Self.sweepInterval)) { [weak self] in
            guard let self else { return }
            self.sweepTimer = nil
            for entry in self.watched.values { entry.askAll() }
            if !self.watched.isEmpty { self.scheduleSweep() }
        }
    }
}
