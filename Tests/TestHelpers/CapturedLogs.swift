// SPDX-License-Identifier: MIT
package import Logging
import Synchronization

/// Everything the test process logs; a test looks for lines of its own.
package final class CapturedLogs: Sendable {
    package struct Line: Sendable {
        package let label: String
        package let level: Logger.Level
        package let message: String
        package let metadata: [String: String]
        package subscript(_ key: String) -> String? { metadata[key] }
    }

    /// From the first use on; loggers made earlier are not captured.
    package static let installed: CapturedLogs = {
        let logs = CapturedLogs()
        LoggingSystem.bootstrap { CapturingHandler(label: $0, logs: logs) }
        return logs
    }()

    private let lines = Mutex<[Line]>([])

    func note(_ line: Line) { lines.withLock { $0.append(line) } }

    package func lines(_ label: String) -> [Line] { lines.withLock { $0.filter { $0.label == label } } }

    package func lines(_ label: String, where key: String, is value: String) -> [Line] {
        lines.withLock { $0.filter { $0.label == label && $0.metadata[key] == value } }
    }
}

private struct CapturingHandler: LogHandler {
    let label: String
    let logs: CapturedLogs
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init(label: String, logs: CapturedLogs) {
        self.label = label
        self.logs = logs
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        logs.note(
            CapturedLogs.Line(
                label: label, level: event.level, message: "\(event.message)", metadata: all.mapValues { "\($0)" }))
    }
}
