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
    private var rosters: [ServerID: FrontendRoster] = [:]
    private var lastGeneration: UInt64 = 0
    private var sweepTimer: TimerID?
    private let watch: SessionWatch?
    /// Asks a frontend about its users.
    private let courier: @Loop (ServerID) -> Courier
    private var keeper: ChannelKeeper?
    /// Where channels and members are kept over a restart of this server, when set before `start`.
    public var store: (any LocalChannelStore)?
    /// The first part of every key in the store.
    public var storePrefix = "pomelo:channels"
    /// At a frontend, by name: which sessions a broadcast with that filter reaches.
    public var broadcastFilters: [Text: BroadcastFilter] = [:]

    init(_ context: ServiceContext, watch: SessionWatch?, courier: @escaping @Loop (ServerID) -> Courier) {
        self.context = context
        self.watch = watch
        self.courier = courier
        let own = context.serverID
        watch?.ended = { [weak self] uid in self?.rosters[own]?.end(uid) }
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
        keeper?.note(name)
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
        keeper?.rewrite(name)
    }

    /// Pushes to users whose frontends are known.
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
        let keeper = ChannelKeeper(store, prefix: storePrefix, self)
        self.keeper = keeper
        try await keeper.restore()
        for name in before { keeper.rewrite(name) }
    }

    /// Writes what is left to the store, and asks about members no more.
    func stop() async {
        if let sweepTimer { context.clock.cancel(sweepTimer) }
        for roster in rosters.values { roster.stop() }
        watch?.stop()
        guard let keeper else { return }
        do {
            let written: Void? = try await context.clock.within(context.limits.stopPhase) {
                try await keeper.stop()
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
        roster(of: frontend).join(uid, channel.name, generation: lastGeneration)
    }

    func left(_ channel: Channel, _ uid: UserID, _ frontend: ServerID) {
        guard let roster = rosters[frontend] else { return }
        roster.leave(uid, channel.name)
        if roster.isEmpty { drop(frontend) }
    }

    /// A membership of a channel has changed.
    func note(_ channel: Channel, _ uid: UserID, _ frontend: ServerID) {
        keeper?.note(channel.name, ChannelMember(uid: uid, frontend: frontend))
    }

    /// Has frontends looked after a user that a push has not found at all of them.
    func ask(_ uid: UserID, _ frontends: [ServerID]) {
        for frontend in frontends { rosters[frontend]?.ask(uid) }
    }

    // MARK: frontends

    private func roster(of frontend: ServerID) -> FrontendRoster {
        let instance = context.servers[frontend]?.instance
        if let known = rosters[frontend] {
            if known.instance == instance || instance == nil { return known }
            // What was known of another start is void.
            if known.instance != nil { known.endAll() }
        }
        let roster = rosters[frontend] ?? makeRoster(of: frontend)
        roster.instance = instance
        return roster
    }

    private func makeRoster(of frontend: ServerID) -> FrontendRoster {
        let isOwn = frontend == context.serverID
        let roster = FrontendRoster(isOwn ? nil : courier(frontend)) { [weak self] uid, channel in
            self?.channels[channel]?.leave(uid, frontend)
        }
        rosters[frontend] = roster
        if sweepTimer == nil { scheduleSweep() }
        return roster
    }

    private func drop(_ frontend: ServerID) { rosters.removeValue(forKey: frontend)?.stop() }

    private func ended(_ list: WatchList, at frontend: ServerID) {
        for (uid, generation) in list.users { rosters[frontend]?.end(uid, generation: generation) }
    }

    private func follow(_ change: ServerChange) {
        switch change {
        case .removed(let ids):
            for id in ids { rosters[id]?.endAll() }
        case .added(let records):
            for record in records where rosters[record.id] != nil { _ = roster(of: record.id) }
        case .replaced: break
        }
    }

    private func scheduleSweep() {
        sweepTimer = context.clock.schedule(after: context.random.jittered(Self.sweepInterval)) { [weak self] in
            guard let self else { return }
            self.sweepTimer = nil
            for roster in self.rosters.values { roster.askAll() }
            if !self.rosters.isEmpty { self.scheduleSweep() }
        }
    }
}
