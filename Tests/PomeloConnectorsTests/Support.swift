// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers

@testable import PomeloCore

/// A connector on a free port of the kernel, or on a network in memory.
@Loop struct Frontend {
    let host = FakeHost()
    let connector: HybridConnector
    let network: any Network

    static func start(
        _ options: HybridOptions = HybridOptions(), on network: any Network = UVNetwork(),
        clock: any LoopClock = SystemClock.shared, maxConnections: Int? = nil
    ) async throws -> Frontend {
        let frontend = Frontend(connector: HybridConnector(options), network: network)
        let context = ConnectorContext(
            network: network, clock: clock, random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 0), maxConnections: maxConnections)
        try await frontend.connector.start(frontend.host, context)
        return frontend
    }

    var address: SocketAddress { connector.localAddress ?? SocketAddress(host: "nowhere", port: 0) }

    func connect(_ transport: TestClient.Transport) async throws -> TestClient {
        try await TestClient.connect(to: address, over: network, as: transport)
    }

    /// A client whose acknowledgement the server has seen.
    func client(_ transport: TestClient.Transport) async throws -> TestClient {
        let client = try await connect(transport)
        try await client.handshake()
        _ = try await client.answer(to: try client.ask(FakeHost.unrecorded, []))
        return client
    }

    /// Waits until the server has seen what must come.
    func wait(for what: String, _ condition: @Loop () -> Bool) async throws {
        try await eventually(what, within: .seconds(20), every: .milliseconds(1), condition)
    }
}

/// A stream whose input a test spells out; while it is not read, what comes waits, as in a kernel.
@Loop final class ScriptedStream: ByteStream {
    var delegate: (any ByteStreamDelegate)?
    let remoteAddress: SocketAddress
    let localAddress = SocketAddress(host: "192.0.2.2", port: 2)
    /// What the other side would not read yet.
    var queuedBytes = 0
    /// Whether bytes stay queued, as with a client that does not read.
    var stuck = false
    /// How much of it the kernel takes when it is asked before the end of the turn.
    var takesEarly = 0
    private(set) var written: Bytes = []
    /// The same, as it was handed over.
    private(set) var parts: [Bytes] = []
    private(set) var reading = true
    private(set) var closing: StreamEnd?
    private(set) var flushed = false
    private var unread: Bytes = []

    init(from host: String = "192.0.2.1") { remoteAddress = SocketAddress(host: host, port: 1) }

    func write(_ bytes: [UInt8]) {
        guard closing == nil else { return }
        written += bytes
        parts.append(bytes)
        if stuck { queuedBytes += bytes.count }
    }

    func flushEarly() {
        queuedBytes -= min(takesEarly, queuedBytes)
        takesEarly = 0
    }

    func pauseReading() { reading = false }
    func resumeReading() {
        reading = true
        EventLoop.shared.inNextTurn { self.deliver() }
    }

    private func deliver() {
        guard reading, !unread.isEmpty, closing == nil else { return }
        let bytes = unread
        unread = []
        delegate?.stream(self, didRead: bytes.span)
    }

    func closeAfterFlush(within deadline: Duration) {
        flushed = true
        close()
    }

    func close() {
        if closing == nil { closing = .closed }
    }

    /// The peer sends bytes.
    func feed(_ bytes: Bytes) {
        guard closing == nil else { return }
        guard reading else { return unread.append(contentsOf: bytes) }
        delegate?.stream(self, didRead: bytes.span)
    }

    /// The end reaches the owner.
    func end(_ reason: StreamEnd = .peerClosed) {
        let last = delegate
        delegate = nil
        last?.stream(self, didEnd: closing ?? reason)
    }

    /// What was written since the last look.
    func taken() -> Bytes {
        defer { written = [] }
        return written
    }
}

/// Packages as they stand in recordings of the original server.
enum Sample {
    static let handshake = Bytes(
        hex:
            "010000447b22737973223a7b2274797065223a226a732d776562736f636b6574222c2276657273696f6e223a22302e"
            + "302e31222c22727361223a7b7d7d2c2275736572223a7b7d7d")
    static let welcome = Bytes(hex: "010000157b22636f6465223a3230302c22737973223a7b7d7d")
    static let welcomeHeartbeat3 = Bytes(
        hex: "010000227b22636f6465223a3230302c22737973223a7b22686561727462656174223a337d7d")
    static let refused500 = Bytes(hex: "0100000c7b22636f6465223a3530307d")
    static let refused501 = Bytes(hex: "0100000c7b22636f6465223a3530317d")
    static let ack = Bytes(hex: "02000000")
    static let heartbeat = Bytes(hex: "03000000")
    /// Request 1, connector.entryHandler.echo, {"a":1}.
    static let echo1 = Bytes(
        hex: "0400002500011b636f6e6e6563746f722e656e74727948616e646c65722e6563686f7b2261223a317d")
    static let echo2 = Bytes(
        hex: "0400002500021b636f6e6e6563746f722e656e74727948616e646c65722e6563686f7b2261223a327d")
    static let upgrade = UpgradeRequest.clientHead(host: "x", key: "dGhlIHNhbXBsZSBub25jZQ==")

    static func frame(_ payload: Bytes, _ opcode: WebSocketOpcode = .binary) -> Bytes {
        WebSocketFrame.encode(opcode, payload, maskKey: 0xA1B2_C3D4)
    }

    static func data(_ message: Bytes) -> Bytes { [4, 0, 0, UInt8(message.count)] + message }
}

/// Counts the messages that each turn of the loop brings.
///
/// It looks when a turn begins: a task, or a place in the list of what is flushed, might come a turn later among many.
@Loop final class TurnProbe {
    private let host: FakeHost
    private let end: Int
    private var seen: Int
    private(set) var largest = 0

    init(_ host: FakeHost, until end: Int) {
        self.host = host
        self.end = end
        seen = host.messages.count
        look()
    }

    private func look() {
        EventLoop.shared.inNextTurn {
            self.largest = max(self.largest, self.host.messages.count - self.seen)
            self.seen = self.host.messages.count
            if self.seen < self.end { self.look() }
        }
    }
}
