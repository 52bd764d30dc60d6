// SPDX-License-Identifier: MIT
import Dispatch
import Glibc
import TestHelpers
import Testing

@testable import PomeloLoop

/// One after the other: they share the two worker threads.
@Suite(.serialized) struct OffLoopTests {
    @Test @Loop func runsOffTheLoopAndResumesOnIt() async throws {
        let wasOnLoop = try await offLoop { EventLoop.shared.isOnLoop }
        #expect(!wasOnLoop)
        #expect(EventLoop.shared.isOnLoop)
    }

    @Test func aCallerOffTheLoopStaysOffIt() async throws {
        #expect(try await offLoop { 42 } == 42)
        #expect(!EventLoop.shared.isOnLoop)
    }

    @Test @Loop func anErrorPasses() async {
        await #expect(throws: Refusal.self) { try await offLoop { throw Refusal() } }
    }

    @Test @Loop func twoJobsRunAtOnce() async throws {
        let first = DispatchSemaphore(value: 0)
        let second = DispatchSemaphore(value: 0)
        let ended = Journal<Int>()
        Loop.spawn {
            await run {
                first.signal(); second.wait()
            }
            ended.note(1)
        }
        Loop.spawn {
            await run {
                second.signal(); first.wait()
            }
            ended.note(2)
        }
        await until("each met the other") { ended.entries.count == 2 }
    }

    @Test @Loop func the257thWaitingJobIsRefused() async throws {
        let gate = DispatchSemaphore(value: 0)
        let started = DispatchSemaphore(value: 0)
        let done = Journal<Int>()
        for worker in 0..<WorkerPool.threadCount {
            Loop.spawn {
                await run {
                    started.signal(); gate.wait()
                }
                done.note(-1 - worker)
            }
        }
        for _ in 0..<WorkerPool.threadCount { await semaphoreSignalled(started) }
        for number in 0..<256 {
            Loop.spawn {
                await run {}
                done.note(number)
            }
        }
        await Loop.yield()
        await #expect(throws: OffLoopError.queueFull(limit: 256)) { try await offLoop {} }
        #expect(done.entries.isEmpty)
        for _ in 0..<WorkerPool.threadCount { gate.signal() }
        await until("all that were accepted ran") { done.entries.count == 258 }
        #expect(try await offLoop { "free again" } == "free again")
    }

    @Loop private func run(_ body: @escaping @Sendable () -> Void) async {
        do { try await offLoop(body) } catch { Issue.record(error) }
    }

    @Loop private func semaphoreSignalled(_ semaphore: DispatchSemaphore) async {
        await withCheckedContinuation { continuation in
            onForeignThread {
                semaphore.wait()
                continuation.resume()
            }
        }
    }
}
