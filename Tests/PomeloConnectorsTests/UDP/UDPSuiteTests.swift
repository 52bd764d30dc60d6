// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

/// The connector of datagrams keeps the rules of all connectors, where datagrams can.
@Loop @Suite struct UDPSuiteTests {
    /// Nobody can see that a client of datagrams has left, or does not read, and a datagram comes whole.
    nonisolated static let cases = ConnectorSuite.Case.allCases.filter {
        ![.pieces, .slowReader, .clientLeaves, .maxConnections].contains($0)
    }

    @Test(arguments: cases) func overTheKernel(_ name: ConnectorSuite.Case) async throws {
        // A client reads some datagrams a turn, and the kernel keeps few.
        try await ConnectorSuite(UDPWorld(UVNetwork(), joins: true)).run(name)
    }

    @Test(arguments: cases) func inMemory(_ name: ConnectorSuite.Case) async throws {
        try await ConnectorSuite(UDPWorld(MemoryNetwork(clock: SystemClock.shared).endpoint("here"))).run(name)
    }
}

/// The connector of datagrams, and its clients.
@Loop private final class UDPWorld: ConnectorWorld {
    let context: ConnectorContext

    private let joins: Bool

    init(_ network: any Network, joins: Bool = false) {
        context = suiteContext(network)
        self.joins = joins
    }

    func makeConnector(maxOutboundBytes: Int) -> any Connector {
        var options = UDPOptions()
        options.maxOutboundBytes = maxOutboundBytes
        options.handshakeTimeout = .seconds(60)
        options.joinsPackages = joins
        return UDPConnector(options)
    }

    func connect(to connector: any Connector) async throws -> any ConnectorClient {
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        let client = UDPSuiteClient(try await DatagramClient.make(context.network, to: address))
        try await client.shakeHands()
        return client
    }

    func dial(_ connector: any Connector) async throws -> any ByteStream {
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        return OneWay(try await DatagramClient.make(context.network, to: address))
    }
}

@Loop private final class UDPSuiteClient: ConnectorClient {
    private let client: DatagramClient
    private var isClosed = false

    init(_ client: DatagramClient) { self.client = client }

    /// What is not answered is said again, not for ever: some are to find nobody.
    func shakeHands() async throws {
        try await say(Sample.handshake) { self.client.handshakes.count > 0 }
        try await say(Sample.ack + Sample.heartbeat) { self.client.heartbeats > 0 }
    }

    private func say(_ bytes: Bytes, until condition: @Loop () -> Bool) async throws {
        for _ in 0..<20 {
            client.send(bytes)
            for _ in 0..<200 where !condition() { await SystemClock.shared.sleep(for: .milliseconds(1)) }
            if condition() { return }
        }
        throw TestFailure("nobody answers")
    }

    func encode(_ message: ClientMessage) throws -> Bytes {
        try message.id > 0
            ? Message.requestPacket(id: message.id, route: message.route.text, code: nil, body: message.body)
            : Message.notifyPacket(route: message.route.text, code: nil, body: message.body)
    }

    func write(_ bytes: Bytes) { client.send(bytes) }

    func next() async throws -> Event {
        let limit = SystemClock.shared.deadline(after: .seconds(20))
        while client.events.isEmpty {
            // A kick is the only goodbye there is.
            if isClosed || !client.kicks.isEmpty { return .ended }
            guard SystemClock.shared.now < limit else { throw TestFailure("nothing came") }
            await SystemClock.shared.sleep(for: .milliseconds(1))
        }
        return client.events.removeFirst()
    }

    func stopReading() {}
    func startReading() {}

    func close() {
        isClosed = true
        client.close()
    }
}

/// A stream whose writes are datagrams, and from which nothing comes.
@Loop private final class OneWay: ByteStream {
    var delegate: (any ByteStreamDelegate)?
    private let client: DatagramClient
    var remoteAddress: SocketAddress { client.server }
    var localAddress: SocketAddress { client.recorder.address }
    let queuedBytes = 0

    init(_ client: DatagramClient) { self.client = client }

    func write(_ bytes: [UInt8]) { client.send(bytes) }
    func pauseReading() {}
    func resumeReading() {}
    func closeAfterFlush(within deadline: Duration) { close() }
    func close() { client.close() }
}
