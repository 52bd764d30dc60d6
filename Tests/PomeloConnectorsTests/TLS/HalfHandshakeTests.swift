// SPDX-License-Identifier: MIT
#if TLS
    import Glibc
    import PomeloBytes
    import PomeloCore
    import PomeloLoop
    import PomeloTLS
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    @testable import PomeloConnectors

    /// Handshakes of TLS that stop half way, at every connector that can be encrypted: they take no more places than
    /// silence does, end in time, are counted, and keep nobody waiting.
    @Loop @Suite struct HalfHandshakeTests {
        /// What is spoken behind the handshake.
        enum Kind: CaseIterable, Sendable { case packages, webSocket, socketIO, codec, mqtt }

        /// Where it stops.
        enum Stop: CaseIterable, Sendable {
            case beforeAnything, afterAByte, inTheGreeting, afterTheGreeting, afterTheAnswer, byteByByte, inNonsense
        }

        @Loop final class Half: ByteStreamDelegate {
            let stream: any ByteStream
            private(set) var end: StreamEnd?
            private(set) var heard = 0

            init(_ stream: any ByteStream) {
                self.stream = stream
                stream.delegate = self
            }

            func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) { heard += bytes.count }
            func streamDidDrain(_ stream: any ByteStream) {}
            func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { end = reason }
        }

        @Loop struct Place {
            let authority: TestAuthority
            let connector: PortConnector
            let host = FakeHost()
            let kind: Kind
            let clock: any LoopClock
            let client: TLSClient

            static func start(
                _ kind: Kind, on network: any Network, clock: any LoopClock, _ change: (inout ClientLimits) -> Void
            ) async throws -> Place {
                let authority = try await TestAuthority.make()
                var limits = ClientLimits()
                change(&limits)
                let connector = make(kind, limits, try await authority.issue())
                let place = Place(
                    authority: authority, connector: connector, kind: kind, clock: clock,
                    client: try TLSClient(authority.clientOptions))
                try await connector.start(
                    place.host,
                    ConnectorContext(
                        network: network, clock: clock, random: RandomSource(seed: 1),
                        address: SocketAddress(host: "127.0.0.1", port: 0), tls: true))
                return place
            }

            private static func make(_ kind: Kind, _ limits: ClientLimits, _ tls: TLSServerOptions) -> PortConnector {
                switch kind {
                case .packages, .webSocket:
                    var options = HybridOptions(heartbeat: nil)
                    (options.limits, options.tls) = (limits, tls)
                    return HybridConnector(options)
                case .socketIO:
                    var options = SocketIOOptions()
                    (options.limits, options.tls) = (limits, tls)
                    return SocketIOConnector(options)
                case .mqtt:
                    var options = MQTTOptions()
                    (options.limits, options.tls) = (limits, tls)
                    return MQTTConnector(options)
                case .codec:
                    var options = CodecConnector.Options()
                    options.framing = .lines
                    (options.limits, options.tls) = (limits, tls)
                    return CodecConnector(
                        type: "lines", options,
                        decode: .immediate { bytes, _ in
                            DecodedMessage(id: 1, route: FakeHost.unrecorded, body: bytes)
                        },
                        encode: .immediate { $0.body })
                }
            }

            var address: SocketAddress { connector.localAddress ?? SocketAddress(host: "nowhere", port: 0) }
            func fault(_ fault: ConnectionFault) -> Int { connector.statistics.faults[fault] ?? 0 }

            /// Somebody who is in earnest is served, from the handshake to an answer.
            func serves(over network: any Network) async throws {
                let secured = TLSNetwork(network, client)
                switch kind {
                case .packages, .webSocket:
                    let client = try await TestClient.connect(
                        to: address, over: secured, as: kind == .packages ? .tcp : .webSocket, clock: clock)
                    try await client.handshake()
                    _ = try await client.answer(to: try client.ask(FakeHost.unrecorded, []))
                    client.close()
                case .socketIO:
                    try await SocketIOTestClient.connect(to: address, over: secured, .webSocket).close()
                case .mqtt:
                    let client = MQTTSuiteClient(try await secured.connect(to: address, within: .seconds(20)))
                    try await client.connect()
                    client.close()
                case .codec:
                    let half = Half(try await secured.connect(to: address, within: .seconds(20)))
                    half.stream.write(Bytes("word\n".utf8))
                    try await eventually("an answer") { half.heard > 0 }
                    half.stream.close()
                }
            }

            /// What one says that stops there.
            func words(_ stop: Stop) throws -> Bytes {
                let hello = try client.engine(to: "localhost").takeOutput()
                switch stop {
                case .beforeAnything: return []
                case .afterAByte, .byteByByte: return [hello[0]]
                case .inTheGreeting: return Array(hello.prefix(hello.count / 2))
                case .afterTheGreeting, .afterTheAnswer: return hello
                case .inNonsense: return Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
                }
            }

            /// One that stops.
            func half(_ stop: Stop, over network: any Network) async throws -> Half {
                let half = Half(try await network.connect(to: address, within: .seconds(20)))
                half.stream.write(try words(stop))
                // What is written leaves at the end of a turn, and many connect in one.
                let waits = stop == .afterTheAnswer || stop == .inNonsense
                if waits {
                    try await eventually("an answer", every: .milliseconds(1)) {
                        half.end != nil || stop == .afterTheAnswer && half.heard > 0
                    }
                }
                return half
            }
        }

        /// Two hundred, of whom 80 have a place; from one address, for in memory there is one.
        @Test(arguments: Kind.allCases, Stop.allCases)
        func halvesTakeTheirPlacesAndEndInTime(_ kind: Kind, _ stop: Stop) async throws {
            let clock = ManualClock()
            let network = MemoryNetwork(clock: clock)
            let place = try await Place.start(kind, on: network.endpoint("127.0.0.1"), clock: clock) {
                $0.maxPending = 80
            }
            var halves: [Half] = []
            for _ in 0..<200 { halves.append(try await place.half(stop, over: network.endpoint("198.51.100.1"))) }
            await until("all have come") { place.connector.statistics.accepted == 200 }
            guard stop != .inNonsense else {
                await until("all have gone") { halves.allSatisfy { $0.end != nil } }
                #expect(place.fault(.brokenTLS) == 200 && place.fault(.crowdedOut) == 0)
                return try await rest(place, clock, network)
            }
            await until("there is room") { halves.count { $0.end == nil } == 80 }
            #expect(place.connector.statistics.pending == 80 && place.fault(.crowdedOut) == 120)
            try await place.serves(over: network.endpoint("203.0.113.1"))
            // A byte each second is no handshake either.
            for second in 1...11 {
                if stop == .byteByByte, second < 10 { for half in halves { half.stream.write([3]) } }
                await settle()
                clock.advance(by: .seconds(1))
            }
            await until("all have gone") { halves.allSatisfy { $0.end != nil } }
            // For whoever was in earnest one more made room.
            #expect(place.connector.statistics.faults == [.crowdedOut: 121, .handshakeTimeout: 79])
            try await rest(place, clock, network)
        }

        private func settle() async { for _ in 0..<20 { await Loop.yield() } }

        /// Nothing is left of them, and whoever comes is served.
        private func rest(_ place: Place, _ clock: ManualClock, _ network: MemoryNetwork) async throws {
            try await place.serves(over: network.endpoint("203.0.113.2"))
            await until("nothing is left") {
                let now = place.connector.statistics
                return now.pending == 0 && now.open == 0 && now.heldBytes == 0 && network.connectionCount == 0
            }
            let stop = Loop.spawn { await place.connector.stop() }
            await settle()
            // As long as anything may take that belongs to a client.
            clock.advance(by: .seconds(20))
            await stop.value
            #expect(clock.pendingTimers == 0)
        }

        /// The end of a connection that was broken takes a while to leave; its place is free at once.
        @Test func whoHasBrokenItIsInNobodysWay() async throws {
            let clock = ManualClock()
            let network = MemoryNetwork(clock: clock)
            let place = try await Place.start(.packages, on: network.endpoint("127.0.0.1"), clock: clock) { _ in }
            var halves: [Half] = []
            for _ in 0..<5 {
                halves.append(try await place.half(.beforeAnything, over: network.endpoint("198.51.100.1")))
            }
            for half in halves { half.stream.write(try place.words(.inNonsense)) }
            network.block(from: "127.0.0.1", to: "198.51.100.1")
            await until("they are broken") { place.fault(.brokenTLS) == 5 }
            #expect(place.connector.statistics.pending == 0)
            network.heal("127.0.0.1", "198.51.100.1")
            await until("all have gone") { halves.allSatisfy { $0.end != nil } }
            #expect(place.connector.statistics.faults == [.brokenTLS: 5])
            try await rest(place, clock, network)
        }

        /// The same on the kernel's sockets, from addresses of this machine's own, all ways together; the time to end
        /// is ours, for whoever is in earnest may be slow on a machine that has much to do.
        @Test(arguments: Kind.allCases) func fourHundredOnRealSockets(_ kind: Kind) async throws {
            let clock = ManualClock()
            let place = try await Place.start(kind, on: UVNetwork(), clock: clock) { $0.maxPendingPerAddress = 40 }
            var crowd: [LocalSocket] = []
            for number in 0..<400 {
                let socket = try LocalSocket(from: number % 4 + 2, to: place.address.port)
                socket.send(try place.words(Stop.allCases[number / 4 % Stop.allCases.count]))
                crowd.append(socket)
                // As many as a turn accepts, so that none waits in a full queue of the kernel's.
                if number % 40 == 39 {
                    await until("they have come") { place.connector.statistics.accepted > number }
                }
            }
            try await place.serves(over: UVNetwork())
            #expect(place.connector.statistics.pending <= 160)
            clock.advance(by: .seconds(11))
            await until("all have gone") { place.connector.statistics.open == 0 }
            let faults = place.connector.statistics.faults
            #expect(faults.values.reduce(0, +) == 400)
            #expect(faults[.brokenTLS] ?? 0 > 0 && faults[.handshakeTimeout] ?? 0 > 0 && faults[.crowdedOut] ?? 0 > 0)
            #expect(crowd.count == 400)
            try await place.serves(over: UVNetwork())
            await place.connector.stop()
        }
    }

    /// A socket of the kernel without any of our code, bound to an address of this machine's own.
    final class LocalSocket {
        private let descriptor: Int32

        /// From 127.0.0.`last`.
        init(from last: Int, to port: Int) throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard unsafe Self.with(last, 0, { unsafe bind(descriptor, $0, $1) }) == 0,
                unsafe Self.with(1, port, { unsafe connect(descriptor, $0, $1) }) == 0
            else { throw Unmet(description: "no connection from 127.0.0.\(last): \(errno)") }
        }

        deinit { close(descriptor) }

        func send(_ bytes: Bytes) {
            let flags = Int32(MSG_NOSIGNAL)
            _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
        }

        private static func with(_ last: Int, _ port: Int, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
            -> Int32
        {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
            address.sin_addr.s_addr = (UInt32(0x7F00_0000) + UInt32(last)).bigEndian
            return unsafe withUnsafePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    unsafe call(address, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }
#endif
