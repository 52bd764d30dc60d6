// SPDX-License-Identifier: MIT
package import PomeloContract
import PomeloCore
package import PomeloJSON

/// What a master can be told.
package enum OperatorCommand: Sendable, Equatable {
    /// Ends servers, or all of them and the master.
    case stop([ServerID])
    /// Ends servers and starts them again, one after the other.
    case restart([ServerID])
    /// The same of those among them that run, or of all that do when none is named: what was stopped stays down.
    case restartRunning([ServerID])
    /// Starts servers that were stopped.
    case start([ServerID])
    /// Starts servers that no file names, from words as `serverType=chat`.
    case add([String])
    /// Ends servers at once, without a word to their clients; all, and the master, when none is named.
    case kill([ServerID])
    /// Asks the module `watchServer` of one server, or of all.
    case ask(ServerID?, JSON)
    /// Asks the master's module of this id, about one server or all.
    case module(String, ServerID?, JSON)
    /// Which servers the master keeps.
    case supervised

    /// The least role that may give it; nil: the module's own says.
    var role: AdminRole? {
        switch self {
        case .module: nil
        case .supervised: .read
        // Settings are the application's own: nobody knows what stands in them.
        case .ask(_, let message): (message["show"] ?? "settings") != "settings" ? .read : .operate
        case .stop(let ids): ids.isEmpty ? .own : .operate
        case .restart, .restartRunning, .start, .add: .operate
        case .kill: .own
        }
    }

    package var json: JSON {
        switch self {
        case .stop(let ids): Self.json("stop", ids)
        case .restart(let ids): Self.json("restart", ids)
        case .restartRunning(let ids): Self.json("restartRunning", ids)
        case .start(let ids): Self.json("start", ids)
        case .kill(let ids): Self.json("kill", ids)
        case .add(let words): ["do": "add", "words": .array(words.map { .string($0) })]
        case .ask(let server, let message):
            ["do": "ask", "server": server.map { .string($0.rawValue) } ?? .null, "message": message]
        case .module(let id, let server, let message):
            [
                "do": "module", "module": .string(id), "server": server.map { .string($0.rawValue) } ?? .null,
                "message": message,
            ]
        case .supervised: Self.json("supervised", [])
        }
    }

    /// Nil when it is no command.
    package init?(_ json: JSON) {
        let ids = (json["ids"]?.array ?? []).compactMap(\.string).map { ServerID($0) }
        guard ids.count == json["ids"]?.array?.count ?? 0, ids.count <= 1024 else { return nil }
        switch json["do"]?.string {
        case "stop": self = .stop(ids)
        case "restart": self = .restart(ids)
        case "restartRunning": self = .restartRunning(ids)
        case "start": self = .start(ids)
        case "kill": self = .kill(ids)
        case "add":
            let words = (json["words"]?.array ?? []).compactMap(\.string)
            guard (1...64).contains(words.count) else { return nil }
            self = .add(words)
        case "ask":
            // What counts for the role is all there is.
            guard let message = json["message"], let keys = message.object?.keys, !keys.isEmpty,
                message["show"] == nil || keys.count == 1
            else { return nil }
            self = .ask(json["server"]?.string.map { ServerID($0) }, message)
        case "module":
            guard let id = json["module"]?.string, let message = json["message"] else { return nil }
            self = .module(id, json["server"]?.string.map { ServerID($0) }, message)
        case "supervised": self = .supervised
        default: return nil
        }
    }

    private static func json(_ verb: String, _ ids: [ServerID]) -> JSON {
        ["do": .string(verb), "ids": .array(ids.map { .string($0.rawValue) })]
    }
}
