// SPDX-License-Identifier: MIT
import PomeloBytes

/// Id and secret as Base64 in `Authorization`, with `Basic` before it or not.
///
/// - Source: RFC 7617; without the word as plugins of tKeel send it.
struct BasicCredentials {
    let id: String
    let secret: String

    init?(_ value: String) {
        var word = value.trimmingSpaces
        if word.prefix(6).lowercased() == "basic " { word = String(word.dropFirst(6)).trimmingSpaces }
        guard let bytes = Base64.decode(Bytes(word.utf8).span), let text = String(validating: bytes, as: UTF8.self),
            let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        id = String(text[..<colon])
        secret = String(text[text.utf8.index(after: colon)...])
    }
}

extension String {
    var trimmingSpaces: String {
        var part = Substring(self)
        while part.first == " " { part.removeFirst() }
        while part.last == " " { part.removeLast() }
        return String(part)
    }
}
