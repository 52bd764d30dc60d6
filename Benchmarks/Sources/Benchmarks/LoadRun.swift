// SPDX-License-Identifier: MIT
import Foundation

/// One run of the load generator, and what it reports.
struct LoadRun {
    let operations: Double
    /// Of all operations together, in microseconds of CPU time, by process.
    let cpu: [Int32: Double]
    /// Half of the answers came within so many microseconds.
    let median: Double
    let redisCommands: Int
    /// What the same processes send to Redis in the same time when idle.
    let redisIdle: Int

    init(_ place: Workplace, _ mode: String, ports: [Int], processes: [Child], _ options: [String: String]) throws {
        let values = try Self.ask(place, mode, ports: ports, processes: processes, options)
        operations = Double(values["operations"] ?? "") ?? 1
        median = Double(values["p50_us"] ?? "") ?? 0
        redisCommands = Int(values["redis_commands"] ?? "") ?? 0
        redisIdle = Int(values["redis_idle"] ?? "") ?? 0
        var cpu: [Int32: Double] = [:]
        for part in (values["cpu_ns"] ?? "").split(separator: ",") {
            let pair = part.split(separator: ":")
            if pair.count == 2, let pid = Int32(pair[0]), let nanoseconds = Double(pair[1]) {
                cpu[pid] = nanoseconds / 1000
            }
        }
        self.cpu = cpu
    }

    /// Microseconds of CPU time that the processes used for one operation.
    func cpuEach(_ processes: [Child]) -> Double {
        processes.reduce(0) { $0 + (cpu[$1.pid] ?? 0) } / operations
    }

    static func ask(
        _ place: Workplace, _ mode: String, ports: [Int], processes: [Child], _ options: [String: String]
    ) throws -> [String: String] {
        var command = [place.program("Load"), mode, "ports=" + ports.map(String.init).joined(separator: ",")]
        command.append("pids=" + processes.map { "\($0.pid)" }.joined(separator: ","))
        command += options.map { "\($0.key)=\($0.value)" }
        do {
            return pairs(try Child.output(of: command, core: Workplace.loadCore))
        } catch {
            throw Failure("\(processes.map(\.name).joined(separator: ", ")): \(error)")
        }
    }

    /// Splits `a=1 b=2`.
    static func pairs(_ line: String) -> [String: String] {
        var values: [String: String] = [:]
        for word in line.split(whereSeparator: \.isWhitespace) {
            let pair = word.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { values[String(pair[0])] = String(pair[1]) }
        }
        return values
    }
}

extension [Double] {
    /// The middle value; 0 of none.
    var median: Double { isEmpty ? 0 : sorted()[count / 2] }
}
