// SPDX-License-Identifier: MIT
import PomeloBytes

/// How a client of Engine.IO 3 counts the characters of a packet in a text payload.
enum EngineIOCounting {
    /// As JavaScript does: characters beyond U+FFFF are two.
    case utf16
    /// As Python does.
    case codePoints

    /// Whether a payload, which is UTF-8, divides into packets of the stated lengths.
    func fits(_ body: Span<UInt8>) -> Bool {
        var offset = 0
        do throws(WireError) {
            while offset < body.count { _ = try next(body, &offset) }
            return true
        } catch {
            return false
        }
    }

    /// The place of the packet whose length stands at `offset`.
    func next(_ body: Span<UInt8>, _ offset: inout Int) throws(WireError) -> Range<Int> {
        let digits = offset
        var length = 0
        while offset < body.count, body[offset] != UInt8(ascii: ":") {
            let digit = body[offset] &- UInt8(ascii: "0")
            guard digit < 10, offset &- digits < 10 else { throw .malformed("payload: length") }
            length = length &* 10 &+ Int(digit)
            offset &+= 1
        }
        guard offset > digits, offset < body.count else { throw .malformed("payload: length") }
        let start = offset &+ 1
        offset = start
        try skip(length, body, &offset)
        return start..<offset
    }

    /// Moves on by so many characters.
    func skip(_ length: Int, _ body: Span<UInt8>, _ offset: inout Int) throws(WireError) {
        var missing = length
        while missing > 0 {
            guard offset < body.count else { throw .malformed("payload: packet cut short") }
            switch body[offset] {
            case 0..<0x80: offset &+= 1
            case 0x80..<0xE0: offset &+= 2
            case 0xE0..<0xF0: offset &+= 3
            default:
                offset &+= 4
                if self == .utf16 { missing &-= 1 }
            }
            missing &-= 1
        }
        guard missing == 0 else { throw .malformed("payload: half a character") }
    }
}

/// Text that was encoded as UTF-8, and the bytes, taken for characters, once more.
enum DoubledUTF8 {
    enum Judgement {
        /// Both readings are the same.
        case ascii
        /// The text cannot have been encoded twice.
        case once
        /// It can; text that a person wrote hardly ever looks so.
        case twice
    }

    /// Judges text, which is UTF-8.
    static func judge(_ text: Span<UInt8>) -> Judgement {
        var bits: UInt8 = 0
        for index in text.indices {
            // From U+0100 on the first byte is C4 or above.
            if text[index] >= 0xC4 { return .once }
            bits |= text[index]
        }
        if bits < 0x80 { return .ascii }
        return undone(text).span.isUTF8 ? .twice : .once
    }

    /// The bytes that the characters, all below U+0100, stand for.
    static func undone(_ text: Span<UInt8>) -> Bytes {
        Bytes(reserving: text.count) { output in
            var index = 0
            while index < text.count {
                let byte = text[index]
                if byte < 0x80 {
                    output.append(byte)
                    index &+= 1
                } else {
                    let next = index &+ 1 < text.count ? text[index &+ 1] : 0x80
                    output.append(byte << 6 | next & 0x3F)
                    index &+= 2
                }
            }
        }
    }
}
