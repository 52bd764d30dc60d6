// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
import PomeloLoop

/// Users who are members of a channel at no live frontend any more, as all of them have said.
public struct GoneMembers: Sendable {
    /// The channel they were members of.
    public let channel: ChannelName
    /// Who is gone, sorted.
    public let uids: [UserID]
    /// The frontend where they were members last; the server that told of their coming, when it did so too late.
    public let server: ServerID
    /// What ended, for each user.
    let endings: [UserID: Ending]
    /// How far the frontends were when they were asked.
    let fences: [ServerID: Fence]
}

/// Judges over the cluster who is gone.
///
/// ```
/// fences    every frontend says how many words about comings it has passed on    (first, or a later one is missed)
/// present   every frontend says who of the users is a member there
/// ```
///
/// Who is a member before its coming is told is found by the second question, or its coming passes a frontend after the
/// first: then that frontend does not pass the older word on. A frontend of the view that does not answer may have the
/// user, so nothing is decided: it is asked again until it answers or is gone. Only the silence of one that is being
/// cleaned up means nothing.
@Loop final class Departures {
    /// Users asked about in one round.
    static let batchLength = 1000
    /// Users waiting for a judgement; beyond them their channel has a gap instead.
    static let limit = 50_000

    /// One question, by one caller.
    private final class Question {
        let channel: ChannelName
        let endings: [UserID: Ending]
        /// Its silence means nothing: it is being cleaned up.
        let gone: ServerID?
        let answer: CheckedContinuation<GoneMembers?, Never>

        init(
            _ channel: ChannelName, _ endings: [UserID: Ending], gone: ServerID?,
            _ answer: CheckedContinuation<GoneMembers?, Never>
        ) {
            self.channel = channel
            self.endings = endings
            self.gone = gone
            self.answer = answer
        }
    }

    private unowned let service: GlobalChannelService
    private let context: ServiceContext
    private var questions: [Question] = []
    private var backoff = Backoff(first: .milliseconds(250), limit: .seconds(2))
    private var isWorking = false
    /// Work in the background.
    private(set) var underWay = 0
    private var isStopped = false
    private var idle: [CheckedContinuation<Void, Never>] = []
    /// Users that wait for a judgement.
    private(set) var waiting = 0
    /// Users of whom nothing was told, because too many waited or this server stopped.
    private(set) var givenUp = 0

    init(_ service: GlobalChannelService) {
        self.service = service
        context = service.context
    }

    /// Does something in the background that a stop waits for.
    func begin(_ work: @escaping @Loop @Sendable () async -> Void) {
        underWay += 1
        Loop.spawn {
            await work()
            self.underWay -= 1
            self.rest()
        }
    }

    /// Suspends until it is known who of some users is gone; nil when nobody is, or this server stops undecided.
    ///
    /// `gone` names a frontend that is being cleaned up.
    func judge(_ channel: ChannelName, _ endings: [UserID: Ending], gone: ServerID? = nil) async -> GoneMembers? {
        guard !endings.isEmpty else { return nil }
        guard waiting + endings.count <= Self.limit, !isStopped else {
            giveUp(channel, endings.count)
            return nil
        }
        waiting += endings.count
        defer { waiting -= endings.count }
        return await withCheckedContinuation { continuation in
            questions.append(Question(channel, endings, gone: gone, continuation))
            begin()
        }
    }

    /// Suspends until nothing is undecided, or the time is up: what is undecided then is a gap.
    func stop(within limit: Duration) async {
        let clock = context.clock
        let timer = clock.schedule(after: limit) {
            self.isStopped = true
            let left = self.questions
            self.questions = []
            for question in left { self.giveUp(question) }
            self.wakeIdle()
        }
        await withCheckedContinuation { waiter in
            idle.append(waiter)
            rest()
        }
        clock.cancel(timer)
        isStopped = true
    }

    private func giveUp(_ channel: ChannelName, _ count: Int) {
        givenUp += count
        context.log.error(
            "departures are not told", metadata: ["pomelo.channel": "\(channel)", "pomelo.users": "\(count)"])
        service.hasMissed(channel, service.frontends())
    }

    private func giveUp(_ question: Question) {
        giveUp(question.channel, question.endings.count)
        question.answer.resume(returning: nil)
    }

    private func begin() {
        guard !isWorking else { return }
        isWorking = true
        Loop.spawn { await self.work() }
    }

    private func rest() {
        if underWay == 0, !isWorking, questions.isEmpty { wakeIdle() }
    }

    private func wakeIdle() {
        let waiters = idle
        idle = []
        for waiter in waiters { waiter.resume() }
    }

    private func work() async {
        while !questions.isEmpty, !isStopped {
            // Those that wait for a gone server are apart: only they may ignore its silence.
            let gone = questions[0].gone
            let batch = take(gone)
            if await decide(batch, gone) {
                backoff.succeeded()
                continue
            }
            if isStopped { for question in batch { giveUp(question) } } else { questions += batch }
            await context.clock.sleep(for: context.random.jittered(backoff.failed()))
        }
        isWorking = false
        rest()
    }

    private func take(_ gone: ServerID?) -> [Question] {
        var users = 0
        var (batch, rest): ([Question], [Question]) = ([], [])
        for question in questions {
            guard question.gone == gone, batch.isEmpty || users + question.endings.count <= Self.batchLength else {
                rest.append(question)
                continue
            }
            users += question.endings.count
            batch.append(question)
        }
        questions = rest
        return batch
    }

    /// Asks all frontends, and answers the questions; false when that is not possible now.
    private func decide(_ batch: [Question], _ gone: ServerID?) async -> Bool {
        guard context.isViewComplete else { return false }
        let isAway: (ServerID) -> Bool = { $0 == gone || self.context.servers[$0] == nil }
        let first = service.frontends()
        let fences = await service.fences(of: first)
        // Without its fence a frontend would not be told. Who is in the view only now has no client to tell.
        guard first.allSatisfy({ fences[$0] != nil || isAway($0) }) else { return false }
        let frontends = service.frontends()
        let answers = await service.present(batch.map { ($0.channel, Array($0.endings.keys)) }, at: frontends)
        guard frontends.allSatisfy({ answers[$0] != nil || isAway($0) }), context.isViewComplete
        else { return false }
        for (index, question) in batch.enumerated() {
            let present = answers.values.reduce(into: Set<UserID>()) { $0.formUnion($1[index]) }
            let absent = question.endings.filter { !present.contains($0.key) }
            question.answer.resume(
                returning: absent.isEmpty
                    ? nil
                    : GoneMembers(
                        channel: question.channel, uids: absent.keys.sorted(),
                        server: absent.values.first?.server ?? context.serverID, endings: absent,
                        fences: fences.filter { $0.value != .nobody }))
        }
        return true
    }
}
