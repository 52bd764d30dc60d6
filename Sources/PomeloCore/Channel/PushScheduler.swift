// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloLoop

/// Decides when pushes leave for the clients of this frontend.
///
/// - Guarantee: pushes of one scheduler to one client leave in call order; no order is kept between two schedulers.
/// - Source: pomelo 2.2.7, lib/common/service/channelService.js and lib/pushSchedulers; answers to requests are never
///   scheduled here.
@Loop public protocol PushScheduler: AnyObject {
    /// Called once, by `PushSchedulers.use`.
    func start(_ clock: any LoopClock)
    /// Sends now or keeps it; false when the client cannot take it, as far as that is known.
    func schedule(_ message: PushMessage, to session: ClientSession) -> Bool
    /// Sends what is kept, at once.
    func flush()
}

/// The push schedulers of a frontend, chosen by route; routes without one are sent at once.
@Loop public final class PushSchedulers {
    private let clock: any LoopClock
    private var byRoute: [Text: any PushScheduler] = [:]

    init(_ clock: any LoopClock) { self.clock = clock }

    /// Has a scheduler send the pushes of some routes to this frontend's clients.
    public func use(_ scheduler: any PushScheduler, for routes: String...) {
        scheduler.start(clock)
        for route in routes { byRoute[Text(route)] = scheduler }
    }

    /// Puts a message into the hands of its route's scheduler, before it goes to the first session of this server.
    public func assign(_ message: PushMessage) {
        if !byRoute.isEmpty { message.scheduler = byRoute[Text(message.route)] }
    }

    /// Sends what all schedulers keep, at once.
    public func flush() {
        for scheduler in byRoute.values { scheduler.flush() }
    }
}

/// Keeps pushes for a short while, so that those to one client leave together in one write.
///
/// What is kept for a client that leaves is dropped with it; a push counts as queued when it is kept.
@Loop public final class BufferScheduler: PushScheduler {
    /// Kept pushes, counted per client; with one more all are sent at once.
    static let limit = 65_536
    private let interval: Duration
    private var clock: (any LoopClock)?
    private var kept: [(session: ClientSession, message: PushMessage)] = []
    private var timer: TimerID?

    /// Keeps a push for `interval` at most.
    public init(interval: Duration) { self.interval = interval }

    /// Measures the interval by this clock.
    public func start(_ clock: any LoopClock) { self.clock = clock }

    /// Keeps the message; false when the session has ended.
    public func schedule(_ message: PushMessage, to session: ClientSession) -> Bool {
        guard session.isOpen else { return false }
        if kept.count == Self.limit { flush() }
        kept.append((session, message))
        if timer == nil { timer = clock?.schedule(after: interval) { [weak self] in self?.flush() } }
        return true
    }

    /// Sends what is kept, in call order.
    public func flush() {
        if let timer { clock?.cancel(timer) }
        timer = nil
        let leaving = kept
        kept = []
        for (session, message) in leaving where session.isOpen { session.socket.push(message) }
    }
}

extension PushScheduler where Self == BufferScheduler {
    /// Keeps pushes for `interval` at most, so that those to one client leave in one write.
    @Loop public static func buffer(interval: Duration = .milliseconds(20)) -> BufferScheduler {
        BufferScheduler(interval: interval)
    }
}
