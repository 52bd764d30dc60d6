// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import Logging
import PomeloCore
import PomeloLoop
import Testing

/// A reaper that falls asleep at each of its steps, many times over, each run in a process of its own.
///
/// `POMELO_SIMULATION_SEEDS` is the number of runs, `POMELO_SIMULATION_SEED` repeats one of them and prints what
/// happened in it.
@Suite(.serialized) struct SleepingReaperTests {
    private static let environment = ProcessInfo.processInfo.environment

    static var seeds: [UInt64] {
        if let seed = environment["POMELO_SIMULATION_SEED"].flatMap({ UInt64($0) }) { return [seed] }
        let count = environment["POMELO_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 20
        return Array(0..<max(1, count))
    }

    init() {
        // The order of sets and dictionaries is part of what a seed decides; the children inherit this.
        unsafe setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    }

    @Test(arguments: seeds) func nothingOfTheNextInstanceIsMissing(seed: UInt64) async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent],
            "repeat this run with POMELO_SIMULATION_SEED=\(seed)"
        ) { [seed = seed as UInt64] in
            // A run that never comes to rest takes all memory: it ends by a signal instead.
            _ = alarm(60)
            LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
            EventLoop.choose(.manual(.shuffled(seed: seed)))
            EventLoop.shared.runTurn()
            Loop.assumeIsolated {
                let simulation = SleepingReaper(seed: seed)
                simulation.run()
                for event in simulation.trail { print(event) }
                for failure in simulation.failures { print("broken: \(failure)") }
                print("finished: \(simulation.sleeper?.rawValue ?? "nobody")")
            }
        }
        let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        if Self.environment["POMELO_SIMULATION_SEED"] != nil { print(output) }
        let broken = output.split(separator: "\n").filter { $0.hasPrefix("broken: ") }
        #expect(broken.isEmpty, "repeat this run with POMELO_SIMULATION_SEED=\(seed)")
        #expect(output.contains("finished"), "POMELO_SIMULATION_SEED=\(seed): \(output.suffix(2000))")
    }
}
