// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
import PomeloLoop
import PomeloPublication

/// Who hears of comings and goings.
struct PresenceListeners {
    var gone: [@Loop @Sendable (GoneMembers) async -> Void] = []
    var returned: [@Loop @Sendable (ReturnedMembers) async -> Void] = []
}

/// Users of this frontend who were told gone while it was taken for dead, and are here.
public struct ReturnedMembers: Sendable {
    /// The channel they are members of.
    public let channel: ChannelName
    /// Who is back, sorted.
    public let uids: [UserID]
}

/// Comings and goings, judged over the cluster.
///
/// "Gone" is said of a user who is a member at no live frontend: all of them are asked, and while one does not answer
/// nothing is said. `tell` and the `arrival` of a push are kept in order at each frontend, whoever sends them.
extension GlobalChannelService {
    /// Hears of users whose last membership of a channel in the cluster has ended: they left, their session ended, or
    /// their frontend is gone.
    ///
    /// On one server of the option's type, chosen by the channel; without one, at the frontend they left, or at the
    /// server that cleans up. So it is to be called on servers of both kinds.
    ///
    /// - Guarantee: at least once per channel and absence, unless two servers die within a moment, those they left and
    ///   the one that is to hear of it; `tell` tells clients once. Not for those whose channel is destroyed.
    public func onGone(_ listener: @escaping @Loop @Sendable (GoneMembers) async -> Void) {
        listeners.gone.append(listener)
    }

    /// Hears, at a frontend that was taken for dead and lives, of its users who were told gone meanwhile.
    public func onReturned(_ listener: @escaping @Loop @Sendable (ReturnedMembers) async -> Void) {
        listeners.returned.append(listener)
    }

    /// Hears, at a frontend, of channels whose members here may have missed pushes: this process did not run for a
    /// second or more, or another server got no confirmation from here; and of all channels when a frontend is gone
    /// soon after Redis came back, since who was lost with it may be unknown.
    public func onGap(_ listener: @escaping @Loop (MissedPushes) -> Void) {
        if gaps.listeners.isEmpty, context.isFrontend {
            context.pauseWatch.on { [weak self] pause in self?.wasAway(pause) }
            context.servers.observe { [weak self] change in self?.serversChanged(change) }
        }
        gaps.listeners.append(listener)
    }

    /// Whether a user who was a member at this frontend is gone from a channel; nil when it is a member elsewhere.
    ///
    /// For applications that know more of a session that has closed than its user id; others use `onGone`. Suspends
    /// while a live frontend does not answer.
    public func absence(of uid: UserID, from channel: ChannelName) async -> GoneMembers? {
        await departures.judge(channel, [uid: ownEnding(channels.nextNumber())])
    }

    /// Tells the members of a channel, at the frontends of a type, who is gone: one message for each user.
    ///
    /// - Guarantee: a frontend passes no message on about a user whose later coming (`pushMessage` with `arrival`) it
    ///   has passed on, who is a member there, or who was told gone already.
    /// - Complexity: one call per frontend.
    /// - Throws: `PomeloError` `.encoding`.
    @discardableResult
    public func tell<Message>(
        _ type: ServerType, _ push: Push<Message>, _ gone: GoneMembers, _ message: @Loop (UserID) -> Message
    ) async throws -> PushReport {
        var words = GoneWords(gone, route: push.route)
        for uid in gone.uids { words.bodies.append((uid, try PushMessage(push, message(uid)).body)) }
        let targets = frontends(type).filter { gone.fences[$0] != nil }
        return await toEach(targets, gone.channel, .channelGone, here: { await self.passOn(words) }) {
            words.payload(for: $0)
        }
    }

    // MARK: at the frontends

    private func passOn(_ words: GoneWords) async -> PushReport {
        await withCheckedContinuation { continuation in
            do {
                try passOn(words, words.fences[context.serverID]) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: context.fanout.refusal(error))
            }
        }
    }

    /// - Throws: `PomeloError` `.overloaded` when more was told since than is remembered, or too much waits.
    func passOn(
        _ words: GoneWords, _ fence: Fence?, done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws(PomeloError) {
        // Nobody who is a client of this start can have heard of them.
        guard let fence, fence.instance == context.instance else { return done(PushReport()) }
        guard told.reaches(fence.tick) else { throw PomeloError(.overloaded, "more was told than is remembered") }
        let owned = channels[words.channel]
        let sum = ReportSum(done)
        for (uid, body) in words.bodies {
            guard owned?.contains(uid) != true else {
                doubtPresence()
                continue
            }
            let ending = words.endings[uid] ?? ownEnding(nil)
            if told.hasCome(words.channel, uid, since: fence.tick) { judgeAgain(words.channel, uid, ending) }
            guard told.gone(words.channel, uid, ending, began: fence.tick), let owned else { continue }
            sum.begin()
            do throws(PomeloError) {
                let message = try PushMessage(route: words.route, body: body)
                context.pushSchedulers.assign(message)
                try owned.push(message) { sum.end($0) }
            } catch {
                sum.end(PushReport())
                throw error
            }
        }
        sum.close()
    }

    /// The word about a coming may have come late, when the user had gone again.
    private func judgeAgain(_ channel: ChannelName, _ uid: UserID, _ ending: Ending) {
        departures.begin { await self.passOn(Departed(channel: channel, endings: [uid: ending])) }
    }

    /// The user may have gone before the word about its coming arrived, and then nobody else would say so.
    func doubtArrival(_ channel: ChannelName, _ uid: UserID) {
        guard options.goneServerType != nil || !listeners.gone.isEmpty else { return }
        judgeAgain(channel, uid, ownEnding(channels.nextNumber()))
    }

    private func ownEnding(_ number: UInt64?) -> Ending {
        Ending(server: context.serverID, instance: context.instance, number: number)
    }

    // MARK: endings here

    func membershipEnded(_ channel: ChannelName, _ uid: UserID, _ number: UInt64, isListed: Bool) {
        guard options.goneServerType != nil || !listeners.gone.isEmpty else { return }
        // Those of one turn are judged together.
        if ended.isEmpty { Loop.spawn { self.passOnEnded() } }
        var ending = ownEnding(number)
        ending.isUntold = isListed && !told.hasToldComing(channel, uid, number)
        ended[channel, default: [:]][uid] = ending
    }

    private func passOnEnded() {
        let batch = ended
        ended = [:]
        for (channel, endings) in batch {
            departures.begin { await self.passOn(Departed(channel: channel, endings: endings)) }
        }
    }

    func stopPresence() async {
        passOnEnded()
        await departures.stop(within: Self.decisionAtStop)
        await missed.stop()
        gaps.stop()
        returnCheck?.stop()
    }

    /// How long a stop waits for other servers to say who is where.
    private static let decisionAtStop = Duration.seconds(3)

    // MARK: gaps

    /// Servers did not confirm something that was sent to a channel's members.
    func hasMissed(_ channel: ChannelName, _ servers: [ServerID]) {
        for server in servers {
            if server == context.serverID { gaps.note([channel]) } else { missed.note(channel, at: server) }
        }
    }

    private func wasAway(_ pause: Duration) {
        context.log.notice("this server did not run for \(pause): its clients may have missed pushes")
        gaps.note(nil)
        doubtPresence()
    }
}

/// Waits for the parts of one report.
@Loop private final class ReportSum {
    private var open = 1
    private var sum = PushReport()
    private let done: @Loop @Sendable (PushReport) -> Void

    init(_ done: @escaping @Loop @Sendable (PushReport) -> Void) { self.done = done }

    func begin() { open += 1 }

    func end(_ part: PushReport) {
        sum.merge(part)
        close()
    }

    func close() {
        open -= 1
        if open == 0 { done(sum) }
    }
}
