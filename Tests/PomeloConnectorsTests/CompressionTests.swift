// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloDeflate
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// permessage-deflate: who agrees to it, and what is compressed then.
@Suite struct CompressionTests {
    static let hello = Bytes(hex: "f248cdc9c90700")
    static let answered = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "

    static func upgrade(_ offer: String?) -> Bytes {
        let head = String(decoding: Sample.upgrade.dropLast(2), as: UTF8.self)
        return Bytes((head + (offer.map { "Sec-WebSocket-Extensions: \($0)\r\n" } ?? "") + "\r\n").utf8)
    }

    static func limits(_ change: (inout ClientLimits) -> Void = { _ in }) -> ClientLimits {
        var limits = ClientLimits()
        limits.compression.isOn = true
        change(&limits)
        return limits
    }

    static func frame(
        _ payload: Bytes, _ opcode: WebSocketOpcode = .binary, final: Bool = true, compressed: Bool = true
    ) -> Bytes {
        WebSocketFrame.encode(opcode, payload, maskKey: 0xA1B2_C3D4, final: final, compressed: compressed)
    }

    static func deflated(_ message: Bytes) throws -> Bytes {
        let deflated = try Deflater().deflate(message.span)
        return try #require(deflated)
    }

    /// What a client reads in frames of a server, inflated; the head of the answer left out.
    static func messages(_ bytes: Bytes) throws -> [(isCompressed: Bool, message: Bytes)] {
        var found: [(Bool, Bytes)] = []
        var decoder = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false, allowsCompressed: true)
        var compressed: [(place: Int, Bytes)] = []
        try decoder.decode(bytes.span) { event, _ in
            switch event {
            case .message(_, let message): found.append((false, message))
            case .compressed(_, let message):
                compressed.append((found.count, message))
                found.append((true, []))
            case .close(let code, _): found.append((false, Bytes("closed \(code ?? 0)".utf8)))
            default: break
            }
            return true
        }
        for (place, message) in compressed {
            found[place].1 = try Inflater(.raw).inflate(message.span, limit: 1 << 24)
        }
        return found
    }

    /// A hybrid client that has agreed on what it offered, up to its acknowledgement.
    @Loop static func wired(
        _ offer: String? = "permessage-deflate; client_max_window_bits", _ limits: ClientLimits = limits()
    ) throws -> Wired {
        var options = HybridOptions()
        options.limits = limits
        let wired = try Wired(options)
        wired.stream.feed(
            upgrade(offer) + frame(Sample.handshake, compressed: false) + frame(Sample.ack, compressed: false))
        return wired
    }

    // MARK: who agrees

    @Test @Loop func isOffByDefault() throws {
        let wired = try Self.wired("permessage-deflate", ClientLimits())
        #expect(!String(decoding: wired.stream.taken(), as: UTF8.self).contains("Extensions"))
        wired.stream.feed(Self.frame(Self.hello))
        #expect(wired.fault(.badFrame) == 1)
        #expect(try Self.messages(wired.stream.taken()).map(\.message) == [Bytes("closed 1002".utf8)])
    }

    @Test @Loop func isAgreedToWhereItIsOffered() throws {
        #expect(String(decoding: try Self.wired().stream.taken(), as: UTF8.self).contains(Self.answered))
        for offer in [nil, "permessage-bzip2", "permessage-deflate; server_max_window_bits=8"] {
            let wired = try Self.wired(offer)
            #expect(!String(decoding: wired.stream.taken(), as: UTF8.self).contains("Extensions"))
            wired.stream.feed(Self.frame(Self.hello))
            #expect(wired.fault(.badFrame) == 1)
        }
    }

    @Test @Loop func aBrokenOfferIsABrokenRequest() throws {
        let wired = try Self.wired("permessage-deflate; =")
        #expect(wired.stream.taken() == UpgradeReply.badRequest && wired.fault(.notAnUpgrade) == 1)
        #expect(wired.host.sessions.isEmpty)
        let off = try Self.wired("permessage-deflate; =", ClientLimits())
        #expect(off.host.sessions.count == 1, "where nothing is agreed to, nobody looks")
    }

    // MARK: from the client

    @Test @Loop func compressedPackagesAreRead() throws {
        let wired = try Self.wired()
        _ = wired.stream.taken()
        wired.stream.feed(Self.frame(try Self.deflated(Sample.echo1 + Sample.echo1)) + Sample.frame(Sample.echo2))
        #expect(wired.host.messages.map(\.id) == [1, 1, 2] && wired.port.statistics.inflated == 1)
        let answers = try Self.messages(wired.stream.taken())
        #expect(answers.map(\.isCompressed) == [false, false, false], "they are too short")
    }

    @Test @Loop func fragmentsWithControlFramesBetweenThemAreOneMessage() throws {
        let (port, stream) = EchoProtocol.wired(Self.limits(), ManualClock())
        stream.feed(Self.upgrade("permessage-deflate"))
        _ = stream.taken()
        let ping = Sample.frame([1], .ping)
        stream.feed(Self.frame(Bytes(Self.hello[..<2]), .text, final: false) + ping)
        stream.feed(Self.frame(Bytes(Self.hello[2..<5]), .continuation, final: false, compressed: false) + ping)
        stream.feed(Self.frame(Bytes(Self.hello[5...]), .continuation, compressed: false))
        #expect(stream.taken() == [0x8A, 1, 1, 0x8A, 1, 1, 0x81, 5] + Bytes("Hello".utf8))
        #expect(port.statistics.faults.isEmpty)
    }

    @Test @Loop func emptyMessagesAreMessages() throws {
        let (port, stream) = EchoProtocol.wired(Self.limits(), ManualClock())
        stream.feed(Self.upgrade("permessage-deflate"))
        _ = stream.taken()
        stream.feed(Self.frame([0], .text) + Self.frame([0]) + Self.frame([], .text))
        #expect(stream.taken() == [0x81, 0, 0x82, 0, 0x81, 0])
        #expect(port.statistics.inflated == 3)
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let opcode: WebSocketOpcode
        let payload: Bytes
        let code: UInt16
        let fault: ConnectionFault
    }

    static let bad = [
        Bad(
            testDescription: "nothing compressed", opcode: .binary, payload: [0xff, 0xff], code: 1007,
            fault: .badFrame),
        Bad(
            testDescription: "cut short", opcode: .binary, payload: Bytes(hello.dropLast(2)), code: 1007,
            fault: .badFrame),
        Bad(
            testDescription: "refers to another message", opcode: .binary, payload: Bytes(hex: "f200110000"),
            code: 1007, fault: .badFrame),
        Bad(
            testDescription: "text that is not UTF-8", opcode: .text, payload: Bytes(hex: "000100feffff00"),
            code: 1007, fault: .badFrame),
    ]

    @Test(arguments: bad) @Loop func whatCannotBeReadClosesItsClient(_ bad: Bad) throws {
        let (port, stream) = EchoProtocol.wired(Self.limits(), ManualClock())
        stream.feed(Self.upgrade("permessage-deflate"))
        _ = stream.taken()
        stream.feed(Self.frame(bad.payload, bad.opcode) + Self.frame(Self.hello, .text))
        #expect(try Self.messages(stream.taken()).map(\.message) == [Bytes("closed \(bad.code)".utf8)])
        #expect(port.statistics.faults == [bad.fault: 1])
    }

    @Test @Loop func aBombIsCutAtTheLimit() throws {
        for (limit, isTooLong) in [(2_000_000, false), (1_999_999, true)] {
            let (port, stream) = EchoProtocol.wired(
                Self.limits {
                    $0.maxMessageBytes = limit
                    $0.maxOutboundBytes = 1 << 23
                }, ManualClock())
            stream.feed(Self.upgrade("permessage-deflate"))
            _ = stream.taken()
            stream.feed(Self.frame(try Self.deflated(Bytes(repeating: 0, count: 2_000_000))))
            let said = try Self.messages(stream.taken()).map(\.message)
            #expect(said == [isTooLong ? Bytes("closed 1009".utf8) : Bytes(repeating: 0, count: 2_000_000)])
            #expect(port.statistics.faults == (isTooLong ? [.tooLarge: 1] : [:]))
        }
    }

    @Test @Loop func theLimitOfWhoIsNotKnownYetIsItsOwn() throws {
        let wired = try Wired(
            {
                var options = HybridOptions()
                options.limits = Self.limits()
                return options
            }())
        wired.stream.feed(Self.upgrade("permessage-deflate"))
        wired.stream.feed(Self.frame(try Self.deflated(Bytes(repeating: 0, count: 66_000))))
        #expect(wired.fault(.tooLarge) == 1)
    }

    @Test @Loop func whatIsInflatedIsChargedToItsClient() throws {
        let wired = try Self.wired()
        let long = Bytes(repeating: 0x20, count: StreamConnection.bytesPerPackage * TurnShares.ofOne)
        let notify = try Message.notifyPacket(route: "a.b.c", code: nil, body: long)
        wired.stream.feed(Self.frame(try Self.deflated(notify)) + Self.frame(try Self.deflated(notify)))
        #expect(wired.host.messages.count == 1, "the share of this turn is used up by the first")
    }

    // MARK: the client's context

    @Test @Loop func theClientMayReferToEarlierMessagesWhereThatIsAllowed() throws {
        let limits = Self.limits { $0.compression.keepsClientContext = true }
        let (port, stream) = EchoProtocol.wired(limits, ManualClock())
        stream.feed(Self.upgrade("permessage-deflate; client_max_window_bits=9"))
        #expect(!String(decoding: stream.taken(), as: UTF8.self).contains("client_no_context_takeover"))
        stream.feed(Self.frame(Self.hello, .text) + Self.frame(Bytes(hex: "f200110000"), .text))
        #expect(try Self.messages(stream.taken()).map(\.message) == [Bytes("Hello".utf8), Bytes("Hello".utf8)])
        #expect(port.statistics.faults.isEmpty)
    }

    // MARK: to the client

    static let long = Bytes(("[" + (0..<100).map { "{\"id\":\($0)}" }.joined(separator: ",") + "]").utf8)

    @Test @Loop func answersAreCompressedIfTheyGetSmaller() throws {
        let wired = try Self.wired()
        _ = wired.stream.taken()
        let socket = try #require(wired.host.session?.socket)
        socket.respond(id: 1, body: Self.long)
        let answers = try Self.messages(wired.stream.taken())
        #expect(answers.map(\.isCompressed) == [true])
        #expect(answers.map(\.message) == [try Message.responsePacket(id: 1, body: Self.long)])
        // Eight bits of noise a byte.
        let random = RandomSource(seed: 1)
        socket.respond(id: 2, body: Bytes((0..<2000).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
        socket.respond(id: 3, body: Bytes(repeating: 0x20, count: 512 - 4 - 2 - 1))
        #expect(try Self.messages(wired.stream.taken()).map(\.isCompressed) == [false, false])
        socket.respond(id: 4, body: Bytes(repeating: 0x20, count: 512 - 4 - 2))
        #expect(try Self.messages(wired.stream.taken()).map(\.isCompressed) == [true])
        #expect(wired.port.statistics.deflated == 3)
    }

    @Test @Loop func whoHasNotAgreedIsSentNothingCompressed() throws {
        for offer in [nil, "permessage-deflate; nonsense"] {
            let wired = try Self.wired(offer)
            _ = wired.stream.taken()
            try #require(wired.host.session?.socket).respond(id: 1, body: Self.long)
            #expect(try Self.messages(wired.stream.taken()).map(\.isCompressed) == [false])
            #expect(wired.port.statistics.deflated == 0)
        }
    }

    /// What is asked for before it is known who asks is not compressed.
    @Test @Loop func theHandshakeIsSentAsItIs() throws {
        var options = HybridOptions()
        options.limits = Self.limits()
        options.dictionary = (handlers: (0..<100).map { "area.playerHandler.doSomething\($0)" }, extra: [])
        let wired = try Wired(options)
        wired.stream.feed(Self.upgrade("permessage-deflate"))
        _ = wired.stream.taken()
        wired.stream.feed(Self.frame(Sample.handshake, compressed: false))
        #expect(try Self.messages(wired.stream.taken()).map(\.isCompressed) == [false])
    }

    /// A thousand members of a channel, some of whom want a narrower window, and others nothing compressed.
    @Test @Loop func aPushIsCompressedOnceForAllThatAgreedOnTheSame() throws {
        let wired = try Self.wired()
        let offers = ["permessage-deflate", "permessage-deflate; server_max_window_bits=10", "none"]
        let streams = (0..<1000).map { _ in ScriptedStream() }
        for (number, stream) in streams.enumerated() {
            wired.port.accept(stream)
            stream.feed(
                Self.upgrade(offers[number % 3]) + Sample.frame(Sample.handshake) + Sample.frame(Sample.ack))
            _ = stream.taken()
        }
        #expect(wired.host.sessions.count == 1001)
        let message = try PushMessage(route: "onAll", body: Self.long)
        for session in wired.host.sessions.values { #expect(session.socket.push(message)) }
        #expect(wired.port.statistics.deflated == 2)
        let packet = try Message.pushPacket(route: "onAll", code: nil, body: Self.long)
        let sent = streams.map { $0.taken() }
        for number in 0..<3 {
            #expect(try Self.messages(sent[number]).map(\.message) == [packet])
            #expect(try Self.messages(sent[number]).map(\.isCompressed) == [number < 2])
            let same = stride(from: number, to: 1000, by: 3).allSatisfy { sent[$0] == sent[number] }
            #expect(same)
        }
    }

    /// Those of socket.io, and of codecs of one's own, are found to be the last that was compressed.
    @Test @Loop func theSameBytesAreCompressedOnce() throws {
        let compression = PortCompression()
        var statistics = ConnectorStatistics()
        let first = compression.deflate(Self.long, windowBits: 15, &statistics)
        #expect(first != nil && compression.deflate(Self.long, windowBits: 15, &statistics) == first)
        #expect(statistics.deflated == 1)
        _ = compression.deflate(Self.long, windowBits: 9, &statistics)
        _ = compression.deflate(Self.long + Self.long, windowBits: 9, &statistics)
        #expect(statistics.deflated == 3)
    }

    // MARK: the options

    @Test func optionsAreReadFromAFile() throws {
        let text =
            #"{"compression":true,"compressionMinBytes":64,"compressionKeepsContext":true,"inflatesBodies":false}"#
        var reader = try OptionReader(try JSON.parse(Bytes(text.utf8)), file: "config/connector.json")
        var options = HybridOptions()
        #expect(options.limits.compression == CompressionOptions() && !CompressionOptions().isOn)
        #expect(options.inflatesBodies)
        try options.read(&reader)
        #expect(options.limits.compression.isOn && options.limits.compression.keepsClientContext)
        #expect(options.limits.compression.minBytes == 64 && !options.inflatesBodies)
    }
}
