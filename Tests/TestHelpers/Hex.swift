// SPDX-License-Identifier: MIT
import PomeloBytes

extension Bytes {
    /// Bytes from hexadecimal digits.
    package init(hex: String) {
        self.init()
        var high: UInt8?
        for digit in hex.utf8 {
            let value = digit & 0xF &+ (digit > 0x40 ? 9 : 0)
            if let first = high {
                append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
    }
}
