// SPDX-License-Identifier: MIT
import Foundation

/// Requests that a connector's own handlers answer, in one process without sockets: what the framework itself costs.
struct DispatchBenchmarks {
    private let place: Workplace
    private let rounds: Int

    init(_ place: Workplace, _ rounds: Int) {
        self.place = place
        self.rounds = rounds
    }

    /// Expected: packet and route 0.2 µs, session copy and request 0.2, its share of a task 0.3, the answer 0.3, each
    /// with two allocations; 200 bytes of JSON 1.5 µs and ten allocations to read, as much to write; a filter 0.1 µs.
    private static let cases = [
        (name: "raw", title: "raw handler", cpu: "0.8", allocations: "6"),
        (name: "waiting", title: "raw handler that may wait", cpu: "1.0", allocations: "8"),
        (name: "typed", title: "typed handler, 200 B both ways", cpu: "4.0", allocations: "28"),
        (name: "filtered", title: "two filters, typed handler, 200 B in", cpu: "2.9", allocations: "20"),
    ]

    func run(into report: inout Report) throws {
        Benchmarks.say("dispatch")
        for test in Self.cases {
            var cpu: [Double] = []
            var allocations: [Double] = []
            for _ in 0..<rounds {
                let line = try Child.output(
                    of: [place.program("InProcess"), test.name, "100000"], core: Workplace.serverCore)
                let values = LoadRun.pairs(line)
                cpu.append((Double(values["cpu_ns"] ?? "") ?? 0) / 1000)
                allocations.append(Double(values["allocations"] ?? "") ?? 0)
            }
            let name = "dispatch, \(test.title)"
            report.add(Row(name: "\(name), µs CPU", expected: test.cpu, plain: cpu.median.text()))
            report.add(Row(name: "\(name), allocations", expected: test.allocations, plain: allocations.median.text(1)))
        }
    }
}
