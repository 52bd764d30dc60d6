// SPDX-License-Identifier: MIT
import PomeloUV

/// Says how the machine of its server does, as `systemInfo` of the administration.
///
/// ```
/// {"host": "box-3", "system": "Linux 6.1.0 x86_64", "load": [0.4, 0.3, 0.2],
///  "memory": {"total": 25769803776, "available": 21474836480},
///  "processors": [{"user": 812.5, "system": 96.2, "idle": 40211.7}, …]}
/// ```
///
/// Bytes, and seconds since the machine started.
///
/// - Source: pomelo-admin 1.0.1, modules/systemInfo.js, which asked `iostat`.
@Loop public final class SystemInfo: AdminModule {
    /// `systemInfo`.
    public let moduleID = "systemInfo"
    /// Whoever may look.
    public let leastRole = AdminRole.read

    /// Speaks for the machine it is on.
    public init() {}

    /// Answers as above, whatever it is asked.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        let memory = ThisMachine.memory
        return [
            "host": .string(ThisMachine.hostName), "system": .string(ThisMachine.system),
            "load": .array(ThisMachine.load.map { .double($0) }),
            "memory": [
                "total": .int(Int64(clamping: memory.total)), "available": .int(Int64(clamping: memory.available)),
            ],
            "processors": .array(ThisMachine.processors.map(\.json)),
        ]
    }
}

extension ThisMachine.ProcessorTimes {
    fileprivate var json: JSON {
        [
            "user": .double(user / .seconds(1)), "system": .double(system / .seconds(1)),
            "idle": .double(idle / .seconds(1)),
        ]
    }
}
