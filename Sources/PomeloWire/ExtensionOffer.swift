// SPDX-License-Identifier: MIT
import PomeloBytes

/// One extension that a WebSocket client offers, with its parameters in order.
///
/// ```
///  extension-list  =  extension *( "," extension )
///  extension       =  token *( ";" token [ "=" ( token | quoted token ) ] )
/// ```
///
/// - Source: RFC 6455 §9.1.
struct ExtensionOffer: Equatable, Sendable {
    struct Parameter: Equatable, Sendable {
        let name: String
        let value: String?
    }

    let name: String
    let parameters: [Parameter]

    /// Reads the value of a header line, or of several joined by commas.
    ///
    /// - Throws: `WireError` `.malformed` for what is no list of extensions.
    static func list(_ text: String) throws(WireError) -> [ExtensionOffer] {
        var reader = Reader(bytes: Bytes(text.utf8))
        var offers: [ExtensionOffer] = []
        while true {
            reader.skipBlanks()
            // Lists may have empty elements (RFC 9110 §5.6.1).
            if reader.take(",") { continue }
            if reader.isAtEnd { return offers }
            offers.append(try reader.offer())
            guard reader.isAtEnd || reader.take(",") else { throw .malformed("Sec-WebSocket-Extensions") }
        }
    }

    private struct Reader {
        let bytes: Bytes
        var place = 0

        var isAtEnd: Bool { place == bytes.count }

        mutating func skipBlanks() {
            while place < bytes.count, bytes[place] == 0x20 || bytes[place] == 9 { place &+= 1 }
        }

        mutating func take(_ mark: Unicode.Scalar) -> Bool {
            guard place < bytes.count, bytes[place] == UInt8(ascii: mark) else { return false }
            place &+= 1
            return true
        }

        mutating func offer() throws(WireError) -> ExtensionOffer {
            let name = try token()
            var parameters: [Parameter] = []
            skipBlanks()
            while take(";") {
                skipBlanks()
                let name = try token()
                skipBlanks()
                let value = take("=") ? try value() : nil
                parameters.append(Parameter(name: name, value: value))
                skipBlanks()
            }
            return ExtensionOffer(name: name, parameters: parameters)
        }

        private mutating func token() throws(WireError) -> String {
            let start = place
            while place < bytes.count, HTTPHead.isToken(bytes[place]) { place &+= 1 }
            guard place > start else { throw .malformed("Sec-WebSocket-Extensions") }
            return String(decoding: bytes[start..<place], as: UTF8.self)
        }

        /// A token; between quotes too, where a backslash stands before any of its characters.
        private mutating func value() throws(WireError) -> String {
            skipBlanks()
            guard take("\"") else { return try token() }
            var value = Bytes()
            while !take("\"") {
                _ = take("\\")
                guard place < bytes.count, HTTPHead.isToken(bytes[place]) else {
                    throw .malformed("Sec-WebSocket-Extensions")
                }
                value.append(bytes[place])
                place &+= 1
            }
            guard !value.isEmpty else { throw .malformed("Sec-WebSocket-Extensions") }
            return String(decoding: value, as: UTF8.self)
        }
    }
}
