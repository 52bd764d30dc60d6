// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import Testing

@testable import PomeloRPC

/// What a caller has given up does not run later, whatever stood still meanwhile.
@Suite struct LateTests {
    private static let patient: RPCOptions = {
        var options = RPCOptions()
        options.pingInterval = .seconds(3600)
        return options
    }()

    /// The server is stopped for six seconds; its callers cut the connection after two.
    @Test(arguments: ["echo", "later"])
    @Loop func whatACutConnectionBroughtIsNotBegunOnWaking(_ method: String) async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        b.procedures.suspending(Procedure(remote: "later")) { _, payload in
            b.seen.append(payload)
            return payload
        }
        #expect(await a.call(b, method, [0]).isReply)
        cluster.net.frozen = [b.info.record.port]
        var calls: [CallOutcome] = []
        for number in 1...20 {
            calls.append(a.begin(b, method, [UInt8(number)], within: .seconds(30)))
            await cluster.advance(.milliseconds(100))
        }
        await cluster.advance(.seconds(4))
        #expect(calls.allSatisfy { $0.all.count == 1 && $0.kind == "maybeExecuted" })
        cluster.net.frozen = []
        await settle()
        #expect(b.seen == [[0]] && b.transport.counters.late == 20)
        await cluster.advance(.seconds(3))
        #expect(await a.call(b, method, [99]).isReply)
        #expect(b.seen == [[0], [99]])
    }

    /// A cancellation that arrives together with its call, and a deadline that passed on the way.
    @Test(arguments: ["echo", "later"])
    @Loop func whatIsLateIsDroppedAndTheRestRunsInOrder(_ method: String) async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair(Self.patient)
        b.procedures.suspending(Procedure(remote: "later")) { _, payload in
            b.seen.append(payload)
            return payload
        }
        #expect(await a.call(b, method, [0]).isReply)
        cluster.net.frozen = [b.info.record.port]
        let calls = (1...5).map { number in
            a.begin(b, method, [UInt8(number)], within: number == 2 ? .seconds(1) : .seconds(30))
        }
        await settle()
        calls[3].task?.cancel()
        await cluster.advance(.milliseconds(1500))
        #expect(calls.map(\.kind) == ["pending", "maybeExecuted", "pending", "maybeExecuted", "pending"])
        cluster.net.frozen = []
        await cluster.advance(.milliseconds(20))
        #expect(calls.map(\.kind) == ["reply", "maybeExecuted", "reply", "maybeExecuted", "reply"])
        #expect(b.seen == [[0], [1], [3], [5]] && b.transport.counters.late == 2)
        #expect(await a.call(b, method, [6]).isReply)
    }

    /// What an older connection brings may have been given up with it: its caller is asked.
    @Test @Loop func anOlderConnectionOfTheSameServerIsAskedFirst() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        #expect(await a.call(b).isReply)
        await settle()
        var pings = 0
        cluster.net.fate = { _, frame in
            if case .ping = frame { pings += 1 }
            return .pass
        }
        try await a.transport.proveSecret(to: b.info)
        await settle()
        #expect(pings == 1)
        #expect(await a.call(b).isReply)
        #expect(pings == 1 && b.transport.counters.late == 0)
    }

    /// Deadlines go on while calls wait to be confirmed, and their bound holds.
    @Test @Loop func callsThatWaitForAWordAreBoundedAndEndInTime() async throws {
        let cluster = MemoryCluster()
        var options = Self.patient
        options.maxInFlightPerPeer = 4
        let (a, b) = try await cluster.pair(options)
        #expect(await a.call(b).isReply)
        var pongs = 0
        cluster.net.fate = { _, frame in
            if case .pong = frame {
                pongs += 1
                return .cutBefore
            }
            return .pass
        }
        cluster.net.frozen = [b.info.record.port]
        let calls = (1...6).map { a.begin(b, "echo", [UInt8($0)], within: .seconds(30)) }
        await cluster.advance(.milliseconds(400))
        cluster.net.frozen = []
        await settle()
        #expect(pongs == 1, "the answer was cut off, and the connection with it")
        #expect(calls.map(\.kind).filter { $0 == "maybeExecuted" }.count == 4)
        #expect(b.seen == [[7]] && b.transport.counters.late == 4)
    }

    /// A task that begins late looks at its deadline first.
    @Test(arguments: ["overdue", "cancelled", "in time"])
    @Loop func aProcedureThatBeginsLateIsNotBegun(_ what: String) async {
        let clock = ManualClock()
        let table = ProcedureTable(clock: clock)
        var begun = 0
        var outcomes: [Result<Bytes, RPCError>] = []
        table.suspending(Procedure(1, "work")) { _, _ in
            begun += 1
            return [1]
        }
        let caller = RPCCaller(server: "a", instance: "a1", deadline: clock.deadline(after: .seconds(1)))
        let task = table.run(Procedure(1, "work"), caller, []) { outcomes.append($0) }
        switch what {
        case "overdue": clock.advance(by: .seconds(1))
        case "cancelled": task?.cancel()
        default: clock.advance(by: .milliseconds(999))
        }
        #expect(await eventually { outcomes.count == 1 })
        #expect(begun == (what == "in time" ? 1 : 0))
        #expect(outcomes == [what == "in time" ? .success([1]) : .failure(.late)])
    }
}

@Suite struct AgeMeterTests {
    private static let second: UInt64 = 1_000_000_000
    /// What the sender's clock shows more than ours; it need not be less.
    private static let offsets: [UInt64] = [0, 5, UInt64(1) << 62, .max - 3]

    @Test(arguments: offsets)
    func ageIsWhatIsBeyondTheLeastLatency(offset: UInt64) {
        var meter = AgeMeter()
        let sent: (UInt64) -> UInt64 = { $0 &+ offset }
        #expect(meter.age(sent: sent(10), at: 13) == 0)
        #expect(meter.age(sent: sent(20), at: 22) == 0, "a better measure")
        #expect(meter.age(sent: sent(30), at: 35) == 3)
        // Both stood in the socket while this process did.
        #expect(meter.age(sent: sent(40), at: 6 * Self.second) == 6 * Self.second - 42)
        #expect(meter.age(sent: sent(6 * Self.second), at: 6 * Self.second + 2) == 0)
    }

    @Test func aPauseLongerThanTheWindowIsStillAPause() {
        var meter = AgeMeter()
        _ = meter.age(sent: 0, at: 1)
        let wake = 300 * Self.second
        for sent in stride(from: UInt64(1), to: 100, by: 10) {
            #expect(meter.age(sent: sent, at: wake) == wake - sent - 1)
        }
    }

    @Test func aClockThatDriftsIsFollowed() {
        var meter = AgeMeter()
        // The sender's clock loses 500 millionths, the most that a kernel slews.
        var greatest: UInt64 = 0
        for number in UInt64(0)..<3600 {
            let tick = number * Self.second
            greatest = max(greatest, meter.age(sent: tick - tick / 2000, at: tick))
        }
        #expect(greatest <= 31_000_000)
    }

    @Test func anyNumberIsTaken() {
        var meter = AgeMeter()
        let half: UInt64 = 1 << 63
        let numbers: [UInt64] = [.max, 0, half, 1, half - 1, half + 1]
        for sent in numbers {
            for now: UInt64 in [0, 1, Self.second, half / 2] { _ = meter.age(sent: sent, at: now) }
        }
    }
}
