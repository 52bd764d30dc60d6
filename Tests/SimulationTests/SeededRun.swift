// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import Logging
import PomeloLoop
import PomeloTesting
import Testing

/// Something that a seed decides from beginning to end.
@Loop protocol Simulation: AnyObject {
    var trail: [String] { get }
    var failures: [String] { get }
    /// What came of it, in a few words.
    var summary: String { get }
    func run()
}

/// Runs of simulations, each in a process of its own.
///
/// `POMELO_SIMULATION_SEEDS` is the number of runs, `POMELO_SIMULATION_SEED` repeats one of them and prints what
/// happened in it.
enum SeededRun {
    private static let environment = ProcessInfo.processInfo.environment
    private static let only = environment["POMELO_SIMULATION_SEED"].flatMap { UInt64($0) }

    static func seeds(from first: UInt64) -> [UInt64] {
        if let only { return [only] }
        let count = environment["POMELO_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 20
        return Array(first..<first + max(1, count))
    }

    /// The order of sets and dictionaries is part of what a seed decides; children inherit this.
    static func prepare() { unsafe setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1) }

    /// In the child: runs the simulation, and prints what happened.
    static func play(seed: UInt64, _ make: @Loop () -> any Simulation) {
        // A run that never comes to rest takes all memory: it ends by a signal instead.
        _ = alarm(60)
        LoggingSystem.bootstrap { label -> any LogHandler in
            guard only != nil else { return SwiftLogNoOpLogHandler() }
            return StreamLogHandler.standardOutput(label: label)
        }
        EventLoop.choose(.manual(.shuffled(seed: seed)))
        EventLoop.shared.runTurn()
        Loop.assumeIsolated {
            let simulation = make()
            simulation.run()
            for event in simulation.trail { print(event) }
            for failure in simulation.failures { print("broken: \(failure)") }
            print("finished: \(simulation.summary)")
        }
    }

    /// What the child printed.
    static func output(_ result: ExitTest.Result?) -> String {
        String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    }

    static func expectSound(_ output: String, seed: UInt64, at place: Testing.SourceLocation = #_sourceLocation) {
        if only != nil { print(output) }
        let broken = output.split(separator: "\n").filter { $0.hasPrefix("broken: ") }
        #expect(broken.isEmpty, "repeat this run with POMELO_SIMULATION_SEED=\(seed)", sourceLocation: place)
        #expect(
            output.contains("finished"), "POMELO_SIMULATION_SEED=\(seed): \(output.suffix(2000))",
            sourceLocation: place)
    }
}

extension ManualClock {
    /// Time passes timer by timer; `settle` runs what is ready.
    @Loop func pass(_ duration: Duration, _ settle: @Loop () -> Void) {
        let end = deadline(after: duration)
        settle()
        while let next = nextDeadline, next <= end {
            advance(to: next)
            settle()
        }
        advance(to: end)
        settle()
    }
}
