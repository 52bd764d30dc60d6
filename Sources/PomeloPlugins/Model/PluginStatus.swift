// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON

/// What a plugin says of itself at `/v1/status`, or is said of it when it does not answer.
public enum PluginStatus: String, Sendable, CaseIterable {
    /// Serves.
    case active = "ACTIVE"
    /// Will serve.
    case starting = "STARTING"
    /// Serves no new calls.
    case stopping = "STOPPING"
    /// Does not serve.
    case failed = "FAILED"

    /// The status in an answer of `/v1/status`; nil when there is none.
    ///
    /// - Source: tKeel's answers: texts, later with STOPPED, and in 2022 numbers: 0 UNKNOWN, 1 WAIT_RUNNING,
    ///   2 ERR_REGISTER, 3 RUNNING.
    public init?(_ value: JSON?) {
        switch value {
        case .string(let text):
            switch Text(text) {
            case "STOPPED": self = .stopping
            case "RUNNING": self = .active
            case "WAIT_RUNNING": self = .starting
            case "UNKNOWN", "ERR_REGISTER": self = .failed
            default:
                guard let status = PluginStatus.allCases.first(where: { Text($0.rawValue) == Text(text) }) else {
                    return nil
                }
                self = status
            }
        case .int(0), .int(2): self = .failed
        case .int(1): self = .starting
        case .int(3): self = .active
        default: return nil
        }
    }
}
