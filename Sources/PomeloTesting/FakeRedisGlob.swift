// SPDX-License-Identifier: MIT

/// A pattern of KEYS and SCAN: `*`, `?`, `[a-c]`, `[^x]`, and `\` before a character that stands for itself.
struct FakeGlob {
    private enum Piece {
        case any
        case one
        case byte(UInt8)
        case range([ClosedRange<UInt8>], negated: Bool)
    }

    private var pieces: [Piece] = []

    init(_ pattern: [UInt8]) {
        var rest = pattern[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): pieces.append(.any)
            case UInt8(ascii: "?"): pieces.append(.one)
            case UInt8(ascii: "["): pieces.append(Self.range(&rest))
            case UInt8(ascii: "\\"): pieces.append(.byte(rest.popFirst() ?? byte))
            default: pieces.append(.byte(byte))
            }
        }
    }

    private static func range(_ rest: inout ArraySlice<UInt8>) -> Piece {
        let negated = rest.first == UInt8(ascii: "^")
        if negated { rest = rest.dropFirst() }
        var ranges: [ClosedRange<UInt8>] = []
        while let byte = rest.popFirst(), byte != UInt8(ascii: "]") {
            let low = byte == UInt8(ascii: "\\") ? rest.popFirst() ?? byte : byte
            if rest.first == UInt8(ascii: "-"), let high = rest.dropFirst().first, high != UInt8(ascii: "]") {
                rest = rest.dropFirst(2)
                ranges.append(min(low, high)...max(low, high))
            } else {
                ranges.append(low...low)
            }
        }
        return .range(ranges, negated: negated)
    }

    func matches(_ text: [UInt8]) -> Bool {
        // Where to go on after a mismatch: behind the last star, one byte further on.
        var retry: (piece: Int, byte: Int)?
        var piece = 0
        var byte = 0
        while byte < text.count || piece < pieces.count {
            if piece < pieces.count {
                if case .any = pieces[piece] {
                    retry = (piece, byte + 1)
                    piece += 1
                    continue
                }
                if byte < text.count, accepts(pieces[piece], text[byte]) {
                    piece += 1
                    byte += 1
                    continue
                }
            }
            guard let again = retry, again.byte <= text.count else { return false }
            piece = again.piece
            byte = again.byte
        }
        return true
    }

    private func accepts(_ piece: Piece, _ byte: UInt8) -> Bool {
        switch piece {
        case .any, .one: true
        case .byte(let wanted): wanted == byte
        case .range(let ranges, let negated): ranges.contains { $0.contains(byte) } != negated
        }
    }
}
