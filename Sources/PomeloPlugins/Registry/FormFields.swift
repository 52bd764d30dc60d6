// SPDX-License-Identifier: MIT
import PomeloBytes

/// The fields of a form, `application/x-www-form-urlencoded` (WHATWG URL Standard, section 5).
struct FormFields {
    private var fields: [Text: String] = [:]

    /// The first value of each name counts; what is no UTF-8 is left out.
    init(_ body: Bytes) {
        for pair in body.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = Self.text(parts[0]), let value = Self.text(parts[1]) else { continue }
            if fields[Text(name)] == nil { fields[Text(name)] = value }
        }
    }

    subscript(name: String) -> String? { fields[Text(name)] }

    /// A part of a path without its escapes; nil for what is no UTF-8.
    static func unescaped(_ part: String) -> String? {
        text(Bytes(part.utf8.flatMap { $0 == UInt8(ascii: "+") ? Bytes("%2B".utf8) : [$0] })[...])
    }

    private static func text(_ escaped: ArraySlice<UInt8>) -> String? {
        var bytes = Bytes()
        var rest = escaped
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                // A number may have a sign; an escape has none.
                guard rest.count >= 2, !rest.prefix(2).contains(UInt8(ascii: "+")),
                    let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
