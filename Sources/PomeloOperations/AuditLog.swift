// SPDX-License-Identifier: MIT
import Foundation
package import Logging
import PomeloBytes
import PomeloJSON
package import PomeloLoop

/// Who has given which command when, and what came of it: a line of JSON for each, in a file that only grows.
///
/// ```
/// {"time":"2026-11-27T10:00:00.000Z","user":"ann","command":{"do":"stop","ids":["chat-1"]},"outcome":"done"}
/// ```
@Loop package final class AuditLog {
    private let path: String?
    private let log: Logger
    private let clock: any LoopClock

    /// Writes to a file, or only to the log.
    package init(_ path: String?, _ log: Logger, _ clock: any LoopClock) {
        self.path = path
        self.log = log
        self.clock = clock
    }

    /// - Returns: whether it is written; a command that cannot be recorded is not carried out.
    func write(_ user: String, _ command: JSON, _ outcome: String) -> Bool {
        log.notice(
            "operator",
            metadata: ["user": "\(user.forLog)", "command": "\(command.brief)", "outcome": "\(outcome.forLog)"])
        guard let path else { return true }
        let time = Date(timeIntervalSince1970: Double(clock.wallMilliseconds) / 1000)
        let line: JSON = [
            "time": .string(time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))),
            "user": .string(user),
            "command": command, "outcome": .string(outcome),
        ]
        return append(Data(line.encoded() + [UInt8(ascii: "\n")]), to: path)
    }

    private func append(_ data: Data, to path: String) -> Bool {
        let isThere = FileManager.default.fileExists(atPath: path)
        let owners: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        if !isThere, !FileManager.default.createFile(atPath: path, contents: nil, attributes: owners) { return false }
        guard let file = FileHandle(forWritingAtPath: path) else { return false }
        do {
            try file.seekToEnd()
            try file.write(contentsOf: data)
            try file.close()
            return true
        } catch {
            log.error("the audit log cannot be written", metadata: ["error": "\(error)"])
            return false
        }
    }
}

extension JSON {
    fileprivate var brief: String { String(decoding: encoded().prefix(512), as: UTF8.self).forLog }
}
