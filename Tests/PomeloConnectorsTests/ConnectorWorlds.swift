// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTLS
import PomeloTesting
import PomeloUV
import PomeloWire

@testable import PipeChat
@testable import PomeloConnectors

/// Where suites run connectors: on the kernel's sockets, or on a network in memory.
@Loop func suiteContext(_ network: any Network, tls: Bool? = nil) -> ConnectorContext {
    ConnectorContext(
        network: network, clock: SystemClock.shared, random: RandomSource(seed: 1),
        address: SocketAddress(host: "127.0.0.1", port: 0), tls: tls)
}

/// The hybrid connector, spoken to over TCP or WebSocket.
@Loop final class HybridWorld: ConnectorWorld {
    let context: ConnectorContext
    private let transport: TestClient.Transport
    private let tls: TLSServerOptions?
    /// Whatever the certificate's files go with.
    private let keeper: AnyObject?

    init(
        _ transport: TestClient.Transport, _ network: any Network = UVNetwork(), tls: TLSServerOptions? = nil,
        keeping keeper: AnyObject? = nil
    ) {
        self.transport = transport
        self.tls = tls
        self.keeper = keeper
        context = suiteContext(network, tls: tls.map { _ in true })
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector {
        var options = HybridOptions(heartbeat: nil)
        options.limits.maxOutboundBytes = maxOutboundBytes
        options.tls = tls
        // Another test of the process may hold the loop for long.
        options.limits.handshakeTimeout = .seconds(60)
        return HybridConnector(options)
    }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        let client = try await TestClient.connect(to: address(of: connector), over: context.network, as: transport)
        try await client.handshake()
        return HybridSuiteClient(client)
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        try await context.network.connect(to: address(of: connector), within: .seconds(5))
    }

    private func address(of connector: any Connector) -> SocketAddress {
        connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
    }
}

@Loop private final class HybridSuiteClient: ConnectorClient {
    private let client: TestClient
    private var packets = PacketDecoder(maxBodyBytes: Packet.maxBodyLength)
    private var seen = 0
    private var events: [Event] = []

    init(_ client: TestClient) { self.client = client }

    func encode(_ message: ClientMessage) throws -> Bytes {
        let packet =
            try message.id > 0
            ? Message.requestPacket(id: message.id, route: message.route.text, code: nil, body: message.body)
            : Message.notifyPacket(route: message.route.text, code: nil, body: message.body)
        if client.transport == .tcp { return packet }
        return WebSocketFrame.encode(.binary, packet, maskKey: 0x1F2E_3D4C)
    }

    func write(_ bytes: Bytes) { client.sendRaw(bytes) }

    func next() async throws -> Event {
        try await client.next(or: .ended) { take() }
    }

    /// What the client's own protocol keeps by kind is wanted in its order here.
    private func take() -> Event? {
        let fresh = Bytes(client.received[seen...])
        seen = client.received.count
        do {
            try packets.decode(fresh.span) { type, body, _ in
                do {
                    if let event = try event(type, body) { events.append(event) }
                } catch {
                    events.append(.push("no message", []))
                }
                return true
            }
        } catch {
            events.append(.push("no package", fresh))
        }
        return events.isEmpty ? nil : events.removeFirst()
    }

    private func event(_ type: PacketType, _ body: Span<UInt8>) throws -> Event? {
        switch type {
        case .handshake, .handshakeAck, .heartbeat: return nil
        case .kick: return .kicked(try JSON.parse(body)["reason"]?.string ?? "")
        case .data:
            let head = try MessageHead.decode(body)
            if head.kind == .response { return .response(head.id, head.body(in: body)) }
            return .push(try head.route(in: body), head.body(in: body))
        }
    }

    func stopReading() { client.stopReading() }
    func startReading() { client.startReading() }
    func close() { client.close() }
}

/// The example's connector, spoken to in lines.
@Loop final class PipeWorld: ConnectorWorld {
    let context: ConnectorContext
    let path: String

    init(_ network: any Network = UVNetwork()) {
        context = suiteContext(network)
        path = NSTemporaryDirectory() + "pomelo-\(UInt32(truncatingIfNeeded: SystemClock.shared.now)).sock"
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector {
        var options = CustomOptions<Bytes>()
        options.maxOutboundBytes = maxOutboundBytes
        return ConnectorAdapter(PipeConnector(path: path), options)
    }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        LineClient(try await dial(connector))
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        try await context.network.connect(toPath: path)
    }
}

/// A client that speaks the example's lines, or the same with another framing.
@Loop final class LineClient: ConnectorClient, ByteStreamDelegate {
    private let stream: any ByteStream
    private var events: [ConnectorClientEvent] = []
    private var hasEnded = false
    private var waiter: FirstOutcome<Void>?

    private let framing: Framing
    private var splitter: FrameSplitter

    init(_ stream: any ByteStream, _ framing: Framing = .lines) {
        self.stream = stream
        self.framing = framing
        splitter = FrameSplitter(framing, maxBytes: 1 << 24)
        stream.delegate = self
    }

    static func line(_ message: ClientMessage) -> Bytes {
        let id = message.id > 0 ? "\"id\":\(message.id)," : ""
        let head = Bytes("{\(id)\"route\":\(JSON.string(message.route.text)),\"body\":".utf8)
        return head + message.body + Bytes("}".utf8)
    }

    func encode(_ message: ClientMessage) throws -> Bytes { framing.frame(Self.line(message)) }

    func write(_ bytes: Bytes) { stream.write(bytes) }

    func next() async throws -> Event {
        let limit = SystemClock.shared.deadline(after: .seconds(20))
        while events.isEmpty, !hasEnded {
            guard SystemClock.shared.now < limit else { throw TestFailure("nothing came") }
            let more = FirstOutcome<Void>()
            waiter = more
            let timer = SystemClock.shared.schedule(at: limit) { more.end() }
            await more.wait()
            SystemClock.shared.cancel(timer)
        }
        return events.isEmpty ? .ended : events.removeFirst()
    }

    func stopReading() { stream.pauseReading() }
    func startReading() { stream.resumeReading() }
    func close() { stream.close() }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        do {
            _ = try splitter.split(bytes) {
                events.append(Self.event($0))
                return true
            }
        } catch {
            events.append(.push("too long", []))
        }
        waiter?.end()
    }

    static func event(_ line: Bytes) -> Event {
        do {
            let line = try JSON.parse(line)
            let body = line["body"]?.encoded() ?? []
            if let id = line["id"]?.int { return .response(UInt32(truncatingIfNeeded: id), body) }
            if let reason = line["closed"]?.string { return .kicked(reason) }
            return .push(line["route"]?.string ?? "", body)
        } catch {
            return .push("no JSON", line)
        }
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        hasEnded = true
        waiter?.end()
    }
}

/// Why something that was awaited did not come.
struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension TestClient {
    /// What comes next, or what stands for the end when nothing more does.
    func next<Event>(or ended: Event, _ take: @Loop () -> Event?) async throws -> Event {
        if let event = take() { return event }
        do {
            return try await wait(for: "what comes next") { take() }
        } catch {
            if end == nil { throw error }
            return take() ?? ended
        }
    }
}

extension Framing {
    /// A message as it travels.
    func frame(_ message: Bytes) -> Bytes {
        let (head, tail) = ends(of: message)
        return head + message + tail
    }
}
