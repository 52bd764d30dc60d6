// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
public import PomeloLoop

/// Chooses the server of a type that serves a session.
///
/// The default hashes the user id (of an unbound session its id and frontend) over the servers that are up, by
/// highest random weight: the same choice in every process, and only 1/n of the users move when a server comes.
@Loop public final class Router {
    /// Returns one of `servers`, which is never empty; sorted by id.
    public typealias Rule = @Loop (Session, [ServerInfo]) throws -> ServerID

    private let servers: ServerDirectory
    private var rules: [ServerType: Rule] = [:]
    /// Used for types without a rule of their own.
    public var defaultRule: Rule = { session, servers in Router.hashed(Router.key(of: session), servers) }

    init(_ servers: ServerDirectory) { self.servers = servers }

    /// Sets a type's rule; the last one wins.
    public func set(_ type: ServerType, _ rule: @escaping Rule) { rules[type] = rule }

    /// The server for a session.
    ///
    /// - Throws: `RPCError.notSent` when no server of the type is up; what the rule throws.
    public func pick(_ type: ServerType, for session: Session) throws -> ServerID {
        try pick(type, for: session, among: choices(type))
    }

    func choices(_ type: ServerType) throws(RPCError) -> [ServerInfo] {
        let choices = servers.choices(type)
        guard !choices.isEmpty else { throw .notSent("no \(type) server is up") }
        return choices
    }

    func pick(_ type: ServerType, for session: Session, among choices: [ServerInfo]) throws -> ServerID {
        try (rules[type] ?? defaultRule)(session, choices)
    }

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
        servers[Rendezvous.pick(key: key, among: servers.count) { servers[$0].record.id.rawValue } ?? 0].id
    }
}
