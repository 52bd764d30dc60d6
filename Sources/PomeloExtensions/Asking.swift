// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop

/// One question on its way through the implementers, from the call to its verdict.
///
/// A machine without a task of its own: it is moved by answers and by its timer, and what comes after the verdict
/// moves nothing.
@Loop final class Asking {
    private let policy: FailurePolicy
    /// When its budget is spent.
    private let deadline: UInt64
    /// What is gone on with when it ends now.
    private var event: ExtensionEvent
    /// Bytes of the event's data.
    private(set) var size: Int
    private(set) var verdict: ExtensionVerdict?
    private var waiter: CheckedContinuation<ExtensionVerdict, Never>?
    private var tags: Set<ExtensionTag> = []
    private var rest: ArraySlice<Candidate> = []
    private var calls: [Task<Void, Never>] = []
    private var underWay = 0
    /// Who was called last.
    private var called: String?
    private var timer: TimerID?
    private let queue: AskQueue

    init(_ event: ExtensionEvent, _ size: Int, _ policy: FailurePolicy, _ queue: AskQueue) {
        self.event = event
        self.size = size
        self.policy = policy
        self.queue = queue
        deadline = queue.clock.deadline(after: event.point.budget)
        timer = queue.clock.schedule(at: deadline) { self.timeIsUp() }
    }

    var point: ExtensionPoint { event.point }
    var place: AskPlace { AskPlace(point, event.key) }

    /// Suspends until there is a verdict; called once.
    func wait() async -> ExtensionVerdict {
        await withCheckedContinuation { waiter in
            if let verdict { waiter.resume(returning: verdict) } else { self.waiter = waiter }
        }
    }

    /// It is its turn among those with its key.
    func begin(_ candidates: [Candidate]) {
        guard queue.clock.now < deadline else { return timeIsUp() }
        rest = point.mode == .single ? candidates.prefix(1) : candidates[...]
        repeat { goOn() } while point.mode == .race && !rest.isEmpty && verdict == nil
    }

    /// Asks the next one; those that cannot be asked are passed over, or end it, as the policy says.
    private func goOn() {
        while verdict == nil, let next = rest.popFirst() {
            if queue.slots.take(next.slot) { return call(next) }
            failed(ExtensionFailure.busy, next.implementer.name)
        }
        guard underWay == 0 else { return }
        if point.mode == .race { endUnanswered() } else { end(.pass(event.data, tags: tags)) }
    }

    /// Somebody else has asked the same meanwhile.
    func end(with answer: ExtensionAnswer) {
        if let verdict = answer.verdict(on: event.data) { end(verdict, nil) }
    }

    private func call(_ candidate: Candidate) {
        let (event, left, slots) = (event, queue.clock.left(until: deadline), queue.slots)
        underWay += 1
        called = candidate.implementer.name
        calls.append(
            Loop.spawn {
                let outcome: Result<ExtensionAnswer, any Error>
                do {
                    outcome = .success(try await candidate.implementer.answer(event, within: left))
                } catch {
                    outcome = .failure(error)
                }
                slots.giveBack(candidate.slot)
                // REENTRANCY: the time may have been up, and in a race another answer been first.
                self.answered(outcome, candidate.implementer.name)
            })
    }

    private func answered(_ outcome: Result<ExtensionAnswer, any Error>, _ name: String) {
        underWay -= 1
        guard verdict == nil else { return }
        do {
            let answer = try outcome.get()
            guard let meant = answer.verdict(on: event.data) else {
                throw ExtensionFailure.badAnswer("its ret is \(answer.ret)")
            }
            guard case .pass = meant else { return end(meant, answer) }
            try take(answer.data)
            if point.mode == .chain, !rest.isEmpty { return goOn() }
            end(.pass(event.data, tags: point.mode == .race ? [] : tags), answer)
        } catch {
            failed(error, name)
            goOn()
        }
    }

    /// Goes on with other data.
    private func take(_ data: JSON?) throws(ExtensionFailure) {
        guard let data else { return }
        let size = data.encoded().count
        guard size <= ExtensionPoint.dataLimit else { throw .tooLarge }
        queue.bytes += size - self.size
        self.size = size
        event.data = data
    }

    private func timeIsUp() {
        guard verdict == nil else { return }
        queue.failed(point, ExtensionFailure.late, called)
        endUnanswered()
    }

    private func failed(_ error: any Error, _ name: String) {
        queue.failed(point, error, name)
        tags.insert(.unmoderated)
        if policy == .closed, point.mode != .race { endUnanswered() }
    }

    private func endUnanswered() { end(.unanswered(point, event.data, policy)) }

    private func end(_ verdict: ExtensionVerdict, _ answer: ExtensionAnswer? = nil) {
        guard self.verdict == nil else { return }
        self.verdict = verdict
        if let timer { queue.clock.cancel(timer) }
        for call in calls { call.cancel() }
        calls = []
        waiter?.resume(returning: verdict)
        waiter = nil
        queue.ended(self, answer)
    }
}

extension ExtensionVerdict {
    /// What the policy makes of a question that is not answered.
    static func unanswered(_ point: ExtensionPoint, _ data: JSON, _ policy: FailurePolicy) -> ExtensionVerdict {
        switch policy {
        case .open: .pass(data, tags: [.unmoderated])
        case .closed: .refuse("\(point.name) was not answered", ret: unansweredRet)
        }
    }
}
