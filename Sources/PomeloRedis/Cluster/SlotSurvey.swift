// SPDX-License-Identifier: MIT
import PomeloLoop

/// One question to several nodes, who has which slots: each a moment after the one before, or at once when that one
/// has failed; the first answer counts.
@Loop final class SlotSurvey {
    /// A node that is dead or frozen costs the others no more than this.
    private static let stagger = Duration.milliseconds(100)
    /// As many failures are told.
    private static let maxTold = 5

    private let clock: any LoopClock
    private let ask: @Loop (SocketAddress) async throws(RedisError) -> SlotMap
    private let outcome = FirstOutcome<Result<SlotMap, RedisError>>()
    private var left: ArraySlice<SocketAddress>
    private var running = 0
    private var failures: [RedisError] = []
    private var timer: TimerID?

    init(
        _ places: [SocketAddress], _ clock: any LoopClock,
        _ ask: @escaping @Loop (SocketAddress) async throws(RedisError) -> SlotMap
    ) {
        left = places[...]
        self.clock = clock
        self.ask = ask
    }

    /// Asks, once; who still thinks when there is an answer is not waited for.
    func run() async -> Result<SlotMap, RedisError> {
        next()
        let result = await outcome.wait()
        disarm()
        return result
    }

    func cancel() { outcome.end(with: .failure(.closed)) }

    private func next() {
        disarm()
        guard outcome.isOpen else { return }
        guard let place = left.popFirst() else {
            if running == 0 { outcome.end(with: .failure(failure)) }
            return
        }
        running += 1
        Loop.spawn {
            do throws(RedisError) {
                self.outcome.end(with: .success(try await self.ask(place)))
            } catch {
                self.failed(error)
            }
        }
        timer = clock.schedule(after: Self.stagger) { [weak self] in self?.next() }
    }

    private func failed(_ error: RedisError) {
        running -= 1
        failures.append(error)
        // Another node would refuse the same password.
        if case .reply = error { outcome.end(with: .failure(error)) }
        next()
    }

    private func disarm() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private var failure: RedisError {
        guard failures.count > 1 else { return failures.first ?? .connection("redis: no node of the cluster is known") }
        let more = failures.count > Self.maxTold ? "; and \(failures.count - Self.maxTold) more" : ""
        let texts = failures.prefix(Self.maxTold).map { "\($0)" }.joined(separator: "; ")
        return .connection("no node tells who has which slots of the cluster: \(texts)\(more)")
    }
}
