// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
public import PomeloLoop
public import PomeloWire

/// A pomelo client for tests: speaks the protocol over any network, and bytes of its own choice when asked
/// to.
///
/// Everything awaited has a deadline on the client's clock, so a test fails instead of hanging.
@Loop public final class TestClient: ByteStreamDelegate, ContractClient {
    /// What carries the packages.
    public enum Transport: String, Sendable, CaseIterable {
        case tcp, webSocket
    }

    /// Why something awaited did not come.
    public struct Failure: Error, CustomStringConvertible {
        /// What was awaited, and why it did not come.
        public let description: String
    }

    /// A message from the server that answers no request.
    public struct Pushed: Sendable {
        /// A code that is not in the dictionary reads `#code`.
        public let route: String
        /// As it came.
        public let body: Bytes
    }

    /// As given to `connect`.
    public let transport: Transport
    /// How long anything awaited may take.
    public var patience: Duration
    /// Whether heartbeats are sent as the JavaScript client does: an interval after each one received.
    public var sendsHeartbeats = true
    /// Everything received: the stream of bytes over TCP, the payloads of data frames over WebSocket.
    public private(set) var received: Bytes = []
    /// Heartbeats received.
    public internal(set) var heartbeats = 0
    /// The kick's body, when there was one.
    public internal(set) var kick: JSON?
    /// The server's handshake answers.
    public internal(set) var handshakes: [JSON] = []
    /// Pushes not yet taken by `next`, in order of arrival; 100 000 at most.
    public internal(set) var pushes: [Pushed] = []
    /// The code of the server's close frame; 1005 for one without.
    public private(set) var closeCode: UInt16?
    /// The head of the answer to a WebSocket request.
    public private(set) var httpHead = ""
    /// Set once the connection has ended.
    public private(set) var end: StreamEnd?

    /// Beyond them nothing is kept, and `next` says so.
    static let maxPushes = 100_000
    var lostPushes = 0
    let clock: any LoopClock
    private let stream: any ByteStream
    private var unread: Bytes = []
    private var frames = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false)
    private var packets = PacketDecoder(maxBodyBytes: Packet.maxBodyLength)
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// How often something has happened that a waiter may wait for.
    private var events = 0

    // Protocol, in TestClient+Protocol.swift.
    var lastID: UInt32 = 0
    var responses: [UInt32: Bytes] = [:]
    var heartbeatInterval: Duration?
    var codes: [Text: UInt16] = [:]
    var routes: [UInt16: String] = [:]

    /// Connects, and over WebSocket also upgrades.
    ///
    /// - Throws: `NetworkError`; ``Failure`` when the upgrade is refused.
    public static func connect(
        to address: SocketAddress, over network: any Network, as transport: Transport = .tcp,
        clock: any LoopClock = SystemClock.shared, patience: Duration = .seconds(20)
    ) async throws -> TestClient {
        let stream = try await network.connect(to: address, within: patience)
        let client = TestClient(stream, transport, clock, patience)
        if transport == .webSocket {
            stream.write(UpgradeRequest.clientHead(host: "test", key: "dGhlIHNhbXBsZSBub25jZQ=="))
            try await client.wait(for: "the upgrade") { client.httpHead.isEmpty ? nil : () }
            guard client.httpHead.hasPrefix("HTTP/1.1 101") else {
                throw Failure(description: "not upgraded: \(client.httpHead)")
            }
        }
        return client
    }

    private init(
        _ stream: any ByteStream, _ transport: Transport, _ clock: any LoopClock, _ patience: Duration
    ) {
        self.stream = stream
        self.transport = transport
        self.clock = clock
        self.patience = patience
        stream.delegate = self
    }

    // MARK: bytes

    /// Writes bytes as they are: to the stream over TCP, as one binary frame over WebSocket.
    public func send(_ bytes: Bytes) {
        guard transport == .webSocket else { return sendRaw(bytes) }
        send(.binary, bytes)
    }

    /// Writes bytes to the stream, below any WebSocket.
    public func sendRaw(_ bytes: Bytes) { stream.write(bytes) }

    /// Writes one masked WebSocket frame.
    public func send(_ opcode: WebSocketOpcode, _ payload: Bytes) {
        stream.write(WebSocketFrame.encode(opcode, payload, maskKey: 0x1F2E_3D4C))
    }

    /// Stops reading, as a client that hangs does.
    public func stopReading() { stream.pauseReading() }
    /// Reads again.
    public func startReading() { stream.resumeReading() }
    /// Bytes that wait for the server to read.
    public var queuedBytes: Int { stream.queuedBytes }

    /// Leaves at once.
    public func close() { stream.close() }
    /// Leaves after what was sent, and waits until the connection has ended.
    public func leave() async throws {
        stream.closeAfterFlush(within: .seconds(1))
        _ = try await closed()
    }

    // MARK: waiting

    /// Waits until `ready` has a value; it is asked after every event.
    ///
    /// - Throws: ``Failure`` at the deadline, or when the connection ends before.
    @discardableResult
    public func wait<T>(for what: String, _ ready: () -> T?) async throws -> T {
        try await wait(for: what, within: patience, ready)
    }

    func wait<T>(for what: String, within limit: Duration, _ ready: () -> T?) async throws -> T {
        let limit = clock.deadline(after: limit)
        while true {
            let seen = events
            if let value = ready() { return value }
            if let end { throw Failure(description: "the connection ended (\(end)) before \(what)") }
            guard clock.now < limit else { throw Failure(description: "timed out waiting for \(what)") }
            let timer = clock.schedule(at: limit) { self.notify() }
            // REENTRANCY: a task without executor preference may be suspended before the body runs.
            await withCheckedContinuation { waiter in
                if events == seen { waiters.append(waiter) } else { waiter.resume() }
            }
            clock.cancel(timer)
        }
    }

    /// Waits for the end of the connection.
    public func closed() async throws -> StreamEnd {
        try await wait(for: "the end") { end }
    }

    /// Waits until so many bytes have been received in all.
    public func receive(_ count: Int) async throws -> Bytes {
        try await wait(for: "\(count) bytes, have \(received.count)") {
            received.count >= count ? received : nil
        }
    }

    /// Sends a WebSocket ping and waits for the pong: what was sent before has been read then.
    public func pinged() async throws {
        let before = pongs
        send(.ping, [])
        try await wait(for: "a pong") { pongs > before ? () : nil }
    }

    private var pongs = 0

    func notify() {
        events &+= 1
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }

    // MARK: stream

    /// Takes in what the server sent.
    public func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        if transport == .tcp {
            append(bytes)
            readPackets(bytes)
        } else if httpHead.isEmpty {
            readHead(bytes)
        } else {
            readFrames(bytes)
        }
        notify()
    }

    /// Nothing waits for it.
    public func streamDidDrain(_ stream: any ByteStream) {}

    /// Wakes whoever waits.
    public func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        end = reason
        notify()
    }

    private func append(_ bytes: borrowing Span<UInt8>) {
        for index in 0..<bytes.count { received.append(bytes[index]) }
    }

    private func readHead(_ bytes: borrowing Span<UInt8>) {
        for index in 0..<bytes.count { unread.append(bytes[index]) }
        let mark = Bytes("\r\n\r\n".utf8)
        guard unread.count >= mark.count else { return }
        for end in mark.count...unread.count where unread[(end - mark.count)..<end].elementsEqual(mark) {
            httpHead = String(decoding: unread[..<end], as: UTF8.self)
            let rest = Bytes(unread[end...])
            unread = []
            return readFrames(rest.span)
        }
    }

    private func readFrames(_ bytes: borrowing Span<UInt8>) {
        do {
            try frames.decode(bytes) { event, _ in
                switch event {
                case .compressed: break
                case .message(_, let payload):
                    received += payload
                    readPackets(payload.span)
                case .ping(let payload): send(.pong, payload)
                case .pong: pongs += 1
                case .close(let code, _): closeCode = code ?? 1005
                }
                return true
            }
        } catch {
            closeCode = error.closeCode
            close()
        }
    }

    private func readPackets(_ bytes: borrowing Span<UInt8>) {
        do {
            try packets.decode(bytes) { type, body, _ in
                accept(type, body)
                return true
            }
        } catch {
            // Bytes that are no packages are for the test to look at, in `received`.
            packets = PacketDecoder(maxBodyBytes: Packet.maxBodyLength)
        }
    }
}
