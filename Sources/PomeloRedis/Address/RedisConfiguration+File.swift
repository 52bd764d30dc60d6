// SPDX-License-Identifier: MIT
import PomeloLoop

// One place, said in one way: "url" | "sentinels" with "primary" | "cluster" | "path" | "host" and "port".

extension RedisConfiguration {
    /// The keys of `redis.json`.
    package static let ownKeys =
        ["url"] + serverKeys + [
            "keyPrefix", "clientName", "tls", "commandTimeoutSeconds", "connectTimeoutSeconds", "startTimeoutSeconds",
            "maxPendingCommands", "maxPendingBytes", "maxReplyBytes",
        ]

    /// What an address says as a whole: where servers are, and who asks them.
    package static let serverKeys =
        ["host", "port", "path", "cluster", "sentinels"] + sentinelKeys + ["db", "username"] + passwordKeys

    /// Those that name a place by themselves; one of them replaces what is said elsewhere of another.
    package static let wholePlaceKeys = ["url", "sentinels", "cluster", "path"]

    /// The names of one password.
    package static let passwordKeys = ["password", "auth_pass"]

    /// Those whose values are texts, also when they look like numbers.
    package static let textKeys = Set(
        ["url", "host", "path", "username", "keyPrefix", "clientName"] + passwordKeys + sentinelKeys)

    /// The names that ioredis and Redisson have for it come behind ours.
    private static let primaryKeys = ["primary", "name", "masterName"]
    private static let sentinelKeys = primaryKeys + ["sentinelUsername", "sentinelPassword"]

    /// Keys that other clients know, whose absence here would be found out too late; each with what is so instead.
    private static let unsupportedKeys = [
        "sentinel": "sentinels are named under \"sentinels\"",
        "nodes": "nodes of a cluster are named under \"cluster\"",
        "rootNodes": "nodes of a cluster are named under \"cluster\"",
        "socket": "a place is \"host\" and \"port\", or the \"path\" of a Unix-domain socket",
        "rename_commands": "commands must have their own names",
        "prefix": "what all keys begin with is \"keyPrefix\"; globalChannel.json and status.json have a \"prefix\"",
        "connectionName": "it is called \"clientName\"",
        "cleanOnStartUp": "it is an option of globalChannel.json and of status.json",
    ]

    /// Options of node_redis 0.x to 3.x that have no meaning here.
    ///
    /// - Source: node_redis 3.1, README.md, "Options object properties", and its older releases.
    private static let nodeRedisKeys: Set = [
        "connect_timeout", "detect_buffers", "disable_resubscribing", "enable_offline_queue", "family", "max_attempts",
        "no_ready_check", "parser", "retry_max_delay", "retry_strategy",
        "retry_unfulfilled_commands", "return_buffers", "socket_initial_delay", "socket_initialdelay",
        "socket_keepalive", "socket_nodelay", "string_numbers", "command_queue_high_water", "command_queue_low_water",
    ]
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
        try readServer(read)
        keyPrefix = try read("keyPrefix", Self.keyPrefixForm, Self.isKeyPrefix) ?? keyPrefix
        clientName = try read("clientName", Self.clientNameForm, Self.isClientName)
        try readBounds(read)
        try readPlace(read)
        try readTLS(read)
    }

    private mutating func readServer(_ read: Reader) throws {
        db = try read("db", Self.dbForm) { $0 >= 0 } ?? db
        username = try read.text(["username"])
        password = try read.text(Self.passwordKeys)
    }

    private mutating func readBounds(_ read: Reader) throws {
        func seconds(_ key: String) throws -> Double? {
            try read(key, Self.secondsForm, Self.isSeconds)
        }
        commandTimeoutSeconds = try seconds("commandTimeoutSeconds") ?? commandTimeoutSeconds
        connectTimeoutSeconds = try seconds("connectTimeoutSeconds") ?? connectTimeoutSeconds
        startTimeoutSeconds = try seconds("startTimeoutSeconds") ?? startTimeoutSeconds
        func number(_ key: String, from least: Int) throws -> Int? {
            try read(key, "a number from \(least)") { $0 >= least }
        }
        maxPendingCommands =
            try number("maxPendingCommands", from: Self.leastPending.commands) ?? maxPendingCommands
        maxPendingBytes = try number("maxPendingBytes", from: Self.leastPending.bytes) ?? maxPendingBytes
        maxReplyBytes = try number("maxReplyBytes", from: Self.leastReplyBytes) ?? maxReplyBytes
    }

    /// Behind the place, whose `rediss` says so too.
    private mutating func readTLS(_ read: Reader) throws {
        let form =
            "true, or {\"ca\", \"certificate\", \"key\", \"serverName\", \"verify\"}; false only where no rediss is"
        guard let entry: TLSEntry = try read("tls", form, { tls == nil || $0.options != nil }) else { return }
        tls = entry.options
    }

    // MARK: the place

    private mutating func readPlace(_ read: Reader) throws {
        let way = try Self.wholePlaceKeys.first(where: read.has)
        try refuseOthers(than: way, read)
        switch way {
        case "url": try readURL(read)
        case "sentinels":
            guard let primary = try read.text(Self.primaryKeys) else {
                throw read.wrong("sentinels", "beside \"primary\", the name under which they watch a primary")
            }
            topology = .sentinel(
                RedisSentinelAddress(
                    try read.places("sentinels", port: RedisURL.sentinelPort), primary: primary,
                    username: try read.text(["sentinelUsername"]), password: try read.text(["sentinelPassword"])))
        case "cluster":
            topology = .cluster(seeds: try read.places("cluster", port: RedisURL.redisPort))
        case "path":
            let path: String? = try read("path", "the path of a Unix-domain socket, from / on", Self.isPath)
            topology = .standalone(SocketAddress(host: path ?? "", port: 0))
        default:
            var place = RedisTopology.local
            if let text: String = try read(
                "host", "a host name or address, without a port", { SocketAddress.host($0) != nil })
            {
                place.host = SocketAddress.host(text) ?? text
            }
            place.port = try read("port", Self.portForm, Self.isPort) ?? place.port
            topology = .standalone(place)
        }
        if case .cluster = topology, db != 0 {
            throw read.wrong("db", "0 or absent when \"\(way ?? "cluster")\" names a cluster: it has no other")
        }
    }

    /// A second way to say where Redis is would not count, and nobody would notice.
    private func refuseOthers(than way: String?, _ read: Reader) throws {
        if let way {
            let others = ["host", "port"] + Self.wholePlaceKeys + (way == "url" ? Self.sentinelKeys : [])
            if let other = try others.first(where: { try $0 != way && read.has($0) }) {
                throw read.wrong(other, "absent when \"\(way)\" is given")
            }
        }
        if way != "sentinels", let key = try Self.sentinelKeys.first(where: read.has) {
            throw read.wrong(key, "absent without \"sentinels\"")
        }
    }

    private mutating func readURL(_ read: Reader) throws {
        guard let text: String = try read("url", Self.urlForm, { !$0.isEmpty }) else { return }
        do throws(RedisURLError) {
            apply(try RedisURL(text))
        } catch {
            throw read.wrong("url", "\(Self.urlForm): \(error.description)")
        }
    }

    private static let urlForm = "an address like redis://user:password@host:port/db"

    /// Reads single keys and names them in its errors.
    private struct Reader {
        let container: KeyedDecodingContainer<Key>

        /// A key with null is absent.
        func has(_ key: String) throws -> Bool {
            try container.contains(Key(key)) && !container.decodeNil(forKey: Key(key))
        }

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

        /// A text by any of its names; several must agree.
        func text(_ names: [String]) throws -> String? {
            var known: (name: String, text: String)?
            for name in names {
                guard let text: String = try self(name, "a text that is not empty", { !$0.isEmpty }) else { continue }
                if let known, known.text.utf8.elementsEqual(text.utf8) == false {
                    throw wrong(name, "the same as \"\(known.name)\"")
                }
                known = known ?? (name, text)
            }
            return known?.text
        }

        func places(_ key: String, port: Int) throws -> [SocketAddress] {
            let form = "a list of \"host:port\", or of {\"host\", \"port\"}"
            let list: PlaceList? = try self(key, form) { !$0.texts.isEmpty }
            var places: [SocketAddress] = []
            for text in list?.texts ?? [] {
                do throws(RedisURLError) {
                    places.append(try RedisURL.place(Array(text.utf8)[...], port: port, number: places.count + 1))
                } catch {
                    throw wrong(key, "\(form): \(error.description)")
                }
            }
            return places
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

/// `"host:port,host"`, or a list of `"host:port"` and of `{"host": …, "port": …}`.
private struct PlaceList: Decodable {
    var texts: [String]

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        do {
            let text = try single.decode(String.self)
            texts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        } catch is DecodingError {
            texts = try single.decode([Entry].self).map(\.text)
        }
    }

    private struct Entry: Decodable {
        let text: String

        private enum CodingKeys: String, CodingKey { case host, port }

        init(from decoder: any Decoder) throws {
            do {
                text = try decoder.singleValueContainer().decode(String.self)
            } catch is DecodingError {
                text = try Self.text(decoder)
            }
        }

        private static func text(_ decoder: any Decoder) throws -> String {
            let keyed = try decoder.container(keyedBy: CodingKeys.self)
            let host = try keyed.decode(String.self, forKey: .host)
            let bare = SocketAddress.host(host) ?? host
            let bracketed = bare.contains(":") ? "[\(bare)]" : bare
            let port = try keyed.decodeIfPresent(Int.self, forKey: .port)
            return port.map { "\(bracketed):\($0)" } ?? bracketed
        }
    }
}
