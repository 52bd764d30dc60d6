// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The sockets of the kernel and those in memory keep the same promises.
@Suite struct DatagramSocketTests {
    enum Kind: CaseIterable, Sendable { case kernel, kernelV6, memory }

    @Loop private struct World {
        let network: any Network
        let host: String

        init?(_ kind: Kind) {
            switch kind {
            case .kernel: (network, host) = (UVNetwork(), "127.0.0.1")
            case .kernelV6:
                guard FileManager.default.fileExists(atPath: "/proc/net/if_inet6") else { return nil }
                (network, host) = (UVNetwork(), "::1")
            case .memory:
                (network, host) = (MemoryNetwork(clock: SystemClock.shared).endpoint("here"), "127.0.0.1")
            }
        }

        func bind(_ options: DatagramOptions = DatagramOptions(), port: Int = 0) async throws -> DatagramRecorder {
            let address = SocketAddress(host: host, port: port)
            return DatagramRecorder(try await network.bindDatagrams(on: address, options))
        }
    }

    @Test(arguments: Kind.allCases) @Loop func aDatagramArrivesWholeWithItsSender(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (one, other) = (try await world.bind(), try await world.bind())
        for size in [1, 0, 4, 1400, 65_507 - 20] {
            let bytes = Bytes((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            #expect(one.socket.send(bytes, to: other.address))
            await until("it arrived") { !other.received.isEmpty }
            #expect(other.received.map(\.bytes) == [bytes] && other.received.first?.from == one.address)
            other.received = []
        }
        #expect(one.socket.losses == DatagramLosses() && one.socket.queuedBytes == 0)
        one.socket.close()
        other.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func manyOfOneTurnComeInOrder(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (one, other) = (try await world.bind(), try await world.bind())
        let sent = (0..<100).map { Bytes("\($0)".utf8) }
        for bytes in sent { one.socket.send(bytes, to: other.address) }
        await until("all arrived") { other.received.count >= 100 }
        #expect(other.received.map(\.bytes) == sent)
        one.socket.close()
        other.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func anAnswerFindsItsWay(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (client, server) = (try await world.bind(), try await world.bind())
        server.onDatagram = { bytes, from in server.socket.send(bytes + bytes, to: from) }
        client.socket.send([7], to: server.address)
        await until("it came back") { client.received.map(\.bytes) == [[7, 7]] }
        client.socket.close()
        server.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func whatIsTooLongIsRefusedAndCounted(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (one, other) = (try await world.bind(), try await world.bind())
        #expect(!one.socket.send(Bytes(repeating: 1, count: 65_600), to: other.address))
        #expect(one.socket.losses.unsendable == 1)
        one.socket.send([1], to: other.address)
        await until("the next one arrived") { other.received.map(\.bytes) == [[1]] }
        one.socket.close()
        other.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func whatIsLongerThanWantedIsDroppedAndCounted(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        var options = DatagramOptions()
        options.maxBytes = 100
        let (one, other) = (try await world.bind(), try await world.bind(options))
        for size in [101, 100, 5000, 99] { one.socket.send(Bytes(repeating: 1, count: size), to: other.address) }
        await until("two arrived") { other.received.count == 2 }
        #expect(other.received.map(\.bytes.count) == [100, 99])
        #expect(other.socket.losses.truncated == 2)
        one.socket.close()
        other.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func nobodyThereHarmsNobody(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (one, other, gone) = (try await world.bind(), try await world.bind(), try await world.bind())
        gone.socket.close()
        for _ in 0..<20 {
            one.socket.send([1], to: gone.address)
            await Loop.yield()
        }
        one.socket.send([2], to: other.address)
        other.onDatagram = { _, from in other.socket.send([3], to: from) }
        await until("it came back") { one.received.map(\.bytes) == [[3]] }
        one.socket.close()
        other.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func aPortIsTakenOnceAndFreeAgain(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        // A port of streams is another one.
        let address = SocketAddress(host: world.host, port: try await TestPorts.next())
        let listener = try await world.network.listen(on: address) { _ in }
        let first = try await world.bind(port: listener.localAddress.port)
        #expect(first.address == listener.localAddress)
        listener.close()
        let error = await #expect(throws: NetworkError.self) { _ = try await world.bind(port: first.address.port) }
        #expect(error?.code == "EADDRINUSE" && error?.description.contains("\(first.address)") == true)
        first.socket.close()
        let second = try await world.bind(port: first.address.port)
        #expect(second.address == first.address)
        second.socket.close()
    }

    @Test(arguments: Kind.allCases) @Loop func closedMeansClosed(_ kind: Kind) async throws {
        guard let world = World(kind) else { return }
        let (one, other) = (try await world.bind(), try await world.bind())
        other.onDatagram = { _, _ in other.socket.close() }
        one.socket.send([1], to: other.address)
        one.socket.send([2], to: other.address)
        await until("the first arrived") { !other.received.isEmpty }
        #expect(!other.socket.send([3], to: one.address))
        for _ in 0..<20 { await Loop.yield() }
        #expect(other.received.map(\.bytes) == [[1]])
        other.socket.close()
        one.socket.close()
        #expect(one.socket.delegate == nil)
    }

    /// One socket for both families, as listeners have it.
    @Test @Loop func aSocketOnAllAddressesHearsBothFamilies() async throws {
        guard FileManager.default.fileExists(atPath: "/proc/net/if_inet6") else { return }
        let network = UVNetwork()
        let all = DatagramRecorder(
            try await network.bindDatagrams(on: SocketAddress(host: "::", port: 0), DatagramOptions()))
        all.onDatagram = { bytes, from in all.socket.send(bytes, to: from) }
        for host in ["127.0.0.1", "::1"] {
            let one = DatagramRecorder(
                try await network.bindDatagrams(on: SocketAddress(host: host, port: 0), DatagramOptions()))
            one.socket.send([5], to: SocketAddress(host: host, port: all.address.port))
            await until("it came back over \(host)") { one.received.map(\.bytes) == [[5]] }
            one.socket.close()
        }
        all.socket.close()
    }

    // MARK: faults of the network in memory

    @Test @Loop func lossDuplicationAndReorderingRepeatExactly() async throws {
        func run(_ seed: UInt64) async throws -> [Bytes] {
            let clock = ManualClock()
            let network = MemoryNetwork(clock: clock, random: RandomSource(seed: seed))
            network.datagramFaults = DatagramFaults(loss: 0.2, duplication: 0.2, reordering: 0.3)
            let address = SocketAddress(host: "127.0.0.1", port: 0)
            let one = try await network.endpoint("a").bindDatagrams(on: address, DatagramOptions())
            let other = DatagramRecorder(
                try await network.endpoint("b").bindDatagrams(on: address, DatagramOptions()))
            for number in 0..<200 { one.send([UInt8(number)], to: other.address) }
            for _ in 0..<100 {
                for _ in 0..<5 { await Loop.yield() }
                clock.advance(by: .milliseconds(1))
            }
            return other.received.map(\.bytes)
        }
        let first = try await run(3)
        #expect(try await run(3) == first)
        #expect(try await run(4) != first)
        let distinct = Set(first)
        #expect((120..<190).contains(distinct.count), "some are lost")
        #expect(first.count > distinct.count + 10, "some come twice")
        #expect(first != first.sorted { $0[0] < $1[0] }, "some are late")
    }

    @Test @Loop func aPartitionLosesDatagrams() async throws {
        let network = MemoryNetwork(clock: ManualClock())
        let address = SocketAddress(host: "127.0.0.1", port: 0)
        let one = try await network.endpoint("a").bindDatagrams(on: address, DatagramOptions())
        let other = DatagramRecorder(try await network.endpoint("b").bindDatagrams(on: address, DatagramOptions()))
        network.partition("a", "b")
        one.send([1], to: other.address)
        network.heal("a", "b")
        one.send([2], to: other.address)
        for _ in 0..<20 { await Loop.yield() }
        #expect(other.received.map(\.bytes) == [[2]])
    }

    @Test @Loop func aNetworkWithoutDatagramsSaysSo() async throws {
        let error = await #expect(throws: NetworkError.self) {
            _ = try await Streams().bindDatagrams(on: SocketAddress(host: "h", port: 1), DatagramOptions())
        }
        #expect(error?.code == "ENOTSUP" && error?.description.contains("h:1") == true)
    }

    @Loop private final class Streams: Network {
        func listen(on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void)
            async throws(NetworkError) -> any StreamListener
        { throw NetworkError(code: "E", description: "") }
        func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError)
            -> any ByteStream
        { throw NetworkError(code: "E", description: "") }
    }
}

/// Remembers what a socket receives.
@Loop final class DatagramRecorder: DatagramSocketDelegate {
    let socket: any DatagramSocket
    let address: SocketAddress
    var received: [(bytes: Bytes, from: SocketAddress)] = []
    var onDatagram: (@Loop (Bytes, SocketAddress) -> Void)?

    init(_ socket: any DatagramSocket) {
        self.socket = socket
        address = socket.localAddress
        socket.delegate = self
    }

    func datagramSocket(
        _ socket: any DatagramSocket, didReceive bytes: borrowing Span<UInt8>, from peer: SocketAddress
    ) {
        var copy = Bytes()
        for index in bytes.indices { copy.append(bytes[index]) }
        received.append((copy, peer))
        onDatagram?(copy, peer)
    }

    func datagramSocketDidDrain(_ socket: any DatagramSocket) {}
}
