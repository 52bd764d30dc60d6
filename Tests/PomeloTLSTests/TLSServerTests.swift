// SPDX-License-Identifier: MIT
#if TLS
    import Foundation
    import PomeloLibc
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloTLS

    /// Certificates are exchanged while clients are connected, and nobody who shakes hands keeps the others waiting.
    @Loop @Suite struct TLSServerTests {
        @Test func aNewCertificateIsShownToWhoConnectsFromThenOn() async throws {
            let (old, new) = (try await TestAuthority.make(), try await TestAuthority.make())
            var options = try await old.issue()
            options.reloadInterval = .milliseconds(20)
            let server = try TLSServer(options, clock: SystemClock.shared)
            defer { server.stop() }
            var told: [TLSError?] = []
            server.watch { told.append($0) }
            let before = try await connect(to: server, old.clientOptions)
            #expect(await before.isOpened)

            try old.replace(options, by: try await new.issue())
            await until("it is read") { server.loads == 2 && told.count == 1 }
            #expect(told == [nil])
            #expect(try await connect(to: server, new.clientOptions).isOpened)
            #expect(try await !connect(to: server, old.clientOptions).isOpened)
            // Who is connected stays so.
            before.client.stream.write([2])
            await until("it is still heard") { before.server.received == [1, 2] }
        }

        @Test func filesThatAreOfNoUseAreToldOfOnceAndTheOldOnesStay() async throws {
            let authority = try await TestAuthority.make()
            var options = try await authority.issue()
            options.reloadInterval = .milliseconds(10)
            let server = try TLSServer(options, clock: SystemClock.shared)
            defer { server.stop() }
            var told: [TLSError?] = []
            server.watch { told.append($0) }
            try Data("no key".utf8).write(to: URL(fileURLWithPath: options.keyFile))
            await until("it is told") { told.count == 1 }
            let error = try #require(told[0])
            #expect(error.description.hasPrefix("the key \(options.keyFile) cannot be used"))
            #expect(try await connect(to: server, authority.clientOptions).isOpened)
            try authority.replace(options, by: try await authority.issue())
            await until("the next ones are read") { told.count == 2 }
            #expect(told[1] == nil && server.loads == 2)
        }

        /// Whoever reads a pipe that nobody writes to waits for ever, and looks at no file again.
        @Test func aPipeInThePlaceOfACertificateIsToldOf() async throws {
            let authority = try await TestAuthority.make()
            var options = try await authority.issue()
            options.reloadInterval = .milliseconds(10)
            let server = try TLSServer(options, clock: SystemClock.shared)
            defer { server.stop() }
            var told: [TLSError?] = []
            server.watch { told.append($0) }
            try FileManager.default.removeItem(atPath: options.certificateFile)
            let made = unsafe mkfifo(options.certificateFile, 0o600)
            #expect(made == 0)
            await until("it is told") { told.contains(TLSError("\(options.certificateFile) is no file")) }
            try FileManager.default.removeItem(atPath: options.certificateFile)
            try authority.replace(options, by: try await authority.issue())
            await until("the next ones are read") { server.loads == 2 }
            #expect(try await connect(to: server, authority.clientOptions).isOpened)
        }

        @Test func aTurnHasRoomForSoManyStepsOfHandshakes() {
            let shares = HandshakeShares()
            for _ in 0..<HandshakeShares.ofAll {
                #expect(shares.take())
                shares.noteWork()
            }
            #expect(!shares.take())
        }

        @Test func whatIsNoStepCountsForLittle() {
            let shares = HandshakeShares()
            for _ in 0..<HandshakeShares.ofAll * HandshakeShares.readingsOfStep { #expect(shares.take()) }
            #expect(!shares.take())
        }

        /// A thousand who send a byte each turn, before whom somebody in earnest comes last.
        @Test func whoSendsByteByByteKeepsNobodyWaitingForLong() async throws {
            let authority = try await TestAuthority.make()
            let server = try TLSServer(try await authority.issue(), clock: SystemClock.shared)
            let drops = try (0..<1000).map { _ in
                let lower = FedStream()
                return (lower, Recorder(try server.accept(lower)))
            }
            for (lower, _) in drops { lower.feed([0x16]) }
            let lower = FedStream()
            let earnest = Recorder(try server.accept(lower))
            let peer = try TLSClient(authority.clientOptions).engine(to: "localhost")
            let first = EventLoop.shared.turns
            lower.feed(peer.takeOutput())
            var answer: [UInt8] = []
            while answer.isEmpty, EventLoop.shared.turns < first + 1000 {
                for (lower, _) in drops where lower.isReading { lower.feed([3]) }
                await SystemClock.shared.sleep(for: .zero)
                answer = lower.taken()
            }
            // 1000 readings at 128 a turn, and some for who drives this test.
            #expect(EventLoop.shared.turns < first + 40)
            #expect(!answer.isEmpty && earnest.ends.isEmpty)
        }

        @Test func manyHandshakesAtOnceAllEndWell() async throws {
            let authority = try await TestAuthority.make()
            let server = try TLSServer(try await authority.issue(), clock: SystemClock.shared)
            var pairs: [Accepted] = []
            for _ in 0..<40 { pairs.append(try await connect(to: server, authority.clientOptions)) }
            for pair in pairs { #expect(await pair.isOpened) }
        }

        @Loop struct Accepted {
            let client: Recorder
            let server: Recorder

            var isOpened: Bool {
                get async {
                    await until("it is decided") { !server.received.isEmpty || !client.ends.isEmpty }
                    return server.received == [1]
                }
            }
        }

        private func connect(to server: TLSServer, _ options: TLSClientOptions) async throws -> Accepted {
            let network = MemoryNetwork(clock: SystemClock.shared)
            var accepted: Recorder?
            let listener = try await network.endpoint("server").listen(on: SocketAddress(host: "server", port: 0)) {
                raw in
                do {
                    accepted = Recorder(try server.accept(raw))
                } catch {
                    raw.close()
                }
            }
            let raw = try await network.endpoint("client").connect(to: listener.localAddress, within: .seconds(5))
            let client = Recorder(try TLSClient(options).connect(raw, to: "localhost"))
            client.stream.write([1])
            try await eventually("the connection is accepted") { accepted != nil }
            guard let accepted else { throw Unmet(description: "nobody came") }
            return Accepted(client: client, server: accepted)
        }
    }
#endif
