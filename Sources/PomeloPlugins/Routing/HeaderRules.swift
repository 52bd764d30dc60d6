// SPDX-License-Identifier: MIT
package import PomeloBytes

/// Which headers are handed on.
///
/// - Source: RFC 9110, 5.5, 5.6.2 and 7.6.1.
package enum HeaderRules {
    /// Those that are meant for one connection, beside those that `Connection` names and all that begin with
    /// `Proxy-`.
    private static let ofOneHop: Set<Text> = [
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
    ]

    /// Without those of one hop, those of `also`, and what could not stand in a head.
    package static func endToEnd(_ headers: [PluginHeader], without also: Set<Text> = []) -> [PluginHeader] {
        var named: Set<Text> = []
        for header in headers where name(header) == "connection" {
            for token in tokens(header.value) { named.insert(token) }
        }
        return headers.filter { header in
            let name = name(header)
            return !ofOneHop.contains(name) && !also.contains(name) && !named.contains(name)
                && !name.string.hasPrefix("proxy-") && isSound(header)
        }
    }

    /// The values of a list, in small letters.
    package static func tokens(_ value: String) -> [Text] {
        value.split(separator: ",").map { part in
            Text(String(part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }).lowercased())
        }
    }

    private static func name(_ header: PluginHeader) -> Text { Text(header.name.lowercased()) }

    /// Whether a header is one: its name a token, and nothing in its value that ends a line.
    package static func isSound(_ header: PluginHeader) -> Bool {
        isToken(header.name) && header.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }

    /// Whether a text is a name of a method or of a header.
    package static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                let small = byte | 0x20
                return small >= UInt8(ascii: "a") && small <= UInt8(ascii: "z") && byte >= 0x41
                    || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || marks.contains(byte)
            }
    }

    private static let marks = Bytes("!#$%&'*+-.^_`|~".utf8)
}
