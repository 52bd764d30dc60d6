// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// An office under faults, many times over; see `SeededRun`.
@Suite(.serialized) struct ElectionSimulationTests {
    init() { SeededRun.prepare() }

    @Test(arguments: SeededRun.seeds(from: 1)) func nobodyIsObeyedWhoHoldsItNoMore(seed: UInt64) async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent],
            "repeat this run with POMELO_SIMULATION_SEED=\(seed)"
        ) { [seed = seed as UInt64] in
            SeededRun.play(seed: seed) { ElectionSimulation(seed: seed) }
        }
        SeededRun.expectSound(SeededRun.output(result), seed: seed)
    }
}
