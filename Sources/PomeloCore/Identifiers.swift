// SPDX-License-Identifier: MIT
//
// PomeloCore: what pomelo means, without sockets and without Redis.
// Reading order: Identifiers, Contract, Errors.
// Application/: Application, +SetUp, +Lifecycle, +Clients, Component, Limits, World.
// Configuration/: Configuration, OptionReader, ServerFileReader.
// Session/: Connector (the seam to clients), ClientSession, SessionService, Session, BackendSessionService.
// Dispatch/: Dispatcher, Handler, Filter, Router, Forwarding.
// Channel/: ChannelService, Fanout, PushReport.
// RPC/: RPCTransport (the seam to servers), ProcedureTable, RPCClient, Payload.
// Cluster/: ServerRecord, ServerDirectory, Membership (the seam to leases).

/// A name with a type of its own, so that a server id is never taken for a user id.
public protocol Identifier: RawRepresentable<String>, Hashable, Comparable, Codable, Sendable,
    ExpressibleByStringLiteral, CustomStringConvertible
{
    init(_ rawValue: String)
}

extension Identifier {
    public init(rawValue: String) { self.init(rawValue) }
    public init(stringLiteral value: String) { self.init(value) }
    public var description: String { rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// One server process of the cluster, as named in `servers.json`; has no `:`, `{` or `}`.
public struct ServerID: Identifier {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A kind of server: `gate`, `connector`, `chat`.
public struct ServerType: Identifier {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
    /// The administrative role; it serves no clients and forwards nothing.
    public static let master: ServerType = "master"
}

/// One start of a server process; a restart under the same `ServerID` has another.
public struct InstanceID: Identifier {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A user of the application; compared as text, never empty.
public struct UserID: Identifier {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A channel that members join and messages are pushed to.
public struct ChannelName: Identifier {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// One client connection; unique within its frontend's instance, never reused there.
public struct SessionID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
