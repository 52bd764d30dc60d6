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
    public init(of key: [UInt8]) {
        number = Int(Self.checksum(Self.hashed(key))) % Self.count
    }

    /// The slot of a key, in UTF-8.
    public init(of key: String) { self.init(of: Array(key.utf8)) }

    init(number: Int) { self.number = number }

    private static func hashed(_ key: [UInt8]) -> ArraySlice<UInt8> {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return key[...] }
        let rest = key[(open + 1)...]
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else { return key[...] }
        return rest[..<close]
    }

    /// CRC-16/XMODEM: polynomial 0x1021, beginning with 0.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.reduce(0) { sum, byte in (sum << 8) ^ table[Int(UInt8(sum >> 8) ^ byte)] }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { value, _ in
            value & 0x8000 == 0 ? value << 1 : (value << 1) ^ 0x1021
        }
    }
}
