// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis

/// One direction of a connection: what was sent first arrives first, each thing not before its delay.
@Loop final class FakeRedisWire<Item> {
    private let clock: any LoopClock
    private let deliver: @Loop (Item) -> Void
    private var items: [Item] = []
    private var lastArrival: UInt64 = 0
    private var connection = 0

    init(_ clock: any LoopClock, deliver: @escaping @Loop (Item) -> Void) {
        self.clock = clock
        self.deliver = deliver
    }

    /// Whether nothing is under way.
    var isIdle: Bool { items.isEmpty }

    func send(_ item: Item, after delay: Duration) {
        lastArrival = max(lastArrival, clock.deadline(after: delay))
        items.append(item)
        let connection = connection
        if lastArrival <= clock.now {
            // A task of its own, as for every reply from a socket: whatever the order of tasks, items keep theirs.
            Loop.spawn { self.arrive(connection) }
        } else {
            _ = clock.schedule(at: lastArrival) { self.arrive(connection) }
        }
    }

    /// Loses everything under way.
    func cut() {
        connection += 1
        items = []
        lastArrival = 0
    }

    private func arrive(_ connection: Int) {
        guard connection == self.connection, !items.isEmpty else { return }
        deliver(items.removeFirst())
    }
}

/// What a client asks for at once.
enum FakeRedisCall {
    case pipeline([RedisCommand])
    case batch([RedisStep])
    case subscription(confirm: @Loop () -> Void)
}

/// A call whose caller waits.
@Loop final class FakeRedisRequest {
    typealias Outcome = Result<[RedisReply], RedisError>

    /// In the order in which a client began them.
    let number: Int
    let call: FakeRedisCall
    /// The node it goes to.
    let node: Int
    var limit: TimerID?
    private var waiter: CheckedContinuation<Outcome, Never>?

    init(_ number: Int, _ call: FakeRedisCall, at node: Int, _ waiter: CheckedContinuation<Outcome, Never>) {
        self.number = number
        self.call = call
        self.node = node
        self.waiter = waiter
    }

    /// The first outcome counts; later ones find nobody.
    func complete(_ outcome: Outcome) {
        waiter?.resume(returning: outcome)
        waiter = nil
    }
}
