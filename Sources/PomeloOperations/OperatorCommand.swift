// SPDX-License-Identifier: MIT
package import PomeloContract
package import PomeloJSON

/// What a master can be told.
package enum OperatorCommand: Sendable, Equatable {
    /// Ends servers, or all of them and the master.
    case stop([ServerID])
    /// Ends servers and starts them again, one after the other; all when none is named.
    case restart([ServerID])
    /// Starts servers that were stopped.
    case start([ServerID])
    /// Which servers the master keeps.
    case supervised

    /// The least role that may give it.
    package var role: Role {
        switch self {
        case .supervised: .read
        case .stop(let ids): ids.isEmpty ? .own : .operate
        case .restart, .start: .operate
        }
    }

    package var json: JSON {
        switch self {
        case .stop(let ids): Self.json("stop", ids)
        case .restart(let ids): Self.json("restart", ids)
        case .start(let ids): Self.json("start", ids)
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
        case "start": self = .start(ids)
        case "supervised": self = .supervised
        default: return nil
        }
    }

    private static func json(_ verb: String, _ ids: [ServerID]) -> JSON {
        ["do": .string(verb), "ids": .array(ids.map { .string($0.rawValue) })]
    }
}
