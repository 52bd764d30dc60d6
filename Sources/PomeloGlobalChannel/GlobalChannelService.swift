// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
public import PomeloLoop
import PomeloWire

/// The members of a channel, and where they could not be asked for.
public struct ChannelMembers: Sendable, Equatable {
    /// Every user once, sorted.
    public var uids: [UserID] = []
    /// Servers whose members were read from the published copy, which may be behind.
    public var stale: Set<ServerID> = []
    /// Servers whose members are unknown.
    public var failed: [ServerID: RPCError] = [:]
}

/// Users that vanished with a server, told once per channel after the server's lease is over.
public struct LostMembers: Sendable {
    /// The channel they were members of.
    public let channel: ChannelName
    /// Its members at that server, as last published.
    public let uids: [UserID]
    /// The server that is gone.
    public let server: ServerID
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
    let application: Application
    let store: any ChannelStore
    let channels: OwnedChannels
    /// Publishes memberships in the background.
    let writer: WriteBehind
    private let published: ChannelPublisher
    private let options: GlobalChannel.Options
    private var lostListeners: [@Loop @Sendable (LostMembers) async -> Void] = []

    init(_ application: Application, _ store: any ChannelStore, _ options: GlobalChannel.Options) {
        self.application = application
        self.store = store
        self.options = options
        channels = OwnedChannels(application.sessionService, application.clock, pendingFor: options.pending)
        published = ChannelPublisher(channels, store)
        writer = WriteBehind(published, of: application)
        channels.changed = { [published, writer] channel, uid in
            published.note(channel, uid)
            writer.kick()
        }
        ChannelProcedures(service: self).register(in: application.procedures)
        application.membership?.addCleaner(self)
        application.membership?.addPublisher(writer)
    }

    /// Hears of users lost with a server, on one server of the option's type.
    public func onLost(_ listener: @escaping @Loop @Sendable (LostMembers) async -> Void) {
        lostListeners.append(listener)
    }

    /// Memberships not yet published, in channels.
    public var backlog: Int { published.count }

    // MARK: life

    /// Starts the store, cleans it when the options say so, and begins to publish at a frontend.
    ///
    /// - Throws: what the store throws.
    public func start() async throws {
        try await store.start(application, application.membership)
        if options.cleanOnStartUp { try await store.clean() }
        if application.isFrontend { writer.start() }
    }

    /// Publishes what is left, once, and nothing further.
    public func stop() async { await writer.stop() }

    // MARK: members

    /// Makes a user a member, with all sessions at one frontend; adding twice changes nothing.
    ///
    /// - Guarantee: a push whose call reaches the frontend afterwards reaches the user. With `durable`, the published
    ///   copy has it too. With an `instance` only that start of the frontend is meant, `Session.instance` for instance.
    /// - Throws: `PomeloError` `.noSession`, `.replaced`, `.unknownServer`, `.notAFrontend`, `.unreachable` (retry
    ///   freely), and with `durable` `.redisUnavailable`.
    public func add(
        _ channel: ChannelName, _ uid: UserID, _ frontend: ServerID, instance: InstanceID? = nil, durable: Bool = false
    ) async throws {
        try await membership("channel.add", channel, uid.rawValue, frontend, instance, durable: durable)
    }

    /// Makes one session's device a member; its user's other devices are not.
    public func add(_ channel: ChannelName, session: Session) async throws {
        try await membership(
            "channel.addDevice", channel, session.id.description, session.frontend, session.instance, durable: false)
    }

    /// Ends a user's membership at one frontend; one that is no member, or a frontend that is gone, is fine.
    ///
    /// - Throws: as `add`, but not `.noSession`, `.replaced` nor `.unknownServer`.
    public func leave(
        _ channel: ChannelName, _ uid: UserID, _ frontend: ServerID, instance: InstanceID? = nil, durable: Bool = false
    ) async throws {
        guard application.servers[frontend] != nil else { return }
        try await unlessReplaced {
            try await membership("channel.leave", channel, uid.rawValue, frontend, instance, durable: durable)
        }
    }

    /// Ends one device's membership.
    public func leave(_ channel: ChannelName, session: Session) async throws {
        guard application.servers[session.frontend] != nil else { return }
        try await unlessReplaced {
            try await membership(
                "channel.leaveDevice", channel, session.id.description, session.frontend, session.instance,
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
        _ procedure: String, _ channel: ChannelName, _ member: String, _ frontend: ServerID, _ instance: InstanceID?,
        durable: Bool
    ) async throws {
        guard let info = application.servers[frontend] else {
            throw PomeloError(.unknownServer, "\(frontend) is not in the cluster")
        }
        guard info.record.isFrontend else { throw PomeloError(.notAFrontend, "\(frontend) has no clients") }
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        payload.text(member)
        do {
            let instance = instance ?? info.instance
            _ = try await application.rpc.system(
                frontend, instance: instance, procedure, payload.bytes, within: application.limits.pushCall)
            if durable { _ = try await application.rpc.system(frontend, instance: instance, "channel.flush", []) }
        } catch .failed(_, let message) {
            throw PomeloError.told(message, otherwise: .noSession, at: "\(member) at \(frontend)")
        } catch {
            throw PomeloError(.unreachable, "\(frontend) did not confirm: \(error)", cause: error)
        }
    }

    /// The members at one frontend, asked there; from the published copy, marked stale, when it does not answer.
    public func getMembersBySid(_ channel: ChannelName, _ frontend: ServerID) async -> ChannelMembers {
        var result = ChannelMembers()
        do throws(RPCError) {
            result.uids = try await page(channel, frontend)
        } catch let unreachable {
            do {
                result.uids = try await store.members(of: channel, at: frontend)
                result.stale = [frontend]
            } catch {
                result.failed[frontend] = unreachable
            }
        }
        return result
    }

    private func page(_ channel: ChannelName, _ frontend: ServerID) async throws(RPCError) -> [UserID] {
        var members: [UserID] = []
        while true {
            var payload = PayloadWriter()
            payload.text(channel.rawValue)
            payload.text(members.last?.rawValue ?? "")
            let reply = try await application.rpc.system(
                frontend, "channel.members", payload.bytes, within: application.limits.pushCall)
            var reader = PayloadReader(reply)
            do {
                let page = try reader.texts().map { UserID($0) }
                members += page
                if page.count < ChannelProcedures.pageLength { return members }
            } catch {
                throw RPCError.failed(code: 500, message: error.message)
            }
        }
    }

    /// The members at all frontends of a type; a user at two of them is listed once.
    public func getMembersByChannelName(_ type: ServerType, _ channel: ChannelName) async -> ChannelMembers {
        var result = ChannelMembers()
        let parts = await withTaskGroup(of: ChannelMembers.self) { group in
            for frontend in frontends(type) {
                group.addTask { @Loop @Sendable in await self.getMembersBySid(channel, frontend) }
            }
            var parts: [ChannelMembers] = []
            for await part in group { parts.append(part) }
            return parts
        }
        for part in parts {
            result.uids += part.uids
            result.stale.formUnion(part.stale)
            result.failed.merge(part.failed) { first, _ in first }
        }
        result.uids = Set(result.uids).sorted()
        return result
    }

    // MARK: pushes

    /// Sends one message to every member at the frontends of a type, but for some users.
    ///
    /// - Guarantee: at most once per session; pushes of one caller to one channel arrive in call order.
    /// - Complexity: no Redis command, one call per frontend: one that is not known to be empty gets it.
    /// - Returns: what was queued and who was not reached; partial failure is a result.
    /// - Throws: `PomeloError` `.encoding`.
    public func pushMessage<Message>(
        _ type: ServerType, _ push: Push<Message>, _ message: Message, _ channel: ChannelName,
        except: Set<UserID> = []
    ) async throws -> PushReport {
        await pushMessage(type, try PushMessage(push, message), channel, except: except)
    }

    /// Sends a message that is encoded already.
    public func pushMessage(
        _ type: ServerType, _ message: PushMessage, _ channel: ChannelName, except: Set<UserID> = []
    ) async -> PushReport {
        var targets = frontends(type)
        let own = targets.contains(application.serverID)
        targets.removeAll { $0 == application.serverID }
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        payload.text(message.route)
        payload.texts(except.map(\.rawValue))
        payload.rest(message.body)
        let bytes = payload.bytes
        // The own part first: it is only memory.
        var report = own ? await pushHere(message, channel, except) : PushReport()
        report.merge(await application.fanout.callEach(targets, "channel.pushAll") { _ in bytes })
        return report
    }

    private func pushHere(
        _ message: PushMessage, _ channel: ChannelName, _ except: Set<UserID>
    ) async -> PushReport {
        guard let owned = channels[channel] else { return PushReport() }
        application.pushSchedulers.assign(message)
        return await withCheckedContinuation { continuation in
            owned.push(message, except: except) { continuation.resume(returning: $0) }
        }
    }

    /// Ends all memberships of a channel, everywhere.
    ///
    /// - Throws: `PomeloError` `.unreachable` naming frontends that did not confirm, `.redisUnavailable`.
    public func destroyChannel(_ channel: ChannelName) async throws {
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        let bytes = payload.bytes
        let frontends = application.servers.frontends.map(\.id)
        let report = await application.fanout.callEach(frontends, "channel.destroy") { _ in bytes }
        do {
            let ever = try await application.membership?.everServers() ?? []
            try await store.destroy(channel, at: ever.filter { !frontends.contains($0) })
        } catch {
            throw PomeloError(.redisUnavailable, "the published copy of \(channel) remains: \(error)", cause: error)
        }
        guard report.failed.isEmpty else {
            throw PomeloError(.unreachable, "\(channel) lives on at \(report.failed.keys.sorted())")
        }
    }

    private func frontends(_ type: ServerType) -> [ServerID] {
        application.servers.frontends.filter { $0.type == type }.map(\.id)
    }

    // MARK: lost members

    func raiseLost(_ lost: LostMembers) async {
        for listener in lostListeners { await listener(lost) }
    }
}

extension GlobalChannelService: LeaseCleaner {
    /// Removes what a gone server had published, after telling of the users lost with it.
    ///
    /// - Throws: what the store and `proceed` throw; then it is to be called again.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await store.cleanUp(server, instance: instance, proceed: proceed) { channel, uids in
            await self.tellLost(LostMembers(channel: channel, uids: uids, server: server))
        }
    }

    /// One live server of the chosen type hears of it; this one when there is none or it does not answer.
    private func tellLost(_ lost: LostMembers) async {
        let choices = options.lostServerType.map { application.servers.choices($0) } ?? []
        guard !choices.isEmpty else { return await raiseLost(lost) }
        let target = Router.hashed(lost.channel.rawValue, choices)
        var payload = PayloadWriter()
        payload.text(lost.channel.rawValue)
        payload.text(lost.server.rawValue)
        payload.texts(lost.uids.map(\.rawValue))
        do {
            _ = try await application.rpc.system(target, "channel.lost", payload.bytes)
        } catch {
            application.log.warning("lost members are told here", metadata: ["error": "\(error)"])
            await raiseLost(lost)
        }
    }
}
