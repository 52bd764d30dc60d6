// SPDX-License-Identifier: MIT
import Metrics
public import PomeloLoop

/// Handles the requests of one session one after the other; those of different sessions never wait for each other.
///
/// A request has a time limit from its turn on: a late one is cut off and answered with code 504, and the next one's
/// turn begins. Beyond `maxWaiting` requests of one session the next ones are answered with code 429.
///
/// - Source: pomelo 2.2.7, lib/filters/handler/serial.js, which confuses sessions of different frontends on backends.
@Loop public final class SerialFilter: Filter {
    private struct Key: Hashable {
        let frontend: ServerID
        let session: SessionID
    }

    /// One session's queue: there is one while a request of it has the turn.
    private struct Queue {
        var current: Turn
        var waiting: [Turn] = []
    }

    /// A turn that begins has to end.
    public let needsBothParts = true
    private let timeout: Duration
    private let maxWaiting: Int
    private var clock: (any LoopClock)?
    private var queues: [Key: Queue] = [:]
    private let refused = Counter(label: "pomelo.filter.serial.refused")

    /// A time limit per request, and how many of a session's requests may wait.
    public init(timeout: Duration = .seconds(3), maxWaiting: Int = 64) {
        self.timeout = timeout
        self.maxWaiting = maxWaiting
    }

    /// Sessions with a request under way.
    var busySessions: Int { queues.count }

    /// Follows the sessions that close: what they have waiting is dropped.
    public func install(into application: Application) {
        guard clock == nil else { return }
        clock = application.clock
        let frontend = application.serverID
        application.sessionService.on { [weak self] event in
            if case .closed(let session, _) = event { self?.drop(Key(frontend: frontend, session: session.id)) }
        }
    }

    /// Waits for the request's turn.
    ///
    /// - Throws: `Fault` 429 when too many wait; `PomeloError` `.noSession` when the session closes meanwhile.
    public func before(_ request: Request) async throws {
        guard let clock else { return }
        let key = Self.key(request)
        let turn = Turn(request)
        if let waiting = queues[key]?.waiting.count {
            guard waiting < maxWaiting else {
                refused.increment()
                throw Fault(429, "too many requests wait")
            }
            queues[key]?.waiting.append(turn)
        } else {
            begin(turn, Queue(current: turn), key, clock)
        }
        guard await turn.comes() else { throw SessionService.noSession(request.session.id) }
        // Nobody waits for its answer any more.
        guard clock.now < request.deadline else { throw TimeoutFilter.late }
        request.limit(to: timeout, else: TimeoutFilter.late)
    }

    /// Ends the request's turn, if it has it.
    public func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        let key = Self.key(request)
        if let turn = queues[key]?.current, turn.request === request { end(turn, key) }
        return outcome
    }

    private func begin(_ turn: Turn, _ queue: Queue, _ key: Key, _ clock: any LoopClock) {
        queues[key] = queue
        // The queue goes on even when an after-filter never lets go of the request.
        turn.timer = clock.schedule(after: timeout) { [weak self] in self?.end(turn, key) }
        turn.begin(true)
    }

    private func end(_ turn: Turn, _ key: Key) {
        guard var queue = queues[key], queue.current === turn, let clock else { return }
        if let timer = turn.timer { clock.cancel(timer) }
        guard !queue.waiting.isEmpty else {
            queues[key] = nil
            return
        }
        queue.current = queue.waiting.removeFirst()
        begin(queue.current, queue, key, clock)
    }

    private func drop(_ key: Key) {
        guard let queue = queues[key] else { return }
        queues[key]?.waiting = []
        for turn in queue.waiting { turn.begin(false) }
    }

    private static func key(_ request: Request) -> Key {
        Key(frontend: request.session.frontend, session: request.session.id)
    }
}

/// One request's place in its session's queue.
@Loop private final class Turn {
    let request: Request
    var timer: TimerID?
    private let given = FirstOutcome<Bool>()

    init(_ request: Request) { self.request = request }

    /// True when it is the request's turn, false when it will never be.
    func comes() async -> Bool { await given.wait() }

    func begin(_ isGiven: Bool) { given.end(with: isGiven) }
}

extension Filter where Self == SerialFilter {
    /// Handles the requests of one session one after the other.
    public static func serial(timeout: Duration = .seconds(3), maxWaiting: Int = 64) -> SerialFilter {
        SerialFilter(timeout: timeout, maxWaiting: maxWaiting)
    }
}
