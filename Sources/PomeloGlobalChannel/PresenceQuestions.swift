// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
import PomeloLoop

/// What servers ask frontends about comings and goings.
///
/// ```
/// fence      empty                                                → instance text, tick u64
/// present    count u32 | for each: channel text, user ids texts   → for each: user ids texts
/// told       channel text, user ids texts                         → user ids texts, told gone here and not back since
/// toldGone   instance text of the frontend that asks              → count u32 | for each: channel text, user id text
/// ```
extension GlobalChannelService {
    /// Users named in one answer; who is left is found by the next question.
    private static let answerLength = 4096

    func registerQuestions(in table: ProcedureTable) {
        table.immediate(.channelFence) { [unowned self] _, _ in
            var payload = PayloadWriter()
            payload.text(context.instance.rawValue)
            payload.number(told.tick)
            return payload.bytes
        }
        table.immediate(.channelPresent) { [unowned self] _, payload in
            var reader = PayloadReader(payload)
            var answer = PayloadWriter()
            for _ in 0..<(try reader.count()) {
                let owned = channels[ChannelName(try reader.text())]
                answer.texts(try reader.texts().filter { owned?.contains(UserID($0)) ?? false })
            }
            return answer.bytes
        }
        table.immediate(.channelTold) { [unowned self] _, payload in
            var reader = PayloadReader(payload)
            let channel = ChannelName(try reader.text())
            var answer = PayloadWriter()
            answer.texts(try reader.texts().filter { told.isGone(channel, UserID($0)) })
            return answer.bytes
        }
        table.immediate(.channelToldGone) { [unowned self] caller, payload in
            var reader = PayloadReader(payload)
            let gone = told.gone(
                with: caller.server, InstanceID(try reader.text()), limit: Self.answerLength)
            var answer = PayloadWriter()
            answer.count(gone.count)
            for (channel, uid) in gone {
                answer.text(channel.rawValue)
                answer.text(uid.rawValue)
            }
            return answer.bytes
        }
    }

    // MARK: asking

    /// How far each frontend is with what it tells; those that do not answer are left out.
    func fences(of frontends: [ServerID]) async -> [ServerID: Fence] {
        await ask(frontends, .channelFence, [], none: .nobody) { reader throws(PomeloError) in
            Fence(instance: InstanceID(try reader.text()), tick: try reader.number())
        }
    }

    /// Who of some users is a member, question by question; frontends that do not answer are left out.
    func present(
        _ questions: [(channel: ChannelName, uids: [UserID])], at frontends: [ServerID]
    ) async -> [ServerID: [Set<UserID>]] {
        var payload = PayloadWriter()
        payload.count(questions.count)
        for (channel, uids) in questions {
            payload.text(channel.rawValue)
            payload.texts(uids.map(\.rawValue))
        }
        let none = questions.map { _ in Set<UserID>() }
        return await ask(frontends, .channelPresent, payload.bytes, none: none) { reader throws(PomeloError) in
            var answers: [Set<UserID>] = []
            for _ in questions { answers.append(Set(try reader.texts().map { UserID($0) })) }
            return answers
        }
    }

    /// Who of some users was told gone at one of some frontends, and has not come since.
    func toldGone(_ channel: ChannelName, _ uids: Set<UserID>, at frontends: [ServerID]) async -> Set<UserID> {
        guard !uids.isEmpty else { return [] }
        var payload = PayloadWriter()
        payload.text(channel.rawValue)
        payload.texts(uids.map(\.rawValue))
        let answers = await ask(frontends, .channelTold, payload.bytes) { reader throws(PomeloError) in
            try reader.texts().map { UserID($0) }
        }
        return Set(answers.values.joined())
    }

    /// This server's users who were told gone elsewhere, and are here.
    func toldGoneWithThisServer() async -> [ChannelName: Set<UserID>] {
        var payload = PayloadWriter()
        payload.text(context.instance.rawValue)
        let others = frontends().filter { $0 != context.serverID }
        let answers = await ask(others, .channelToldGone, payload.bytes) { reader throws(PomeloError) in
            var gone: [(ChannelName, UserID)] = []
            for _ in 0..<(try reader.count()) {
                gone.append((ChannelName(try reader.text()), UserID(try reader.text())))
            }
            return gone
        }
        var here: [ChannelName: Set<UserID>] = [:]
        for (channel, uid) in answers.values.joined() where channels.contains(channel, uid) {
            here[channel, default: []].insert(uid)
        }
        return here
    }

    /// Asks servers at once; one that does not answer, or not in this form, is left out; one that does not know the
    /// question, a gate for instance, has no members and answers `none`.
    private func ask<Answer: Sendable>(
        _ servers: [ServerID], _ procedure: Procedure, _ payload: Bytes, none: Answer? = nil,
        _ read: @escaping @Loop @Sendable (inout PayloadReader) throws(PomeloError) -> Answer
    ) async -> [ServerID: Answer] {
        await withTaskGroup(of: (ServerID, Answer)?.self) { group in
            for server in servers {
                group.addTask { @Loop @Sendable in
                    do {
                        let reply = try await self.context.rpc.system(
                            server, procedure, payload, within: self.context.limits.pushCall)
                        var reader = PayloadReader(reply)
                        return (server, try read(&reader))
                    } catch RPCError.unimplemented {
                        return none.map { (server, $0) }
                    } catch {
                        self.context.log.debug("\(server) does not answer \(procedure): \(error)")
                        return nil
                    }
                }
            }
            var answers: [ServerID: Answer] = [:]
            for await case (let server, let answer)? in group { answers[server] = answer }
            return answers
        }
    }
}

/// Looks, soon after a doubt and once more when a clean-up under way would have ended, who was told gone.
@Loop final class ReturnCheck {
    private static let first = Duration.milliseconds(500)
    private static let second = Duration.seconds(10)

    private let clock: any LoopClock
    private let look: @Loop @Sendable () async -> Void
    private var timer: TimerID?
    private var isFirst = false

    init(_ clock: any LoopClock, _ look: @escaping @Loop @Sendable () async -> Void) {
        self.clock = clock
        self.look = look
    }

    func begin() {
        guard !isFirst else { return }
        stop()
        isFirst = true
        timer = clock.schedule(after: Self.first) { [weak self] in
            guard let self else { return }
            isFirst = false
            Loop.spawn { await self.look() }
            timer = clock.schedule(after: Self.second) { [weak self] in
                guard let self else { return }
                timer = nil
                Loop.spawn { await self.look() }
            }
        }
    }

    func stop() {
        if let timer { clock.cancel(timer) }
        timer = nil
        isFirst = false
    }
}

extension GlobalChannelService: LeasePublisher {
    /// The lease may have ended: then others may have told this server's users gone.
    ///
    /// And of a server that dies before it has published again, nobody may know who was lost with it.
    public func redisReturned() async {
        doubtPresence()
        storeReturned = context.clock.now
    }

    /// Clean-ups after a server that may have found less than it had published: all ask anew who is there.
    func serversChanged(_ change: ServerChange) {
        if case .added = change { return }
        guard let storeReturned, let lease = context.membership?.lease,
            context.clock.now < storeReturned &+ (lease * 3).clampedNanoseconds
        else { return }
        gaps.note(nil)
    }

    func doubtPresence() {
        guard context.isFrontend, !listeners.returned.isEmpty else { return }
        let check =
            returnCheck
            ?? ReturnCheck(context.clock) { [weak self] in
                guard let self else { return }
                for (channel, uids) in await toldGoneWithThisServer() {
                    let members = ReturnedMembers(channel: channel, uids: uids.sorted())
                    for listener in listeners.returned { await listener(members) }
                }
            }
        returnCheck = check
        check.begin()
    }
}
