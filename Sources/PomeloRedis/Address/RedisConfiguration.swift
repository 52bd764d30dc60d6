// SPDX-License-Identifier: MIT
import PomeloLoop

/// Where Redis is and how patient the client is; the keys of `redis.json`.
///
/// Decoding throws `DecodingError.dataCorrupted` with a text that names the key.
public struct RedisConfiguration: Sendable, Hashable {
    /// Where the server is, or how it is found.
    public var topology = RedisTopology.standalone(RedisTopology.local)
    /// The number of the logical database.
    public var db = 0
    /// The ACL user; without one, the default user.
    public var username: String?
    /// Key `password` or `auth_pass`.
    public var password: String?
    /// How long any command may take.
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
    var commandTimeout: Duration { .seconds(commandTimeoutSeconds) }
    var connectTimeout: Duration { .seconds(connectTimeoutSeconds) }
    var startTimeout: Duration { .seconds(startTimeoutSeconds) }

    /// The keys of `redis.json`.
    package static let ownKeys = [
        "host", "port", "db", "username", "password", "auth_pass", "url", "tls",
        "commandTimeoutSeconds", "connectTimeoutSeconds", "startTimeoutSeconds",
        "maxPendingCommands", "maxPendingBytes", "maxReplyBytes",
    ]

    /// Those whose values are texts, also when they look like numbers.
    package static let textKeys: Set = ["host", "username", "password", "auth_pass", "url"]

    /// Keys that other clients know, whose absence here would be found out too late; each with what is so instead.
    private static let unsupportedKeys = [
        "sentinels": "Redis Sentinel is not supported: name the server itself",
        "sentinel": "Redis Sentinel is not supported: name the server itself",
        "masterName": "Redis Sentinel is not supported: name the server itself",
        "cluster": "Redis Cluster is not supported: name one server",
        "nodes": "Redis Cluster is not supported: name one server",
        "rootNodes": "Redis Cluster is not supported: name one server",
        "path": "connections are made over TCP only: give \"host\" and \"port\"",
        "socket": "connections are made over TCP only: give \"host\" and \"port\"",
        "rename_commands": "commands must have their own names",
        "prefix": "it is an option of globalChannel.json and of status.json",
        "cleanOnStartUp": "it is an option of globalChannel.json and of status.json",
    ]

    /// Options of node_redis 0.x to 3.x that have no meaning here.
    ///
    /// - Source: node_redis 3.1, README.md, "Options object properties", and its older releases.
    private static let nodeRedisKeys: Set<String> = [
        "connect_timeout", "detect_buffers", "disable_resubscribing", "enable_offline_queue", "family", "max_attempts",
        "no_ready_check", "parser", "retry_max_delay", "retry_strategy",
        "retry_unfulfilled_commands", "return_buffers", "socket_initial_delay", "socket_initialdelay",
        "socket_keepalive", "socket_nodelay", "string_numbers", "command_queue_high_water", "command_queue_low_water",
    ]
}

extension RedisConfiguration: CustomStringConvertible {
    /// `host:port/db`, without the password.
    public var description: String { "\(topology)/\(db)" }
}

extension RedisConfiguration: Decodable {
    private struct Key: CodingKey, Hashable {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { return nil }
    }

    /// Reads the keys of `redis.json`; absent ones keep their defaults.
    ///
    /// - Throws: `DecodingError.dataCorrupted` with a text that names the key and what it must be, or that nobody
    ///   knows it.
    public init(from decoder: any Decoder) throws {
        let keyed = try decoder.container(keyedBy: Key.self)
        let read = Reader(container: keyed)
        let names = keyed.allKeys.map(\.stringValue).sorted()
        ignoredKeys = names.filter(Self.nodeRedisKeys.contains)
        for name in names where !Self.ownKeys.contains(name) && !Self.nodeRedisKeys.contains(name) {
            let known = Self.ownKeys.joined(separator: ", ")
            throw read.refused(name, Self.unsupportedKeys[name] ?? "no such key; known are: \(known)")
        }

        let place = "a host name or address, without a port"
        var address = RedisTopology.local
        if let text: String = try read("host", place, { SocketAddress.host($0) != nil }) {
            address.host = SocketAddress.host(text) ?? text
        }
        address.port = try read("port", "a number from 1 to 65535") { (1...65_535).contains($0) } ?? address.port
        topology = .standalone(address)
        db = try read("db", "a number from 0") { $0 >= 0 } ?? db
        username = try read("username", "a text that is not empty") { !$0.isEmpty }
        try readPassword(read)
        let patience = "a number of seconds above 0, at most 3600"
        commandTimeoutSeconds =
            try read("commandTimeoutSeconds", patience) { $0 > 0 && $0 <= 3600 } ?? commandTimeoutSeconds
        connectTimeoutSeconds =
            try read("connectTimeoutSeconds", patience) { $0 > 0 && $0 <= 3600 } ?? connectTimeoutSeconds
        startTimeoutSeconds =
            try read("startTimeoutSeconds", patience) { $0 > 0 && $0 <= 3600 } ?? startTimeoutSeconds
        maxPendingCommands = try read("maxPendingCommands", "a number from 16") { $0 >= 16 } ?? maxPendingCommands
        maxPendingBytes = try read("maxPendingBytes", "a number from 65536") { $0 >= 65_536 } ?? maxPendingBytes
        maxReplyBytes = try read("maxReplyBytes", "a number from 65536") { $0 >= 65_536 } ?? maxReplyBytes
        // Ignoring this one would send a password in the clear.
        let _: Bool? = try read("tls", "false: encrypted connections are not supported") { !$0 }
        try readURL(read, beside: names)
    }

    private mutating func readPassword(_ read: Reader) throws {
        password = try read("password", "a text that is not empty") { !$0.isEmpty }
        let alias: String? = try read("auth_pass", "a text that is not empty") { !$0.isEmpty }
        if let alias {
            if let password, password != alias { throw read.wrong("auth_pass", "the same as \"password\"") }
            password = alias
        }
    }

    private mutating func readURL(_ read: Reader, beside names: [String]) throws {
        guard let text: String = try read("url", Self.urlForm, { !$0.isEmpty }) else { return }
        for name in ["host", "port"] where names.contains(name) {
            throw read.wrong(name, "absent when \"url\" is given")
        }
        guard !RedisURL.isEncrypted(text) else {
            throw read.wrong("url", "\(Self.urlForm): encrypted connections (rediss://) are not supported")
        }
        let url: RedisURL
        do {
            url = try RedisURL(text)
        } catch {
            throw read.wrong("url", "\(Self.urlForm): \(error.description)")
        }
        topology = .standalone(SocketAddress(host: url.host, port: url.port ?? 6379))
        db = url.db ?? db
        username = url.username ?? username
        password = url.password ?? password
    }

    private static let urlForm = "redis://user:password@host:port/db"

    /// Reads single keys and names them in its errors.
    private struct Reader {
        let container: KeyedDecodingContainer<Key>

        func callAsFunction<T: Decodable>(
            _ key: String, _ expected: String, _ isValid: (T) -> Bool
        ) throws -> T? {
            let value: T?
            do {
                value = try container.decodeIfPresent(T.self, forKey: Key(key))
            } catch is DecodingError {
                throw wrong(key, expected)
            }
            guard let value else { return nil }
            guard isValid(value) else { throw wrong(key, expected) }
            return value
        }

        func refused(_ key: String, _ reason: String) -> DecodingError {
            .dataCorrupted(
                .init(codingPath: container.codingPath + [Key(key)], debugDescription: "\"\(key)\": \(reason)"))
        }

        func wrong(_ key: String, _ expected: String) -> DecodingError {
            .dataCorrupted(
                .init(codingPath: container.codingPath + [Key(key)], debugDescription: "\"\(key)\" must be \(expected)")
            )
        }
    }
}
