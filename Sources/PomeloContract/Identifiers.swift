// SPDX-License-Identifier: MIT
//
// PomeloContract: the words that servers, clients and files share: names, routes, messages, errors.
// Reading order: Identifiers, Contract, Errors, ServerRecord, Payload.
public import PomeloBytes
public import PomeloJSON

/// A name with a type of its own, so that a server id is never taken for a user id; compared as `Text`, by bytes.
public protocol Identifier: RawRepresentable<String>, Hashable, Comparable, Codable, Sendable,
    ExpressibleByStringLiteral, CustomStringConvertible, JSONValue
{
    /// The name as it is; nothing is checked.
    init(_ rawValue: String)
}

extension Identifier {
    /// The name as it is; nothing is checked.
    public init(rawValue: String) { self.init(rawValue) }
    /// Takes a literal for a name.
    public init(stringLiteral value: String) { self.init(value) }
    /// The name itself.
    public var description: String { rawValue }
    /// The name as text.
    public var json: JSON { .string(rawValue) }
    /// Names are equal when their bytes are.
    @inlinable public static func == (a: Self, b: Self) -> Bool { Text(a.rawValue) == Text(b.rawValue) }
    /// Orders names by their bytes, as every other process does.
    @inlinable public static func < (a: Self, b: Self) -> Bool { Text(a.rawValue) < Text(b.rawValue) }
    /// Hashes the bytes.
    @inlinable public func hash(into hasher: inout Hasher) { Text(rawValue).hash(into: &hasher) }

    /// Reads the name from a plain text.
    ///
    /// - Throws: `DecodingError` when there is something else.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the name as a plain text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// One server process of the cluster, as named in `servers.json`; has no `:`, `{` or `}`.
public struct ServerID: Identifier {
    /// The id, as in `servers.json`.
    public let rawValue: String
    /// The id as it is; the configuration checks it.
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A kind of server: `gate`, `connector`, `chat`.
public struct ServerType: Identifier {
    /// The type's name, the first part of its routes.
    public let rawValue: String
    /// The type of this name; nothing is checked.
    public init(_ rawValue: String) { self.rawValue = rawValue }
    /// The administrative role; it serves no clients and forwards nothing.
    public static let master: ServerType = "master"
}

/// One start of a server process; a restart under the same `ServerID` has another.
public struct InstanceID: Identifier {
    /// 16 hexadecimal digits when made by an application.
    public let rawValue: String
    /// The name of a start; nothing is checked.
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A user of the application; never empty.
public struct UserID: Identifier {
    /// The user's id, chosen by the application.
    public let rawValue: String
    /// The id as it is; `bind` refuses an empty one.
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// A channel that members join and messages are pushed to.
public struct ChannelName: Identifier {
    /// The channel's name, chosen by the application.
    public let rawValue: String
    /// The name as it is; nothing is checked.
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// One client connection; not used again by its frontend, nor by a later start of it.
public struct SessionID: Hashable, Sendable, Comparable, CustomStringConvertible, JSONValue {
    /// Counts the connections of one start of a frontend, from a random number on; below 2^53.
    public let rawValue: UInt64
    /// The id as a number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// The number, which every client reads exactly.
    public var json: JSON { .uint(rawValue) }
    /// The number in decimal digits.
    public var description: String { String(rawValue) }
    /// Earlier connections come first.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension JSON {
    /// The name as text.
    public init<Name: Identifier>(_ name: Name) { self = name.json }

    /// The connection's number, which every client reads exactly.
    public init(_ session: SessionID) { self = session.json }
}
