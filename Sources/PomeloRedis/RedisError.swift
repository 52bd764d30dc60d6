// SPDX-License-Identifier: MIT

/// Why a command has no reply, or why a connection could not be had.
public enum RedisError: Error, Sendable, Equatable {
    /// There is no connection, or it broke before the reply; the text names host and port.
    case connection(String, maybeExecuted: Bool = false)
    /// The server did not answer in time.
    case timeout(milliseconds: Int)
    /// The server's own error text, for instance `WRONGTYPE …`.
    case reply(String)
    /// The server sent something that is not RESP, or not what the command answers with.
    case protocolError(String)
    /// As many commands as the configuration allows wait for their replies.
    case overloaded(limit: Int)
    /// The client was not started, or has been stopped.
    case closed

    /// Whether the server may have executed the command; `false` means a retry cannot repeat an effect.
    ///
    /// An error reply counts as not executed; a script that fails half-way keeps the writes it made.
    public var maybeExecuted: Bool {
        switch self {
        case .connection(_, let maybe): maybe
        case .timeout, .protocolError: true
        case .reply, .overloaded, .closed: false
        }
    }
}

extension RedisError: CustomStringConvertible {
    /// A sentence for logs.
    public var description: String {
        switch self {
        case .connection(let text, _): text
        case .timeout(let milliseconds): "redis did not answer within \(milliseconds) ms"
        case .reply(let text): text
        case .protocolError(let text): "unexpected reply from redis: \(text)"
        case .overloaded(let limit): "more than \(limit) redis commands are waiting (key \"maxPendingCommands\")"
        case .closed: "the redis client is not running"
        }
    }
}
