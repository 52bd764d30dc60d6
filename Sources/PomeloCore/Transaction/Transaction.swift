// SPDX-License-Identifier: MIT
import PomeloLoop

/// One condition or handler of a transaction.
public struct TransactionStep: Sendable {
    /// What a step does.
    public typealias Action = @Loop @Sendable () async throws -> Void

    /// Names the step in logs and errors.
    public let name: String
    let run: Action
    let undo: Action?

    /// A step, and what takes its effect back; a step without `undo` has none, or one that may stay.
    public init(_ name: String, undo: Action? = nil, _ run: @escaping Action) {
        self.name = name
        self.run = run
        self.undo = undo
    }

    /// A step, for lists of steps.
    public static func step(_ name: String, undo: Action? = nil, _ run: @escaping Action) -> TransactionStep {
        TransactionStep(name, undo: undo, run)
    }
}

/// How a transaction goes on when one of its handlers fails.
public struct TransactionPolicy: Sendable {
    /// Where the next attempt begins.
    public enum Restart: Sendable {
        /// What the attempt has done is undone, and all handlers run again.
        case fromFirst
        /// The handler that failed runs again; those before it do not.
        case fromFailed
    }

    /// How often the handlers are tried in all, at least once.
    public var attempts: Int
    /// Where the next attempt begins.
    public var restart: Restart
    /// The pause before the second attempt; each further one is twice as long, and each is varied by a fifth.
    public var pause: Duration
    /// No pause is longer.
    public var longestPause = Duration.seconds(10)
    /// How long each step may take; one that takes longer is cancelled, and has failed.
    public var stepDeadline: Duration

    /// One attempt, unless told otherwise.
    public init(
        attempts: Int = 1, restart: Restart = .fromFirst, pause: Duration = .milliseconds(100),
        stepDeadline: Duration = .seconds(10)
    ) {
        self.attempts = attempts
        self.restart = restart
        self.pause = pause
        self.stepDeadline = stepDeadline
    }
}

/// What a transaction that succeeded took.
public struct TransactionOutcome: Sendable, Equatable {
    /// The transaction's name.
    public let name: String
    /// How often its handlers were tried.
    public let attempts: Int
}

/// Why a transaction was given up, and what is left of it.
public struct TransactionError: Error, CustomStringConvertible {
    /// The two kinds of steps.
    public enum Kind: String, Sendable {
        /// Nothing had been done yet.
        case condition
        /// Handlers before it had been executed.
        case handler
    }

    /// The transaction's name.
    public let name: String
    /// The kind of step that failed.
    public let kind: Kind
    /// The step that failed at last.
    public let step: String
    /// How often the handlers were tried; 0 when a condition failed.
    public let attempts: Int
    /// What it failed with; `Overdue` when it took too long.
    public let cause: any Error
    /// Handlers whose effect stands, or may stand, in order: begun, and not undone.
    public let standing: [String]
    /// Handlers whose `undo` failed, and why; they are among `standing`.
    public let notUndone: [String: any Error]

    /// The step that failed, and why.
    public var description: String { "transaction \(name): \(kind) \(step) failed: \(cause)" }
}

/// Something did not end within the time it was given.
public struct Overdue: Error, CustomStringConvertible {
    /// The time it was given.
    public let limit: Duration
    /// How long it was waited for.
    public var description: String { "did not end within \(limit)" }
}

extension Application {
    /// Runs the handlers in order, if all conditions hold.
    ///
    /// Conditions run once, in order; the first that throws ends it. When a handler throws, the policy says
    /// how often, when and from where they are tried again. When they are given up, what has been executed is undone in
    /// reverse order; a handler that took too long counts as executed then, for it may have been. An `undo` that fails
    /// ends the attempts. Every step is logged under `transaction-log`, every failure under `transaction-error-log`.
    ///
    /// - Returns: how many attempts it took.
    /// - Throws: `TransactionError` with the last failure and what is left.
    /// - Source: pomelo 2.2.7, lib/common/manager/appManager.js, which tells nobody how it ended.
    @discardableResult
    public func transaction(
        _ name: String, conditions: [TransactionStep] = [], handlers: [TransactionStep],
        policy: TransactionPolicy = TransactionPolicy()
    ) async throws(TransactionError) -> TransactionOutcome {
        try await TransactionRun(name, handlers, policy, clock, random).run(conditions)
    }
}
