// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// Journals under faults, many times over; see `SeededRun`.
@Suite(.serialized) struct SyncSimulationTests {
    init() { SeededRun.prepare() }

    @Test(arguments: SeededRun.seeds(from: 0)) func nothingAcknowledgedIsLost(seed: UInt64) async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent],
            "repeat this run with POMELO_SIMULATION_SEED=\(seed)"
        ) { [seed = seed as UInt64] in
            SeededRun.play(seed: seed) { SyncSimulation(seed: seed) }
        }
        SeededRun.expectSound(SeededRun.output(result), seed: seed)
    }
}
