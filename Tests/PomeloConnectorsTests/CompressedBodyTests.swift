// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloDeflate
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Messages whose body the client has compressed: bit 4 of the flag.
@Suite struct CompressedBodyTests {
    static let plain = Bytes("{\"a\":1}".utf8)
    static let failure = Bytes("{\"code\":500}".utf8)

    /// Request 7 of the route "a", or a notify.
    static func package(_ body: Bytes, isRequest: Bool = true) -> Bytes {
        let message: Bytes = (isRequest ? [0x10, 7] : [0x12]) + [1, 0x61] + body
        let length = message.count
        return [4, UInt8(length >> 16), UInt8(length >> 8 & 0xff), UInt8(length & 0xff)] + message
    }

    @Test(arguments: [false, true])
    @Loop func zlibAndGzipAreInflated(_ inFrames: Bool) throws {
        for body in [CompressedBody.zlib, CompressedBody.gzip] {
            let wired = try Wired()
            if inFrames { wired.workInFrames() } else { wired.work() }
            for isRequest in [true, false] {
                let package = Self.package(body, isRequest: isRequest)
                wired.stream.feed(inFrames ? Sample.frame(package) : package)
            }
            #expect(wired.host.messages.map(\.body) == [Self.plain, Self.plain])
            #expect(wired.host.messages.map(\.id) == [7, 0])
            #expect(wired.port.statistics.inflated == 2 && wired.port.statistics.droppedMessages == 0)
        }
    }

    @Test @Loop func whatCannotBeInflatedIsAnsweredOrDropped() throws {
        let cut = Bytes(CompressedBody.zlib.dropLast())
        for body in [cut, CompressedBody.zlib + [0], [], [0x78], Self.plain, CompressedBody.gzip + CompressedBody.gzip]
        {
            let wired = try Wired()
            wired.work()
            wired.stream.feed(Self.package(body, isRequest: false))
            #expect(wired.stream.taken() == [])
            wired.stream.feed(Self.package(body))
            #expect(wired.stream.taken() == Sample.data([4, 7] + Self.failure))
            #expect(wired.host.messages.isEmpty && wired.port.statistics.droppedMessages == 2)
            wired.stream.feed(Self.package(CompressedBody.zlib))
            #expect(wired.host.messages.map(\.body) == [Self.plain], "the next one is as any")
        }
    }

    @Test @Loop func aBombClosesItsClient() throws {
        for inFrames in [false, true] {
            var options = HybridOptions()
            options.limits.maxMessageBytes = 100_000
            let wired = try Wired(options)
            if inFrames { wired.workInFrames() } else { wired.work() }
            let package = Self.package(try CompressedBody.begun(with: Bytes(repeating: 0, count: 2_000_000)))
            wired.stream.feed(inFrames ? Sample.frame(package) : package)
            #expect(wired.fault(.tooLarge) == 1 && wired.host.messages.isEmpty)
            if inFrames { #expect(wired.stream.taken().starts(with: [0x88, 2, 0x03, 0xF1]), "1009") }
        }
    }

    @Test @Loop func theLimitIsThatOfAMessage() throws {
        var options = HybridOptions()
        options.limits.maxMessageBytes = 10_000
        for (count, isTooLong) in [(10_000, false), (10_001, true)] {
            let wired = try Wired(options)
            wired.work()
            wired.stream.feed(Self.package(try CompressedBody.made(of: Bytes(repeating: 0x20, count: count))))
            #expect(wired.host.messages.map(\.body.count) == (isTooLong ? [] : [count]))
            #expect(wired.fault(.tooLarge) == (isTooLong ? 1 : 0))
        }
    }

    @Test @Loop func whoTurnsItOffDropsThem() throws {
        var options = HybridOptions()
        options.inflatesBodies = false
        let wired = try Wired(options)
        wired.work()
        wired.stream.feed(Self.package(CompressedBody.zlib) + Self.package(CompressedBody.zlib, isRequest: false))
        #expect(wired.stream.taken() == Sample.data([4, 7] + Self.failure))
        #expect(wired.host.messages.isEmpty && wired.port.statistics.droppedMessages == 2)
        #expect(wired.port.statistics.inflated == 0)
    }

    /// What takes long to inflate is charged to who sent it.
    @Test @Loop func inflatedBytesCountAsPackages() throws {
        let wired = try Wired()
        wired.work()
        let long = Bytes(repeating: 0x20, count: StreamConnection.bytesPerPackage * TurnShares.ofOne)
        let body = try CompressedBody.made(of: long)
        wired.stream.feed(Self.package(body) + Self.package(CompressedBody.zlib))
        #expect(wired.host.messages.map(\.body) == [long])
    }
}

/// `{"a":1}`, as zlib and gzip write it.
enum CompressedBody {
    static let zlib = Bytes(hex: "789cab564a54b232ac0500082a0209")
    static let gzip = Bytes(hex: "1f8b0800000000000203ab564a54b232ac0500afac1b5607000000")

    /// A body as zlib writes it: a head, blocks and an empty last one, a checksum.
    static func made(of body: Bytes) throws -> Bytes {
        var (low, high) = (UInt32(1), UInt32(0))
        for byte in body {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        let sum = high << 16 | low
        return try begun(with: body) + [0, 0, 0xff, 0xff, 3, 0]
            + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> UInt32($0)) }
    }

    /// The same without an end.
    static func begun(with body: Bytes) throws -> Bytes {
        let deflated = try Deflater().deflate(body.span)
        return try [0x78, 0x9c] + #require(deflated)
    }
}
