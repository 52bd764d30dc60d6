// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
import PomeloLoop

/// A push to a channel, as it travels.
///
/// ```
/// channel text | route text | excepted user ids texts | user id text of who came, or empty | body to the end
/// ```
@Loop struct ChannelPush {
    let channel: ChannelName
    let message: PushMessage
    var except: Set<UserID> = []
    var arrival: UserID?

    var payload: Bytes {
        let (name, route) = (channel.rawValue, message.route)
        var payload = PayloadWriter(capacity: 64 + name.utf8.count + route.utf8.count + message.body.count)
        payload.text(name)
        payload.text(route)
        payload.texts(except.map(\.rawValue))
        payload.text(arrival?.rawValue ?? "")
        payload.rest(message.body)
        return payload.bytes
    }
}

extension ChannelPush {
    init(_ payload: Bytes) throws(PomeloError) {
        var reader = PayloadReader(payload)
        channel = ChannelName(try reader.text())
        let route = try reader.text()
        except = Set(try reader.texts().map { UserID($0) })
        let uid = try reader.text()
        arrival = uid.isEmpty ? nil : UserID(uid)
        message = try PushMessage(route: route, body: reader.rest())
    }
}

/// Pushes to the members of a channel.
extension GlobalChannelService {
    var isViewComplete: Bool { context.isViewComplete }

    /// The frontends that have the service, of a type or of all.
    func frontends(_ type: ServerType? = nil) -> [ServerID] {
        context.servers.frontendIDs(type, with: name)
    }

    /// Sends one message to every member at the frontends of a type, but for some users.
    ///
    /// With `arrival` it says that a user, who is a member by now, has come: then no older word that the user is gone
    /// (see `tell`) comes after it.
    ///
    /// - Guarantee: at most once per session; pushes of one caller to one channel arrive in call order. A frontend that
    ///   is in `failed` and lives on is told, and raises `onGap`.
    /// - Complexity: no Redis command, one call per frontend: one that is not known to be empty gets it.
    /// - Returns: what was queued and who was not reached; partial failure is a result.
    /// - Throws: `PomeloError` `.encoding`.
    @discardableResult
    public func pushMessage<Message>(
        _ type: ServerType, _ push: Push<Message>, _ message: Message, _ channel: ChannelName,
        except: Set<UserID> = [], arrival: UserID? = nil
    ) async throws -> PushReport {
        await pushMessage(type, try PushMessage(push, message), channel, except: except, arrival: arrival)
    }

    /// Sends a message that is encoded already.
    @discardableResult
    public func pushMessage(
        _ type: ServerType, _ message: PushMessage, _ channel: ChannelName, except: Set<UserID> = [],
        arrival: UserID? = nil
    ) async -> PushReport {
        let push = ChannelPush(channel: channel, message: message, except: except, arrival: arrival)
        let payload = push.payload
        let targets = frontends(type)
        let report = await toEach(targets, channel, .channelPushAll, here: { await self.deliver(push) }) { _ in
            payload
        }
        if let arrival, report.followsGone { doubtArrival(channel, arrival) }
        return report
    }

    /// Sends one message to the members at this frontend only.
    ///
    /// - Throws: `PomeloError` `.encoding`.
    @discardableResult
    public func pushHere<Message>(
        _ push: Push<Message>, _ message: Message, _ channel: ChannelName
    ) async throws -> PushReport {
        let report = await deliver(ChannelPush(channel: channel, message: try PushMessage(push, message)))
        await context.fanout.letOthersIn(after: report)
        return report
    }

    /// Does something at frontends, of which this may be one, and notes who has missed it.
    func toEach(
        _ targets: [ServerID], _ channel: ChannelName, _ procedure: Procedure,
        here: @escaping @Loop () async -> PushReport, _ payload: (ServerID) -> Bytes
    ) async -> PushReport {
        let wasComplete = isViewComplete
        let others = targets.filter { $0 != context.serverID }
        var report = await context.fanout.callEach(
            others, procedure, here: others.count == targets.count ? nil : here, payload)
        report.isIncomplete = !wasComplete || !isViewComplete
        if !report.failed.isEmpty { hasMissed(channel, Array(report.failed.keys)) }
        return report
    }

    private func deliver(_ push: ChannelPush) async -> PushReport {
        await withCheckedContinuation { continuation in
            do throws(PomeloError) {
                try deliver(push) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: context.fanout.refusal(error))
            }
        }
    }

    /// This frontend's part of a push.
    ///
    /// - Throws: `PomeloError` `.overloaded` when too many pushes of the channel wait already.
    func deliver(
        _ push: ChannelPush, done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws(PomeloError) {
        var start = PushReport()
        if let uid = push.arrival { start.followsGone = told.noteComing(push.channel, uid, channels.lastNumber) }
        guard let owned = channels[push.channel] else { return done(start) }
        context.pushSchedulers.assign(push.message)
        try owned.push(push.message, except: push.except) { [start] report in
            var whole = start
            whole.merge(report)
            done(whole)
        }
    }

    /// Ends all memberships of a channel, everywhere; nobody is told gone for that.
    ///
    /// - Throws: `PomeloError` `.unreachable` naming frontends that did not confirm, `.redisUnavailable`.
    public func destroyChannel(_ channel: ChannelName) async throws {
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        let bytes = payload.bytes
        let frontends = frontends()
        let report = await context.fanout.callEach(frontends, .channelDestroy) { _ in bytes }
        do {
            let ever = try await context.membership?.everServers() ?? []
            try await store.destroy(channel, at: ever.filter { !frontends.contains($0) })
        } catch {
            throw PomeloError(.redisUnavailable, "the published copy of \(channel) remains: \(error)", cause: error)
        }
        guard report.failed.isEmpty else {
            throw PomeloError(.unreachable, "\(channel) lives on at \(report.failed.keys.sorted())")
        }
    }
}
