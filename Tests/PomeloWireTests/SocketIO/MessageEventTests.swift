// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// The form in which clients write the event is read apart from JSON; a space behind the type makes it JSON.
@Suite("socket.io message events")
struct MessageEventTests {
    private static let pieces =
        [
            "a", "bridge", " ", "\"", "\\", #"\""#, #"\\"#, #"\/"#, #"\b"#, #"\f"#, #"\n"#, #"\r"#, #"\t"#, #"\x"#,
            #"\u"#, #"\u00"#, #"\u0000"#, #"\u0001"#, #"\u001F"#, #"\u0041"#, #"\u007f"#, #"\u0080"#, #"\u00ff"#,
            #"\u00FF"#, #"\u0100"#, #"\u20ac"#, #"\ud83d"#, #"\ude00"#, #"\ud83d\ude00"#, #"\u00g0"#, "é", "€", "😀",
            "\u{1}", "\n", "]", "\"]", "\",\"", "[", "{", ",", "\u{0}",
        ].map { Bytes($0.utf8) } + ["c3", "ff", "eda0bd", "edb880", "80", "c080"].map { hex($0) }

    private static func read(_ data: Bytes) -> SocketIOPacket? {
        do throws(WireError) { return try SocketIOPacket(data.span, .five) } catch { return nil }
    }

    private func expectSame(_ text: Bytes) {
        let end = utf8("\"]")
        let direct = Self.read(utf8(#"2["message",""#) + text + end)
        let asJSON = Self.read(utf8(#"2 ["message",""#) + text + end)
        #expect(direct == asJSON, "\(text)")
    }

    @Test func everyPairOfPieces() {
        for first in Self.pieces {
            expectSame(first)
            for second in Self.pieces { expectSame(first + second) }
        }
    }

    @Test func everyCharacterOfAHead() {
        for byte in UInt8.min...UInt8.max {
            let digits = String(byte, radix: 16)
            let escape = utf8(#"\u"# + String(repeating: "0", count: 4 - digits.count) + digits)
            #expect(
                Self.read(utf8(#"2["message",""#) + escape + utf8("\"]"))
                    == .message(utf8(String(Unicode.Scalar(byte)))))
        }
    }

    @Test func everyPlaceToBeCutShort() {
        let whole = utf8(#"2["message","\u0000\u00e9{\"a\":\"\\\\\"}"]"#)
        for count in 0...whole.count {
            let data = Bytes(whole.prefix(count))
            #expect((Self.read(data) != nil) == (count == whole.count))
        }
    }
}
