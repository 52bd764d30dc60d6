// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// A message's body that carries its signature: `{"name":"bob","__crypto__":"5ed0…"}`.
///
/// A client signs the text without the signature, so that text is what is to be verified: the member is cut out of what
/// came, and nothing else of it is touched.
///
/// - Source: pomelo-jsclient-websocket (`useCrypto`), which signs what `JSON.stringify` gives and then puts the
///   signature behind it; pomelo 2.2.7, lib/connectors/common/coder.js, which writes the rest anew.
public struct SignedBody: Equatable, Sendable {
    /// The text that the client has signed.
    public let text: Bytes
    /// The signature.
    public let signature: Bytes

    private static let key = Bytes("\"__crypto__\"".utf8)
    /// In hexadecimal digits, of the longest key.
    private static let mostDigits = RSAPublicKey.bits.upperBound / 4

    /// Takes a body apart; nil when it is no JSON object with one such member, written plainly.
    public init?(_ body: Bytes) {
        do {
            guard let object = try JSON.parse(body.span).object, let digits = object["__crypto__"]?.string,
                let signature = Bytes(hexadecimal: digits, most: Self.mostDigits)
            else { return nil }
            self.signature = signature
        } catch { return nil }
        guard let member = Self.member(of: body) else { return nil }
        text = Bytes(body[..<member.lowerBound] + body[member.upperBound...])
    }

    /// Where the member is, with one comma; nil when there is none, or more than one.
    ///
    /// The body is known to be JSON.
    private static func member(of body: Bytes) -> Range<Int>? {
        var (depth, start, before, hasMember) = (0, 0, 0, false)
        var found: Range<Int>?
        var index = 0
        while index < body.count {
            switch body[index] {
            case UInt8(ascii: "\""):
                let end = endOfString(body, from: index)
                // A name, and not a value: what is open is the outer object, and no name has come yet.
                if depth == 1, !hasMember {
                    hasMember = true
                    start = body[index..<end].elementsEqual(key) ? index : -1
                }
                index = end
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth &+= 1
                if depth == 1 { before = index }
            case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ","):
                let isComma = body[index] == UInt8(ascii: ",")
                if depth == 1, hasMember {
                    if start >= 0 {
                        guard found == nil else { return nil }
                        let isFirst = body[before] == UInt8(ascii: "{")
                        found = isFirst ? before &+ 1..<(isComma ? index &+ 1 : index) : before..<index
                    }
                    (before, hasMember) = (index, false)
                }
                if !isComma { depth &-= 1 }
            default: break
            }
            index &+= 1
        }
        return found
    }

    private static func endOfString(_ body: Bytes, from start: Int) -> Int {
        var index = start &+ 1
        while index < body.count, body[index] != UInt8(ascii: "\"") {
            index &+= body[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(index &+ 1, body.count)
    }
}

extension Bytes {
    /// Reads hexadecimal digits, of which an odd number has a zero in front; nil for none, for more than `most`, and
    /// for anything else.
    package init?(hexadecimal text: String, most: Int) {
        let digits = text.utf8
        guard !digits.isEmpty, digits.count <= most else { return nil }
        self = []
        var isHigh = digits.count % 2 == 0
        var byte: UInt8 = 0
        for digit in digits {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit &- 0x30
            case 0x41...0x46, 0x61...0x66: value = (digit | 0x20) &- 0x57
            default: return nil
            }
            byte = byte << 4 | value
            if !isHigh {
                append(byte)
                byte = 0
            }
            isHigh.toggle()
        }
    }
}
