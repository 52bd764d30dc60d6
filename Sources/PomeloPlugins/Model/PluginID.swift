// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore

/// An outside plugin, as callers and other plugins name it: `organisation-name`.
public struct PluginID: Identifier {
    /// Longer ones are none, in bytes.
    static let maxBytes = 64
    /// What callers reach under these names is the platform itself.
    static let reserved: Set<Text> = [
        "keel", "plugins", "rudder", "chat", "platform", "addons", "apis", "static", "dapr", "method", "v1", "v1.0",
    ]

    /// The name.
    public let rawValue: String
    /// The name as it is; `checked` says whether it may be one.
    public init(_ rawValue: String) { self.rawValue = rawValue }

    /// Nil for what no plugin may be called: a path, a key or a log would not carry it.
    static func checked(_ text: String) -> PluginID? {
        let bytes = text.utf8
        guard (1...maxBytes).contains(bytes.count), bytes.allSatisfy(isAllowed), !reserved.contains(Text(text)),
            bytes.first != UInt8(ascii: "."), bytes.first != UInt8(ascii: "-")
        else { return nil }
        return PluginID(text)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
