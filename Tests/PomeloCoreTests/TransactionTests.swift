// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Conditions, handlers, attempts, undoing, logs.
@Suite struct TransactionTests {
    struct Refusal: Error, CustomStringConvertible {
        let description: String
        init(_ text: String) { description = text }
    }

    /// Steps that note that they ran, and fail as often as they are told.
    @Loop final class Stage {
        let journal = Journal<String>()
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let app: Application
        let door = Door()
        private var failures: [String: Int]

        init(failures: [String: Int] = [:]) throws {
            self.failures = failures
            app = try cluster.make("chat-1")
        }

        func step(_ name: String, undo: Bool = false) -> TransactionStep {
            .step(name, undo: undo ? action("undo \(name)") : nil, action(name))
        }

        /// Fails so many times; -1: never returns.
        private func action(_ name: String) -> TransactionStep.Action {
            {
                self.journal.note(name)
                let left = self.failures[name] ?? 0
                if left < 0 { await self.door.pass() }
                guard left > 0 else { return }
                self.failures[name] = left - 1
                throw Refusal("\(name) is not possible")
            }
        }

        /// Runs a transaction to its end, moving time.
        func run(
            _ name: String = "trade", conditions: [TransactionStep] = [], handlers: [TransactionStep],
            _ policy: TransactionPolicy = TransactionPolicy()
        ) async -> Result<TransactionOutcome, TransactionError> {
            var result: Result<TransactionOutcome, TransactionError>?
            Loop.spawn {
                do throws(TransactionError) {
                    result = .success(
                        try await self.app.transaction(name, conditions: conditions, handlers: handlers, policy: policy)
                    )
                } catch {
                    result = .failure(error)
                }
            }
            for _ in 0..<200 where result == nil {
                await cluster.advance(by: .milliseconds(500), step: .milliseconds(50))
            }
            door.open()
            return result ?? .success(TransactionOutcome(name: "never ended", attempts: 0))
        }
    }

    @Test @Loop func conditionsThenHandlersInOrder() async throws {
        let stage = try Stage()
        let outcome = try await stage.app.transaction(
            "trade", conditions: [stage.step("enough gold"), stage.step("not full")],
            handlers: [stage.step("take gold"), stage.step("give sword")])
        #expect(outcome == TransactionOutcome(name: "trade", attempts: 1))
        #expect(stage.journal.entries == ["enough gold", "not full", "take gold", "give sword"])
    }

    @Test @Loop func aConditionThatFailsEndsItWithoutAnotherAttempt() async throws {
        let stage = try Stage(failures: ["b": 1])
        let result = await stage.run(
            conditions: [stage.step("a"), stage.step("b"), stage.step("c")], handlers: [stage.step("d")],
            TransactionPolicy(attempts: 5))
        let error = try #require(result.failure)
        #expect(error.kind == .condition && error.step == "b" && error.attempts == 0 && error.standing == [])
        #expect(error.description == "transaction trade: condition b failed: b is not possible")
        #expect(stage.journal.entries == ["a", "b"])
    }

    @Test @Loop func attemptsAreTotalAndBeginWithTheFirstHandler() async throws {
        let stage = try Stage(failures: ["b": 2])
        let handlers = [stage.step("a"), stage.step("b"), stage.step("c")]
        let result = await stage.run(conditions: [stage.step("x")], handlers: handlers, TransactionPolicy(attempts: 3))
        #expect(try result.get().attempts == 3)
        #expect(stage.journal.entries == ["x", "a", "b", "a", "b", "a", "b", "c"])
    }

    @Test @Loop func anAttemptMayGoOnWithTheHandlerThatFailed() async throws {
        let stage = try Stage(failures: ["b": 2])
        let handlers = [stage.step("a"), stage.step("b"), stage.step("c")]
        let result = await stage.run(handlers: handlers, TransactionPolicy(attempts: 3, restart: .fromFailed))
        #expect(try result.get().attempts == 3)
        #expect(stage.journal.entries == ["a", "b", "b", "b", "c"])
    }

    @Test(arguments: [0, -3, 1])
    @Loop func thereIsAlwaysOneAttempt(_ attempts: Int) async throws {
        let stage = try Stage(failures: ["a": 9])
        let result = await stage.run(handlers: [stage.step("a")], TransactionPolicy(attempts: attempts))
        #expect(result.failure?.attempts == 1)
        #expect(stage.journal.entries == ["a"])
    }

    /// The original tells nobody.
    @Test @Loop func theErrorSaysEverything() async throws {
        let stage = try Stage(failures: ["c": 9, "undo b": 9])
        let handlers = [stage.step("a"), stage.step("b", undo: true), stage.step("c", undo: true)]
        let error = try #require(await stage.run(handlers: handlers, TransactionPolicy(attempts: 2)).failure)
        #expect(error.name == "trade" && error.kind == .handler && error.step == "c" && error.attempts == 1)
        #expect("\(error.cause)" == "c is not possible")
        #expect(error.standing == ["a", "b"])
        #expect(error.notUndone.mapValues { "\($0)" } == ["b": "undo b is not possible"])
    }

    @Test @Loop func whatIsGivenUpIsUndoneInReverse() async throws {
        let stage = try Stage(failures: ["d": 1])
        let handlers = [stage.step("a", undo: true), stage.step("b"), stage.step("c", undo: true), stage.step("d")]
        let error = try #require(await stage.run(handlers: handlers).failure)
        #expect(stage.journal.entries == ["a", "b", "c", "d", "undo c", "undo a"])
        #expect(error.standing == ["b"] && error.notUndone.isEmpty)
    }

    @Test @Loop func beforeANewBeginningAnAttemptIsUndone() async throws {
        let stage = try Stage(failures: ["b": 1])
        let handlers = [stage.step("a", undo: true), stage.step("b", undo: true)]
        let result = await stage.run(handlers: handlers, TransactionPolicy(attempts: 2))
        #expect(try result.get().attempts == 2)
        #expect(stage.journal.entries == ["a", "b", "undo a", "a", "b"])
    }

    @Test @Loop func goingOnUndoesOnlyAtTheEnd() async throws {
        let stage = try Stage(failures: ["b": 9])
        let handlers = [stage.step("a", undo: true), stage.step("b", undo: true)]
        let error = try #require(
            await stage.run(handlers: handlers, TransactionPolicy(attempts: 3, restart: .fromFailed)).failure)
        #expect(stage.journal.entries == ["a", "b", "b", "b", "undo a"] && error.standing == [])
    }

    /// In the original the transaction hangs in silence.
    @Test @Loop func aStepThatNeverReturnsFailsAndIsUndone() async throws {
        let stage = try Stage(failures: ["b": -1])
        let began = stage.cluster.clock.now
        let handlers = [stage.step("a", undo: true), stage.step("b", undo: true)]
        let policy = TransactionPolicy(stepDeadline: .seconds(2))
        let error = try #require(await stage.run(handlers: handlers, policy).failure)
        #expect(error.cause is Overdue && error.step == "b" && error.standing == [])
        #expect(stage.journal.entries == ["a", "b", "undo b", "undo a"])
        #expect(stage.cluster.clock.now - began < 3_000_000_000)
    }

    @Test @Loop func pausesGrow() async throws {
        let stage = try Stage(failures: ["a": 9])
        var times: [UInt64] = []
        let clock = stage.cluster.clock
        let note = TransactionStep("note") { times.append(clock.now / 1_000_000) }
        var policy = TransactionPolicy(attempts: 5, pause: .seconds(1))
        policy.longestPause = .seconds(3)
        _ = await stage.run(handlers: [note, stage.step("a")], policy)
        let pauses = zip(times.dropFirst(), times).map { Int($0 - $1) }
        for (pause, expected) in zip(pauses, [1000, 2000, 3000, 3000]) {
            #expect((expected * 8 / 10)...(expected * 12 / 10 + 50) ~= pause)
        }
        #expect(pauses.count == 4)
    }

    /// pomelo 2.2.7 logged failures of other kinds than Error as undefined; lib/common/manager/appManager.js.
    @Test @Loop func stepsAndFailuresAreLogged() async throws {
        let logs = CapturedLogs.installed
        let stage = try Stage(failures: ["b": 2])
        let name = "logged trade"
        _ = await stage.run(
            name, conditions: [stage.step("x")], handlers: [stage.step("a"), stage.step("b")],
            TransactionPolicy(attempts: 2, restart: .fromFailed))
        let steps = logs.lines("transaction-log", where: "transaction", is: name)
        #expect(
            steps.map { "\($0["type"] ?? "") \($0["step"] ?? "") \($0["attempt"] ?? "")" }
                == ["condition x 0", "handler a 1", "handler b 1", "handler b 2"])
        let failures = logs.lines("transaction-error-log", where: "transaction", is: name)
        #expect(failures.map(\.level) == [.error, .error])
        #expect(failures.map { $0["attempt"] } == ["1", "2"])
        #expect(failures.allSatisfy { $0["description"] == "b is not possible" && $0["step"] == "b" })
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
