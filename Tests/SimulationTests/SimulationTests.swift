// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// A whole cluster under faults, many times over; see `SeededRun`.
@Suite(.serialized) struct SimulationTests {
    init() { SeededRun.prepare() }

    @Test(arguments: SeededRun.seeds(from: 1)) func theRulesHold(seed: UInt64) async {
        SeededRun.expectSound(await run(seed: seed), seed: seed)
    }

    @Test func aSeedDecidesARun() async {
        let first = await run(seed: 7)
        #expect(first.contains("finished"))
        #expect(await run(seed: 7) == first)
        #expect(await run(seed: 8) != first)
    }

    private func run(seed: UInt64) async -> String {
        SeededRun.output(
            await #expect(
                processExitsWith: .success, observing: [\.standardOutputContent],
                "repeat this run with POMELO_SIMULATION_SEED=\(seed)"
            ) { [seed = seed as UInt64] in
                SeededRun.play(seed: seed) { ClusterSimulation(seed: seed) }
            })
    }
}
