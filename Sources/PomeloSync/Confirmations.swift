// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// Those who wait until a value of an id, or a later one, has been tried.
@Loop struct Confirmations {
    private var waiting: [Text: [(number: UInt64, end: FirstOutcome<Attempt>)]] = [:]

    nonisolated init() {}

    func isAwaited(_ id: Text) -> Bool { waiting[id] != nil }

    mutating func add(_ id: Text, _ number: UInt64) -> FirstOutcome<Attempt> {
        let end = FirstOutcome<Attempt>()
        waiting[id, default: []].append((number, end))
        return end
    }

    mutating func tellAll(_ attempt: Attempt) {
        let all = waiting.values.flatMap { $0 }
        waiting = [:]
        for waiter in all { waiter.end.end(with: attempt) }
    }

    mutating func tell(_ id: Text, _ number: UInt64, _ attempt: Attempt) {
        guard let all = waiting[id] else { return }
        let later = all.filter { $0.number > number }
        waiting[id] = later.isEmpty ? nil : later
        for waiter in all where waiter.number <= number { waiter.end.end(with: attempt) }
    }
}
