// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop

/// Answers that stand for a while, of points that say so.
@Loop final class KeptAnswers {
    /// Beyond it the oldest is forgotten.
    static let limit = 4096
    /// Bytes of an answer's data; one with more is not kept.
    static let dataLimit = 4096

    private let clock: any LoopClock
    private var answers: [AskPlace: (answer: ExtensionAnswer, until: UInt64)] = [:]
    /// In the order in which they came; those before `first` are gone.
    private var order: [AskPlace] = []
    private var first = 0

    init(_ clock: any LoopClock) { self.clock = clock }

    /// What was answered for a key, as long as it stands.
    func answer(at place: AskPlace) -> ExtensionAnswer? {
        guard let known = answers[place], clock.now < known.until else { return nil }
        return known.answer
    }

    func keep(_ answer: ExtensionAnswer, at place: AskPlace) {
        guard let keeps = place.point.keeps, (answer.data?.encoded().count ?? 0) <= Self.dataLimit else { return }
        if answers.updateValue((answer, clock.deadline(after: keeps)), forKey: place) == nil { order.append(place) }
        if answers.count > Self.limit {
            answers[order[first]] = nil
            first += 1
        }
        if first >= Self.limit {
            order.removeFirst(first)
            first = 0
        }
    }

    /// There is another implementer: it may answer otherwise.
    func forgetAll() {
        answers = [:]
        order = []
        first = 0
    }
}
