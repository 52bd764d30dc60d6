// SPDX-License-Identifier: MIT
import Foundation
import PomeloUV

/// Says which process its server is and what that uses, as `nodeInfo` of the administration.
///
/// ```
/// {"pid": 4711, "uptime": 12.5, "rss": 31457280, "cpu": 0.75, "sessions": 3, "version": "1.2"}
/// ```
///
/// Seconds since the application was made, bytes in memory, seconds of processors since then, sessions of clients, and
/// the program's version where it has one.
///
/// - Source: pomelo-admin 1.0.1, modules/nodeInfo.js, which asked `ps`.
@Loop public final class NodeInfo: AdminModule {
    /// `nodeInfo`.
    public let moduleID = "nodeInfo"
    /// Whoever may look.
    public let leastRole = AdminRole.read
    private let context: ServiceContext
    private let version: String
    private let began: UInt64
    private let used: Duration

    /// Speaks for a server, `app.context`.
    public init(_ context: ServiceContext, version: String = "") {
        self.context = context
        self.version = version
        began = context.clock.now
        used = ThisProcess.processorTime
    }

    /// Answers as above, whatever it is asked.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        var answer: JSONObject = [
            "pid": .int(Int64(ProcessInfo.processInfo.processIdentifier)),
            "uptime": .double(Double(context.clock.now - began) / 1e9),
            "rss": .int(Int64(ThisProcess.residentBytes)),
            "cpu": .double((ThisProcess.processorTime - used) / .seconds(1)),
            "sessions": .int(Int64(context.sessions.count)),
        ]
        if !version.isEmpty { answer["version"] = .string(version) }
        return .object(answer)
    }
}
