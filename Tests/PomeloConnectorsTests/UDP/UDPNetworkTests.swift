// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

/// Clients of datagrams over networks: the kernel's, and one that loses, doubles and delays what it is given.
@Suite struct UDPNetworkTests {
    @Test @Loop func aConversationOverTheKernel() async throws {
        let network = UVNetwork()
        let host = FakeHost()
        let connector = UDPConnector()
        try await connector.start(
            host,
            ConnectorContext(
                network: network, clock: SystemClock.shared, random: RandomSource(),
                address: SocketAddress(host: "127.0.0.1", port: 0)))
        let client = try await DatagramClient.make(network, to: try #require(connector.localAddress))
        client.send(Sample.handshake)
        await until("the handshake") { client.handshakes.count == 1 }
        client.send(Sample.ack + (try UDPBench.request(1, #"{"x":1}"#)))
        await until("the answer") { client.responses[1] == [Bytes(#"{"x":1}"#.utf8)] }
        #expect(client.heartbeats == 1 && host.session?.address == client.recorder.address)
        host.session?.socket.close(kick: "enough")
        await until("the kick") { client.kicks == ["enough"] }
        await connector.stop()
        client.close()
    }

    /// A seed is a run: so many clients talk over a bad network, each repeating what is not answered.
    @Test(arguments: 1...6 as ClosedRange<UInt64>) @Loop func aBadNetworkIsTalkedOver(_ seed: UInt64) async throws {
        let clock = ManualClock()
        let network = MemoryNetwork(clock: clock, random: RandomSource(seed: seed))
        network.datagramFaults = DatagramFaults(loss: 0.2, duplication: 0.15, reordering: 0.3)
        let host = FakeHost()
        let connector = UDPConnector()
        try await connector.start(
            host,
            ConnectorContext(
                network: network.endpoint("server"), clock: clock, random: RandomSource(seed: seed),
                address: SocketAddress(host: "127.0.0.1", port: 0)))
        let address = try #require(connector.localAddress)
        var talks: [Talk] = []
        for _ in 0..<20 {
            talks.append(Talk(try await DatagramClient.make(network.endpoint("client"), to: address)))
        }
        var ticks = 0
        while talks.contains(where: { !$0.isDone }), ticks < 3000 {
            ticks += 1
            for talk in talks { try talk.tick() }
            await nextTurn()
            for _ in 0..<3 { await Loop.yield() }
            clock.advance(by: .milliseconds(20))
        }
        #expect(talks.allSatisfy { $0.isDone }, "after \(ticks) ticks of 20 ms")
        #expect(host.sessions.count == 20 && host.ends.isEmpty, "nobody lost the session to a late handshake")
        for talk in talks {
            #expect(talk.client.garbage == 0)
            for id: UInt32 in 1...10 {
                let answers = try #require(talk.client.responses[id])
                #expect(Set(answers) == [Bytes("{\"n\":\(id)}".utf8)])
            }
        }
        let handled = host.messages.count
        #expect(handled > 200, "some were handled twice: \(handled)")
        network.datagramFaults = DatagramFaults()
        await connector.stop()
        for _ in 0..<20 { await Loop.yield() }
        #expect(talks.allSatisfy { $0.client.kicks == ["server stopped"] })
    }

    /// A host with a raw socket names others as senders; who listens on the way counts what they are sent for it.
    @Test @Loop func whoIsNamedAsSenderIsSentNoMoreThanWasSaid() async throws {
        let network = MemoryNetwork(clock: ManualClock())
        let host = FakeHost()
        let connector = UDPConnector()
        try await connector.start(
            host,
            ConnectorContext(
                network: network.endpoint("server"), clock: network.clock, random: RandomSource(seed: 1),
                address: SocketAddress(host: "127.0.0.1", port: 0)))
        let address = try #require(connector.localAddress)
        var (there, back) = (0, 0)
        network.onDatagram = { datagram in
            if datagram.to == address { there += datagram.bytes.count } else { back += datagram.bytes.count }
        }
        for number in 0..<1000 {
            network.sendDatagram(UDPBench.handshake, from: UDPBench.peer(number % 300), to: address)
        }
        for _ in 0..<20 { await Loop.yield() }
        #expect(there == 1000 * UDPBench.handshake.count && back == 1000 * UDPBench.welcome.count && back < there)
        #expect(host.sessions.isEmpty && connector.statistics.pending == 300)
        await connector.stop()
    }

    /// A client with a plan: shake hands, then ten requests, one after the other, each until it is answered.
    @Loop private final class Talk {
        let client: DatagramClient
        private var id: UInt32 = 0
        private var ticks = 0

        init(_ client: DatagramClient) { self.client = client }

        var isDone: Bool { client.responses[10] != nil }

        func tick() throws {
            ticks += 1
            if isDone || ticks % 5 != 1 { return }
            if client.handshakes.isEmpty { return client.send(Sample.handshake) }
            // A heartbeat is answered each time, so that the client knows that its acknowledgement has arrived.
            if client.heartbeats == 0 { return client.send(Sample.ack + Sample.heartbeat) }
            while client.responses[id + 1] != nil { id += 1 }
            client.send(try UDPBench.request(id + 1, "{\"n\":\(id + 1)}"))
        }
    }
}
