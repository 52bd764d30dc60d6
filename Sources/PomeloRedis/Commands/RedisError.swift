// SPDX-License-Identifier: MIT
import PomeloBytes

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
    /// As many commands, or bytes of commands, as the configuration allows wait for their replies; `key` names which.
    case overloaded(limit: Int, key: String = "maxPendingCommands")
    /// It cannot be sent in this way; nothing was.
    case refused(String)
    /// The client was not started, or has been stopped.
    case closed

    /// Whether the server may have executed the command; `false` means a retry cannot repeat an effect.
    ///
    /// An error reply counts as not executed; a script that fails half-way keeps the writes it made.
    public var maybeExecuted: Bool {
        switch self {
        case .connection(_, let maybe): maybe
        case .timeout, .protocolError: true
        case .reply, .overloaded, .refused, .closed: false
        }
    }

    /// Whether there was no connection to send it on, and another attempt may find one.
    var isNotSent: Bool {
        if case .connection(_, maybeExecuted: false) = self { true } else { false }
    }
}

extension RedisError: CustomStringConvertible {
    /// A sentence for logs.
    public var description: String {
        switch self {
        case .connection(let text, _): text
        case .timeout(let milliseconds): "redis did not answer within \(milliseconds) ms"
        case .reply(let text): text.isEmpty ? "an error without a text" : text
        case .protocolError(let text): "unexpected reply from redis: \(text)"
        case .overloaded(let limit, let key): "redis commands are waiting, \(limit) and no more may (key \"\(key)\")"
        case .refused(let text): "not sent to redis: \(text)"
        case .closed: "the redis client is not running; it starts with its component, after beforeStartup"
        }
    }
}

extension RedisError {
    /// The server's state, not the command, is the reason: another connection may reach a better one.
    static let lostServer: Set<Text> = ["READONLY", "MASTERDOWN", "LOADING"]

    /// The code at the beginning of an error's text, or behind a dash in one that tells of a script.
    static func code(of text: String) -> String {
        let first = text.prefix { $0 != " " }
        guard first == "ERR" || first.hasPrefix("@"), text.contains("user_script") else { return String(first) }
        let inner = text.split(separator: " ").first { word in
            word.utf8.first == UInt8(ascii: "-") && word.utf8.count > 3
                && word.utf8.dropFirst().allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        }
        return inner.map { String($0.dropFirst()) } ?? String(first)
    }

    /// A server's words about a login, without what it repeats of it: one without AUTH shows its arguments.
    static func without(_ secrets: [String], _ text: String) -> String {
        let words = text.firstRange(of: ", with args").map { String(text[..<$0.lowerBound]) } ?? text
        return secrets.filter { !$0.isEmpty }.reduce(words) { $0.replacing($1, with: "…") }
    }

    /// The same reason for a command that was never sent.
    var asNotSent: RedisError? {
        switch self {
        case .connection(let text, _), .reply(let text), .protocolError(let text): .connection(text)
        case .timeout, .overloaded, .refused, .closed: nil
        }
    }

    /// The same reason for commands of which some were executed.
    var afterOthers: RedisError {
        switch self {
        case .connection(let text, _): .connection(text, maybeExecuted: true)
        case .closed: .connection("the redis client was stopped", maybeExecuted: true)
        // Alone it says that nothing was executed.
        case .overloaded: .connection("redis had no room for the rest of a batch: \(self)", maybeExecuted: true)
        case .timeout, .reply, .protocolError: self
        case .refused(let text): .connection("a part of a batch was refused: \(text)", maybeExecuted: true)
        }
    }
}
