// SPDX-License-Identifier: MIT
import PomeloBytes

/// Bytes from hexadecimal digits; everything else is skipped.
func hex(_ text: String) -> Bytes {
    let digits = text.utf8.compactMap { byte -> UInt8? in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func utf8(_ text: String) -> Bytes { Bytes(text.utf8) }

func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

/// SplitMix64: the same numbers from the same seed on every run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// Ways to cut `bytes` into pieces: whole, singly, at every point, and `random` seeded ways.
func chunkings(of bytes: Bytes, random: Int = 50) -> [[Bytes]] {
    var ways: [[Bytes]] = [[bytes], bytes.map { [$0] }]
    for point in 1..<max(2, bytes.count) where point < bytes.count {
        ways.append([Bytes(bytes[..<point]), Bytes(bytes[point...])])
    }
    var random = (0..<random).map { Seeded(UInt64($0)) }
    for index in random.indices {
        var pieces: [Bytes] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + 1 + random[index].below(9))
            pieces.append(Bytes(bytes[start..<end]))
            start = end
        }
        ways.append(pieces)
    }
    return ways
}

/// The error a piece of work ends in, or nil.
func wireError(_ work: () throws(WireError) -> Void) -> WireError? {
    do throws(WireError) {
        try work()
        return nil
    } catch {
        return error
    }
}

extension WireError {
    /// Equal but for the wording.
    func isLike(_ other: WireError) -> Bool {
        switch (self, other) {
        case (.malformed, .malformed), (.unsupported, .unsupported), (.tooLarge, .tooLarge): true
        default: false
        }
    }
}
