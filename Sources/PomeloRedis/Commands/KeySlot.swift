// SPDX-License-Identifier: MIT

/// One of the 16384 parts into which Redis Cluster divides all keys.
///
/// - Source: Redis Cluster specification, "Key distribution model" and "Hash tags",
///   https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/.
public struct KeySlot: Sendable, Hashable {
    /// How many there are.
    public static let count = 16_384

    /// From 0 to 16383.
    public let number: Int

    /// The slot of a key: of what stands between its first `{` and the next `}`, or of the whole key when nothing does.
    public init(of key: [UInt8]) { self.init(of: key.span) }

    /// The slot of a key, in UTF-8.
    public init(of key: String) { self.init(of: key.utf8.span) }

    init(number: Int) { self.number = number }

    private init(of key: Span<UInt8>) {
        let key = key.extracting(Self.hashed(key))
        let table = Self.table.span
        var sum: UInt16 = 0
        for index in key.indices {
            // SAFETY: a table of 256, of which a byte is always a place. It is looked at for each byte of each key.
            sum = unsafe (sum << 8) ^ table[unchecked: Int(UInt8(sum >> 8) ^ key[unchecked: index])]
        }
        number = Int(sum) % Self.count
    }

    private static func hashed(_ key: Span<UInt8>) -> Range<Int> {
        guard let open = place(of: UInt8(ascii: "{"), in: key, from: 0),
            let close = place(of: UInt8(ascii: "}"), in: key, from: open + 1), close > open + 1
        else { return key.indices }
        return open + 1..<close
    }

    private static func place(of mark: UInt8, in key: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while index < key.count {
            // SAFETY: below the count.
            if unsafe key[unchecked: index] == mark { return index }
            index += 1
        }
        return nil
    }

    /// Of CRC-16/XMODEM: polynomial 0x1021, beginning with 0.
    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { value, _ in
            value & 0x8000 == 0 ? value << 1 : (value << 1) ^ 0x1021
        }
    }
}
