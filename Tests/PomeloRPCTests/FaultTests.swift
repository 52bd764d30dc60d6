// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRPC
import PomeloWire
import Testing

/// Connections that break at every possible point: each call still has exactly one, truthful outcome.
@Suite struct FaultTests {
    /// What one run of the script below came to.
    private struct Run {
        var frames = 0
        var calls: [(payload: Bytes, outcome: CallOutcome)] = []
        var executed: [Bytes] = []
    }

    /// Small pieces, so that a long reply need not be long.
    private static var options: RPCOptions {
        var options = RPCOptions()
        options.chunkBytes = 100
        return options
    }

    /// Two servers call each other in all the ways there are, with the given fate of each frame.
    @Loop private func run(_ fate: @escaping (Int, RPCFrame) -> TestNetwork.Fate) async throws -> Run {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair(Self.options)
        cluster.net.fate = fate
        var run = Run()
        var number: UInt8 = 0
        for _ in 0..<3 {
            for (caller, callee) in [(a, b), (b, a)] {
                for method in ["echo", "hold", "echo"] {
                    number += 1
                    run.calls.append(([number], caller.begin(callee, method, [number])))
                }
            }
            let long = Bytes("300".utf8)
            run.calls.append((long, a.begin(b, "zeros", long)))
            await settle()
            for server in [a, b] { server.releaseAll() }
            await cluster.advance(.milliseconds(300), step: .milliseconds(100))
        }
        await cluster.advance(.seconds(6), step: .milliseconds(500))
        for server in [a, b] { server.releaseAll() }
        run.frames = cluster.net.frames
        run.executed = a.seen + b.seen
        return run
    }

    private func check(_ run: Run, _ comment: Comment) async {
        for (payload, outcome) in run.calls {
            let kind = await outcome.kind
            #expect(await outcome.all.count == 1, comment)
            let times = run.executed.count(where: { $0 == payload })
            #expect(times <= 1, comment)
            if kind == "notSent" { #expect(times == 0, comment) }
            if kind == "reply", payload.count == 1 { #expect(times == 1, comment) }
        }
    }

    @Test(arguments: [TestNetwork.Fate.cutBefore, .cutAfter])
    @Loop func aCutAtAnyFrame(_ fate: TestNetwork.Fate) async throws {
        let clean = try await run { _, _ in .pass }
        await check(clean, "clean")
        for (_, outcome) in clean.calls { #expect(outcome.kind == "reply") }
        var cut = 0
        while true {
            let at = cut
            let run = try await run { number, _ in number == at ? fate : .pass }
            await check(run, "\(fate) frame \(at)")
            if run.frames <= cut { break }
            cut += 1
        }
        #expect(cut > 60)
    }

    @Test(arguments: [11, 12, 13] as [UInt64])
    @Loop func tenThousandCallsUnderRandomCutsHaveTenThousandOutcomes(seed: UInt64) async throws {
        let cluster = MemoryCluster(seed: seed)
        let (a, b) = try await cluster.pair(Self.options)
        var random = SplitMix64(seed: seed)
        cluster.net.fate = { _, _ in
            switch random.next() % 2000 {
            case 0: .cutBefore
            case 1: .cutAfter
            default: .pass
            }
        }
        var outcomes: [CallOutcome] = []
        for round in 0..<100 {
            for number in 0..<100 {
                let pair = number % 2 == 0 ? (a, b) : (b, a)
                let method = ["echo", "later", "hold", "zeros"][number % 4]
                outcomes.append(
                    pair.0.begin(pair.1, method, Bytes("\(round * 5)".utf8), within: .seconds(3)))
            }
            await cluster.advance(.milliseconds(Int(random.next() % 100)), step: .milliseconds(20))
            for server in [a, b] { server.releaseAll() }
        }
        await cluster.advance(.seconds(4), step: .milliseconds(50))
        for server in [a, b] { server.releaseAll() }
        #expect(outcomes.count == 10_000)
        #expect(outcomes.allSatisfy { $0.all.count == 1 })
        let kinds = Dictionary(grouping: outcomes, by: \.kind).mapValues(\.count)
        #expect(kinds["reply", default: 0] > 1000, "\(kinds)")
    }
}
