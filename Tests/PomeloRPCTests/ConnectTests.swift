// SPDX-License-Identifier: MIT
import Glibc
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloUV
import PomeloWire
import Testing

@testable import PomeloRPC

/// How connections between servers come about when something stands in the way.
@Suite struct ConnectTests {
    // MARK: peers that hang up

    /// `a` has a connection to `b`, and each further one is cut 5 ms after its handshake while `hangsUp`.
    @Loop private final class HangingUp {
        let cluster = MemoryCluster()
        let servers: (TestServer, TestServer)
        var hangsUp = true

        init() async throws {
            servers = try await cluster.pair()
            await settle()
            servers.1.directory.remove(["a"])
            await settle()
            cluster.net.fate = { [unowned self] _, frame in
                if hangsUp, frame == .welcome {
                    _ = cluster.clock.schedule(after: .milliseconds(5)) { [net = cluster.net] in net.cutAll() }
                }
                return .pass
            }
            cluster.net.cutAll()
        }
    }

    /// A server that accepts, shakes hands and hangs up is dialled ever more rarely.
    @Test @Loop func aPeerThatHangsUpAfterEachHandshakeIsDialledEverMoreRarely() async throws {
        let test = try await HangingUp()
        let before = test.cluster.net.dials
        await test.cluster.advance(.seconds(10))
        // 50 ms, doubled up to 2 s, take 3.2 s for six; then one every two seconds.
        let dials = test.cluster.net.dials - before
        #expect((7...12).contains(dials), "\(dials)")
        #expect(!test.servers.0.directory.isSuspect("b"), "it shakes hands")
    }

    /// A connection that lived for ten seconds was a good one: its end is mended at once.
    @Test(arguments: [9, 11])
    @Loop func aConnectionThatLivedMakesUpForFailures(seconds: Int) async throws {
        let test = try await HangingUp()
        let net = test.cluster.net
        await test.cluster.advance(.seconds(10))
        test.hangsUp = false
        while net.connections == 0 { await test.cluster.advance(.milliseconds(10)) }
        await test.cluster.advance(.seconds(seconds), step: .milliseconds(50))
        let before = net.dials
        net.cutAll()
        await test.cluster.advance(.milliseconds(100))
        #expect(net.dials - before == (seconds > 10 ? 1 : 0))
    }

    // MARK: a stop meanwhile

    @Test @Loop func aStopDuringAConnectClosesTheSocket() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        await settle()
        b.directory.remove(["a"])
        await settle()
        cluster.net.holdsDials = true
        cluster.net.frozen = [b.info.record.port]
        cluster.net.cutAll()
        let before = cluster.net.dials
        await cluster.advance(.milliseconds(100))
        #expect(cluster.net.dials == before + 1)
        let call = a.begin(b)
        await settle()
        await a.transport.stop(within: .zero)
        cluster.net.holdsDials = false
        await settle()
        #expect(cluster.net.connections == 0 && call.kind == "notSent")
    }

    // MARK: names

    /// An address that takes connections and never lets one stand, as a host does that a firewall drops.
    private final class BlackHole {
        private var descriptors: [Int32] = []

        init(port: Int) throws {
            let listener = try unsafe open(port) { unsafe Glibc.bind($0, $1, $2) }
            guard listen(listener, 0) == 0 else { throw Failed() }
            // The queue of one is full with the first; no later one is answered.
            for _ in 0..<4 {
                _ = try unsafe open(port) { descriptor, address, length in
                    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
                    _ = unsafe connect(descriptor, address, length)
                    return 0
                }
            }
        }

        struct Failed: Error {}

        private func open(
            _ port: Int, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
        ) throws -> Int32 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0002).bigEndian
            let status = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard status == 0 else { throw Failed() }
            return descriptor
        }

        deinit { for descriptor in descriptors { Glibc.close(descriptor) } }
    }

    /// A host with two addresses of which the first swallows everything is reached, and within the call's deadline.
    @Test @Loop func aHostWhoseFirstAddressIsABlackHoleIsReached() async throws {
        let network = UVNetwork()
        network.resolver.hosts = ["two": "127.0.0.2 127.0.0.1"]
        let cluster = TransportCluster(network: network, clock: SystemClock.shared, seed: nil)
        var options = RPCOptions()
        options.handshakeTimeout = .seconds(4)
        let (a, b) = try await cluster.pair(options)
        let hole = try BlackHole(port: b.info.record.port)
        var info = b.info
        info.record.host = "two"
        a.directory.remove(["b"])
        a.directory.add([info])
        var call = a.begin("b", "echo", [1], within: .seconds(30))
        #expect(
            await eventually {
                // A machine under load may miss the half of the handshake's time that is left.
                if call.kind == "notSent" { call = a.begin("b", "echo", [1], within: .seconds(30)) }
                return call.kind == "reply"
            })
        for server in [a, b] { await server.transport.stop(within: .seconds(1)) }
        withExtendedLifetime(hole) {}
    }

    // MARK: floods

    /// Silent connections do not keep a server out: the oldest gives way.
    @Test @Loop func aFloodOfSilentConnectionsKeepsNoServerOut() async throws {
        var options = RPCOptions()
        options.maxPendingHandshakes = 40
        options.maxPendingHandshakesPerAddress = 30
        let clock = ManualClock()
        let cluster = TransportCluster(network: UVNetwork(), clock: clock, seed: nil)
        let (a, b) = try await cluster.pair(options)
        var clients: [RawClient] = []
        for _ in 0..<100 { clients.append(try await RawClient(b)) }
        #expect(await eventually { clients.prefix(70).allSatisfy { $0.end != nil } }, "the oldest have given way")
        #expect(b.transport.handshakes == 30 && clients.suffix(30).allSatisfy { $0.end == nil })
        let joiner = TestServer("c", instance: "c1", options: options)
        try await joiner.start(cluster)
        joiner.directory.add([b.info])
        try await joiner.transport.proveSecret(to: b.info)
        #expect(await joiner.call(b).isReply)
        #expect(await a.call(b).isReply)
        #expect(b.transport.handshakes <= 30)
        for client in clients { client.stream.close() }
        for server in [a, b, joiner] { await server.transport.stop(within: .seconds(2)) }
    }
}
