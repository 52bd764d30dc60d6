// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire

/// A client of socket.io on a network, over a WebSocket or by polling: Engine.IO 4.
///
/// By polling what it says goes over one connection, and its polls over another.
@Loop final class SocketIOTestClient: ConnectorClient {
    private let transport: Session.Transport
    private let speaking: Wire
    /// The same on a WebSocket.
    private let hearing: Wire
    private var session = Session(revision: .five, sid: "")
    private var frames = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false)
    private var events: [Event] = []
    private var hasEnded = false

    static func connect(to address: SocketAddress, over network: any Network, _ transport: Session.Transport)
        async throws -> SocketIOTestClient
    {
        let first = Wire(try await network.connect(to: address, within: .seconds(20)))
        let second =
            transport == .webSocket ? first : Wire(try await network.connect(to: address, within: .seconds(20)))
        let client = SocketIOTestClient(transport, first, second)
        try await client.enter()
        return client
    }

    private init(_ transport: Session.Transport, _ speaking: Wire, _ hearing: Wire) {
        self.transport = transport
        self.speaking = speaking
        self.hearing = hearing
    }

    private func enter() async throws {
        let path = "/socket.io/?EIO=4&transport=\(transport == .webSocket ? "websocket" : "polling")"
        if transport == .webSocket {
            hearing.stream.write(
                UpgradeRequest.clientHead(host: "test", path: path, key: "dGhlIHNhbXBsZSBub25jZQ=="))
            try await hearing.wait { hearing.takeHead() != nil || hearing.hasEnded }
            hearing.stream.write(frame("40"))
        } else {
            let open = try await ask("GET", path)
            session = Session(revision: .five, sid: open.split(separator: "\"").map(String.init)[3])
            _ = try await ask("POST", session.path, "40")
            hearing.onRead = { [weak self] in _ = self?.takePackets() }
            hearing.stream.write(request("GET", session.path))
        }
        while try await nextPacket()?.hasPrefix("40") == false {}
    }

    private func request(_ method: String, _ path: String, _ body: String = "") -> Bytes {
        let length = method == "GET" ? "" : "Content-Length: \(body.utf8.count)\r\n"
        return Bytes("\(method) \(path) HTTP/1.1\r\nHost: test\r\n\(length)\r\n\(body)".utf8)
    }

    private func ask(_ method: String, _ path: String, _ body: String = "") async throws -> String {
        speaking.stream.write(request(method, path, body))
        var answer: String?
        try await speaking.wait {
            answer = speaking.takeAnswer()
            return answer != nil || speaking.hasEnded
        }
        guard let answer else { throw TestFailure("the connection was closed") }
        return answer
    }

    private func frame(_ text: String) -> Bytes {
        WebSocketFrame.encode(.text, Bytes(text.utf8), maskKey: 0x1F2E_3D4C)
    }

    // MARK: what a suite wants

    func encode(_ message: ClientMessage) throws -> Bytes {
        let body = String(decoding: message.body, as: UTF8.self)
        let packet = try SocketIORevision.five.packet(message.id, message.route.text, body)
        return transport == .webSocket ? frame(packet) : request("POST", session.path, packet)
    }

    func write(_ bytes: Bytes) { speaking.stream.write(bytes) }

    func next() async throws -> Event {
        while events.isEmpty {
            guard let packet = try await nextPacket() else { return .ended }
            if packet == "41" || packet == "1" {
                hasEnded = true
            } else if packet.hasPrefix("42"), let event = try Self.event(packet) {
                events.append(event)
            } else if packet == "2" {
                speaking.stream.write(transport == .webSocket ? frame("3") : request("POST", session.path, "3"))
            }
        }
        return events.removeFirst()
    }

    private static func event(_ packet: String) throws -> Event? {
        guard let text = try JSON.parse(Bytes(packet.utf8.dropFirst(2))).array?.last?.string else { return nil }
        let message = try JSON.parse(Bytes(text.utf8))
        let body = message["body"]?.encoded() ?? []
        if let id = message["id"]?.int { return .response(UInt32(truncatingIfNeeded: id), body) }
        let route = message["route"]?.string ?? ""
        return route == "onKick" ? .kicked(message["reason"]?.string ?? "") : .push(route, body)
    }

    private var packets: [String] = []

    /// Nil when the session is over.
    private func nextPacket() async throws -> String? {
        while packets.isEmpty {
            if hasEnded { return nil }
            try await hearing.wait { takePackets() || hearing.hasEnded || speaking.hasEnded }
            if packets.isEmpty { hasEnded = true }
        }
        return packets.removeFirst()
    }

    private func takePackets() -> Bool {
        if transport == .polling {
            // It polls on by itself, as clients do.
            while let answer = hearing.takeAnswer() {
                packets += answer.split(separator: "\u{1E}").map(String.init)
                if !packets.contains("1") { hearing.stream.write(request("GET", session.path)) }
            }
            return !packets.isEmpty
        }
        let bytes = hearing.take()
        do {
            try frames.decode(bytes.span) { event, _ in
                if case .message(_, let text) = event { packets.append(String(decoding: text, as: UTF8.self)) }
                if case .close = event { packets.append("1") }
                return true
            }
        } catch { packets.append("1") }
        return !packets.isEmpty
    }

    func stopReading() { hearing.stream.pauseReading() }
    func startReading() { hearing.stream.resumeReading() }

    func close() {
        hearing.stream.close()
        speaking.stream.close()
    }
}

/// What arrived over one connection.
@Loop final class Wire: ByteStreamDelegate {
    let stream: any ByteStream
    private(set) var hasEnded = false
    var onRead: (@Loop () -> Void)?
    private var bytes: Bytes = []
    private var waiter: FirstOutcome<Void>?

    init(_ stream: any ByteStream) {
        self.stream = stream
        stream.delegate = self
    }

    func wait(until isReady: () -> Bool) async throws {
        let limit = SystemClock.shared.deadline(after: .seconds(20))
        while !isReady() {
            guard SystemClock.shared.now < limit else { throw TestFailure("nothing came") }
            let more = FirstOutcome<Void>()
            waiter = more
            let timer = SystemClock.shared.schedule(at: limit) { more.end() }
            await more.wait()
            SystemClock.shared.cancel(timer)
        }
    }

    func take() -> Bytes {
        defer { bytes = [] }
        return bytes
    }

    func takeHead() -> String? {
        guard let end = Line.headEnd(bytes) else { return nil }
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        bytes = Bytes(bytes[end...])
        return head
    }

    /// A whole answer.
    func takeHTTP() -> RecordedHTTP? {
        guard let end = Line.headEnd(bytes) else { return nil }
        let count = RecordedHTTP(Bytes(bytes[..<end])).header("content-length").flatMap { Int($0) } ?? 0
        guard bytes.count >= end + count else { return nil }
        defer { bytes = Bytes(bytes[(end + count)...]) }
        return RecordedHTTP(Bytes(bytes[..<(end + count)]))
    }

    /// The body of a whole answer; a refusal ends everything.
    func takeAnswer() -> String? {
        guard let http = takeHTTP() else { return nil }
        return http.words[1] == "200" ? String(decoding: http.body, as: UTF8.self) : "1"
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        self.bytes.put(bytes)
        onRead?()
        waiter?.end()
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        hasEnded = true
        waiter?.end()
    }
}

/// The socket.io connector, spoken to over WebSocket or by polling.
@Loop final class SocketIOWorld: ConnectorWorld {
    let context: ConnectorContext
    private let transport: Session.Transport

    init(_ transport: Session.Transport, _ network: any Network) {
        self.transport = transport
        context = suiteContext(network)
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector {
        var options = SocketIOOptions()
        // Who stays away from polling for so long has left.
        options.heartbeats = false
        options.closeTimeout = .seconds(5)
        options.limits.maxOutboundBytes = maxOutboundBytes
        options.limits.handshakeTimeout = .seconds(60)
        return SocketIOConnector(options)
    }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        try await SocketIOTestClient.connect(to: address(of: connector), over: context.network, transport)
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        try await context.network.connect(to: address(of: connector), within: .seconds(5))
    }

    private func address(of connector: any Connector) -> SocketAddress {
        connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
    }
}
