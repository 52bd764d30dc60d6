// SPDX-License-Identifier: MIT
import Pomelo
import PomeloSupervision
import PomeloUV

/// The file that this process writes its output to: it puts it aside when it has become long, and says what is at its
/// end, as `monitorLog` of the administration.
///
/// ```
/// {"number": 100, "contains": "error"}   ──►   {"lines": ["…", …]}
/// ```
///
/// The last lines, 100 unless it is said; only those that contain a text, if it is given. Of the file's end 64 KiB are
/// looked at.
///
/// - Guarantee: no line is lost when the file is put aside: until the next one is open, what is written goes to it.
/// - Source: pomelo-admin 1.0.1, modules/monitorLog.js, which gave what it was sent to a shell.
@Loop final class ServerLog: AdminModule {
    let moduleID = "monitorLog"
    let leastRole = AdminRole.read
    /// How often it is looked at.
    let interval: Duration? = .seconds(5)
    private static let most: Int64 = 1000
    private let log: ProcessLog?
    private let mostBytes: UInt64

    /// The file that the supervisor has given this process; nil: its output goes elsewhere.
    init(_ path: String?, mostBytes: UInt64 = ProcessLog.mostBytes) {
        log = path.map { ProcessLog($0) }
        self.mostBytes = mostBytes
    }

    func monitorHandler(_ message: JSON) async throws -> JSON {
        if message == .null { return try turn() }
        guard let log else { throw Fault(404, "this server's output is not in a file of its supervisor") }
        let number = message["number"].map { $0.int ?? 0 } ?? 100
        guard (1...Self.most).contains(number) else {
            throw Fault(400, "number is a whole number from 1 to \(Self.most)")
        }
        var lines = log.lastLines(.max)
        if let text = message["contains"]?.string { lines = lines.filter { $0.contains(text) } }
        return ["lines": .array(lines.suffix(Int(number)).map { .string($0) })]
    }

    private func turn() throws -> JSON {
        guard let log, Files.size(log.path) > mostBytes, Files.putAside(log.path) else { return [:] }
        try ThisProcess.moveOutput(to: log.path)
        return [:]
    }
}
