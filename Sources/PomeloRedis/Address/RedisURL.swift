// SPDX-License-Identifier: MIT
import PomeloLoop

/// The parts of `redis://user:password@host:port/db`; user and password may be percent-encoded.
///
/// - Source: https://www.iana.org/assignments/uri-schemes/prov/redis
struct RedisURL: Equatable {
    var host = ""
    var port: Int?
    var db: Int?
    var username: String?
    var password: String?

    /// Whether the text asks for TLS, which is not there.
    static func isEncrypted(_ text: String) -> Bool { text.lowercased().hasPrefix("rediss://") }

    /// What is wrong with a text, without any of it: it may hold a password.
    struct Misfit: Error, Equatable { let description: String }

    init(_ text: String) throws(Misfit) {
        let scheme = "redis://"
        guard text.hasPrefix(scheme) else { throw Misfit(description: "it does not begin with redis://") }
        var rest = text.dropFirst(scheme.count)
        if let at = rest.lastIndex(of: "@") {
            guard readUser(rest[..<at]) else {
                throw Misfit(
                    description: "a % in its user or password is not followed by two hexadecimal digits of a text")
            }
            rest = rest[rest.index(after: at)...]
        }
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[rest.index(after: slash)...]
            if !path.isEmpty {
                guard let number = Int(path), number >= 0 else {
                    throw Misfit(description: "its db is no number from 0")
                }
                db = number
            }
            rest = rest[..<slash]
        }
        (host, port) = try Self.place(rest)
    }

    private mutating func readUser(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = Self.decoded(parts[0]) else { return false }
        if !name.isEmpty { username = name }
        guard parts.count == 2 else { return true }
        guard let secret = Self.decoded(parts[1]) else { return false }
        if !secret.isEmpty { password = secret }
        return true
    }

    /// `host`, `host:port` or `[v6]:port`.
    private static func place(_ text: Substring) throws(Misfit) -> (String, Int?) {
        // The last colon behind a bracket is a port's.
        let end = text.lastIndex(of: "]") ?? text.startIndex
        let colon = text[end...].lastIndex(of: ":")
        guard let host = SocketAddress.host(String(text[..<(colon ?? text.endIndex)])) else {
            throw Misfit(description: "its host is neither a name nor an address")
        }
        guard let colon else { return (host, nil) }
        guard let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port) else {
            throw Misfit(description: "its port is no number from 1 to 65535")
        }
        return (host, port)
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let digits = String(rest.prefix(2)), digits.count == 2, let value = UInt8(digits, radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
