// SPDX-License-Identifier: MIT
import Foundation
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

@testable import PipeChat
@testable import PomeloConnectors

/// A codec of one's own on the project's sockets.
@Suite struct CodecConnectorTests {
    @Test(arguments: ConnectorSuite.Case.allCases)
    @Loop func linesOverTCP(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(CodecWorld(.lines)).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    @Loop func lengthPrefixesOverTCP(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(CodecWorld(.lengthPrefixed(bytes: 3))).run(name)
    }

    @Test(arguments: ConnectorSuite.Case.allCases)
    @Loop func messagesOverWebSocket(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(CodecWorld(.lines, overWebSocket: true)).run(name)
    }

    // MARK: framing

    static let framings: [Framing] = [.lines] + (1...4).map { .lengthPrefixed(bytes: $0) }

    @Test(arguments: framings) func messagesAreCutWhereverTheBytesAre(_ framing: Framing) throws {
        let messages = ["a", "bc", String(repeating: "d", count: 200)].map { Bytes($0.utf8) }
        let bytes = messages.flatMap { framing.frame($0) }
        for cut in 0...bytes.count {
            var splitter = FrameSplitter(framing, maxBytes: 200)
            var found: [Bytes] = []
            for part in [Bytes(bytes[..<cut]), Bytes(bytes[cut...])] {
                let taken = try splitter.split(part.span) {
                    found.append($0)
                    return true
                }
                #expect(taken == part.count)
            }
            #expect(found == messages)
        }
    }

    /// Every input that fuzzing starts from or has found.
    @Test(arguments: framings) func theFuzzingCorpusMeansTheSameByteByByte(_ framing: Framing) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fuzz/Corpus")
        let corpora = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        let files = try corpora.flatMap {
            try FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil)
        }
        #expect(files.contains { $0.path.hasSuffix("framing/two-returns") })
        for file in files {
            let bytes = Bytes(try Data(contentsOf: file))
            #expect(split([bytes], framing) == split(bytes.map { [$0] }, framing), "\(file.lastPathComponent)")
        }
    }

    /// What was found, and an empty message at the end if the rest is too long.
    private func split(_ pieces: [Bytes], _ framing: Framing) -> [Bytes] {
        var splitter = FrameSplitter(framing, maxBytes: 200)
        var found: [Bytes] = []
        do {
            for piece in pieces {
                _ = try splitter.split(piece.span) {
                    found.append($0)
                    return true
                }
            }
            return found
        } catch { return found + [[]] }
    }

    @Test(arguments: framings) func whoWantsNoMoreGetsTheRestLater(_ framing: Framing) throws {
        let bytes = (0..<3).flatMap { framing.frame([0x61 + $0]) }
        var splitter = FrameSplitter(framing, maxBytes: 10)
        var (found, place): ([Bytes], Int) = ([], 0)
        for count in 1...3 {
            place += try splitter.split(Bytes(bytes[place...]).span) {
                found.append($0)
                return false
            }
            #expect(found.count == count)
        }
        #expect(found == [[0x61], [0x62], [0x63]])
        #expect(place == bytes.count)
    }

    @Test(arguments: framings.filter { $0 != .lengthPrefixed(bytes: 1) })
    func whatIsTooLongIsRefusedBeforeItHasCome(_ framing: Framing) {
        var splitter = FrameSplitter(framing, maxBytes: 300)
        let begun =
            framing == .lines
            ? Bytes(repeating: 0x61, count: 301) : Bytes(framing.frame(Bytes(repeating: 0, count: 301)).prefix(4))
        #expect(throws: WireError.tooLarge(limit: 300)) { try splitter.split(begun.span) { _ in true } }
    }

    @Test func whatCannotTravelIsAnError() {
        #expect(throws: Framing.Unfit.self) { try Framing.lines.check(Bytes("a\nb".utf8)) }
        #expect(throws: Framing.Unfit.self) {
            try Framing.lengthPrefixed(bytes: 1).check(Bytes(repeating: 0, count: 256))
        }
        #expect(throws: Never.self) { try Framing.lengthPrefixed(bytes: 1).check(Bytes(repeating: 0, count: 255)) }
    }

    @Test func emptyLinesAndCarriageReturnsAreNoMessages() throws {
        var splitter = FrameSplitter(.lines, maxBytes: 10)
        var found: [String] = []
        _ = try splitter.split(Bytes("\n\r\na\r\n\nb\n".utf8).span) {
            found.append(String(decoding: $0, as: UTF8.self))
            return true
        }
        #expect(found == ["a", "b"])
    }

    // MARK: the stop

    @Test(arguments: [false, true])
    @Loop func aStopSaysGoodbyeBehindWhatTheCodecHas(_ overWebSocket: Bool) async throws {
        let world = CodecWorld(.lines, overWebSocket: overWebSocket)
        let mayEncode = FirstOutcome<Void>()
        let connector = world.connector(maxOutboundBytes: 1 << 20, mayEncode: mayEncode)
        let host = FakeHost()
        try await connector.start(host, world.context)
        let client = try await world.connect(to: connector)
        client.write(try client.encode(ClientMessage(id: 1, route: Route("a.b.c"), body: Bytes("{}".utf8))))
        try await eventually("the request") { host.messages.count == 1 }
        let stop = Loop.spawn { await connector.stop() }
        try await eventually("the end of the session") { host.ends == [.stopped] }
        mayEncode.end()
        #expect(try await client.next() == .response(1, Bytes("{}".utf8)))
        #expect(try await client.next() == .kicked("\(SessionEnd.stopped)"))
        #expect(try await client.next() == .ended)
        await stop.value
    }

    @Test @Loop func aStopWaitsForNoCodecForEver() async throws {
        let world = CodecWorld(.lines)
        let mayEncode = FirstOutcome<Void>()
        let connector = world.connector(maxOutboundBytes: 1 << 20, mayEncode: mayEncode)
        let host = FakeHost()
        try await connector.start(host, world.context)
        let client = try await world.connect(to: connector)
        client.write(try client.encode(ClientMessage(id: 1, route: Route("a.b.c"), body: Bytes("{}".utf8))))
        try await eventually("the request") { host.messages.count == 1 }
        let stop = Loop.spawn { await connector.stop() }
        #expect(try await client.next() == .kicked("\(SessionEnd.stopped)"))
        mayEncode.end()
        await stop.value
    }

    // MARK: memory

    /// Each client had a copy of its own, and sixty slow readers sixty of everything.
    @Test(arguments: framings.prefix(2)) @Loop func aPushIsOneMemoryForAllClients(_ framing: Framing) async throws {
        var options = CodecConnector.Options()
        options.framing = framing
        let (host, context, logger) = (FakeHost(), suiteContext(UVNetwork()), Logger(label: "test"))
        let clients = CustomClients<FramedSocket>(
            options.custom, .immediate { bytes, _ in DecodedMessage(route: "a.b.c", body: bytes) },
            .immediate { $0.body }, host, context, "lines", logger)
        let port = ClientPort(
            options.limits, [FramedProtocol(options, clients)], host: host, clock: context.clock, logger: logger,
            room: context.room)
        let streams = [ScriptedStream(), ScriptedStream()]
        host.echoing = false
        for stream in streams {
            port.accept(stream)
            stream.feed(framing.frame([0x61]))
        }
        let push = try PushMessage(route: "on", body: Bytes(repeating: 0x62, count: 200))
        for session in host.sessions.values { #expect(session.socket.push(push)) }
        try await eventually("all is sent") { streams.allSatisfy { $0.written.count > 200 } }
        let bodies = streams.compactMap { $0.parts.first { $0 == push.body } }
        let places = bodies.map { unsafe Int(bitPattern: $0.withUnsafeBytes { $0.baseAddress }) }
        #expect(places.count == 2 && Set(places).count == 1)
        #expect(streams[0].taken().suffix(framing.frame(push.body).count) == framing.frame(push.body)[...])
    }

    // MARK: limits

    @Test(arguments: [false, true])
    @Loop func aSlowReaderMissesWholeMessages(_ overWebSocket: Bool) async throws {
        let network = MemoryNetwork(clock: SystemClock.shared)
        network.window = 16 * 1024
        let world = CodecWorld(.lines, overWebSocket: overWebSocket, network.endpoint("server"))
        let connector = world.connector(maxOutboundBytes: 8 * 1024, .dropOldest)
        let host = FakeHost()
        try await connector.start(host, world.context)
        let client = try await world.connect(to: connector)
        client.write(try client.encode(ClientMessage(id: 0, route: Route("a.b.c"), body: Bytes("{}".utf8))))
        try await eventually("the client") { host.messages.count == 1 }
        let socket = try #require(host.session?.socket)
        client.stopReading()
        let filler = String(repeating: "x", count: 200)
        for number in 0..<500 {
            #expect(socket.push(try PushMessage(route: "on", body: Bytes("[\(number),\"\(filler)\"]".utf8))))
            if number % 20 == 0 { await Loop.yield() }
        }
        client.startReading()
        var last: Int64 = -1
        var heard = 0
        while last < 499 {
            guard case .push("on", let body) = try await client.next(),
                let number = try JSON.parse(body).array?.first?.int
            else {
                Issue.record("something else than a whole push")
                break
            }
            #expect(number > last)
            (last, heard) = (number, heard + 1)
        }
        #expect(connector.clients.droppedPushes > 0)
        #expect(heard + connector.clients.droppedPushes == 500)
        await connector.stop()
    }

    @Test @Loop func whoSaysNothingWholeIsClosedAndWhoSaysTooMuchToo() async throws {
        let world = CodecWorld(.lines)
        let clock = ManualClock()
        let connector = world.connector(maxOutboundBytes: 1 << 20)
        let host = FakeHost()
        let context = ConnectorContext(
            network: UVNetwork(), clock: clock, random: RandomSource(seed: 1), address: world.context.address)
        try await connector.start(host, context)
        let (silent, known) = (try await world.dial(connector), try await world.dial(connector))
        silent.write(Bytes("{\"route\":".utf8))
        known.write(Bytes("{\"route\":\"a.b.c\"}\n".utf8))
        try await eventually("one is known") { host.messages.count == 1 && connector.statistics.pending == 1 }
        clock.advance(by: .seconds(61))
        try await eventually("the other is closed", within: .seconds(20)) { host.ends.count == 1 }
        #expect(connector.statistics.faults == [.handshakeTimeout: 1])
        known.write(Bytes(repeating: 0x61, count: 2 << 20))
        try await eventually("so is who says too much", within: .seconds(20)) { host.ends.count == 2 }
        #expect(connector.statistics.faults[.tooLarge] == 1)
        await connector.stop()
    }
}

/// The example's form on the wire, over the project's sockets.
@Loop private final class CodecWorld: ConnectorWorld {
    let context: ConnectorContext
    private let framing: Framing
    private let overWebSocket: Bool

    init(_ framing: Framing, overWebSocket: Bool = false, _ network: any Network = UVNetwork()) {
        context = suiteContext(network)
        self.framing = framing
        self.overWebSocket = overWebSocket
    }

    /// The codec waits until it may encode.
    func connector(
        maxOutboundBytes: Int, _ slowReaders: SlowReaderPolicy = .disconnect, mayEncode: FirstOutcome<Void>? = nil
    ) -> CodecConnector {
        var options = CodecConnector.Options()
        options.framing = framing
        options.limits.maxOutboundBytes = maxOutboundBytes
        options.limits.slowReaders = slowReaders
        options.custom.codecDeadline = .seconds(60)
        options.limits.handshakeTimeout = .seconds(60)
        options.farewell = { Bytes("{\"closed\":\"\($0)\"}".utf8) }
        let lines = PipeConnector(path: "").codec
        guard let decode = lines.decode, case .immediate(let encode) = lines.encode else { preconditionFailure() }
        if let mayEncode {
            return CodecConnector(
                type: "lines", options, decode: decode,
                encode: .waiting {
                    await mayEncode.wait()
                    return try encode($0).map { Bytes($0.dropLast()) }
                })
        }
        // Without its newline.
        return CodecConnector(
            type: "lines", options, decode: decode, encode: .immediate { try encode($0).map { Bytes($0.dropLast()) } })
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector { connector(maxOutboundBytes: maxOutboundBytes) }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        if !overWebSocket { return LineClient(try await dial(connector), framing) }
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        return MessageClient(try await TestClient.connect(to: address, over: context.network, as: .webSocket))
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        return try await context.network.connect(to: address, within: .seconds(5))
    }
}

/// The example's lines, each a WebSocket message.
@Loop private final class MessageClient: ConnectorClient {
    private let client: TestClient
    private var seen = 0

    init(_ client: TestClient) { self.client = client }

    func encode(_ message: ClientMessage) throws -> Bytes {
        WebSocketFrame.encode(.text, LineClient.line(message), maskKey: 0x1F2E_3D4C)
    }

    func write(_ bytes: Bytes) { client.sendRaw(bytes) }

    func next() async throws -> Event {
        try await client.next(or: .ended) { take() }
    }

    /// The payloads lie one behind the other: each is an object, and ends where its braces do.
    private func take() -> Event? {
        var (depth, inText, escaped) = (0, false, false)
        for index in seen..<client.received.count {
            let byte = client.received[index]
            if inText {
                let ends = !escaped && byte == UInt8(ascii: "\"")
                escaped = !escaped && byte == UInt8(ascii: "\\")
                if ends { inText = false }
                continue
            }
            if byte == UInt8(ascii: "\"") { inText = true }
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}") { depth -= 1 }
            guard depth == 0 else { continue }
            defer { seen = index + 1 }
            return LineClient.event(Bytes(client.received[seen...index]))
        }
        return nil
    }

    func stopReading() { client.stopReading() }
    func startReading() { client.startReading() }
    func close() { client.close() }
}
