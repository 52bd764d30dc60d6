// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTLS
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers

@testable import PomeloConnectors
@testable import PomeloCore

/// An MQTT connector over scripted streams, alone or beside the hybrid one: every byte and every instant is chosen.
@Loop final class MQTTWired {
    let host = FakeHost()
    let clock = ManualClock()
    let service: MQTTProtocol
    let port: ClientPort
    /// The first client's.
    let stream = ScriptedStream()

    init(_ options: MQTTOptions = MQTTOptions(), with hybrid: HybridOptions? = nil) throws {
        let logger = Logger(label: "test")
        service = try MQTTProtocol(options)
        var all: [any PortProtocol] = [service]
        if let hybrid { all.append(try HybridProtocol(hybrid, clock: clock, logger: logger)) }
        port = ClientPort(options.limits, all, host: host, clock: clock, logger: logger)
        port.accept(stream)
    }

    /// The first client is connected.
    func work(_ connect: MQTTConnect = MQTTConnect("c1")) throws {
        try say(.connect(connect))
        _ = stream.taken()
    }

    func say(_ packets: MQTTPacket...) throws {
        for packet in packets { stream.feed(try packet.encoded()) }
    }

    /// A further client that is connected.
    func another(_ connect: MQTTConnect = MQTTConnect("c2")) throws -> ScriptedStream {
        let stream = ScriptedStream()
        port.accept(stream)
        stream.feed(try MQTTPacket.connect(connect).encoded())
        _ = stream.taken()
        return stream
    }

    /// What the first client was sent since the last look.
    func heard() throws -> [MQTTPacket] { try Self.packets(stream.taken()) }

    static func packets(_ bytes: Bytes) throws -> [MQTTPacket] {
        var reader = MQTTPackets()
        let packets = try reader.read(bytes.span)
        guard reader.isEmpty else { throw TestFailure("half a packet was sent") }
        return packets
    }

    func fault(_ fault: ConnectionFault) -> Int { port.statistics.faults[fault] ?? 0 }

    /// A push with a body that is JSON.
    static func push(_ route: String, _ body: JSON) throws -> PushMessage {
        try PushMessage(route: route, body: body.encoded())
    }
}

/// Reads what servers send.
struct MQTTPackets {
    private var decoder = MQTTDecoder(maxBodyBytes: MQTTPacket.maxRemainingLength)
    var isEmpty: Bool { decoder.heldBytes == 0 }

    mutating func read(_ bytes: Span<UInt8>) throws -> [MQTTPacket] {
        var packets: [MQTTPacket] = []
        var failure: WireError?
        try decoder.decode(bytes) { first, body, _ in
            do throws(WireError) {
                packets.append(try MQTTPacket.decode(first, body, MQTTRules(maxTopics: 1)))
            } catch {
                failure = error
            }
            return failure == nil
        }
        if let failure { throw failure }
        return packets
    }
}

/// The MQTT connector for the suite: topics are routes, a request is a message of QoS 1.
@Loop final class MQTTWorld: ConnectorWorld {
    let context: ConnectorContext
    private let overWebSocket: Bool
    private let tls: TLSServerOptions?
    /// Whatever the certificate's files go with.
    private let keeper: AnyObject?

    init(
        _ network: any Network = UVNetwork(), overWebSocket: Bool = false, tls: TLSServerOptions? = nil,
        keeping keeper: AnyObject? = nil
    ) {
        self.overWebSocket = overWebSocket
        self.tls = tls
        self.keeper = keeper
        context = suiteContext(network, tls: tls.map { _ in true })
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector {
        var options = MQTTOptions()
        options.limits.maxOutboundBytes = maxOutboundBytes
        options.tls = tls
        // Another test of the process may hold the loop for long.
        options.limits.handshakeTimeout = .seconds(60)
        return MQTTConnector(options)
    }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        let stream = try await dial(connector)
        let client = MQTTSuiteClient(overWebSocket ? try await WebSocketBytes.open(over: stream) : stream)
        try await client.connect()
        return client
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        return try await context.network.connect(to: address, within: .seconds(5))
    }
}

/// A client of MQTT on any stream; ids of the suite's requests, which are longer, are written down.
@Loop final class MQTTSuiteClient: ConnectorClient, ByteStreamDelegate {
    private let stream: any ByteStream
    private var reader = MQTTPackets()
    private var packets: [MQTTPacket] = []
    private var hasEnded = false
    private var waiter: FirstOutcome<Void>?
    private var ids: [UInt16: UInt32] = [:]

    init(_ stream: any ByteStream) {
        self.stream = stream
        stream.delegate = self
    }

    func connect() async throws {
        write(try MQTTPacket.connect(MQTTConnect("suite")).encoded())
        let answer = try await nextPacket()
        guard answer == .connectAck(sessionPresent: false, .accepted) else {
            throw TestFailure("instead of CONNACK: \(String(describing: answer))")
        }
    }

    func encode(_ message: ClientMessage) throws -> Bytes {
        let id = UInt16(truncatingIfNeeded: message.id)
        if id > 0 { ids[id] = message.id }
        return try MQTTPublish(message.route.text, message.body, qos: id > 0 ? 1 : 0, id: id).encoded()
    }

    func write(_ bytes: Bytes) { stream.write(bytes) }

    func next() async throws -> Event {
        while let packet = try await nextPacket() {
            switch packet {
            case .publishAck: continue
            case .publish(let publish): return try event(publish)
            default: return .push("instead of a message: \(packet)", [])
            }
        }
        return .ended
    }

    private func event(_ publish: MQTTPublish) throws -> Event {
        if publish.topic == "onKick" { return .kicked(try JSON.parse(publish.payload)["reason"]?.string ?? "") }
        if let id = publish.topic.between("answer/", "").flatMap(UInt16.init) {
            return .response(ids[id] ?? 0, publish.payload)
        }
        return .push(publish.topic, publish.payload)
    }

    /// Nil when nothing more comes.
    private func nextPacket() async throws -> MQTTPacket? {
        let limit = SystemClock.shared.deadline(after: .seconds(20))
        while packets.isEmpty, !hasEnded {
            guard SystemClock.shared.now < limit else { throw TestFailure("nothing came") }
            let more = FirstOutcome<Void>()
            waiter = more
            let timer = SystemClock.shared.schedule(at: limit) { more.end() }
            await more.wait()
            SystemClock.shared.cancel(timer)
        }
        return packets.isEmpty ? nil : packets.removeFirst()
    }

    func stopReading() { stream.pauseReading() }
    func startReading() { stream.resumeReading() }
    func close() { stream.close() }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        do {
            packets += try reader.read(bytes)
        } catch {
            packets.append(.disconnect)
        }
        waiter?.end()
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        hasEnded = true
        waiter?.end()
    }
}
