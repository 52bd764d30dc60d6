// SPDX-License-Identifier: MIT

/// A text that is the same as another when both have the same UTF-8 bytes.
///
/// `String` finds canonically equivalent spellings equal, which Redis, clients and other programs do not, and pays for
/// it with time quadratic in the length of a run of combining marks. What a client, a peer or Redis names is compared
/// as a `Text`: equality, hash and order are those of the bytes, and take time linear in them.
public struct Text: Hashable, Comparable, Sendable {
    /// The text itself.
    public let string: String

    /// The text as it is.
    @inlinable public init(_ string: String) { self.string = string }

    /// Whether both have the same bytes.
    public static func == (a: Text, b: Text) -> Bool {
        a.string.utf8Span.span.hasSameBytes(as: b.string.utf8Span.span)
    }

    /// Orders texts by their bytes, which is the order of their scalars, and that of Redis.
    public static func < (a: Text, b: Text) -> Bool {
        let (one, other) = (a.string.utf8Span.span, b.string.utf8Span.span)
        let shared = min(one.count, other.count)
        for index in 0..<shared where one[index] != other[index] { return one[index] < other[index] }
        return one.count < other.count
    }

    /// Feeds the bytes into a hasher, eight at a time.
    public func hash(into hasher: inout Hasher) {
        let bytes = string.utf8Span.span
        var index = 0
        while bytes.count &- index >= 8 {
            var word: UInt64 = 0
            for offset in 0..<8 { word |= UInt64(bytes[index &+ offset]) &<< UInt64(8 &* offset) }
            hasher.combine(word)
            index &+= 8
        }
        // The last word has at most seven bytes, and in its eighth how many there are.
        var word = UInt64(bytes.count &- index) &<< 56
        var shift: UInt64 = 0
        while index < bytes.count {
            word |= UInt64(bytes[index]) &<< shift
            shift &+= 8
            index &+= 1
        }
        hasher.combine(word)
    }
}

extension Text: ExpressibleByStringLiteral, CustomStringConvertible {
    /// Takes a literal for a text.
    public init(stringLiteral value: String) { self.init(value) }
    /// The text itself.
    public var description: String { string }
}

extension Text: Codable, CodingKeyRepresentable {
    /// Reads a plain text.
    ///
    /// - Throws: `DecodingError` when there is something else.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    /// Writes a plain text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(string)
    }

    /// A dictionary with texts for keys is an object, as one with strings is.
    public var codingKey: any CodingKey { TextKey(stringValue: string) }

    /// The text of a key.
    public init?(codingKey: some CodingKey) { self.init(codingKey.stringValue) }
}

/// A text as the key of an object.
private struct TextKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Span<UInt8> {
    /// Whether the bytes are the same; blocks of 32, which the compiler compares at once.
    @inlinable @inline(__always)
    package func hasSameBytes(as other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        var difference: UInt8 = 0
        var index = 0
        while count &- index >= 32 {
            for place in index..<(index &+ 32) { difference |= self[place] ^ other[place] }
            guard difference == 0 else { return false }
            index &+= 32
        }
        while index < count {
            difference |= self[index] ^ other[index]
            index &+= 1
        }
        return difference == 0
    }
}

extension String {
    /// What stands between two texts, byte by byte; nil when this one does not begin and end with them.
    public func between(_ start: String, _ end: String) -> String? {
        let inner = utf8.dropFirst(start.utf8.count).dropLast(end.utf8.count)
        guard utf8.count >= start.utf8.count + end.utf8.count, utf8.starts(with: start.utf8),
            utf8.suffix(end.utf8.count).elementsEqual(end.utf8)
        else { return nil }
        return String(decoding: inner, as: UTF8.self)
    }
}
