// SPDX-License-Identifier: MIT

/// An address and port as text and number.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name, a numeric address without brackets, or the absolute path of a Unix-domain socket, whose port is 0.
    public var host: String
    /// 0 to 65535; 0 asks a listener for a free one.
    public var port: Int

    /// Puts the parts together, unchecked.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Whether no other machine is reached by it: `127.0.0.0/8`, `::1`, or `localhost`.
    ///
    /// - Source: RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3; RFC 6761, section 6.3.
    public var isLoopback: Bool {
        let mapped = "::ffff:"
        let host = host.lowercased()
        let numeric = host.hasPrefix(mapped) ? String(host.dropFirst(mapped.count)) : host
        if numeric == "::1" || numeric == "localhost" { return true }
        let parts = numeric.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.first == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// A host as people write it, without the brackets that a numeric IPv6 host may have; nil when it cannot be one.
    ///
    /// - Source: RFC 3986, section 3.2.2 (the brackets).
    public static func host(_ text: String) -> String? {
        var host = text[...]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.contains(":") else { return nil }
            host = host.dropFirst().dropLast()
        }
        // One colon would be a port's.
        let colons = host.utf8.count { $0 == UInt8(ascii: ":") }
        let isClean = host.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"[]/@?#".utf8.contains($0) }
        return host.isEmpty || colons == 1 || !isClean ? nil : String(host)
    }

    /// `host:port`, a numeric IPv6 host in brackets; the path of a Unix-domain socket.
    public var description: String {
        if host.hasPrefix("/") { return host }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
