// SPDX-License-Identifier: MIT

/// Where a plugin is reached: `http://host:port`, and perhaps a path; no user, no query.
struct PluginAddress: Hashable, Sendable {
    static let maxBytes = 256
    /// Without a slash at its end.
    let text: String

    init?(_ text: String) {
        let scheme = "http://"
        guard text.utf8.count <= Self.maxBytes, text.hasPrefix(scheme),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let whole = text.dropFirst(scheme.count)
        let authority = whole.prefix { $0 != "/" }
        let path = whole.dropFirst(authority.count)
        guard !path.contains(where: { "?#\\".contains($0) }), !path.contains("..") else { return nil }
        let isBracketed = authority.hasPrefix("[")
        let host = authority.prefix { $0 != (isBracketed ? "]" : ":") }
        var rest = authority.dropFirst(host.count)
        if isBracketed, rest.popFirst() == nil { return nil }
        let isHost = isBracketed ? Self.isIPv6(host.dropFirst()) : Self.isName(host)
        guard isHost, rest.isEmpty || Self.isPort(rest) else { return nil }
        var end = Substring(text)
        while end.last == "/" { end.removeLast() }
        self.text = String(end)
    }

    private static func isName(_ host: Substring) -> Bool {
        !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
    }

    private static func isIPv6(_ host: Substring) -> Bool {
        host.count { $0 == ":" } >= 2 && host.allSatisfy { $0.isHexDigit && $0.isASCII || $0 == ":" || $0 == "." }
    }

    private static func isPort(_ text: Substring) -> Bool {
        let digits = text.dropFirst()
        return text.first == ":" && digits.allSatisfy { $0.isASCII && $0.isNumber }
            && Int(digits).map { (1...65535).contains($0) } ?? false
    }
}
