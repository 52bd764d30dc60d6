// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloWire
import Testing

@testable import PomeloConnectors

/// `POMELO_SIMULATION_SEEDS` is the number of runs of each generation, `POMELO_SIMULATION_SEED` repeats one of them.
@Loop @Suite struct SocketIOSimulationTests {
    private static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let one = environment["POMELO_SIMULATION_SEED"].flatMap({ UInt64($0) }) { return [one] }
        let count = environment["POMELO_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 20
        return Array(1...max(1, count))
    }()

    @Test(arguments: SocketIORevision.allCases)
    func everyPushComesOnceAndInOrder(_ revision: SocketIORevision) async throws {
        for seed in Self.seeds {
            let simulation = try SocketIOSimulation(revision, seed: seed)
            try await simulation.run(steps: 400)
            #expect(
                simulation.failures.isEmpty,
                "POMELO_SIMULATION_SEED=\(seed): \(simulation.trail.joined(separator: " "))")
            simulation.wired.expectNothingLeft()
        }
    }
}
