// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloTLS

    /// Nothing is delivered to who has paused or closed, whenever that was.
    @Loop @Suite struct PauseTests {
        /// One end is read by hand: it is fed what the other has sent, in the pieces that a test wants.
        @Loop struct ByHand {
            let stream: TLSStream
            let lower = FedStream()
            let user: StreamProbe
            let peer: TLSEngine

            static func server(_ shares: HandshakeShares? = nil) async throws -> ByHand {
                let authority = try await TestAuthority.make()
                let engine = try TLSEngine(try TLSContext(server: try await authority.issue()), .server)
                return ByHand(engine, try TLSClient(authority.clientOptions).engine(to: "localhost"), shares)
            }

            private init(_ engine: TLSEngine, _ peer: TLSEngine, _ shares: HandshakeShares?) {
                stream = TLSStream(lower, engine, shares)
                user = StreamProbe(stream)
                self.peer = peer
            }

            /// What the peer says to what it was sent, with a word behind it, if it can say one already.
            func answer(saying word: [UInt8] = []) throws -> [UInt8] {
                _ = try peer.take(lower.taken().span) { _ in true }
                try peer.seal(word)
                return peer.takeOutput()
            }
        }

        /// The last step of the handshake and the first text arrive together, while others have their turn.
        @Test func whoPausesWhileItsHandshakeWaitsGetsNothing() async throws {
            let shares = HandshakeShares()
            let pair = try await ByHand.server(shares)
            pair.lower.feed(try pair.answer())
            let last = try pair.answer(saying: [7])
            while shares.take() {}
            pair.lower.feed(last)
            #expect(shares.waiting == 1 && !pair.stream.isOpen)
            pair.user.pause()
            await until("it had its turn") { shares.waiting == 0 }
            for _ in 0..<20 { await Loop.yield() }
            #expect(pair.stream.isOpen && pair.user.received.isEmpty && pair.user.breaches.isEmpty)
            pair.user.resume()
            await until("it came") { pair.user.received == [7] }
        }

        enum Wish: CaseIterable, Sendable { case pause, close, closeAfterFlush }

        /// Told that it is open, the user thinks better of it; text lies in the same bytes.
        @Test(arguments: Wish.allCases) func whoChangesItsMindOnceItIsOpenGetsNothing(_ wish: Wish) async throws {
            let pair = try await ByHand.server()
            pair.lower.feed(try pair.answer())
            pair.stream.onOpen = {
                switch wish {
                case .pause: pair.user.pause()
                case .close: pair.user.close()
                case .closeAfterFlush: pair.user.closeAfterFlush(within: .seconds(1))
                }
            }
            pair.lower.feed(try pair.answer(saying: [7]))
            #expect(pair.stream.isOpen && pair.user.received.isEmpty && pair.user.breaches.isEmpty)
            if wish == .pause {
                pair.user.resume()
                await until("it came") { pair.user.received == [7] }
            }
            pair.lower.end()
            #expect(pair.user.ends == [.closed])
        }
    }
#endif
