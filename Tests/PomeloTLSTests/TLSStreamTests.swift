// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloTLS

    /// A stream that is encrypted behaves as any other.
    @Loop @Suite struct TLSStreamTests {
        @Test(arguments: [1, 7, 700, nil] as [Int?]) func whatIsSaidArrivesWholeBothWays(_ maxChunk: Int?) async throws
        {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(try await authority.issue(), authority.clientOptions, maxChunk: maxChunk)
            let bytes = pattern(maxChunk == 1 ? 3000 : 100_000)
            // Before the handshake is done, and in pieces.
            pair.client.stream.write(Array(bytes[..<10]))
            pair.client.stream.write(Array(bytes[10...]))
            pair.server.stream.write(bytes)
            await until("the server has it") { pair.server.received.count >= bytes.count }
            await until("the client has it") { pair.client.received.count >= bytes.count }
            #expect(pair.server.received == bytes)
            #expect(pair.client.received == bytes)
            #expect(pair.client.ends.isEmpty && pair.server.ends.isEmpty)
            await until("nothing waits") { pair.client.stream.queuedBytes == 0 && pair.server.stream.queuedBytes == 0 }
            #expect(pair.client.drains > 0)
        }

        @Test func aPausedUserGetsNothingUntilItReadsOn() async throws {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(try await authority.issue(), authority.clientOptions)
            let bytes = pattern(600_000)
            pair.server.onRead = {
                $0.stream.pauseReading()
                $0.onRead = nil
            }
            pair.client.stream.write(bytes)
            await until("something came") { !pair.server.received.isEmpty }
            let seen = pair.server.received.count
            #expect(seen <= TLSEngine.recordBytes)
            // What the window of the network takes goes on its way, and no further.
            await until("the client waits") { pair.client.stream.queuedBytes > 0 }
            for _ in 0..<20 { await Loop.yield() }
            #expect(pair.server.received.count == seen)
            pair.server.stream.resumeReading()
            await until("all came") { pair.server.received.count == bytes.count }
            #expect(pair.server.received == bytes)
        }

        @Test func closeAfterFlushDeliversEverythingThenTheEnd() async throws {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(try await authority.issue(), authority.clientOptions)
            pair.client.stream.write([1])
            await until("it is open") { !pair.server.received.isEmpty }
            let bytes = pattern(300_000)
            pair.server.stream.write(bytes)
            pair.server.stream.closeAfterFlush(within: .seconds(5))
            pair.server.stream.write([9])
            await until("the client's end") { !pair.client.ends.isEmpty }
            await until("the server's end") { !pair.server.ends.isEmpty }
            #expect(pair.client.received == bytes)
            #expect(pair.client.ends == [.peerClosed])
            #expect(pair.server.ends.count == 1)
        }

        @Test func closeEndsItOnceOnBothSides() async throws {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(try await authority.issue(), authority.clientOptions)
            pair.client.stream.write([1])
            await until("it is open") { !pair.server.received.isEmpty }
            pair.client.stream.close()
            pair.client.stream.close()
            await until("both ends") { !pair.client.ends.isEmpty && !pair.server.ends.isEmpty }
            #expect(pair.client.ends == [.closed])
            #expect(pair.server.ends == [.peerClosed])
            #expect(pair.client.stream.delegate == nil)
        }

        @Test func bytesThatAreNoTLSEndTheStreamByName() async throws {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(try await authority.issue(), authority.clientOptions, plain: true)
            pair.client.stream.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            await until("the end") { !pair.server.ends.isEmpty }
            #expect(pair.server.ends == [.failed("TLS: no TLS handshake: http request")])
            #expect(pair.server.received.isEmpty)
        }

        @Test func aByteChangedOnTheWayEndsIt() async throws {
            let authority = try await TestAuthority.make()
            let server = try TLSEngine(try TLSContext(server: try await authority.issue()), .server)
            let client = try TLSClient(authority.clientOptions).engine(to: "localhost")
            func deliver(_ bytes: [UInt8], to engine: TLSEngine) throws -> [UInt8] {
                var text: [UInt8] = []
                _ = try engine.take(bytes.span) {
                    for index in $0.indices { text.append($0[index]) }
                    return true
                }
                return text
            }
            for _ in 0..<4 {
                _ = try deliver(client.takeOutput(), to: server)
                _ = try deliver(server.takeOutput(), to: client)
            }
            #expect(client.isOpen && server.isOpen && client.version == "TLSv1.3")
            try client.seal(Array("hello".utf8))
            var sealed = client.takeOutput()
            sealed[sealed.count - 1] ^= 1
            #expect(throws: TLSError("broken TLS: decryption failed or bad record mac")) {
                try deliver(sealed, to: server)
            }
        }

        @Test func nothingIsKeptOfAConnectionThatEnded() async throws {
            let authority = try await TestAuthority.make()
            weak var stream: TLSStream?
            do {
                let pair = try await Pair.make(try await authority.issue(), authority.clientOptions)
                stream = pair.server.stream as? TLSStream
                pair.client.stream.write(pattern(10))
                await until("it is open") { !pair.server.received.isEmpty }
                pair.client.stream.close()
                await until("the end") { !pair.server.ends.isEmpty }
            }
            await until("it is gone") { stream == nil }
        }
    }
#endif
