// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRPC
import PomeloWire
import Testing

/// What becomes of calls, in memory and on a clock that only the test moves.
@Suite struct CallTests {
    struct Outcomes: Sendable, CustomTestStringConvertible {
        let method: String
        let expected: Result<Bytes, RPCError>
        var testDescription: String { method }
    }

    /// Calls to the own server take the same ways to the same ends, without a connection.
    @Test(arguments: [
        Outcomes(method: "echo", expected: .success([7])),
        Outcomes(method: "later", expected: .success([7])),
        Outcomes(method: "fault", expected: .failure(.fault(code: 1001, message: "no such room"))),
        Outcomes(
            method: "broken", expected: .failure(.failed(code: 500, message: "encoding: cannot be decoded"))),
        Outcomes(
            method: "nested", expected: .failure(.failed(code: 500, message: "not sent: a further call"))),
        Outcomes(method: "none", expected: .failure(.unimplemented("none"))),
    ])
    @Loop func outcomesAreTheSameNearAndFar(_ outcomes: Outcomes) async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        #expect(await a.call(b, outcomes.method) == outcomes.expected)
        let sent = b.transport.counters.sent
        #expect(await b.call(b, outcomes.method) == outcomes.expected)
        #expect(b.transport.counters.sent == sent)
    }

    @Test @Loop func manyCallsUseOneConnectionInEachDirection() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let outcomes = (0..<100).map { a.begin(b, "echo", [UInt8($0)]) } + [b.begin(a)]
        await settle()
        #expect(outcomes.allSatisfy { $0.kind == "reply" && $0.all.count == 1 })
        #expect(cluster.net.connections == 2)
        #expect(b.seen == (0..<100).map { [UInt8($0)] })
    }

    @Test @Loop func anUnknownServerIsNotCalled() async throws {
        let cluster = MemoryCluster()
        let (a, _) = try await cluster.pair()
        #expect(await a.call("nobody", "echo", []) == .failure(.notSent("no server nobody is known")))
    }

    @Test @Loop func beforeTheStartNothingIsSent() async {
        let server = TestServer("a", instance: "a1", options: RPCOptions())
        #expect(await server.call("a", "echo", []).isNotSent)
    }

    @Test @Loop func repliesComeInTheOrderOfCompletion() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let slow = a.begin(b, "hold")
        let fast = a.begin(b)
        await settle()
        #expect(slow.kind == "pending" && fast.kind == "reply")
        b.releaseAll([9])
        await settle()
        #expect(slow.value == .success([9]))
    }

    // MARK: deadlines

    @Test @Loop func aCallOnItsWayFailsAtItsDeadlineAndTheLateReplyIsDropped() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let call = a.begin(b, "hold", within: .milliseconds(300))
        await cluster.advance(.milliseconds(290))
        #expect(call.kind == "pending")
        await cluster.advance(.milliseconds(20))
        #expect(call.kind == "maybeExecuted")
        b.releaseAll()
        await settle()
        #expect(call.all.count == 1)
        #expect(await a.call(b).isReply)
    }

    @Test @Loop func theDeadlineCoversConnecting() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        cluster.net.frozen = [b.info.record.port]
        let call = a.begin(b, within: .milliseconds(300))
        await cluster.advance(.milliseconds(310))
        #expect(call.kind == "notSent")
    }

    @Test @Loop func aCallWithoutTimeIsNotSent() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        for target in [a, b] { #expect(await a.call(target, within: .zero).isNotSent) }
    }

    @Test @Loop func localCallsHaveDeadlinesToo() async throws {
        let cluster = MemoryCluster()
        let (a, _) = try await cluster.pair()
        let call = a.begin(a, "hold", within: .milliseconds(300))
        await cluster.advance(.milliseconds(310))
        #expect(call.kind == "maybeExecuted")
        a.releaseAll()
        await settle()
        #expect(call.all.count == 1)
    }

    @Test @Loop func manyDeadlinesEndInTheirOrder() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let calls = (1...50).map { a.begin(b, "hold", within: .milliseconds($0 * 20)) }
        await settle()
        for ended in 1...50 {
            await cluster.advance(.milliseconds(20), step: .milliseconds(20))
            #expect(calls.count(where: { $0.kind == "maybeExecuted" }) == ended)
        }
        b.releaseAll()
    }

    // MARK: cancellation

    struct GivenUp: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let isLocal: Bool
        let act: @Loop @Sendable (MemoryCluster, CallOutcome) async -> Void
    }

    static let givenUp = [false, true].flatMap { isLocal in
        let place = isLocal ? "here" : "there"
        return [
            GivenUp(testDescription: "\(place), at the deadline", isLocal: isLocal) { cluster, _ in
                await cluster.advance(.milliseconds(1010))
            },
            GivenUp(testDescription: "\(place), by its caller", isLocal: isLocal) { _, call in call.task?.cancel() },
        ]
    }

    /// What nobody waits for must not go on working.
    @Test(arguments: givenUp)
    @Loop func regressionAProcedureThatNobodyWaitsForIsCancelled(_ test: GivenUp) async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let target = test.isLocal ? a : b
        var ended: [Bool] = []
        let (endless, source) = AsyncStream<Void>.makeStream()
        defer { source.finish() }
        target.procedures.suspending(Procedure(remote: "work")) { _, _ in
            // Ends only when this task is cancelled.
            for await _ in endless {}
            ended.append(Task.isCancelled)
            return []
        }
        let call = a.begin(target, "work", within: .seconds(1))
        await settle()
        #expect(call.kind == "pending" && ended == [])
        await test.act(cluster, call)
        #expect(await eventually { ended == [true] })
        #expect(call.kind == "maybeExecuted")
    }

    @Test @Loop func aCancelledCallerGetsItsOutcomeAtOnce() async throws {
        let cluster = MemoryCluster()
        var cancels = 0
        let (a, b) = try await cluster.pair()
        cluster.net.fate = { _, frame in
            if case .cancel = frame { cancels += 1 }
            return .pass
        }
        let far = a.begin(b, "hold")
        let near = a.begin(a, "hold")
        await settle()
        for call in [far, near] { call.task?.cancel() }
        await settle()
        #expect(far.kind == "maybeExecuted" && near.kind == "maybeExecuted" && cancels == 1)
        for server in [a, b] { server.releaseAll() }
        await settle()
        #expect(far.all.count == 1 && near.all.count == 1)
    }

    @Test @Loop func aCallCancelledInTheQueueIsNotSent() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        cluster.net.frozen = [b.info.record.port]
        let call = a.begin(b)
        await settle()
        call.task?.cancel()
        await settle()
        #expect(call.kind == "notSent")
        cluster.net.frozen = []
        await settle()
        #expect(b.seen.isEmpty)
    }

    // MARK: bounds

    @Test @Loop func callsBeyondTheBoundFailAtOnce() async throws {
        let cluster = MemoryCluster()
        var options = RPCOptions()
        options.maxInFlightPerPeer = 10
        let (a, b) = try await cluster.pair(options)
        for target in [a, b] {
            let calls = (0..<25).map { _ in a.begin(target, "hold") }
            await settle()
            #expect(calls.count(where: { $0.kind == "pending" }) == 10)
            #expect(calls.count(where: { $0.kind == "notSent" }) == 15)
            target.releaseAll()
            await settle()
            #expect(calls.count(where: { $0.kind == "reply" }) == 10)
        }
        #expect(a.transport.counters.overloaded == 30)
    }

    @Test @Loop func cancelledCallsStillCountAtTheCalleeWhileTheyRun() async throws {
        let cluster = MemoryCluster()
        var options = RPCOptions()
        options.maxInFlightPerPeer = 4
        let (a, b) = try await cluster.pair(options)
        for _ in 0..<3 {
            let calls = (0..<4).map { _ in a.begin(b, "hold") }
            await settle()
            for call in calls { call.task?.cancel() }
            await settle()
        }
        #expect(b.held.count == 4)
        #expect(await a.call(b).isNotSent)
        b.releaseAll()
        await settle()
        #expect(await a.call(b).isReply)
    }

    @Test @Loop func bytesBeyondTheBoundFailAtOnce() async throws {
        let cluster = MemoryCluster()
        var options = RPCOptions()
        options.maxQueuedBytesPerPeer = 100_000
        let (a, b) = try await cluster.pair(options)
        let payload = Bytes(repeating: 1, count: 30_000)
        for _ in 0..<2 {
            let calls = (0..<5).map { _ in a.begin(b, "echo", payload) }
            await settle()
            #expect(calls.map(\.kind) == ["reply", "reply", "reply", "notSent", "notSent"])
        }
    }

    @Test @Loop func callsAndRepliesOverTheLimitAreRefused() async throws {
        let cluster = MemoryCluster()
        var options = RPCOptions()
        options.maxFrameBytes = 100_000
        let (a, b) = try await cluster.pair(options)
        for target in [a, b] {
            #expect(await a.call(target, "echo", Bytes(repeating: 0, count: 100_001)).isNotSent)
            #expect(
                await a.call(target, "zeros", Bytes("100000".utf8))
                    == .success(Bytes(repeating: 0, count: 100_000)))
            let reply = await a.call(target, "zeros", Bytes("100001".utf8))
            #expect(reply == .failure(.failed(code: 500, message: "the reply has more than 100000 bytes")))
        }
    }

    // MARK: long replies

    @Test @Loop func shortRepliesPassBetweenThePiecesOfLongOnes() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        var order: [UInt32] = []
        cluster.net.fate = { _, frame in
            switch frame {
            case .replyChunk(let id, _, _), .reply(let id, _): order.append(id)
            default: break
            }
            return .pass
        }
        let long = a.begin(b, "zeros", Bytes("1048576".utf8))
        let other = a.begin(b, "zeros", Bytes("1048576".utf8))
        let short = a.begin(b)
        await settle()
        #expect(long.value == .success(Bytes(repeating: 0, count: 1 << 20)))
        #expect(other.value == long.value && short.kind == "reply")
        #expect(order.count == 33)
        #expect(order.prefix(9) == [2, 2, 2, 2, 4, 3, 2, 3, 2], "\(order)")
    }

    @Test @Loop func aCancelledLongReplyStopsHalfWay() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        var pieces = 0
        let call = a.begin(b, "zeros", Bytes("8000000".utf8))
        cluster.net.fate = { _, frame in
            if case .replyChunk = frame {
                pieces += 1
                if pieces == 20 { call.task?.cancel() }
            }
            return .pass
        }
        await settle()
        await settle()
        #expect(call.kind == "maybeExecuted")
        #expect(pieces < 40, "of 123")
        #expect(await a.call(b).isReply)
    }
}
