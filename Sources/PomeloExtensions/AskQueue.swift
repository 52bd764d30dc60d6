// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop

/// Questions that are under way or wait, those of a point with one key behind one another.
@Loop final class AskQueue {
    /// Questions with one key that wait behind the one under way.
    static let waitingLimit = 64
    /// Questions of all points and keys.
    static let limit = 4096
    /// Bytes of their data.
    static let bytesLimit = 16 << 20

    let clock: any LoopClock
    let slots = CallSlots()
    private let meters: ExtensionMeters
    private let candidates: @Loop (ExtensionPoint) -> [Candidate]
    private let kept: KeptAnswers
    private var lanes: [AskPlace: AskLane] = [:]
    private var count = 0
    /// Of the data of all questions.
    var bytes = 0

    init(
        _ clock: any LoopClock, _ meters: ExtensionMeters, _ kept: KeptAnswers,
        _ candidates: @escaping @Loop (ExtensionPoint) -> [Candidate]
    ) {
        self.clock = clock
        self.meters = meters
        self.kept = kept
        self.candidates = candidates
    }

    /// Whether questions with this key are under way.
    func has(_ place: AskPlace) -> Bool { !lanes.isEmpty && lanes[place] != nil }

    /// Whether one more may wait.
    func hasRoom(for size: Int, at place: AskPlace) -> Bool {
        count < Self.limit && bytes + size <= Self.bytesLimit && (lanes[place]?.line.count ?? 0) <= Self.waitingLimit
    }

    /// Returns the verdict, after those that were asked before with this key have got theirs.
    func ask(_ event: ExtensionEvent, _ size: Int, _ policy: FailurePolicy, at place: AskPlace) async
        -> ExtensionVerdict
    {
        let lane = lanes[place] ?? AskLane()
        lanes[place] = lane
        count += 1
        bytes += size
        let asking = Asking(event, size, policy, self)
        let number = lane.enter(asking)
        if lane.line.count == 1 { begin(asking) }
        let verdict = await asking.wait()
        // REENTRANCY: who was answered before may not have gone on yet.
        while lane.left < number { await Loop.yield() }
        lane.left += 1
        count -= 1
        bytes -= asking.size
        if lane.isEmpty, lanes[place] === lane { lanes[place] = nil }
        return verdict
    }

    private func begin(_ asking: Asking) {
        if let answer = kept.answer(at: asking.place) {
            asking.end(with: answer)
        } else {
            asking.begin(candidates(asking.point))
        }
    }

    // MARK: for `Asking`

    /// Somebody did not answer, or not well; the question goes on or not.
    func failed(_ point: ExtensionPoint, _ error: any Error, _ implementer: String?) {
        meters.failed(point, error, implementer)
    }

    func ended(_ asking: Asking, _ answer: ExtensionAnswer?) {
        if let verdict = asking.verdict { meters.ended(asking.point, verdict) }
        if let answer { kept.keep(answer, at: asking.place) }
        guard let lane = lanes[asking.place] else { return }
        let wasFirst = lane.remove(asking)
        if wasFirst, let next = lane.line.first { begin(next) }
    }
}

/// The questions of one point with one key.
@Loop private final class AskLane {
    /// Without a verdict; the first is under way.
    private(set) var line: [Asking] = []
    private var entered = 0
    /// Callers that have gone on.
    var left = 0

    var isEmpty: Bool { left == entered }

    /// Returns how many have been here before.
    func enter(_ asking: Asking) -> Int {
        line.append(asking)
        entered += 1
        return entered - 1
    }

    /// Whether it was the first.
    func remove(_ asking: Asking) -> Bool {
        let wasFirst = line.first === asking
        line.removeAll { $0 === asking }
        return wasFirst
    }
}
