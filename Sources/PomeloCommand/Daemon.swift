// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloSupervision
import PomeloUV

/// `start -D`: the same start in a session of its own, whose servers outlive it.
@Loop enum Daemon {
    /// Longer than each step of a start is given.
    private static let patience = Duration.seconds(120)

    /// Returns when all serve.
    ///
    /// With the id of a master that stands by, it is that one.
    ///
    /// - Throws: `PomeloError` with what it wrote when it does not come up.
    static func launch<Program: ServerProgram>(
        _ command: StartCommand<Program>, standby: ServerID? = nil
    ) async throws {
        guard let program = ThisProcess.executable else {
            throw PomeloError(.configuration, "the system does not say which program this is")
        }
        let folder = (command.directory.map { "\($0)/" } ?? "") + command.logs
        let logs = command.logs.hasPrefix("/") ? command.logs : folder
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        let more = standby.map { ["--standby", $0.rawValue] } ?? []
        var run = ChildProcess.Command(program, words(of: command) + more)
        let log = ProcessLog("\(logs)/\(standby.map { "\($0).start" } ?? "start").log")
        run.output = .file(log.path)
        run.ownSession = true
        log.begin()
        let ended = FirstOutcome<ChildProcess.Ending>()
        let child = try ChildProcess(run, onExit: { ended.end(with: $0) })
        let deadline = SystemClock.shared.deadline(after: patience)
        while ended.isOpen {
            guard SystemClock.shared.now < deadline else {
                throw PomeloError(.notRunning, "process \(child.pid) does not say that all serve, see \(log.path)")
            }
            let lines = log.newLines()
            if let line = lines.first(where: { $0.hasPrefix("\(Program.self) is up") }) {
                return Console.line("\(line), in the background as process \(child.pid)")
            }
            await SystemClock.shared.sleep(for: .milliseconds(50))
        }
        let reason = log.lastLines(12).drop { !$0.hasPrefix("error: ") }.joined(separator: "\n")
        throw PomeloError(.notRunning, reason.isEmpty ? "it ended, see \(log.path)" : String(reason.dropFirst(7)))
    }

    private static func words<Program: ServerProgram>(of command: StartCommand<Program>) -> [String] {
        var words = ["start", "--in-background", "--logs", command.logs]
        let options = [
            ("--env", command.options.env), ("--config", command.options.config), ("--type", command.type),
            ("--id", command.id), ("--directory", command.directory), ("--redis", command.redis?.rawValue),
            ("--ssh", command.ssh),
        ]
        for case (let name, let value?) in options { words += [name, value] }
        for companion in command.companion { words += ["--companion", companion] }
        return words + (command.restart ? [] : ["--no-restart"]) + (command.here ? ["--here"] : [])
    }
}
