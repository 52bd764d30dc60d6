// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloTLS

    /// Who is believed, and what is said of who is not.
    @Loop @Suite struct TLSTrustTests {
        struct Refused: Sendable, CustomTestStringConvertible {
            let testDescription: String
            var names = "DNS:localhost"
            var isExpired = false
            var isForeign = false
            var name = "localhost"
            let reason: String
        }

        nonisolated static let refused = [
            Refused(
                testDescription: "another name", names: "DNS:example.org",
                reason: "the certificate is not believed: hostname mismatch"),
            Refused(
                testDescription: "another address", names: "IP:10.0.0.1", name: "127.0.0.1",
                reason: "the certificate is not believed: IP address mismatch"),
            Refused(
                testDescription: "expired", isExpired: true,
                reason: "the certificate is not believed: certificate has expired"),
            Refused(
                testDescription: "an authority nobody knows", isForeign: true,
                reason: "the certificate is not believed: unable to get local issuer certificate"),
        ]

        @Test(arguments: refused) func whoIsNotBelievedIsRefusedByName(_ item: Refused) async throws {
            let authority = try await TestAuthority.make()
            let signer = item.isForeign ? try await TestAuthority.make() : authority
            let options = item.isExpired ? try await signer.issueExpired() : try await signer.issue(item.names)
            let pair = try await Pair.make(options, authority.clientOptions, name: item.name)
            pair.client.stream.write([1])
            await until("both ends") { !pair.client.ends.isEmpty && !pair.server.ends.isEmpty }
            #expect(pair.client.ends == [.failed("TLS: \(item.reason)")])
            #expect(pair.server.received.isEmpty)
        }

        @Test func anAddressMayBeACertificatesName() async throws {
            let authority = try await TestAuthority.make()
            let pair = try await Pair.make(
                try await authority.issue("IP:127.0.0.1"), authority.clientOptions, name: "127.0.0.1")
            pair.client.stream.write([1])
            await until("it is open") { pair.server.received == [1] }
        }

        @Test func whoVerifiesNothingBelievesAnybody() async throws {
            let authority = try await TestAuthority.make()
            var options = TLSClientOptions()
            options.verifiesServer = false
            let pair = try await Pair.make(try await authority.issueExpired(), options, name: "nowhere")
            pair.client.stream.write([1])
            await until("it is open") { pair.server.received == [1] }
        }

        @Test func clientsWithoutACertificateOfTheAuthorityAreRefused() async throws {
            let authority = try await TestAuthority.make()
            var options = try await authority.issue()
            options.clientAuthorityFile = authority.file
            let stranger = try await Pair.make(options, authority.clientOptions)
            stranger.client.stream.write([1])
            await until("the end") { !stranger.server.ends.isEmpty }
            #expect(
                stranger.server.ends == [.failed("TLS: no TLS handshake: peer did not return a certificate")])

            let own = try await authority.issue("DNS:client")
            var known = authority.clientOptions
            (known.certificateFile, known.keyFile) = (own.certificateFile, own.keyFile)
            let friend = try await Pair.make(options, known)
            friend.client.stream.write([1])
            await until("it is open") { friend.server.received == [1] }
        }

        @Test func aFileThatIsOfNoUseIsNamed() async throws {
            let authority = try await TestAuthority.make()
            let good = try await authority.issue()
            let other = try await authority.issue()
            let missing = TLSServerOptions(certificateFile: "/nowhere.pem", keyFile: good.keyFile)
            #expect(throws: TLSError("the certificate /nowhere.pem cannot be used: No such file or directory")) {
                try TLSServer(missing, clock: SystemClock.shared)
            }
            let wrong = TLSServerOptions(certificateFile: good.certificateFile, keyFile: other.keyFile)
            let text = "the key \(other.keyFile) cannot be used with the certificate \(good.certificateFile): "
            #expect(throws: TLSError(text + "key values mismatch")) {
                try TLSServer(wrong, clock: SystemClock.shared)
            }
            var client = TLSClientOptions()
            client.authorityFile = good.keyFile
            #expect(throws: TLSError.self) { try TLSClient(client) }
        }
    }
#else
    import PomeloLoop
    import PomeloTLS
    import Testing

    @Loop @Suite struct TLSAbsentTests {
        @Test func withoutTheTraitTheErrorSaysSo() throws {
            let text = "this program was built without the trait TLS, which encrypted connections need"
            let error = #expect(throws: TLSError.self) { try TLSClient(TLSClientOptions()) }
            #expect(error?.description == text)
        }
    }
#endif
