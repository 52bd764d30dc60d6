// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloTLS

    /// Whatever a client sends, a server answers with little, keeps little and ends by name.
    @Loop @Suite struct HostilePeerTests {
        /// A server's side, and who talks to it.
        @Loop struct Meeting {
            let peer: HostilePeer
            let lower = FedStream()
            let user: StreamProbe
            var stream: any ByteStream { user.stream }

            static func make(_ version: HostilePeer.Version = .v1_3) async throws -> Meeting {
                let authority = try await TestAuthority.make()
                let server = try TLSServer(try await authority.issue(), clock: SystemClock.shared)
                return try Meeting(HostilePeer(version), server)
            }

            init(_ peer: HostilePeer, _ server: TLSServer) throws {
                self.peer = peer
                user = StreamProbe(try server.accept(lower))
            }

            /// Until both are open, and the peer has read what the server says then.
            func shakeHands() async {
                lower.feed(peer.hear())
                await until("they are open") {
                    lower.feed(peer.hear(lower.taken()))
                    return peer.isOpen && (stream as? TLSStream)?.isOpen == true
                }
                _ = peer.hear(lower.taken())
            }

            /// How the stream ended; the lower one is told by hand.
            var end: StreamEnd? {
                if lower.isClosed { lower.end() }
                return user.ends.first
            }
        }

        private static let tooMany = StreamEnd.failed("TLS: too many records without text")

        @Test func newKeysWithoutEndAreRefused() async throws {
            let meeting = try await Meeting.make()
            await meeting.shakeHands()
            meeting.lower.stuck = true
            var sent = 0
            while !meeting.lower.isClosed, sent < 1000 {
                meeting.lower.feed(meeting.peer.renewKeys())
                sent += 1
            }
            #expect(sent == RecordWatch.silentRecords + 2)
            #expect(meeting.lower.taken().count < 2000)
            #expect(meeting.end == Self.tooMany)
        }

        /// One after each word is no more needed than many without any.
        @Test func newKeysForEveryWordAreRefused() async throws {
            let meeting = try await Meeting.make()
            await meeting.shakeHands()
            var words = 0
            while !meeting.lower.isClosed, words < 1000 {
                meeting.lower.feed(meeting.peer.renewKeys() + meeting.peer.write([1]))
                words += 1
            }
            #expect(words < 50)
            #expect(meeting.end == Self.tooMany)
        }

        @Test func newKeysNowAndThenAreAsTheyShouldBe() async throws {
            let meeting = try await Meeting.make()
            await meeting.shakeHands()
            for _ in 0..<200 {
                meeting.lower.feed(meeting.peer.renewKeys())
                for _ in 0..<RecordWatch.silentRecords { meeting.lower.feed(meeting.peer.write([1])) }
                _ = meeting.peer.hear(meeting.lower.taken())
            }
            #expect(meeting.end == nil)
            #expect(meeting.user.received.count == 200 * RecordWatch.silentRecords)
        }

        /// The peer would have us answer while it reads nothing itself.
        @Test func whoReadsNoAnswersIsGivenFew() async throws {
            let meeting = try await Meeting.make()
            await meeting.shakeHands()
            meeting.lower.stuck = true
            while !meeting.lower.isClosed, meeting.lower.queuedBytes < 1 << 20 {
                meeting.lower.feed(meeting.peer.renewKeys())
                for _ in 0..<RecordWatch.silentRecords { meeting.lower.feed(meeting.peer.write([1])) }
            }
            #expect(meeting.lower.queuedBytes < 20_000)
            #expect(meeting.end == .failed("TLS: the peer reads no answers"))
        }

        @Test func aHandshakeAnewIsRefusedAndTheConnectionGoesOn() async throws {
            let meeting = try await Meeting.make(.v1_2)
            await meeting.shakeHands()
            let before = meeting.user.received.count
            meeting.lower.feed(meeting.peer.renegotiate())
            // A warning, and no handshake.
            #expect((1..<100).contains(meeting.lower.taken().count))
            #expect(meeting.end == nil && meeting.user.received.count == before)
        }

        @Test(arguments: HostilePeer.Version.allCases)
        func aHandshakeByteByByteIsOneAllTheSame(_ version: HostilePeer.Version) async throws {
            let meeting = try await Meeting.make(version)
            var bytes = meeting.peer.hear()
            while !bytes.isEmpty {
                for byte in bytes {
                    await until("it is read") { meeting.lower.isReading }
                    meeting.lower.feed([byte])
                }
                await until("it is read") { meeting.lower.isReading }
                bytes = meeting.peer.hear(meeting.lower.taken())
            }
            meeting.lower.feed(meeting.peer.write([7]))
            await until("it came") { meeting.user.received == [7] }
        }

        struct Nonsense: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let bytes: [UInt8]
            let end: String
        }

        nonisolated static let nonsense = [
            Nonsense(
                testDescription: "the length of a greeting of 128 KB",
                bytes: [22, 3, 1, 0, 4, 1, 1, 0xFF, 0xFF],
                end: "a greeting of 131071 bytes"),
            Nonsense(
                testDescription: "the same in pieces",
                bytes: [22, 3, 1, 0, 1, 1] + [22, 3, 1, 0, 1, 1] + [22, 3, 1, 0, 2, 0xFF, 0xFF],
                end: "a greeting of 131071 bytes"),
            Nonsense(
                testDescription: "a record longer than any", bytes: [22, 3, 1, 0xFF, 0xFF, 1, 0, 0, 1],
                end: "no TLS handshake: packet length too long"),
            Nonsense(
                testDescription: "empty records", bytes: Array(repeatElement([22, 3, 1, 0, 0], count: 100).joined()),
                end: "no TLS handshake: record too small"),
            Nonsense(
                testDescription: "text before the handshake", bytes: [23, 3, 3, 0, 4, 1, 2, 3, 4],
                end: "no TLS handshake: unexpected message"),
            Nonsense(
                testDescription: "warnings",
                bytes: Array(repeatElement([21, 3, 1, 0, 2, 1, 90], count: 100).joined()),
                end: "no TLS handshake: unexpected message"),
            Nonsense(
                testDescription: "a finished message first", bytes: [22, 3, 3, 0, 4, 20, 0, 0, 0],
                end: "no TLS handshake: unexpected message"),
        ]

        @Test(arguments: nonsense) func whatIsNoHandshakeEndsByName(_ one: Nonsense) async throws {
            let meeting = try await Meeting.make()
            meeting.lower.feed(one.bytes)
            #expect(meeting.end == .failed("TLS: \(one.end)"))
            #expect(meeting.lower.taken().count < 20 && meeting.user.received.isEmpty)
        }

        /// Behind a greeting that is asked for again a second one comes in the open, too.
        @Test func aSecondGreetingIsNoLongerThanTheFirst() async throws {
            let meeting = try await Meeting.make()
            var hello = meeting.peer.hear()
            // The one key that it offers is of a group that no server has: the last of its list.
            for group in [[0, 0x1D, 0, 0x20], [1, 4, 0, 0x23]] as [[UInt8]] {
                let place = try #require(hello.indices.first { Array(hello[$0...].prefix(4)) == group })
                hello.replaceSubrange(place..<place + 2, with: [0x1A, 0x1A])
            }
            meeting.lower.feed(hello)
            #expect(!meeting.lower.taken().isEmpty && meeting.end == nil)
            meeting.lower.feed([20, 3, 3, 0, 1, 1] + [22, 3, 3, 0, 4, 1, 1, 0xFF, 0xFF])
            #expect(meeting.end == .failed("TLS: a greeting of 131071 bytes"))
        }

        /// Data that nobody has agreed to, behind a greeting.
        @Test func dataBeforeItsTimeIsRefused() async throws {
            let meeting = try await Meeting.make()
            meeting.lower.feed(meeting.peer.hear())
            let early = [UInt8](repeating: 7, count: 16_000)
            for _ in 0..<10 where !meeting.lower.isClosed { meeting.lower.feed([23, 3, 3, 0x3E, 0x80] + early) }
            guard case .failed(let text) = meeting.end else { throw Unmet(description: "it goes on") }
            #expect(text.hasPrefix("TLS: no TLS handshake: "))
            #expect(meeting.user.received.isEmpty)
        }
    }
#endif
