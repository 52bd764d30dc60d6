// SPDX-License-Identifier: MIT
public import PomeloBytes

/// What an extension point is called: `before-send-callback`, `beforeSendCallback` and `BeforeSendCallback` are one.
///
/// Compared without case and hyphens, for plugins spell one point in several ways; of other letters than A to Z the
/// bytes count.
public struct PointName: Hashable, Sendable, Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// As it was spelt.
    public let text: String
    /// What is compared.
    public let folded: Text

    /// The name as it is; nothing is checked.
    public init(_ text: String) {
        self.text = text
        let bytes = text.utf8.lazy.filter { $0 != UInt8(ascii: "-") }
            .map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        folded = Text(String(decoding: Array(bytes), as: UTF8.self))
    }

    /// Takes a literal for a name.
    public init(stringLiteral value: String) { self.init(value) }
    /// As it was spelt.
    public var description: String { text }
    /// Whether both are one name.
    public static func == (a: PointName, b: PointName) -> Bool { a.folded == b.folded }
    /// Orders names by what is compared.
    public static func < (a: PointName, b: PointName) -> Bool { a.folded < b.folded }
    /// Hashes what is compared.
    public func hash(into hasher: inout Hasher) { hasher.combine(folded) }
}
