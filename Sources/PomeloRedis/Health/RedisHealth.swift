// SPDX-License-Identifier: MIT

/// Whether what is sent by a client arrives, as it was tried last.
public enum RedisHealth: Sendable, Hashable {
    /// Commands are executed and messages come back.
    case ready
    /// Something does not; the text says which way, and why.
    case degraded(String)
}

extension RedisHealth: CustomStringConvertible {
    /// `ready`, or `degraded` and why.
    public var description: String {
        switch self {
        case .ready: "ready"
        case .degraded(let reason): "degraded: \(reason)"
        }
    }
}

/// What the canary has found out of each way; pure.
struct HealthFindings {
    /// Why commands are not executed.
    var commands: String?
    /// Why messages cannot come: a connection is away.
    var messageOutage: String?
    /// Why messages do not come back.
    private(set) var messages: String?
    /// Canaries in a row that did not come back as messages.
    private(set) var silences = 0

    /// What is done about messages that do not come, each when the one before did not help.
    enum Remedy: Equatable { case resubscribe, reconnect, resolve }

    init(commands: String? = nil) { self.commands = commands }

    var health: RedisHealth {
        let unheard = messageOutage ?? messages
        let reasons = [commands.map { "commands: \($0)" }, unheard.map { "messages: \($0)" }].compactMap(\.self)
        return reasons.isEmpty ? .ready : .degraded(reasons.joined(separator: "; "))
    }

    mutating func messagesCame() {
        messages = nil
        silences = 0
    }

    /// Nothing was tried: the server refuses.
    mutating func messagesAreRefused(_ reason: String) { messages = reason }

    mutating func messagesDidNotCome(_ reason: String) -> Remedy {
        messages = reason
        silences += 1
        return switch silences {
        case 1: .resubscribe
        case 2: .reconnect
        default: .resolve
        }
    }
}
