// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloLoop
import PomeloRedis

/// What is on its way to one plugin: a window of its stream, sorted by keys.
@Loop final class DeliveryLine {
    /// Events in memory.
    private static let window = 1024
    /// Calls under way.
    private static let width = 64
    private static let deadline = Duration.seconds(5)
    private static let pauses: [Duration] = [.seconds(1), .seconds(5), .seconds(30)]

    private let id: PluginID
    private let router: PluginRouter
    private let streams: PluginStreams
    private let clock: any LoopClock
    private let log: Logger
    private var last: String?
    private var held = 0
    private var underWay = 0
    private var byKey: [Text: Deque<StoredEvent>] = [:]
    /// Keys whose first event may be sent.
    private var ready: Deque<Text> = []
    private var confirmed: [String] = []
    private var isConfirming = false
    private var isOver = false
    private var isFilling = false

    init(_ id: PluginID, _ router: PluginRouter, _ streams: PluginStreams, _ clock: any LoopClock, _ log: Logger) {
        self.id = id
        self.router = router
        self.streams = streams
        self.clock = clock
        self.log = log
    }

    /// Nothing more is sent; what is under way may end, unconfirmed.
    func end() { isOver = true }

    /// Reads on from its stream, as long as there is room.
    func fill() async throws(RedisError) {
        guard !isFilling, !isOver else { return }
        isFilling = true
        defer { isFilling = false }
        while held < Self.window, !isOver {
            let wanted = min(Self.window - held, 256)
            let (events, unreadable, end) = try await streams.read(id, behind: last, count: wanted)
            // REENTRANCY: it may be over by now.
            guard !isOver else { return }
            if !unreadable.isEmpty { confirm(unreadable) }
            for event in events { take(event) }
            guard let end else { break }
            last = end
            if events.count + unreadable.count < wanted { break }
        }
        send()
    }

    private func take(_ event: StoredEvent) {
        held += 1
        let key = Text(event.key)
        byKey[key, default: []].append(event)
        if byKey[key]?.count == 1 { ready.append(key) }
    }

    private func send() {
        while underWay < Self.width, !isOver, let key = ready.popFirst(), let event = byKey[key]?.first {
            underWay += 1
            Loop.spawn {
                await self.deliver(event)
                self.underWay -= 1
                guard !self.isOver else { return }
                self.held -= 1
                self.byKey[key]?.removeFirst()
                if self.byKey[key]?.isEmpty ?? true { self.byKey[key] = nil } else { self.ready.append(key) }
                self.send()
            }
        }
    }

    /// Returns when the event is taken, or a dead letter, or somebody else's.
    private func deliver(_ event: StoredEvent) async {
        var attempt = 0
        while !isOver {
            let reason: String
            do {
                guard let implementation = implementation(of: event.point) else { return confirm([event.number]) }
                guard try await hasPassed() else { continue }
                let answer = try await router.answer(to: event.body, of: implementation, within: Self.deadline)
                if answer.ret == 0 { return confirm([event.number]) }
                reason = "ret \(answer.ret): \(answer.msg)"
            } catch let error as PluginAnswer {
                reason = error.msg
            } catch {
                reason = "\(error)"
            }
            guard attempt < Self.pauses.count else { return await bury(event, reason) }
            await clock.sleep(for: Self.pauses[attempt])
            attempt += 1
        }
    }

    /// Nil: the plugin does not implement it any more, and is told no more of it.
    private func implementation(of point: PointName) -> PluginImplementation? {
        router.follower.view.implementers(of: PluginImplementers.owner, point).first { $0.id == id }
    }

    /// False after a moment, while the plugin's gate is shut: that is no attempt.
    private func hasPassed() async throws -> Bool {
        guard let record = router.follower.view.plugin(id), PluginGate.refusal(record.status) == nil else {
            await clock.sleep(for: .milliseconds(200))
            return false
        }
        return true
    }

    private func confirm(_ numbers: [String]) {
        confirmed += numbers
        guard !isConfirming else { return }
        isConfirming = true
        Loop.spawn {
            while !self.confirmed.isEmpty {
                let numbers = Array(self.confirmed.prefix(256))
                do {
                    try await self.streams.remove(self.id, numbers)
                    self.confirmed.removeFirst(numbers.count)
                } catch {
                    // Who takes over tells them again.
                    if self.isOver { break }
                    await self.clock.sleep(for: .milliseconds(500))
                }
            }
            self.isConfirming = false
        }
    }

    private func bury(_ event: StoredEvent, _ reason: String) async {
        log.warning(
            "an event is a dead letter", metadata: ["plugin": "\(id)", "plugins.reason": "\(reason.forLog)"])
        while !isOver {
            do {
                return try await streams.bury(id, event, reason)
            } catch {
                await clock.sleep(for: .milliseconds(500))
            }
        }
    }
}
