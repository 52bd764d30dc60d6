// SPDX-License-Identifier: MIT
import PomeloBytes

/// What travels in a message body.
public typealias Body = Codable & Sendable

/// An empty body: `{}`.
public struct Nothing: Body, Equatable {
    /// The one value of the type.
    @discardableResult
    public init() {}
}

/// A client's request, as a value shared by client, server and tests: route, query type, reply type.
///
/// Served by a `Handler` whose routes have `on(call, method)`; a wrong payload does not compile. A query is an object
/// in JSON, as that of a struct is: a client's text, number or list alone is answered `{"code":500}`.
public struct Call<Query: Body, Reply: Body>: Sendable {
    /// What clients name when they ask.
    public let route: Route

    /// The route is `serverType.handler.method`.
    public init(_ route: String) { self.route = Route(route) }
}

/// A procedure that servers call on each other: `serverType.remote.method`.
public struct Remote<Query: Body, Reply: Body>: Sendable {
    /// What callers name; its first part chooses the server type.
    public let route: Route

    /// The first part of the route names the server type that serves it.
    public init(_ route: String) { self.route = Route(route) }
}

/// A message from server to client under a route of the application's choice, such as `onChat`.
public struct Push<Message: Body>: Sendable {
    /// What clients listen for.
    public let route: String

    /// Keep routes under 128 bytes: old C clients read the length as a signed byte.
    public init(_ route: String) { self.route = route }
}

/// A route, cut into its parts once.
public struct Route: Hashable, Sendable, CustomStringConvertible {
    /// The whole route, as it travels.
    public let text: String
    /// The part before the first dot; empty when there is none.
    public let serverType: ServerType
    /// Whether the route has exactly three parts.
    public let isComplete: Bool
    /// The last part of a complete route.
    public let method: String
    /// Of the text: a route is looked up for each message.
    package let hash: UInt64

    /// Cuts the text at its dots; any text is accepted, and `isComplete` tells whether it can be served.
    public init(_ text: String) {
        self.text = text
        hash = FNV1a.hash64(text)
        // By bytes: a dot and a mark after it are one character.
        let (bytes, dot) = (text.utf8, UInt8(ascii: "."))
        let first = bytes.firstIndex(of: dot)
        let middle = first.map { bytes[bytes.index(after: $0)...] }
        let second = middle?.firstIndex(of: dot)
        let last = second.map { bytes[bytes.index(after: $0)...] }
        serverType = ServerType(first.map { String(Substring(bytes[..<$0])) } ?? "")
        let hasParts = first != bytes.startIndex && second != middle?.startIndex && last?.isEmpty == false
        isComplete = hasParts && last?.contains(dot) == false
        method = isComplete ? last.map { String(Substring($0)) } ?? "" : ""
    }

    /// The whole route.
    public var description: String { text }
    /// Routes are equal when the bytes of their texts are.
    public static func == (a: Route, b: Route) -> Bool { a.hash == b.hash && Text(a.text) == Text(b.text) }
    /// Hashes the text alone.
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
