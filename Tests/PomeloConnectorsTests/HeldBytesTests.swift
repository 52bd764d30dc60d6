// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What clients have sent and nobody has decoded has a bound in bytes, all clients together.
@Suite struct HeldBytesTests {
    /// The beginning of a package with a body of so many bytes, `count` bytes long in all.
    private static func part(_ count: Int, of body: UInt8 = 0xEA) -> Bytes {
        [1, 0, body, 0] + Bytes(repeating: 0x20, count: count - 4)
    }

    @Loop private func client(of wired: Wired) -> ScriptedStream {
        let stream = ScriptedStream()
        wired.port.accept(stream)
        return stream
    }

    @Test @Loop func thoseThatHoldMostMakeRoom() throws {
        var options = HybridOptions()
        options.limits.maxHeldBytes = 128 * 1024
        let wired = try Wired(options)
        wired.work()
        let innocent = client(of: wired)
        innocent.feed(Self.part(1000))
        let greedy = (1...4).map { _ in client(of: wired) }
        for stream in greedy { stream.feed(Self.part(40_000)) }
        #expect(wired.fault(.heldTooMuch) == greedy.count { $0.closing != nil })
        #expect((1...2).contains(wired.fault(.heldTooMuch)))
        #expect(wired.port.statistics.heldBytes <= options.limits.maxHeldBytes)
        #expect(innocent.closing == nil && wired.stream.closing == nil, "who holds little stays")
        wired.stream.feed(Sample.echo1)
        #expect(wired.host.messages.count == 1)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let first: Bytes
        let rest: Bytes
    }

    static let cases = [
        Case(
            testDescription: "a package", first: part(4000, of: 16), rest: Bytes(repeating: 0x20, count: 100)),
        Case(
            testDescription: "the head of a request", first: Bytes(Sample.upgrade.prefix(60)),
            rest: Bytes(Sample.upgrade.dropFirst(60))),
        Case(
            testDescription: "a frame",
            first: Sample.upgrade + Bytes(Sample.frame(Sample.handshake).prefix(20)),
            rest: Bytes(Sample.frame(Sample.handshake).dropFirst(20))),
        Case(
            testDescription: "a fragment", first: Sample.upgrade + fragment(Bytes(Sample.handshake.prefix(9))),
            rest: Sample.frame(Bytes(Sample.handshake.dropFirst(9)), .continuation)),
    ]

    private static func fragment(_ bytes: Bytes) -> Bytes {
        var frame = Sample.frame(bytes, .binary)
        frame[0] &= 0x7F
        return frame
    }

    @Test(arguments: cases) @Loop func whatIsDecodedIsHeldNoMore(_ one: Case) throws {
        let wired = try Wired()
        wired.stream.feed(one.first)
        #expect(wired.port.statistics.heldBytes > 0)
        wired.stream.feed(one.rest)
        #expect(wired.port.statistics.heldBytes == 0)

        let leaver = client(of: wired)
        leaver.feed(one.first)
        #expect(wired.port.statistics.heldBytes > 0)
        leaver.end()
        #expect(wired.port.statistics.heldBytes == 0, "nor is what a client leaves behind")
    }

    @Test @Loop func whatWaitsForItsTurnIsHeld() async throws {
        let wired = try Wired()
        wired.workInFrames()
        let notify: Bytes = [4, 0, 0, 7, 2, 5] + Bytes("a.b.c".utf8)
        wired.stream.feed(Sample.frame(Bytes(repeatElement(notify, count: 5000).joined())))
        #expect(wired.port.statistics.heldBytes >= 5000 * notify.count)
        while !wired.stream.reading { await Loop.yield() }
        #expect(wired.host.messages.count == 5000)
        #expect(wired.port.statistics.heldBytes == 0)
    }
}
