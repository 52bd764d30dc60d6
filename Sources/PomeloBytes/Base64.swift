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
