// SPDX-License-Identifier: MIT

/// Texts in C's memory.
enum CText {
    /// What stands before the first zero in an array of a fixed length.
    static func fixed<Characters>(_ characters: inout Characters) -> String {
        unsafe withUnsafeBytes(of: &characters) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
