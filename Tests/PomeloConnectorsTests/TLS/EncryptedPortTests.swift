// SPDX-License-Identifier: MIT
#if TLS
    import Foundation
    import PomeloConnectors
    import PomeloCore
    import PomeloLoop
    import PomeloTLS
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    /// A port that speaks TLS, to programs that are not ours.
    @Loop @Suite struct EncryptedPortTests {
        @Test(arguments: ["-tls1_2", "-tls1_3"]) func opensslSpeaksEachVersion(_ version: String) async throws {
            let port = try await EncryptedPort.start()
            let text = try await port.openssl([version, "-verify_return_error", "-alpn", "h2,http/1.1"])
            #expect(text.contains("Verify return code: 0 (ok)"))
            #expect(text.contains("ALPN protocol: http/1.1"))
            await port.stop()
        }

        @Test func anOlderVersionIsRefused() async throws {
            let port = try await EncryptedPort.start()
            let text = try await port.openssl(["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"])
            #expect(text.contains("alert protocol version"))
            await until("it is counted") { port.connector.statistics.undetected == 0 }
            await port.stop()
        }

        @Test(arguments: ["-tls1_2", "-tls1_3"]) func aSessionIsResumedByItsTicket(_ version: String) async throws {
            let port = try await EncryptedPort.start()
            let file = NSTemporaryDirectory() + "pomelo-session-\(UUID().uuidString)"
            // The tickets of 1.3 come behind the handshake, with the first answer.
            let first = try await port.openssl(
                [version, "-sess_out", file, "-quiet"], saying: "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            #expect(first.contains("HTTP/1.1 200"))
            #expect(try await port.openssl([version, "-sess_in", file]).contains("Reused, TLSv1"))
            await port.stop()
        }

        /// Where it was sealed by another's key, as before a certificate was exchanged, it is as if there were none.
        @Test(arguments: ["-tls1_2", "-tls1_3"])
        func aTicketOfAnotherKeyResumesNothing(_ version: String) async throws {
            let (one, another) = (try await EncryptedPort.start(), try await EncryptedPort.start())
            let file = NSTemporaryDirectory() + "pomelo-session-\(UUID().uuidString)"
            let question = "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
            _ = try await one.openssl([version, "-sess_out", file, "-quiet"], saying: question)
            let text = try await another.openssl([version, "-sess_in", file, "-verify_return_error"])
            #expect(text.contains("New, TLSv1") && !text.contains("Reused"))
            #expect(text.contains("Verify return code: 0 (ok)"))
            await one.stop()
            await another.stop()
        }

        @Test func curlIsAnsweredAndBelievesOnlyTheAuthority() async throws {
            let port = try await EncryptedPort.start()
            let url = "https://localhost:\(port.address.port)/"
            let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*"]
            let known = try await ChildProcess.run(.init("curl", status + ["--cacert", port.authority.file, url]))
            #expect(known.lines == ["200"])
            let unknown = try await ChildProcess.run(.init("curl", status + [url]))
            #expect(unknown.ending == .exited(60))
            await port.stop()
        }

        @Test(arguments: TestClient.Transport.allCases) func aPomeloClientDoesAllItDoes(
            _ transport: TestClient.Transport
        ) async throws {
            let port = try await EncryptedPort.start()
            let client = try await port.connect(transport)
            let body = Array("{\"a\":\"\(String(repeating: "x", count: 50_000))\"}".utf8)
            #expect(try await client.answer(to: try client.ask("some.route.here", body)) == body)
            #expect(port.host.messages.count == 1)
            port.host.session?.socket.close(kick: "enough")
            try await eventually("it is kicked") { client.kick != nil }
            await port.stop()
        }

        @Test func bytesInTheClearAreNobodys() async throws {
            let port = try await EncryptedPort.start()
            let raw = try await UVNetwork().connect(to: port.address, within: .seconds(5))
            let ended = Ending(raw)
            raw.write([1, 0, 0, 0])
            await until("the end") { ended.reason != nil }
            #expect(port.host.sessions.isEmpty && port.connector.statistics.accepted == 1)
            await until("nothing is left") { port.connector.statistics.undetected == 0 }
            await port.stop()
        }

        @Test func whoStopsInTheMiddleOfAHandshakeIsClosedInTime() async throws {
            let clock = ManualClock()
            let network = MemoryNetwork(clock: clock)
            let port = try await EncryptedPort.start(on: network.endpoint("server"), clock: clock)
            let raw = try await network.endpoint("client").connect(to: port.address, within: .seconds(5))
            let ended = Ending(raw)
            // The head of a record of 512 bytes that do not come.
            raw.write([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3])
            await until("it is there") { port.connector.statistics.pending == 1 }
            clock.advance(by: .seconds(11))
            await until("the end") { ended.reason != nil }
            #expect(port.connector.statistics.faults == [.handshakeTimeout: 1])
            await port.stop()
        }

        @Test func aCertificateIsExchangedUnderLoadAndNobodyIsLost() async throws {
            let port = try await EncryptedPort.start(reloading: .milliseconds(10))
            var clients: [TestClient] = []
            for index in 0..<20 { clients.append(try await port.connect(index % 2 == 0 ? .tcp : .webSocket)) }
            for round in 0..<10 {
                try port.authority.replace(port.options, by: try await port.authority.issue())
                for client in clients { _ = try await client.answer(to: try client.ask(FakeHost.unrecorded, [])) }
                let late = try await port.connect(round % 2 == 0 ? .tcp : .webSocket)
                clients.append(late)
            }
            #expect(clients.allSatisfy { $0.end == nil })
            #expect(port.host.sessions.count == 30)
            await port.stop()
        }

        @Test(
            arguments: [
                (true, false, "is to speak TLS, and has no certificate: give it \"tls\""),
                (nil, true, "has a certificate: say in its entry of clients whether \"tls\" is true or false"),
            ] as [(Bool?, Bool, String)])
        func whatDoesNotFitTogetherIsToldAtTheStart(_ wanted: Bool?, _ isGiven: Bool, _ text: String) async throws {
            var options = HybridOptions(heartbeat: nil)
            if isGiven { options.tls = TLSServerOptions(certificateFile: "a", keyFile: "b") }
            let connector = HybridConnector(options)
            let context = ConnectorContext(
                network: UVNetwork(), clock: SystemClock.shared, random: RandomSource(seed: 1),
                address: SocketAddress(host: "127.0.0.1", port: 0), tls: wanted)
            let error = await thrown { try await connector.start(FakeHost(), context) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("the port 0 of hybrid " + text))
        }

        private func thrown(_ body: @Loop () async throws -> Void) async -> (any Error)? {
            do {
                try await body()
                return nil
            } catch {
                return error
            }
        }
    }

    /// A hybrid connector with a certificate.
    @Loop struct EncryptedPort {
        let authority: TestAuthority
        let options: TLSServerOptions
        let host = FakeHost()
        let connector: HybridConnector
        let network: any Network

        static func start(
            on network: any Network = UVNetwork(), clock: any LoopClock = SystemClock.shared,
            reloading interval: Duration = .zero
        ) async throws -> EncryptedPort {
            let authority = try await TestAuthority.make()
            var tls = try await authority.issue()
            tls.reloadInterval = interval
            var options = HybridOptions(heartbeat: nil)
            options.tls = tls
            let port = EncryptedPort(
                authority: authority, options: tls, connector: HybridConnector(options), network: network)
            try await port.connector.start(
                port.host,
                ConnectorContext(
                    network: network, clock: clock, random: RandomSource(seed: 1),
                    address: SocketAddress(host: "127.0.0.1", port: 0), tls: true))
            return port
        }

        var address: SocketAddress { connector.localAddress ?? SocketAddress(host: "nowhere", port: 0) }

        func connect(_ transport: TestClient.Transport) async throws -> TestClient {
            let secured = TLSNetwork(network, try TLSClient(authority.clientOptions))
            let client = try await TestClient.connect(to: address, over: secured, as: transport)
            try await client.handshake()
            _ = try await client.answer(to: try client.ask(FakeHost.unrecorded, []))
            return client
        }

        /// What `openssl s_client` says of it, errors included.
        func openssl(_ arguments: [String], saying text: String = "") async throws -> String {
            let words = [
                "-connect", "127.0.0.1:\(address.port)", "-servername", "localhost", "-CAfile", authority.file,
            ]
            let line =
                "printf '\(text)' | timeout 20 openssl s_client \((words + arguments).joined(separator: " ")) 2>&1"
            return try await ChildProcess.run(.init("sh", ["-c", line])).lines.joined(separator: "\n")
        }

        func stop() async { await connector.stop() }
    }

    @Loop private final class Ending: ByteStreamDelegate {
        var reason: StreamEnd?
        private let stream: any ByteStream

        init(_ stream: any ByteStream) {
            self.stream = stream
            stream.delegate = self
        }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {}
        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { self.reason = reason }
    }
#endif
