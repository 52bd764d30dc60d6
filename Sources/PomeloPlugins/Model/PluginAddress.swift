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
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        guard !authority.contains(where: { "@?#\\".contains($0) }), !path.contains(where: { "?#\\".contains($0) }),
            !path.contains("..")
        else { return nil }
        let colon = authority.lastIndex(of: ":")
        let isBracketed = authority.hasPrefix("[")
        if let colon, !isBracketed || authority[colon...].dropFirst().allSatisfy(\.isNumber) {
            guard let port = Int(authority[colon...].dropFirst()), (1...65535).contains(port) else { return nil }
            guard colon > authority.startIndex else { return nil }
            guard isBracketed || !authority[..<colon].contains(":") else { return nil }
        } else if authority.isEmpty {
            return nil
        }
        self.text = text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}
