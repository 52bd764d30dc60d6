// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// A reaper that falls asleep at each of its steps, many times over; see `SeededRun`.
@Suite(.serialized) struct SleepingReaperTests {
    init() { SeededRun.prepare() }

    @Test(arguments: SeededRun.seeds(from: 0)) func nothingOfTheNextInstanceIsMissing(seed: UInt64) async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent],
            "repeat this run with POMELO_SIMULATION_SEED=\(seed)"
        ) { [seed = seed as UInt64] in
            SeededRun.play(seed: seed) { SleepingReaper(seed: seed) }
        }
        SeededRun.expectSound(SeededRun.output(result), seed: seed)
    }
}
