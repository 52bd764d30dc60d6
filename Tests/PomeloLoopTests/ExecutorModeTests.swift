// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// One place where code may run, asked from `@Loop` code.
struct Probe: Sendable, CustomTestStringConvertible {
    let name: String
    let isOnLoop: @Loop @Sendable () async -> Bool
    var testDescription: String { name }

    init(_ name: String, _ isOnLoop: @escaping @Loop @Sendable () async -> Bool) {
        self.name = name
        self.isOnLoop = isOnLoop
    }

    /// On the loop in every mode.
    static let everywhere: [Probe] = [
        Probe("@Loop function") { await loopFunction() },
        Probe("nonisolated async function") { await nonisolatedFunction() },
        Probe("Task in @Loop code") { await Task { EventLoop.shared.isOnLoop }.value },
        Probe("after a default actor") {
            _ = await PlainActor().isOnLoop()
            return EventLoop.shared.isOnLoop
        },
        Probe("after a continuation resumed by a foreign thread") {
            await withCheckedContinuation { continuation in onForeignThread { continuation.resume() } }
            return EventLoop.shared.isOnLoop
        },
        Probe("after Task.sleep") {
            do { try await Task.sleep(for: .milliseconds(1)) } catch { return false }
            return EventLoop.shared.isOnLoop
        },
        Probe("after Loop.yield") {
            await Loop.yield()
            return EventLoop.shared.isOnLoop
        },
        Probe("after Task.yield") {
            await Task.yield()
            return EventLoop.shared.isOnLoop
        },
        Probe("after LoopClock.sleep") {
            await SystemClock.shared.sleep(for: .milliseconds(1))
            return EventLoop.shared.isOnLoop
        },
    ]

    /// On the loop when the task carries it as its preference.
    static let withPreference: [Probe] = [
        Probe("@concurrent function") { await concurrentFunction() },
        Probe("async let") {
            async let child = nonisolatedFunction()
            return await child
        },
        Probe("task group child") {
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<3 { group.addTask { EventLoop.shared.isOnLoop } }
                var all = true
                for await child in group where !child { all = false }
                return all
            }
        },
        Probe("default actor") { await PlainActor().isOnLoop() },
        Probe("default actor, after Task.sleep") { await PlainActor().sleepThenIsOnLoop() },
    ]

    /// On the loop only when it is the process's executor.
    static let withProcessWideExecutor: [Probe] = [
        Probe("Task.detached") { await Task.detached { EventLoop.shared.isOnLoop }.value },
        Probe("Task.detached, after Task.sleep") {
            await Task.detached { await PlainActor().sleepThenIsOnLoop() }.value
        },
        Probe("@concurrent Task") { await Task { @concurrent in EventLoop.shared.isOnLoop }.value },
    ]
}

@Suite struct ExecutorModeTests {
    @Test(arguments: Probe.everywhere + Probe.withPreference)
    func aSpawnedTaskNeverLeavesTheLoop(probe: Probe) async {
        #expect(await inSpawnedTask { await probe.isOnLoop() })
    }

    /// Any embedding, such as a test's own task.
    @Test(arguments: Probe.everywhere)
    @Loop func loopCodeOfATaskWithoutPreferenceStaysOnTheLoop(probe: Probe) async {
        #expect(await probe.isOnLoop())
    }

    @Test(arguments: Probe.withProcessWideExecutor)
    func aTaskThatIsNotOursRunsOnSwiftsPool(probe: Probe) async {
        #expect(await inSpawnedTask { await probe.isOnLoop() } == false)
    }

    @Test func runBringsAValueAndAnErrorToAnyCaller() async throws {
        #expect(try await Loop.run { EventLoop.shared.isOnLoop })
        await #expect(throws: Refusal.self) { try await Loop.run { throw Refusal() } }
        #expect(!EventLoop.shared.isOnLoop)
    }

    @Test func whatRunsInsideRunNeverLeavesTheLoop() async throws {
        #expect(try await Loop.run { await PlainActor().sleepThenIsOnLoop() })
    }

    @Test @Loop func assumeIsolatedEntersFromCodeThatIsNotMarked() {
        let value = Loop.assumeIsolated { EventLoop.shared.isOnLoop }
        #expect(value)
    }

    @Test func assumeIsolatedTrapsOffTheLoop() async {
        await #expect(processExitsWith: .failure) { Loop.assumeIsolated {} }
    }
}

@Suite struct ProcessWideExecutorTests {
    /// In a process of its own: the switch cannot be undone.
    @Test func everyTaskButTheMainActorsLandsOnTheLoop() async {
        await #expect(processExitsWith: .success) {
            #expect(await ProcessWideExecutor.install())
            for probe in Probe.everywhere + Probe.withPreference + Probe.withProcessWideExecutor {
                #expect(await inSpawnedTask { await probe.isOnLoop() }, "\(probe.name)")
            }
            #expect(await MainActor.run { EventLoop.shared.isOnLoop } == false)
        }
    }

    @Test func tasksStartedBeforeTheSwitchGoOn() async {
        await #expect(processExitsWith: .success) {
            let early = Loop.spawn {
                for _ in 0..<50 { await SystemClock.shared.sleep(for: .milliseconds(1)) }
            }
            #expect(await ProcessWideExecutor.install())
            await early.value
        }
    }

    @Test func aSleepLongerThanTheClockCountsDoesNotEnd() async {
        await #expect(processExitsWith: .success) {
            #expect(await ProcessWideExecutor.install())
            let endless = Task { try await Task.sleep(for: .seconds(Int64.max / 2)) }
            try await Task.sleep(for: .milliseconds(20))
            endless.cancel()
            await #expect(throws: CancellationError.self) { try await endless.value }
        }
    }

    @Test func theManualDriverRefusesTheSwitch() async {
        await #expect(processExitsWith: .success) {
            EventLoop.choose(.manual(.fifo))
            #expect(await ProcessWideExecutor.install() == false)
        }
    }
}

struct Refusal: Error {}

@Loop private func loopFunction() async -> Bool { EventLoop.shared.isOnLoop }

private func nonisolatedFunction() async -> Bool { EventLoop.shared.isOnLoop }

@concurrent private func concurrentFunction() async -> Bool { EventLoop.shared.isOnLoop }

/// An actor without an executor of its own.
private actor PlainActor {
    func isOnLoop() -> Bool { EventLoop.shared.isOnLoop }

    func sleepThenIsOnLoop() async -> Bool {
        do { try await Task.sleep(for: .milliseconds(1)) } catch { return false }
        return EventLoop.shared.isOnLoop
    }
}
