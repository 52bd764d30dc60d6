// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
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

    // MARK: limits

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
        try await eventually("the other is closed") { host.ends.count == 1 }
        #expect(connector.statistics.faults == [.handshakeTimeout: 1])
        known.write(Bytes(repeating: 0x61, count: 2 << 20))
        try await eventually("so is who says too much") { host.ends.count == 2 }
        #expect(connector.statistics.faults[.tooLarge] == 1)
        await connector.stop()
    }
}

/// The example's form on the wire, over the project's sockets.
@Loop private final class CodecWorld: ConnectorWorld {
    let context = suiteContext(UVNetwork())
    private let framing: Framing
    private let overWebSocket: Bool

    init(_ framing: Framing, overWebSocket: Bool = false) {
        self.framing = framing
        self.overWebSocket = overWebSocket
    }

    func connector(maxOutboundBytes: Int) -> CodecConnector {
        var options = CodecConnector.Options()
        options.framing = framing
        options.limits.maxOutboundBytes = maxOutboundBytes
        options.limits.handshakeTimeout = .seconds(60)
        options.farewell = { Bytes("{\"closed\":\"\($0)\"}".utf8) }
        let lines = PipeConnector(path: "").codec
        guard let decode = lines.decode, case .immediate(let encode) = lines.encode else { preconditionFailure() }
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
