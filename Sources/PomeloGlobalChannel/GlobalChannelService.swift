// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
public import PomeloLoop
import PomeloPublication

/// The members of a channel, and where they could not be asked for.
public struct ChannelMembers: Sendable, Equatable {
    /// Every user once, sorted.
    public var uids: [UserID] = []
    /// The view of the cluster was known to lack servers, or likely to: there may be members that were not asked for.
    public var isIncomplete = false
    /// Servers whose members were read from the published copy, which may be behind.
    public var stale: Set<ServerID> = []
    /// Servers whose members are unknown.
    public var failed: [ServerID: RPCError] = [:]
}

/// Channels whose members are connected to any frontend of the cluster.
///
/// The frontend that holds a session owns its memberships; Redis has a published copy. A push costs no Redis command
/// and one call per frontend. Everything but `durable` and stale reads works while Redis is away.
///
/// - Source: pomelo-globalchannel-plugin 0.0.3, lib/service/globalChannelService.js; without its false successes,
///   double callbacks and ghost members.
@Loop public final class GlobalChannelService: Component {
    /// `globalChannel`.
    public let name = "globalChannel"
    let context: ServiceContext
    let store: any ChannelStore
    let channels: OwnedChannels
    /// Publishes memberships in the background.
    let writer: WriteBehind
    private let published: ChannelPublisher
    let options: GlobalChannel.Options
    private(set) lazy var departures = Departures(self)
    let missed: MissedNotes
    let gaps: Gaps
    var listeners = PresenceListeners()
    /// What was told to the clients here.
    var told = PresenceLog()
    /// Memberships that ended in this turn.
    var ended: [ChannelName: [UserID: Ending]] = [:]
    var returnCheck: ReturnCheck?
    /// When Redis was back, perhaps with less than it had.
    var storeReturned: UInt64?

    init(_ context: ServiceContext, _ store: any ChannelStore, _ options: GlobalChannel.Options) {
        self.context = context
        self.store = store
        self.options = options
        channels = OwnedChannels(context.sessions, context.clock, pendingFor: options.pending)
        published = ChannelPublisher(channels, store)
        writer = WriteBehind(published, of: context)
        missed = MissedNotes(context)
        gaps = Gaps(channels, context.clock)
        gaps.raised = { [unowned self] names in self.told.hasGap(in: names) }
        channels.changed = { [unowned self] channel, uid in
            self.published.note(channel, uid)
            self.writer.kick()
        }
        channels.ended = { [unowned self] in self.membershipEnded($0, $1, $2, isListed: $3) }
        ChannelProcedures(service: self).register(in: context.procedures)
        context.membership?.addCleaner(self)
        context.membership?.addPublisher(writer)
        context.membership?.addPublisher(self)
    }

    /// Memberships not yet published, in channels.
    public var backlog: Int { published.count }
    /// What is remembered of them: names, and members that differ.
    public var backlogMarks: Int { published.marks }

    // MARK: life

    /// Starts the store.
    ///
    /// - Throws: what the store throws.
    public func start() async throws { try await store.start(context.owner) }

    /// Cleans the store when the options say so, and begins to publish at a frontend: not before what a former instance
    /// has left was told and removed.
    ///
    /// - Throws: what the store throws.
    public func afterStart() async throws {
        if options.cleanOnStartUp { try await store.clean() }
        if context.isFrontend { writer.start() }
    }

    /// Tells who is gone with this server's clients, publishes what is left, once, and nothing further.
    public func stop() async {
        await stopPresence()
        await writer.stop()
    }

    // MARK: members

    /// Makes a user a member, with all sessions at one frontend; adding twice changes nothing.
    ///
    /// - Guarantee: a push whose call reaches the frontend afterwards reaches the user. With `durable`, the published
    ///   copy has it too. With an `instance` only that start of the frontend is meant, `Session.instance` for instance.
    /// - Throws: `PomeloError` `.noSession`, `.replaced`, `.unknownServer`, `.notAFrontend`, `.configuration` for a
    ///   frontend without the plugin, `.unreachable` (retry freely), and with `durable` `.redisUnavailable`.
    public func add(
        _ channel: ChannelName, _ uid: UserID, _ frontend: ServerID, instance: InstanceID? = nil, durable: Bool = false
    ) async throws {
        try await membership(.channelAdd, channel, uid.rawValue, frontend, instance, durable: durable)
    }

    /// Makes one session's device a member; its user's other devices are not.
    public func add(_ channel: ChannelName, session: Session) async throws {
        try await membership(
            .channelAddDevice, channel, session.id.description, session.frontend, session.instance, durable: false)
    }

    /// Ends a user's membership at one frontend; one that is no member, or a frontend that is gone, is fine.
    ///
    /// - Throws: as `add`, but not `.noSession`, `.replaced` nor `.unknownServer`.
    public func leave(
        _ channel: ChannelName, _ uid: UserID, _ frontend: ServerID, instance: InstanceID? = nil, durable: Bool = false
    ) async throws {
        guard context.servers[frontend] != nil else { return }
        try await unlessReplaced {
            try await membership(.channelLeave, channel, uid.rawValue, frontend, instance, durable: durable)
        }
    }

    /// Ends one device's membership.
    public func leave(_ channel: ChannelName, session: Session) async throws {
        guard context.servers[session.frontend] != nil else { return }
        try await unlessReplaced {
            try await membership(
                .channelLeaveDevice, channel, session.id.description, session.frontend, session.instance,
                durable: false)
        }
    }

    /// What has ended with its server needs no further end.
    private func unlessReplaced(_ body: @Loop () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as PomeloError where error.code == .replaced {
            return
        }
    }

    private func membership(
        _ procedure: Procedure, _ channel: ChannelName, _ member: String, _ frontend: ServerID, _ instance: InstanceID?,
        durable: Bool
    ) async throws {
        guard let info = context.servers[frontend] else {
            throw PomeloError(.unknownServer, "\(frontend) is not in the cluster")
        }
        guard info.record.isFrontend else { throw PomeloError(.notAFrontend, "\(frontend) has no clients") }
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        payload.text(member)
        do {
            let instance = instance ?? info.instance
            _ = try await context.rpc.system(
                frontend, procedure.at(instance), payload.bytes, within: context.limits.pushCall)
            if durable { _ = try await context.rpc.system(frontend, .channelFlush.at(instance), []) }
        } catch .failed(_, let message) {
            throw PomeloError(wire: message, otherwise: .noSession, at: "\(member) at \(frontend)")
        } catch .unimplemented(let lack) {
            throw PomeloError(.configuration, "no user can be a member there: \(lack)")
        } catch {
            throw PomeloError(.unreachable, "\(frontend) did not confirm: \(error)", cause: error)
        }
    }
}
