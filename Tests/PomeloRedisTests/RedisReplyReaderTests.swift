// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

@testable import PomeloRedis

/// What becomes of bytes, beside a plain reader that takes the protocol by its word.
@Suite struct RedisReplyReaderTests {
    @Test(arguments: [UInt64](1...40)) @Loop func repliesInAnyPiecesAreTheSame(seed: UInt64) {
        let random = RandomSource(seed: seed)
        for _ in 0..<50 {
            let replies = (0..<(1 + random.next() % 5)).map { _ in PlainReply.random(random, depth: 3) }
            let bytes = replies.flatMap(PlainReply.bytes)
            let read = HiredisReader()
            var at = 0
            while at < bytes.count {
                let end = min(bytes.count, at + Int(1 + random.next() % 40))
                read.feed(bytes[at..<end])
                at = end
            }
            #expect(read.replies == replies)
            #expect(!read.isBroken)
            #expect(PlainReply.read(bytes).replies == replies)
        }
    }

    /// Bytes that are nearly right: what both take for replies is the same, and nothing of it is a trap.
    @Test(arguments: [UInt64](1...40)) @Loop func whatIsNearlyRightIsReadAlike(seed: UInt64) {
        let random = RandomSource(seed: seed &* 7919)
        var agreed = 0
        for _ in 0..<250 {
            var bytes = (0..<(1 + random.next() % 4)).flatMap { _ in
                PlainReply.bytes(PlainReply.random(random, depth: 2))
            }
            for _ in 0..<(1 + random.next() % 3) where !bytes.isEmpty {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(Array("*$:+-0129\r\n".utf8)[Int(random.next() % 11)], at: at)
                default: bytes.removeLast(bytes.count - at)
                }
            }
            let read = HiredisReader()
            read.feed(bytes[...])
            let plain = PlainReply.read(bytes)
            // Where the plain reader stops, the other may have stopped before, or gone on by its own lights.
            let common = min(read.replies.count, plain.replies.count)
            #expect(Array(read.replies.prefix(common)) == Array(plain.replies.prefix(common)))
            if !plain.isBroken, !read.isBroken { #expect(read.replies.count == plain.replies.count) }
            agreed += common
        }
        #expect(agreed > 100)
    }
}

/// What a connection has read.
@safe @Loop private final class HiredisReader {
    private(set) var replies: [RedisReply] = []
    private(set) var isBroken = false
    private let reader = ReplyReader()

    func feed(_ bytes: ArraySlice<UInt8>) {
        guard !isBroken else { return }
        unsafe bytes.withUnsafeBytes { unsafe reader?.feed($0) }
        while let taken = reader?.take(3, into: &replies), taken.count > 0 || taken.isMalformed {
            if taken.isMalformed {
                isBroken = true
                return
            }
        }
    }
}

extension PlainReply {
    @Loop fileprivate static func random(_ random: RandomSource, depth: Int) -> RedisReply {
        switch random.next() % (depth == 0 ? 5 : 7) {
        case 0: return .null
        case 1: return .status(["OK", "", "QUEUED", "a b"][Int(random.next() % 4)])
        case 2: return .error(["ERR x", "MOVED 1 h:1", ""][Int(random.next() % 3)])
        case 3: return .integer([0, 1, -1, .max, .min, 1234][Int(random.next() % 6)])
        case 4: return .bulk(random.bytes(Int(random.next() % 20)))
        default: return .array((0..<(random.next() % 5)).map { _ in self.random(random, depth: depth - 1) })
        }
    }
}
