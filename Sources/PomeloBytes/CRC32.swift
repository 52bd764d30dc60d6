// SPDX-License-Identifier: MIT

/// The CRC-32 by which pomelo's default route picks a server.
///
/// - Source: pomelo 2.2.7, lib/util/dispatcher.js with the npm package crc: polynomial 0xEDB88320 over the
///   low byte of every UTF-16 unit, the result taken as signed and made positive.
public enum CRC32 {
    /// Returns pomelo's number for a text: the absolute value of the signed checksum.
    public static func pomelo(_ text: String) -> UInt32 {
        var state = UInt32.max
        for unit in text.utf16 {
            let index = UInt8(truncatingIfNeeded: state) ^ UInt8(truncatingIfNeeded: unit)
            state = table[Int(index)] ^ state >> 8
        }
        return Int32(bitPattern: ~state).magnitude
    }

    private static let table: [UInt32] = (0..<256).map { (index: UInt32) in
        (0..<8).reduce(index) { value, _ in value & 1 == 0 ? value >> 1 : 0xEDB8_8320 ^ value >> 1 }
    }
}
