// SPDX-License-Identifier: MIT
import Foundation

/// A process that ends with this one, its output in a file.
final class Child {
    let name: String
    private let process = Process()
    private let log: URL

    /// Starts a program with as many open files as allowed, on one core when the machine has several.
    init(_ name: String, _ command: [String], core: Int? = nil, log: URL) throws {
        self.name = name
        self.log = log
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        let output = try FileHandle(forWritingTo: log)
        var prefix = ["setpriv", "--pdeathsig", "KILL"]
        if let core, ProcessInfo.processInfo.processorCount > 1 { prefix += ["taskset", "-c", "\(core)"] }
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", #"ulimit -n "$(ulimit -Hn)"; exec "$@""#, "sh"] + prefix + command
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    var lastLines: String {
        let text = FileManager.default.contents(atPath: log.path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").suffix(10).joined(separator: "\n")
    }

    /// Waits until the program has printed `text`.
    func awaitOutput(_ text: String, seconds: Double = 20) throws {
        let limit = Date(timeIntervalSinceNow: seconds)
        while Date() < limit {
            let output = FileManager.default.contents(atPath: log.path).map { String(decoding: $0, as: UTF8.self) }
            if output?.contains(text) == true { return }
            guard isRunning else { break }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Failure("\(name) did not come up; its last lines:\n\(lastLines)")
    }

    /// Ends it in order, or by force after 10 s.
    func stop() {
        guard isRunning else { return }
        process.terminate()
        let limit = Date(timeIntervalSinceNow: 10)
        while isRunning, Date() < limit { Thread.sleep(forTimeInterval: 0.02) }
        if isRunning { _ = Foundation.kill(pid, SIGKILL) }
        process.waitUntilExit()
    }

    /// Runs a program to its end and returns what it printed.
    static func output(of command: [String], core: Int? = nil) throws -> String {
        let process = Process()
        let pipe = Pipe()
        let pinned = core != nil && ProcessInfo.processInfo.processorCount > 1
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = (pinned ? ["taskset", "-c", "\(core ?? 0)"] : []) + command
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        guard process.terminationStatus == 0 else {
            throw Failure("\(command.prefix(2).joined(separator: " ")) failed: \(text)")
        }
        return text
    }
}
