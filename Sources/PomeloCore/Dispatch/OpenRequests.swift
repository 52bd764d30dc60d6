// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Requests that are not answered yet, in the order of their deadlines.
///
/// Each may take equally long from its arrival, so nearly all are added at the end; one that its connector held back
/// goes where its arrival puts it.
///
/// A request that is answered leaves its place as soon as those before it have, or half of the places are idle.
@Loop final class OpenRequests {
    private var requests: Deque<Request> = []
    private var answered = 0
    private let overdue: @Loop (Request) -> Void
    private let clock: any LoopClock
    /// What the sweep waits for already; most requests come when it waits for one before them.
    private var noted = UInt64.max
    private var emptied: FirstOutcome<Void>?
    // Not weak: references to what a weak one points at are counted the slow way, here several times a request.
    private lazy var sweep = DeadlineSweep(clock) { [unowned self] now in end(until: now) }

    /// `overdue` answers the request it is given.
    init(_ clock: any LoopClock, overdue: @escaping @Loop (Request) -> Void) {
        self.clock = clock
        self.overdue = overdue
    }

    func insert(_ request: Request) {
        if let last = requests.last, last.deadline > request.deadline {
            requests.insert(request, at: place(of: request.deadline))
        } else {
            requests.append(request)
        }
        guard request.deadline < noted else { return }
        noted = request.deadline
        sweep.note(noted)
    }

    /// Behind all that are due at the same time or before.
    private func place(of deadline: UInt64) -> Int {
        var (low, high) = (0, requests.count)
        while low < high {
            let middle = (low + high) / 2
            if requests[middle].deadline <= deadline { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// One of the requests has been answered.
    func settle() {
        answered += 1
        while let first = requests.first, first.client == nil {
            requests.removeFirst()
            answered -= 1
        }
        if answered > 32, answered > requests.count / 2 {
            requests.removeAll { $0.client == nil }
            answered = 0
        }
        if requests.isEmpty {
            noted = .max
            sweep.stop()
            emptied?.end()
        }
    }

    /// Suspends until all are answered, or for so long; returns how many are not.
    func empty(within limit: Duration) async -> Int {
        guard !requests.isEmpty else { return 0 }
        let outcome = FirstOutcome<Void>()
        emptied = outcome
        let timer = clock.schedule(after: limit) { outcome.end() }
        await outcome.wait()
        clock.cancel(timer)
        return requests.count - answered
    }

    private func end(until now: UInt64) -> UInt64? {
        noted = .max
        while let first = requests.first, first.deadline <= now { overdue(first) }
        guard let next = requests.first?.deadline else { return nil }
        noted = next
        return next
    }
}
