// SPDX-License-Identifier: MIT
import PomeloBytes
import Testing

@testable import PomeloDeflate

extension Inflater {
    fileprivate func read(_ message: Bytes, limit: Int) throws -> Bytes { try inflate(message.span, limit: limit) }
}

extension Deflater {
    fileprivate func shorten(_ message: Bytes) -> Bytes? { deflate(message.span) }
}

/// Whole messages, inflated and deflated.
@Suite struct InflaterTests {
    /// "Hello", in all the ways of RFC 7692 §7.2.3.
    static let hellos: [(name: String, message: Bytes)] = [
        ("one block", [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        ("no compression", [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("a last block", [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        ("two blocks", [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]),
    ]
    static let tail: Bytes = [0, 0, 0xff, 0xff]
    static let hello = Bytes("Hello".utf8)

    @Test(arguments: hellos.indices) func helloIsRead(_ index: Int) throws {
        let inflater = try Inflater(.raw)
        for _ in 0..<3 {
            #expect(try inflater.read(Self.hellos[index].message, limit: 5) == Self.hello)
        }
    }

    /// The second "Hello" refers to the first.
    @Test func contextIsKeptOnlyIfItIsTo() throws {
        let (first, second): (Bytes, Bytes) = (Self.hellos[0].message, [0xf2, 0x00, 0x11, 0x00, 0x00])
        let keeping = try Inflater(.raw, keepsContext: true)
        #expect(try keeping.read(first, limit: 5) == Self.hello)
        #expect(try keeping.read(second, limit: 5) == Self.hello)
        let forgetting = try Inflater(.raw)
        #expect(try forgetting.read(first, limit: 5) == Self.hello)
        #expect(throws: WireError.malformed("nothing that was compressed")) {
            try forgetting.read(second, limit: 5)
        }
        #expect(try forgetting.read(first, limit: 5) == Self.hello, "and is as new")
    }

    @Test func nothingIsAMessageToo() throws {
        #expect(try Inflater(.raw).read([0], limit: 0) == [])
        #expect(try Inflater(.raw).read([], limit: 0) == [])
    }

    /// Of "Hello", as zlib and gzip write it.
    static let wrapped: [Bytes] = [
        [0x78, 0x9c, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x05, 0x8c, 0x01, 0xf5],
        [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03] + [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
            + [0x82, 0x89, 0xd1, 0xf7, 0x05, 0, 0, 0],
    ]

    @Test(arguments: wrapped) func zlibAndGzipAreToldByTheirHeads(_ message: Bytes) throws {
        let inflater = try Inflater(.zlibOrGzip)
        #expect(try inflater.read(message, limit: 5) == Self.hello)
        #expect(throws: WireError.tooLarge(limit: 4)) { try inflater.read(message, limit: 4) }
        for length in 0..<message.count {
            #expect(throws: WireError.self, "cut at \(length)") {
                try inflater.read(Bytes(message[..<length]), limit: 5)
            }
        }
        #expect(throws: WireError.malformed("something follows the compressed bytes")) {
            try inflater.read((message + [0]), limit: 5)
        }
        var wrong = message
        wrong[message.count - 5] ^= 1
        #expect(throws: WireError.self, "the checksum") { try inflater.read(wrong, limit: 5) }
        #expect(try inflater.read(message, limit: 5) == Self.hello)
    }

    @Test(arguments: ["Hello", "{\"a\":1}", "\u{7}", "xxxxxxxxxxxx"]) func whatIsNotCompressedIsRefused(_ text: String)
    {
        let body = Bytes(text.utf8)
        #expect(throws: WireError.self) { try Inflater(.zlibOrGzip).read(body, limit: 100) }
        #expect(throws: WireError.self) { try Inflater(.raw).read((Bytes([0x07]) + body), limit: 100) }
    }

    @Test func aMessageThatIsCutShortIsRefused() throws {
        let message = Self.hellos[0].message
        let inflater = try Inflater(.raw)
        for length in 1..<message.count {
            #expect(throws: WireError.self, "cut at \(length)") {
                try inflater.read(Bytes(message[..<length]), limit: 100)
            }
        }
    }

    // MARK: bounds

    @Test(arguments: [0, 1, 2, 1023, 1024, 1025, 16383, 16384, 16385, 100_000, 1 << 20])
    func theLimitIsExact(_ count: Int) throws {
        let message = Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 / 7 &* $0) })
        let deflated = try Deflater().shorten(message) ?? Self.stored(message)
        let inflater = try Inflater(.raw)
        #expect(try inflater.read(deflated, limit: count) == message)
        #expect(try inflater.read(deflated, limit: count + 1) == message)
        guard count > 0 else { return }
        #expect(throws: WireError.tooLarge(limit: count - 1)) { try inflater.read(deflated, limit: count - 1) }
    }

    /// Blocks that are not compressed, of 65 535 bytes each.
    static func stored(_ message: Bytes) -> Bytes {
        var blocks = Bytes()
        for start in stride(from: 0, to: message.count, by: 65_535) {
            let part = message[start..<min(start + 65_535, message.count)]
            let (low, high) = (UInt8(part.count & 0xff), UInt8(part.count >> 8))
            blocks += [0, low, high, ~low, ~high] + part
        }
        return blocks + [0]
    }

    /// A hundred MiB of zeros, of which a limit of 64 KiB lets no more than a byte more than that be inflated.
    @Test func aBombIsCutAtTheLimit() throws {
        var bomb = Bytes()
        let million = try #require(try Deflater().shorten(Bytes(repeating: 0, count: 1 << 20)))
        for _ in 0..<100 { bomb += million + Self.tail }
        #expect(bomb.count < 1 << 20)
        let inflater = try Inflater(.raw)
        #expect(throws: WireError.tooLarge(limit: 65_536)) { try inflater.read(bomb, limit: 65_536) }
        #expect(inflater.produced == 65_537)
        #expect(try inflater.read(Self.hellos[0].message, limit: 5) == Self.hello)
    }

    @Test func anOutputHasNoMoreRoomThanTheLimit() throws {
        let message = Bytes(repeating: 7, count: 70_000)
        let deflated = try #require(try Deflater().shorten(message))
        let output = try Inflater(.raw).read(deflated, limit: 70_000)
        // Memory comes in sizes of its own.
        #expect(output == message && output.capacity < 70_000 + 4096)
    }

    // MARK: deflating

    @Test(arguments: 9...15) func whatIsDeflatedIsReadInItsWindow(_ bits: Int) throws {
        let text = (0..<3000).map { "{\"id\":\($0 % 977),\"name\":\"player \($0 % 31)\"}" }.joined(separator: ",")
        let message = Bytes(text.utf8)
        let deflater = try Deflater(windowBits: bits)
        let inflater = try Inflater(.raw, windowBits: bits)
        for _ in 0..<2 {
            let deflated = try #require(deflater.shorten(message))
            #expect(deflated.count < message.count / 2 && deflated.capacity < deflated.count + 4096)
            #expect(try inflater.read(deflated, limit: message.count) == message)
        }
    }

    @Test func eachMessageStandsByItself() throws {
        let deflater = try Deflater()
        let message = Bytes(repeating: 0x61, count: 500)
        let first = deflater.shorten(message)
        #expect(first != nil && deflater.shorten(message) == first)
    }

    @Test func whatGetsNoSmallerIsNotDeflated() throws {
        let deflater = try Deflater()
        var state: UInt64 = 1
        let noise = Bytes(
            (0..<5000).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            })
        #expect(deflater.shorten(noise) == nil)
        for short in ["", "a", "ab", "Hello"] { #expect(deflater.shorten(Bytes(short.utf8)) == nil) }
        #expect(deflater.shorten(Bytes(repeating: 0x61, count: 100)) != nil, "and is as new")
    }
}
