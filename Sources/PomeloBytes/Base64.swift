// SPDX-License-Identifier: MIT

/// Base64 with the standard alphabet and padding.
///
/// - Source: RFC 4648 §4.
public enum Base64 {
    /// Returns the text for some bytes.
    public static func encode(_ bytes: Bytes) -> String {
        var text: Bytes = []
        text.reserveCapacity((bytes.count &+ 2) / 3 &* 4)
        var index = 0
        while index < bytes.count {
            let held = Swift.min(3, bytes.count &- index)
            var group: UInt32 = 0
            for position in 0..<3 {
                group = group << 8 | (position < held ? UInt32(bytes[index &+ position]) : 0)
            }
            for position in 0..<4 {
                let digit = Int(group >> UInt32(18 &- 6 &* position) & 0x3F)
                text.append(position <= held ? alphabet[digit] : UInt8(ascii: "="))
            }
            index &+= 3
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Returns the bytes for some text, with or without its padding; nil when it is no Base64.
    package static func decode(_ text: Span<UInt8>) -> Bytes? {
        var end = text.count
        while end > 0, text.count &- end < 2, text[end &- 1] == UInt8(ascii: "=") { end &-= 1 }
        guard end % 4 != 1 else { return nil }
        var bytes: Bytes = []
        bytes.reserveCapacity(end / 4 &* 3 &+ 2)
        var (group, bits): (UInt32, UInt32) = (0, 0)
        for index in 0..<end {
            guard let digit = digit(text[index]) else { return nil }
            group = group << 6 | digit
            bits &+= 6
            if bits >= 8 {
                bits &-= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> bits))
            }
        }
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte &- UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte &- UInt8(ascii: "a") &+ 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte &- UInt8(ascii: "0") &+ 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// Whether the text is Base64 for 16 bytes, such as a WebSocket key.
    package static func isSixteenBytes(_ text: String) -> Bool {
        let bytes = Bytes(text.utf8)
        guard bytes.count == 24, bytes[22] == UInt8(ascii: "="), bytes[23] == UInt8(ascii: "=") else {
            return false
        }
        return bytes[..<22].allSatisfy { alphabet.contains($0) }
    }

    private static let alphabet = Bytes(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
