// SPDX-License-Identifier: MIT

/// A numeric address of IPv4 or IPv6, as a number.
///
/// An IPv4 address that is written as one of IPv6 (`::ffff:192.0.2.1`) is the IPv4 address: a kernel shows the same
/// client in either way, by how its listener was made.
///
/// - Source: RFC 4291, sections 2.2 (texts) and 2.5.5.2 (mapped addresses); RFC 5952 (the text that is written).
public struct IPAddress: Hashable, Sendable {
    /// The first 64 bits; 0 with IPv4.
    public let high: UInt64
    /// The last 64 bits; of IPv4 all 32 of them.
    public let low: UInt64
    /// Whether it is of IPv4.
    public let isIPv4: Bool

    /// An address of IPv4.
    public init(v4 number: UInt32) {
        high = 0
        low = UInt64(number)
        isIPv4 = true
    }

    /// An address of IPv6, or of IPv4 when it is a mapped one.
    public init(high: UInt64, low: UInt64) {
        isIPv4 = high == 0 && low >> 32 == 0xFFFF
        self.high = high
        self.low = isIPv4 ? low & 0xFFFF_FFFF : low
    }

    /// Reads 4 or 16 bytes in network order; nil for any other number.
    init?(network bytes: Span<UInt8>) {
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<bytes.count {
            words.0 = words.0 << 8 | words.1 >> 56
            words.1 = words.1 << 8 | UInt64(bytes[index])
        }
        switch bytes.count {
        case 4: self.init(v4: UInt32(truncatingIfNeeded: words.1))
        case 16: self.init(high: words.0, low: words.1)
        default: return nil
        }
    }

    /// How many bits it has.
    public var width: Int { isIPv4 ? 32 : 128 }

    // MARK: texts

    /// Reads an address without brackets and port; nil for anything else.
    ///
    /// The zone of a link (`fe80::1%eth0`) is left out.
    public init?(_ text: String) {
        var bytes = text.utf8[...]
        if let zone = bytes.firstIndex(of: UInt8(ascii: "%")) {
            guard bytes.index(after: zone) < bytes.endIndex, bytes[..<zone].contains(UInt8(ascii: ":")) else {
                return nil
            }
            bytes = bytes[..<zone]
        }
        // The longest has 45 characters.
        guard bytes.count <= 45 else { return nil }
        if let number = Self.v4(bytes) {
            self.init(v4: number)
        } else if let (high, low) = Self.v6(bytes) {
            self.init(high: high, low: low)
        } else {
            return nil
        }
    }

    /// Four numbers without zeros in front of them, which some read as octal.
    private static func v4(_ bytes: Substring.UTF8View) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                part.count == 1 || part.first != 0x30
            else { return nil }
            let value = part.reduce(UInt32(0)) { $0 &* 10 &+ UInt32($1 &- 0x30) }
            guard value < 256 else { return nil }
            number = number << 8 | value
        }
        return number
    }

    private static func v6(_ bytes: Substring.UTF8View) -> (UInt64, UInt64)? {
        let colon = UInt8(ascii: ":")
        var before: [UInt16] = []
        var after: [UInt16]?
        var rest = bytes
        if rest.starts(with: [colon, colon]) {
            rest = rest.dropFirst(2)
            after = []
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != colon }
            rest = rest.dropFirst(part.count)
            if part.contains(UInt8(ascii: ".")) {
                guard rest.isEmpty, let number = v4(part) else { return nil }
                let words = [UInt16(number >> 16), UInt16(number & 0xFFFF)]
                if after == nil { before += words } else { after? += words }
                break
            }
            guard let word = hexadecimal(part) else { return nil }
            if after == nil { before.append(word) } else { after?.append(word) }
            if rest.isEmpty { break }
            rest = rest.dropFirst()
            if rest.first == colon {
                guard after == nil else { return nil }
                after = []
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let count = before.count &+ (after?.count ?? 0)
        // Two colons stand for one group at least.
        guard after == nil ? count == 8 : count < 8 else { return nil }
        let words = before + Array(repeating: 0, count: 8 &- count) + (after ?? [])
        return (
            words[..<4].reduce(0) { $0 << 16 | UInt64($1) }, words[4...].reduce(0) { $0 << 16 | UInt64($1) }
        )
    }

    private static func hexadecimal(_ part: Substring.UTF8View) -> UInt16? {
        guard (1...4).contains(part.count) else { return nil }
        var word: UInt16 = 0
        for byte in part {
            switch byte {
            case 0x30...0x39: word = word << 4 | UInt16(byte &- 0x30)
            case 0x41...0x46, 0x61...0x66: word = word << 4 | UInt16((byte | 0x20) &- 0x57)
            default: return nil
            }
        }
        return word
    }

    private func word(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 &- (index & 3) &* 16))
    }

    /// Its text, as a kernel writes it.
    public var text: String {
        if isIPv4 { return [24, 16, 8, 0].map { String(low >> $0 & 255) }.joined(separator: ".") }
        let words = (0..<8).map(word)
        var (best, length) = (0, 1)
        var start = 0
        while start < 8 {
            let run = words[start...].prefix { $0 == 0 }.count
            if run > length { (best, length) = (start, run) }
            start &+= max(1, run)
        }
        let texts = words.map { String($0, radix: 16) }
        guard length > 1 else { return texts.joined(separator: ":") }
        return texts[..<best].joined(separator: ":") + "::" + texts[(best &+ length)...].joined(separator: ":")
    }
}
