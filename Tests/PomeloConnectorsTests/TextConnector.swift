// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloContract
import PomeloLoop
import TestHelpers

@testable import PomeloCore

/// A socket without a wire, of texts: a test says what comes, and looks at what was sent.
@Loop final class TextSocket: CustomSocket {
    var delegate: (any CustomSocketDelegate<String>)?
    let remoteAddress = SocketAddress(host: "192.0.2.1", port: 1)
    var queuedBytes = 0
    /// Whether what is sent stays queued.
    var isStuck = false
    private(set) var sent: [String] = []
    private(set) var batches: [Int] = []
    private(set) var isReading = true
    private(set) var disconnects = 0
    private(set) var farewells: [SessionEnd] = []
    /// Whether it tells its own end when it is told to disconnect.
    var tellsItsEnd = false

    func send(_ buffer: String) { sendBatch([buffer]) }

    func sendBatch(_ buffers: [String]) {
        sent += buffers
        batches.append(buffers.count)
        if isStuck { queuedBytes += buffers.reduce(0) { $0 + $1.utf8.count } }
    }

    func willClose(_ reason: SessionEnd) { farewells.append(reason) }

    func disconnect() {
        disconnects += 1
        if tellsItsEnd { delegate?.disconnect("by this side") }
    }

    func pauseReading() { isReading = false }
    func resumeReading() { isReading = true }

    func say(_ texts: String...) { for text in texts { delegate?.message(text) } }
}

/// A connector whose clients come when a test says so.
@Loop final class TextConnector: CustomConnector {
    var codec = MessageCodec<String>()
    var localAddress: SocketAddress?
    private(set) var starts = 0
    private(set) var stops: [Bool] = []
    private(set) var isPaused = false
    var failure: (any Error)?
    var stopsOnlyByForce = false
    private var connection: (@Loop (TextSocket) -> Void)?

    /// What it was made of.
    let address: SocketAddress?
    let options: CustomOptions<String>

    nonisolated init() {
        address = nil
        options = CustomOptions()
    }

    init(_ host: String, _ clientPort: Int, _ options: CustomOptions<String>) {
        address = SocketAddress(host: host, port: clientPort)
        self.options = options
        codec = Custom.plain
    }

    func start(_ context: ConnectorContext, _ connection: @escaping @Loop (TextSocket) -> Void) async throws {
        if let failure { throw failure }
        starts += 1
        self.connection = connection
    }

    func stop(force: Bool) async {
        stops.append(force)
        if stopsOnlyByForce, !force { await withCheckedContinuation { held = $0 } }
    }

    private var held: CheckedContinuation<Void, Never>?

    /// Lets go of a stop that waits.
    func letGo() {
        held?.resume()
        held = nil
    }

    func pauseAccepting() { isPaused = true }
    func resumeAccepting() { isPaused = false }

    func connect(_ socket: TextSocket = TextSocket()) -> TextSocket {
        connection?(socket)
        return socket
    }
}

/// A started adapter around a manual connector; its time moves when told.
@Loop struct Custom {
    let connector = TextConnector()
    let host = FakeHost()
    let clock = ManualClock()
    let adapter: ConnectorAdapter<TextConnector>
    let context: ConnectorContext

    /// Texts as messages: `id route body`, an id of 0 for a notify, and the same way out.
    nonisolated static let plain = MessageCodec<String>(
        decode: .immediate { text, _ in try decode(text) }, encode: .immediate { encode($0) })

    nonisolated static func decode(_ text: String) throws -> DecodedMessage? {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        if words.count == 1 { return nil }
        guard words.count == 3, let id = UInt32(words[0]) else { throw Fault(400) }
        return DecodedMessage(id: id, route: words[1], body: Bytes(words[2].utf8))
    }

    nonisolated static func encode(_ message: DecodedMessage) -> String {
        "\(message.id ?? 0) \(message.route) \(String(decoding: message.body, as: UTF8.self))"
    }

    init(
        _ codec: MessageCodec<String> = Custom.plain, _ options: CustomOptions<String> = CustomOptions(),
        maxConnections: Int? = nil
    ) {
        connector.codec = codec
        adapter = ConnectorAdapter(connector, options)
        context = ConnectorContext(
            network: NoNetwork(), clock: clock, random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 3010), maxConnections: maxConnections)
    }

    func start() async throws -> Custom {
        try await adapter.start(host, context)
        return self
    }

    /// Waits until what must come has come.
    func wait(for what: String, _ condition: @Loop () -> Bool) async throws {
        try await eventually(what, within: .seconds(20), every: .milliseconds(1), condition)
    }

    /// Lets the turn end, in which what was sent leaves.
    func turn() async { for _ in 0..<3 { await nextTurn() } }

    private func nextTurn() async {
        await withCheckedContinuation { waiter in EventLoop.shared.inNextTurn { waiter.resume() } }
    }
}

/// Where nobody listens.
@Loop private final class NoNetwork: Network {
    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        throw NetworkError(code: "ENOTSUP", description: "no network")
    }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError) -> any ByteStream {
        throw NetworkError(code: "ENOTSUP", description: "no network")
    }
}

/// A codec whose answers a test gives, when it likes.
@Loop final class ManualCodec {
    private var waiting: [(text: String, waiter: CheckedContinuation<Void, any Error>)] = []
    /// Texts that the codec has been given.
    private(set) var begun: [String] = []

    nonisolated init() {}

    var codec: MessageCodec<String> {
        MessageCodec(
            decode: .waiting { text, _ in
                try await self.wait(text)
                return try Custom.decode(text)
            },
            encode: .waiting { message in
                let text = Custom.encode(message)
                try await self.wait(text)
                return text.hasSuffix("null") ? nil : text
            })
    }

    private func wait(_ text: String) async throws {
        begun.append(text)
        try await withCheckedThrowingContinuation { waiting.append((text, $0)) }
    }

    func answer(_ text: String, throwing error: (any Error)? = nil) {
        guard let index = waiting.firstIndex(where: { $0.text == text }) else { return }
        let waiter = waiting.remove(at: index).waiter
        if let error { waiter.resume(throwing: error) } else { waiter.resume() }
    }

    /// Nothing is left behind: what never answered does.
    func answerAll() { while let first = waiting.first { answer(first.text, throwing: Fault(500)) } }
}
