// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloContract
public import PomeloJSON
public import PomeloLoop

/// What a rule chooses a server for.
///
/// - Source: pomelo 2.2.7, lib/components/proxy.js: a route function gets session, message and application; the
///   application is what the rule's closure captures.
@Loop public struct RoutingRequest {
    /// Whose request it is.
    public let session: Session
    /// What is asked for; its type is the one to choose among.
    public let route: Route
    /// The argument, as it travels.
    public let body: Bytes
    /// The servers to choose from, never none; sorted by id.
    public let servers: [ServerInfo]
}

/// Chooses the server of a type that serves a session.
///
/// The default hashes the user id (of an unbound session its id and frontend) over the servers that are up, by
/// highest random weight: the same choice in every process, and only 1/n of the users move when a server comes.
@Loop public final class Router {
    /// Returns one of `servers`, which is never empty; sorted by id.
    public typealias Rule = @Loop (Session, [ServerInfo]) throws -> ServerID
    /// A rule that sees the request.
    public typealias RequestRule = @Loop (RoutingRequest) throws -> ServerID
    /// A rule that may wait; the requests of a session wait behind one another for it, in their order.
    public typealias WaitingRule = @Loop @Sendable (RoutingRequest) async throws -> ServerID

    private enum Chosen {
        case bySession(Rule)
        case byRequest(RequestRule)
        case waiting(WaitingRule)
    }

    private let servers: ServerDirectory
    let clock: any LoopClock
    private var rules: [ServerType: Chosen] = [:]
    private var hashes: [ServerType: RouteHash] = [:]
    /// Used for types without a rule of their own.
    public var defaultRule: Rule = { session, servers in Router.hashed(Router.key(of: session), servers) }

    init(_ servers: ServerDirectory, _ clock: any LoopClock) {
        self.servers = servers
        self.clock = clock
    }

    /// Sets a type's rule; the last one wins.
    public func set(_ type: ServerType, _ rule: @escaping Rule) { rules[type] = .bySession(rule) }
    /// Sets a rule that sees the request.
    public func set(_ type: ServerType, _ rule: @escaping RequestRule) { rules[type] = .byRequest(rule) }
    /// Sets a rule that may wait.
    public func set(_ type: ServerType, _ rule: @escaping WaitingRule) { rules[type] = .waiting(rule) }
    /// Sets how keys are spread over a type's servers.
    func set(_ type: ServerType, _ hash: RouteHash) { hashes[type] = hash }

    // MARK: choosing

    /// The server for a key: the same as for sessions that are routed by a setting with this value.
    ///
    /// The key is a text, a number or a boolean, or an id.
    ///
    /// - Throws: `RPCError.notSent` when no server of the type is up, or the key is JSON of another kind.
    public func pick(_ type: ServerType, by key: some JSONValue) throws -> ServerID {
        guard let text = Router.key(of: key.json) else {
            throw RPCError.notSent("a key is a text, a number or a boolean")
        }
        return (hashes[type] ?? .highestWeight).pick(text, try choices(type))
    }

    /// The server for a session; a rule that sees requests is told of none but the type.
    ///
    /// - Throws: `RPCError.notSent` when no server of the type is up; `PomeloError` `.configuration` for a rule that
    ///   waits; what the rule throws.
    public func pick(_ type: ServerType, for session: Session) throws -> ServerID {
        try pick(Route(type.rawValue + "."), [], for: session, among: try choices(type))
    }

    /// The server for a session's call.
    ///
    /// - Throws: `RPCError.notSent` when no server of the type is up, or the rule takes longer than `limit`; what the
    ///   rule throws.
    func pick(_ route: Route, _ body: Bytes, for session: Session, within limit: Duration) async throws -> ServerID {
        try await pickWaiting(route, body, for: session, among: try choices(route.serverType), within: limit)
    }

    func choices(_ type: ServerType) throws(RPCError) -> [ServerInfo] {
        let choices = servers.choices(type)
        guard !choices.isEmpty else { throw .notSent("no \(type) server is up") }
        return choices
    }

    /// A server and its type, for messages: `chat-1, of type chat,`.
    func inWords(_ server: ServerID) -> String {
        servers[server].map { "\(server), of type \($0.record.type)," } ?? "\(server)"
    }

    /// The types with a rule of their own, sorted.
    var types: [ServerType] { rules.keys.sorted() }

    /// Every server of a type that is up, suspects too.
    func all(_ type: ServerType) -> [ServerInfo] { servers.up(type) }

    /// Whether the type's rule may wait.
    func waits(_ type: ServerType) -> Bool {
        if case .waiting = rules[type] { true } else { false }
    }

    /// The choice of a rule that does not wait.
    func pick(_ route: Route, _ body: Bytes, for session: Session, among choices: [ServerInfo]) throws -> ServerID {
        switch rules[route.serverType] {
        case .bySession(let rule): try rule(session, choices)
        case .byRequest(let rule):
            try rule(RoutingRequest(session: session, route: route, body: body, servers: choices))
        case .waiting: throw PomeloError(.configuration, "the rule of \(route.serverType) servers waits")
        case nil: try defaultRule(session, choices)
        }
    }

    /// The choice of any rule.
    func pickWaiting(
        _ route: Route, _ body: Bytes, for session: Session, among choices: [ServerInfo], within limit: Duration
    ) async throws -> ServerID {
        guard case .waiting(let rule) = rules[route.serverType] else {
            return try pick(route, body, for: session, among: choices)
        }
        let request = RoutingRequest(session: session, route: route, body: body, servers: choices)
        guard let server = try await clock.within(limit, { try await rule(request) }) else {
            throw RPCError.notSent("the rule of \(route.serverType) servers did not choose in time")
        }
        return server
    }

    // MARK: keys

    /// What a session is hashed by when nothing else is said.
    static func key(of session: Session) -> String {
        session.uid?.rawValue ?? session.frontend.rawValue + "/" + String(session.id.rawValue)
    }

    /// What sessions with this value are hashed by: a text itself, a number or boolean as JSON writes it.
    nonisolated static func key(of value: JSON) -> String? {
        switch value {
        case .string(let text): text
        case .bool, .int, .uint, .double: String(decoding: value.encoded(), as: UTF8.self)
        case .null, .array, .object: nil
        }
    }

    /// Highest random weight (rendezvous) hashing of a key over servers.
    public nonisolated static func hashed(_ key: String, _ servers: [ServerInfo]) -> ServerID {
        RouteHash.highestWeight.pick(key, servers)
    }
}

/// How a key chooses one of several servers.
public enum RouteHash: Sendable {
    /// Highest random weight: only 1/n of the keys move when a server comes or goes.
    case highestWeight
    /// pomelo's own way, a CRC-32 modulo the number of servers: nearly all keys move when a server comes or goes.
    ///
    /// Servers count in the order of their ids; pomelo counts them as they came, which differs between its processes.
    ///
    /// - Source: pomelo 2.2.7, lib/components/proxy.js and lib/util/dispatcher.js.
    case crc32Modulo

    /// The choice for a key among servers sorted by id, of which there is one at least.
    public func pick(_ key: String, _ servers: [ServerInfo]) -> ServerID {
        switch self {
        case .highestWeight:
            servers[Rendezvous.pick(key: key, among: servers.count) { servers[$0].record.id.rawValue } ?? 0].id
        case .crc32Modulo: servers[Int(CRC32.pomelo(key)) % servers.count].id
        }
    }
}
