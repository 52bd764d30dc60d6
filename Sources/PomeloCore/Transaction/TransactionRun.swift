// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

/// One transaction under way.
@Loop final class TransactionRun {
    private let name: String
    private let handlers: [TransactionStep]
    private let policy: TransactionPolicy
    private let clock: any LoopClock
    private let random: RandomSource
    private let log = Logger(label: "transaction-log").lineSafe
    private let errorLog = Logger(label: "transaction-error-log").lineSafe
    private var attempt = 0
    private var backoff: Backoff
    /// Positions of handlers whose effect stands, or may stand, sorted.
    private var standing: [Int] = []
    private var notUndone: [String: any Error] = [:]

    init(
        _ name: String, _ handlers: [TransactionStep], _ policy: TransactionPolicy, _ clock: any LoopClock,
        _ random: RandomSource
    ) {
        self.name = name
        self.handlers = handlers
        self.policy = policy
        self.clock = clock
        self.random = random
        backoff = Backoff(first: policy.pause, limit: policy.longestPause)
    }

    func run(_ conditions: [TransactionStep]) async throws(TransactionError) -> TransactionOutcome {
        for condition in conditions {
            if let error = await failure(of: condition, .condition) { throw givenUp(condition, .condition, error) }
        }
        var next = 0
        while true {
            attempt += 1
            guard let (position, error) = await failedHandler(from: next) else {
                log.info("all conditions and handlers are executed", metadata: ["transaction": "\(name)"])
                return TransactionOutcome(name: name, attempts: attempt)
            }
            let isLast = attempt >= policy.attempts
            if isLast || policy.restart == .fromFirst { await undo() }
            if isLast || !notUndone.isEmpty || Task.isCancelled {
                throw givenUp(handlers[position], .handler, error)
            }
            next = policy.restart == .fromFirst ? 0 : position
            await clock.sleep(for: random.jittered(backoff.failed(), by: 0.2))
        }
    }

    private func failedHandler(from first: Int) async -> (Int, any Error)? {
        for position in first..<handlers.count {
            let error = await failure(of: handlers[position], .handler)
            if error == nil || error is Overdue, !standing.contains(position) {
                standing.append(position)
                standing.sort()
            }
            if let error { return (position, error) }
        }
        return nil
    }

    private func undo() async {
        for position in standing.reversed() {
            let step = handlers[position]
            guard let undo = step.undo else { continue }
            if let error = await outcome(of: undo) {
                notUndone[step.name] = error
                report(error, step, .handler, "the handler cannot be undone")
            } else {
                standing.removeAll { $0 == position }
                log.info("the handler is undone", metadata: metadata(step, .handler))
            }
        }
    }

    private func failure(of step: TransactionStep, _ kind: TransactionError.Kind) async -> (any Error)? {
        log.info("the step is executed", metadata: metadata(step, kind))
        let error = await outcome(of: step.run)
        if let error { report(error, step, kind, "the step failed") }
        return error
    }

    /// What an action fails with, `Overdue` when it does not end in time; nil when it succeeds.
    private func outcome(of action: @escaping TransactionStep.Action) async -> (any Error)? {
        do {
            let done: Void? = try await clock.within(policy.stepDeadline, action)
            return done == nil ? Overdue(limit: policy.stepDeadline) : nil
        } catch {
            return error
        }
    }

    private func givenUp(
        _ step: TransactionStep, _ kind: TransactionError.Kind, _ cause: any Error
    ) -> TransactionError {
        TransactionError(
            name: name, kind: kind, step: step.name, attempts: attempt, cause: cause,
            standing: standing.map { handlers[$0].name }, notUndone: notUndone)
    }

    // MARK: logs

    private func metadata(_ step: TransactionStep, _ kind: TransactionError.Kind) -> Logger.Metadata {
        ["transaction": "\(name)", "type": "\(kind)", "step": "\(step.name)", "attempt": "\(attempt)"]
    }

    private func report(
        _ error: any Error, _ step: TransactionStep, _ kind: TransactionError.Kind, _ text: Logger.Message
    ) {
        var metadata = metadata(step, kind)
        metadata["description"] = "\(error)"
        errorLog.error(text, metadata: metadata)
    }
}
