// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTLS

/// What is wrong with an address of Redis: the part, and a sentence without any of its text, for that may hold a
/// password.
public struct RedisURLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the address consists of, for instance `port of host number 2`.
    public let part: String
    /// A sentence that names the part.
    public let description: String

    init(_ part: String, _ reason: String) {
        self.part = part
        description = "the \(part) \(reason)"
    }
}

/// The parts of an address. User, password, path, primary's name and parameters may be percent-encoded:
///
///     redis://user:password@host:port/db
///     redis+unix://user:password@/path?db=1                            unix:// is the same
///     redis+sentinel://user:password@host:port,host:port/primary/db?sentinel_user=…&sentinel_password=…
///     redis+cluster://user:password@host:port,host:port
///     rediss://…, rediss+sentinel://…, rediss+cluster://…    ?ca=FILE&cert=FILE&key=FILE&server_name=…&verify=none
///
/// - Source: https://www.iana.org/assignments/uri-schemes/prov/redis; RFC 3986, section 2.1 (percent-encoding).
struct RedisURL: Equatable {
    static let redisPort = 6379
    static let sentinelPort = 26_379

    var topology = RedisTopology.standalone(RedisTopology.local)
    var db: Int?
    var username: String?
    var password: String?
    var clientName: String?
    var keyPrefix: String?
    /// Nil for an address that is not encrypted.
    var tls: TLSClientOptions?

    private typealias Part = ArraySlice<UInt8>
    private enum Scheme { case tcp, unix, sentinel, cluster }

    init(_ text: String) throws(RedisURLError) {
        let (scheme, isEncrypted, rest) = try Self.scheme(of: Array(text.utf8)[...])
        let end = rest.firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex
        let head = rest[..<end]
        var parameters = try RedisURLParameters(rest[end...].dropFirst())
        // A path may have an @, which is the user's end everywhere else.
        let slash = head.firstIndex(of: UInt8(ascii: "/")) ?? head.endIndex
        let beforePath = scheme == .unix ? head[..<slash] : head
        var place = head
        if let at = beforePath.lastIndex(of: UInt8(ascii: "@")) {
            try readUser(head[..<at])
            place = head[(at + 1)...]
        }
        switch scheme {
        case .tcp: try readServer(place)
        case .unix: try readFile(place)
        case .sentinel: try readSentinels(place, &parameters)
        case .cluster: try readNodes(place)
        }
        if isEncrypted { tls = try Self.tls(&parameters) }
        try readParameters(&parameters)
    }

    private static func scheme(of text: Part) throws(RedisURLError) -> (Scheme, isEncrypted: Bool, Part) {
        let known =
            "must be redis://, redis+unix://, redis+sentinel:// or redis+cluster://, or rediss for an encrypted one"
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")), text[colon...].starts(with: "://".utf8) else {
            throw RedisURLError("scheme", known)
        }
        let rest = text[(colon + 3)...]
        switch String(decoding: text[..<colon], as: UTF8.self).lowercased() {
        case "redis": return (.tcp, false, rest)
        case "redis+unix", "unix": return (.unix, false, rest)
        case "redis+sentinel": return (.sentinel, false, rest)
        case "redis+cluster": return (.cluster, false, rest)
        case "rediss": return (.tcp, true, rest)
        case "rediss+sentinel": return (.sentinel, true, rest)
        case "rediss+cluster": return (.cluster, true, rest)
        default: throw RedisURLError("scheme", known)
        }
    }

    private mutating func readUser(_ text: Part) throws(RedisURLError) {
        let parts = text.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        let name = try Self.decoded(parts.first ?? [], "user")
        if !name.isEmpty { username = name }
        guard parts.count == 2 else { return }
        let secret = try Self.decoded(parts[1], "password")
        if !secret.isEmpty { password = secret }
    }

    // MARK: places

    private mutating func readServer(_ text: Part) throws(RedisURLError) {
        let (place, path) = Self.cut(text)
        guard !place.contains(UInt8(ascii: ",")) else {
            throw RedisURLError("host", "is a list: the scheme must be redis+sentinel:// or redis+cluster://")
        }
        topology = .standalone(try Self.place(place, port: Self.redisPort))
        db = try Self.database(path)
    }

    private mutating func readFile(_ text: Part) throws(RedisURLError) {
        let path = try Self.decoded(text, "path")
        guard RedisConfiguration.isPath(path) else {
            throw RedisURLError("path", "must be a file's, from / on: redis+unix:///path")
        }
        topology = .standalone(SocketAddress(host: path, port: 0))
    }

    private mutating func readSentinels(
        _ text: Part, _ parameters: inout RedisURLParameters
    ) throws(RedisURLError) {
        let (list, path) = Self.cut(text)
        let places = try Self.places(list, port: Self.sentinelPort)
        let parts = path.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        let primary = try Self.decoded(parts.first ?? [], "primary's name")
        guard !primary.isEmpty else {
            throw RedisURLError("primary's name", "is missing: redis+sentinel://hosts/name")
        }
        if parts.count == 2 { db = try Self.database(parts[1]) }
        topology = .sentinel(
            RedisSentinelAddress(
                places, primary: primary, username: parameters.take("sentinel_user"),
                password: parameters.take("sentinel_password")))
    }

    private mutating func readNodes(_ text: Part) throws(RedisURLError) {
        let (list, path) = Self.cut(text)
        topology = .cluster(seeds: try Self.places(list, port: Self.redisPort))
        db = try Self.database(path)
        guard db ?? 0 == 0 else { throw RedisURLError("db", "must be 0: a cluster has no other") }
    }

    private static func tls(_ parameters: inout RedisURLParameters) throws(RedisURLError) -> TLSClientOptions {
        var options = TLSClientOptions()
        options.authorityFile = parameters.take("ca")
        options.certificateFile = parameters.take("cert")
        options.keyFile = parameters.take("key")
        options.serverName = parameters.take("server_name")
        switch parameters.take("verify") {
        case nil, "full": break
        case "none": options.verifiesServer = false
        default: throw RedisURLError(RedisURLParameters.title("verify"), "must be full or none")
        }
        return options
    }

    private mutating func readParameters(_ parameters: inout RedisURLParameters) throws(RedisURLError) {
        if let text = parameters.take("db") {
            let part = RedisURLParameters.title("db")
            guard db == nil else { throw RedisURLError(part, "and the path both name a db") }
            guard let number = Self.number(text.utf8) else { throw RedisURLError(part, "is no number from 0") }
            if case .cluster = topology, number != 0 {
                throw RedisURLError(part, "must be 0: a cluster has no other")
            }
            db = number
        }
        clientName = parameters.take("client_name")
        if let clientName, !RedisConfiguration.isClientName(clientName) {
            throw RedisURLError(
                RedisURLParameters.title("client_name"), "must be \(RedisConfiguration.clientNameForm)")
        }
        keyPrefix = parameters.take("key_prefix")
        if let keyPrefix, !RedisConfiguration.isKeyPrefix(keyPrefix) {
            throw RedisURLError(RedisURLParameters.title("key_prefix"), "must be \(RedisConfiguration.keyPrefixForm)")
        }
        try parameters.end()
    }

    // MARK: pieces

    /// What stands before the first `/`, and what stands behind it.
    private static func cut(_ text: Part) -> (Part, Part) {
        let slash = text.firstIndex(of: UInt8(ascii: "/")) ?? text.endIndex
        return (text[..<slash], text[slash...].dropFirst())
    }

    private static func places(_ list: Part, port: Int) throws(RedisURLError) -> [SocketAddress] {
        var places: [SocketAddress] = []
        for text in list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            places.append(try place(text, port: port, number: places.count + 1))
        }
        return places
    }

    /// `host`, `host:port` or `[v6]:port`; `number` is its place in a list.
    static func place(
        _ text: ArraySlice<UInt8>, port: Int, number: Int? = nil
    ) throws(RedisURLError) -> SocketAddress {
        // The last colon behind a bracket is a port's.
        let end = text.lastIndex(of: UInt8(ascii: "]")) ?? text.startIndex
        let colon = text[end...].lastIndex(of: UInt8(ascii: ":"))
        let name = String(validating: text[..<(colon ?? text.endIndex)], as: UTF8.self)
        guard let host = name.flatMap(SocketAddress.host), !host.utf8.contains(UInt8(ascii: ",")) else {
            throw RedisURLError(number.map { "host number \($0)" } ?? "host", "is neither a name nor an address")
        }
        guard let colon else { return SocketAddress(host: host, port: port) }
        guard let port = Self.number(text[(colon + 1)...]), (1...65_535).contains(port) else {
            throw RedisURLError(
                number.map { "port of host number \($0)" } ?? "port", "is no number from 1 to 65535")
        }
        return SocketAddress(host: host, port: port)
    }

    private static func database(_ text: Part) throws(RedisURLError) -> Int? {
        if text.isEmpty { return nil }
        guard let number = number(text) else { throw RedisURLError("db", "is no number from 0") }
        return number
    }

    /// Decimal digits and nothing else.
    private static func number(_ text: some Collection<UInt8>) -> Int? {
        guard text.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) else { return nil }
        return Int(String(decoding: text, as: UTF8.self))
    }

    static func decoded(_ text: ArraySlice<UInt8>, _ part: String) throws(RedisURLError) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            guard digits.count == 2 else {
                throw RedisURLError(part, "has a % that two hexadecimal digits do not follow")
            }
            bytes.append(UInt8(digits[0] * 16 + digits[1]))
            rest = rest.dropFirst(2)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw RedisURLError(part, "is no UTF-8") }
        return text
    }
}

/// What stands behind the `?` of an address.
struct RedisURLParameters {
    /// Those that any address may have, and those of sentinels.
    private static let known = ["db", "client_name", "key_prefix"] + ofSentinels + ofTLS
    private static let ofSentinels = ["sentinel_user", "sentinel_password"]
    private static let ofTLS = ["ca", "cert", "key", "server_name", "verify"]

    private var values: [Text: String] = [:]

    init(_ text: ArraySlice<UInt8>) throws(RedisURLError) {
        let pairs = text.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
        for (index, pair) in pairs.enumerated() where !text.isEmpty {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(decoding: parts[0], as: UTF8.self)
            // What nobody knows may be the rest of a password.
            guard Self.known.contains(name) else {
                throw RedisURLError(
                    "parameter number \(index + 1)", "is not known; known are: \(Self.known.joined(separator: ", "))")
            }
            guard values[Text(name)] == nil else { throw RedisURLError(Self.title(name), "is there twice") }
            let value = try RedisURL.decoded(parts.count == 2 ? parts[1] : [], Self.title(name))
            guard !value.isEmpty else { throw RedisURLError(Self.title(name), "is empty") }
            values[Text(name)] = value
        }
    }

    static func title(_ name: String) -> String { "parameter \"\(name)\"" }

    mutating func take(_ name: String) -> String? { values.removeValue(forKey: Text(name)) }

    /// Whatever is left is not for this kind of address.
    func end() throws(RedisURLError) {
        guard let name = values.keys.min() else { return }
        let scheme = Self.ofTLS.contains(name.string) ? "rediss" : "redis+sentinel"
        throw RedisURLError(Self.title(name.string), "is for \(scheme):// only")
    }
}
