// SPDX-License-Identifier: MIT

/// Why a session ended.
public enum SessionEnd: Sendable, Equatable, CustomStringConvertible {
    /// The client left, or its connection broke.
    case disconnected(String)
    /// The server closed it for a reason told to the client.
    case kicked(String)
    /// The server stops.
    case stopped

    /// The reason in words, for logs.
    public var description: String {
        switch self {
        case .disconnected(let reason): reason
        case .kicked(let reason): "kicked: \(reason)"
        case .stopped: "server stopped"
        }
    }
}
