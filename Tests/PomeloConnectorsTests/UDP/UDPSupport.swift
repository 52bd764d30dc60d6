// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers

/// A network with one socket, whose datagrams a test spells out; what is sent is there at once.
@Loop final class ScriptedDatagrams: Network, DatagramSocket {
    var delegate: (any DatagramSocketDelegate)?
    let localAddress = SocketAddress(host: "192.0.2.2", port: 3010)
    var queuedBytes = 0
    var losses = DatagramLosses()
    /// Whether the kernel has no room.
    var isFull = false
    private(set) var sent: [(bytes: Bytes, to: SocketAddress)] = []
    private(set) var closed = false

    func bindDatagrams(
        on address: SocketAddress, _ options: DatagramOptions
    ) async throws(NetworkError) -> any DatagramSocket {
        closed = false
        return self
    }

    func listen(on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void)
        async throws(NetworkError) -> any StreamListener
    { throw NetworkError(code: "ENOTSUP", description: "no streams here") }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError) -> any ByteStream {
        throw NetworkError(code: "ENOTSUP", description: "no streams here")
    }

    func send(_ bytes: [UInt8], to peer: SocketAddress) -> Bool {
        if isFull { return false }
        sent.append((bytes, peer))
        return true
    }

    func close() {
        closed = true
        delegate = nil
    }

    /// A datagram comes in a peer's name.
    func feed(_ bytes: Bytes, from peer: SocketAddress) {
        delegate?.datagramSocket(self, didReceive: bytes.span, from: peer)
    }

    /// What was sent since the last look, to one peer or to all.
    func taken(by peer: SocketAddress? = nil) -> [Bytes] {
        defer { sent = peer.map { peer in sent.filter { $0.to != peer } } ?? [] }
        return sent.filter { peer == nil || $0.to == peer }.map(\.bytes)
    }

    func drain() {
        queuedBytes = 0
        delegate?.datagramSocketDidDrain(self)
    }
}

/// A connector of datagrams on a scripted network and a clock that is moved by hand.
@Loop struct UDPBench {
    let clock = ManualClock()
    let network = ScriptedDatagrams()
    let host = FakeHost()
    let connector: UDPConnector

    static let one = SocketAddress(host: "198.51.100.1", port: 1000)
    static let other = SocketAddress(host: "198.51.100.2", port: 1000)
    /// What the original's clients send: 73 bytes, more than the answer's.
    static let handshake = Sample.handshake
    static let welcome = Bytes(
        hex: "010000237b22636f6465223a3230302c22737973223a7b22686561727462656174223a32307d7d")

    static func start(_ options: UDPOptions = UDPOptions(), maxConnections: Int? = nil) async throws -> UDPBench {
        let bench = UDPBench(connector: UDPConnector(options))
        try await bench.connector.start(bench.host, bench.context(maxConnections))
        return bench
    }

    func context(_ maxConnections: Int? = nil) -> ConnectorContext {
        ConnectorContext(
            network: network, clock: clock, random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 0), maxConnections: maxConnections)
    }

    func feed(_ bytes: Bytes, from peer: SocketAddress = one) { network.feed(bytes, from: peer) }
    func taken(by peer: SocketAddress? = nil) -> [Bytes] { network.taken(by: peer) }

    /// Makes a client of a peer, and forgets what that was sent.
    func open(_ peer: SocketAddress = one) {
        feed(Self.handshake, from: peer)
        feed(Sample.ack, from: peer)
        _ = taken(by: peer)
    }

    static func data(_ message: Bytes) throws -> Bytes { try Packet.encode(.data, message) }

    static func request(_ id: UInt32, _ body: String = "{}", _ route: String = "a.b.c") throws -> Bytes {
        try Message.requestPacket(id: id, route: route, code: nil, body: Bytes(body.utf8))
    }

    static func response(_ id: UInt32, _ body: String = "{}") throws -> Bytes {
        try Message.responsePacket(id: id, body: Bytes(body.utf8))
    }

    static func kick(_ reason: String) throws -> Bytes { try Packet.kick(reason: reason) }

    /// An address of many.
    static func peer(_ number: Int) -> SocketAddress {
        let (high, middle, low) = (number >> 16 & 255, number >> 8 & 255, number & 255)
        return SocketAddress(host: "10.\(high).\(middle).\(low)", port: 1024 + number % 60_000)
    }
}

/// Lets everybody else of the process have a turn: tests of one loop wait for each other.
@Loop func nextTurn() async { await SystemClock.shared.sleep(for: .zero) }

/// A pomelo client over datagrams, which repeats what is not answered.
@Loop final class DatagramClient {
    let recorder: DatagramRecorder
    let server: SocketAddress
    private(set) var handshakes: [JSON] = []
    private(set) var responses: [UInt32: [Bytes]] = [:]
    private(set) var pushes: [(route: String, body: Bytes)] = []
    private(set) var kicks: [String] = []
    private(set) var heartbeats = 0
    /// All of it in its order, for who wants that.
    var events: [ConnectorClientEvent] = []
    private(set) var garbage = 0

    init(_ socket: any DatagramSocket, to server: SocketAddress) {
        recorder = DatagramRecorder(socket)
        self.server = server
        // A client that is given up may still be sent something.
        recorder.onDatagram = { [weak self] bytes, _ in self?.take(bytes) }
    }

    static func make(_ network: any Network, to server: SocketAddress) async throws -> DatagramClient {
        let own = SocketAddress(host: "127.0.0.1", port: 0)
        return DatagramClient(try await network.bindDatagrams(on: own, DatagramOptions()), to: server)
    }

    func send(_ bytes: Bytes) { recorder.socket.send(bytes, to: server) }
    func close() { recorder.socket.close() }

    private func take(_ bytes: Bytes) {
        do throws(WireError) {
            _ = try PacketDecoder.decodeFrame(bytes.span, maxBodyBytes: Packet.maxBodyLength) { type, body, _ in
                take(type, body)
                return true
            }
        } catch {
            garbage += 1
        }
    }

    private func take(_ type: PacketType, _ body: Span<UInt8>) {
        do {
            switch type {
            case .handshake: handshakes.append(try JSON.parse(body))
            case .heartbeat: heartbeats += 1
            case .kick:
                kicks.append(try JSON.parse(body)["reason"]?.string ?? "")
                events.append(.kicked(kicks.last ?? ""))
            case .handshakeAck: garbage += 1
            case .data: try takeMessage(body)
            }
        } catch {
            garbage += 1
        }
    }

    private func takeMessage(_ body: Span<UInt8>) throws {
        let head = try MessageHead.decode(body)
        if head.kind == .response {
            responses[head.id, default: []].append(head.body(in: body))
            events.append(.response(head.id, head.body(in: body)))
        } else {
            pushes.append((try head.route(in: body), head.body(in: body)))
            events.append(.push(pushes[pushes.count - 1].route, head.body(in: body)))
        }
    }
}
