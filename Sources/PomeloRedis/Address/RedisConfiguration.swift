// SPDX-License-Identifier: MIT
import PomeloLoop
public import PomeloTLS

/// Where Redis is, how keys are told apart from others', and how patient the client is; the keys of `redis.json`.
public struct RedisConfiguration: Sendable, Hashable {
    /// Where the server is, or how it is found.
    public var topology = RedisTopology.standalone(RedisTopology.local)
    /// The number of the logical database; a cluster has no other than 0.
    public var db = 0
    /// The ACL user; without one, the default user.
    public var username: String?
    /// Key `password` or `auth_pass`.
    public var password: String?
    /// Set for connections that are encrypted: to servers, and to sentinels.
    public var tls: TLSClientOptions?
    /// What the names that `CLIENT LIST` shows begin with; without one, `pomelo`.
    public var clientName: String?
    /// What stands before every key and every channel in Redis and nowhere else; without braces and wildcards.
    public var keyPrefix = ""
    /// How long any command may take; as all times, above 0 and at most 3600: another one is an error of the start.
    public var commandTimeoutSeconds = 1.5
    /// How long one connection attempt lasts, and `start` waits where nobody answers.
    public var connectTimeoutSeconds = 2.0
    /// How long `start` waits for a server that is there but slow, or loads its data.
    public var startTimeoutSeconds = 30.0
    /// Commands without a reply; more are refused with `RedisError.overloaded`.
    public var maxPendingCommands = 10_000
    /// Bytes of commands without a reply; more are refused with `RedisError.overloaded`.
    public var maxPendingBytes = 16 << 20
    /// The longest reply, in bytes; one that is longer ends the connection.
    public var maxReplyBytes = 128 << 20
    /// Keys that only node_redis understands, in alphabetical order; they have no effect.
    public var ignoredKeys: [String] = []

    /// Where this was said, for messages: `configured in config/redis.json`; nil for a program's own.
    package var source: String?

    /// The defaults: the local server.
    public init() {}

    /// A server by host and port.
    public init(host: String, port: Int) {
        topology = .standalone(SocketAddress(host: host, port: port))
    }

    /// What an address says: `redis://`, `redis+unix://`, `redis+sentinel://` or `redis+cluster://`, and `rediss`
    /// for those that are encrypted.
    ///
    /// - Throws: `RedisURLError` naming the part that is wrong.
    public init(url: String) throws(RedisURLError) { apply(try RedisURL(url)) }

    /// A server, or several, by how they are found.
    public init(_ topology: RedisTopology) { self.topology = topology }

    /// A name or an address: of the one server, or of the first that is asked; to set it makes it the one server's.
    public var host: String {
        get { topology.firstPlace.host }
        set { topology = .standalone(SocketAddress(host: newValue, port: port)) }
    }

    /// From 1 to 65535: of the one server, or of the first that is asked; to set it makes it the one server's.
    public var port: Int {
        get { topology.firstPlace.port }
        set { topology = .standalone(SocketAddress(host: host, port: newValue)) }
    }

    /// The source, as it stands behind the place in messages.
    var sourceNote: String { source.map { " (\($0))" } ?? "" }
    var commandTimeout: Duration { Self.duration(commandTimeoutSeconds) }
    var connectTimeout: Duration { Self.duration(connectTimeoutSeconds) }
    var startTimeout: Duration { Self.duration(startTimeoutSeconds) }

    /// The address counts, and what it does not say stays.
    mutating func apply(_ url: RedisURL) {
        topology = url.topology
        db = url.db ?? db
        username = url.username ?? username
        password = url.password ?? password
        clientName = url.clientName ?? clientName
        keyPrefix = url.keyPrefix ?? keyPrefix
        tls = url.tls ?? tls
    }

    // MARK: what is valid

    /// Redis takes no others for a connection's name.
    static func isClientName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    static let clientNameForm = "a text of visible ASCII characters"

    /// A brace would move keys to other slots; a wildcard, or a blank in a list, would match what it should not.
    static func isKeyPrefix(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"{}*?[]\\".utf8.contains($0) }
    }

    static let keyPrefixForm = "a text without blanks, braces, and the wildcards * ? [ ] \\"

    static func isPath(_ text: String) -> Bool {
        text.utf8.first == UInt8(ascii: "/") && text.utf8.count > 1 && text.utf8.allSatisfy { $0 >= 0x20 }
    }
}

extension RedisConfiguration: CustomStringConvertible {
    /// `host:port/db`, without the password.
    public var description: String {
        if case .standalone(let place) = topology, place.port != 0 { return "\(place)/\(db)" }
        return db == 0 ? "\(topology)" : "\(topology), db \(db)"
    }
}
