// SPDX-License-Identifier: MIT
#if Keel
    import Crypto
    import Foundation
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    @testable import PomeloKeel

    /// Tokens, and what looks like them.
    @Suite struct KeelTokensTests {
        static let now: Int64 = 1_700_000_000
        static let claims = PluginClaims(
            subject: "org-plugin", audience: "platform", id: "1", issuedAt: now, expires: now + 600,
            registration: "r", scopes: ["push", "read"], caller: "org-other", user: "ann")

        private static func key(_ name: String, _ byte: UInt8) -> PluginKey {
            PluginKey(id: name, seed: Array(repeating: byte, count: 32), madeAt: 0)
        }

        @Loop private static func tokens(_ keys: [PluginKey] = [key("a", 1), key("b", 2)]) async -> KeelTokens {
            let tokens = KeelTokens()
            await tokens.use(keys)
            return tokens
        }

        /// A token of any parts, signed with a seed; nil: not signed.
        private static func forged(_ head: String, _ payload: String, seed: UInt8? = 2) throws -> String {
            let signed = "\(Base64URL.encode(Bytes(head.utf8))).\(Base64URL.encode(Bytes(payload.utf8)))"
            guard let seed else { return signed + "." }
            let key = try Curve25519.Signing.PrivateKey(rawRepresentation: Array(repeating: seed, count: 32))
            return signed + "." + Base64URL.encode(Bytes(try key.signature(for: Data(signed.utf8))))
        }

        private static let head = #"{"alg":"EdDSA","typ":"JWT","kid":"b"}"#
        private static func payload(_ changes: JSON = [:]) -> String {
            var object: JSONObject = [
                "sub": "s", "aud": "platform", "jti": "1", "iat": .init(now), "exp": .init(now + 60),
            ]
            for (key, value) in changes.object ?? [:] { object[key] = value.isNull ? nil : value }
            return "\(object)"
        }

        @Loop private static func failure(_ token: String, at time: Int64 = now, _ tokens: KeelTokens? = nil) async
            -> String
        {
            let tokens = if let tokens { tokens } else { await Self.tokens() }
            return
                switch await thrown(by: { () async throws(PluginTokenError) in
                    _ = try await tokens.verify(token, at: time)
                })
            {
            case .malformed: "malformed"
            case .unsigned: "unsigned"
            case .expired: "expired"
            case nil: "none"
            }
        }

        @Test @Loop func aTokenSaysWhatWasSigned() async throws {
            let tokens = await Self.tokens()
            let token = try await tokens.sign(Self.claims)
            #expect(try await tokens.verify(token, at: Self.now) == Self.claims)
            let plain = PluginClaims(subject: "é", audience: "b", id: "", issuedAt: 0, expires: Self.now)
            #expect(try await tokens.verify(try await tokens.sign(plain), at: Self.now) == plain)
            let head = try #require(Base64URL.decode(Bytes(token.prefix { $0 != "." }.utf8)))
            #expect(try JSON.parse(head) == ["alg": "EdDSA", "typ": "JWT", "kid": "b"])
            #expect(!token.contains("=") && token.utf8.count < 600)
        }

        @Test @Loop func theNewestKeySignsAndAllVerify() async throws {
            let old = await Self.tokens([Self.key("a", 1)])
            let token = try await old.sign(Self.claims)
            let both = await Self.tokens()
            #expect(try await both.verify(token, at: Self.now) == Self.claims)
            let new = await Self.tokens([Self.key("b", 2)])
            #expect(await Self.failure(token, new) == "unsigned")
            #expect(try await new.verify(try await both.sign(Self.claims), at: Self.now) == Self.claims)
            await both.use([])
            #expect(await Self.failure(token, both) == "unsigned")
            #expect(await failureCode { _ = try await both.sign(Self.claims) } == "notRunning")
            #expect(both.publicKeys == ["keys": []])
        }

        @Test @Loop func theKeysAreShownAndNothingPrivateWithThem() async throws {
            let tokens = await Self.tokens()
            let keys = try #require(tokens.publicKeys["keys"]?.array)
            #expect(keys.map { $0["kid"]?.string } == ["a", "b"])
            for (key, seed) in zip(keys, [UInt8(1), 2]) {
                let pair = try Curve25519.Signing.PrivateKey(rawRepresentation: Array(repeating: seed, count: 32))
                let x = try #require(key["x"]?.string)
                #expect(Base64URL.decode(Bytes(x.utf8)) == Bytes(pair.publicKey.rawRepresentation))
                #expect(key["kty"]?.string == "OKP" && key["crv"]?.string == "Ed25519")
                #expect(key["alg"]?.string == "EdDSA" && key["use"]?.string == "sig" && key["d"] == nil)
            }
        }

        /// - Source: RFC 8037, appendix A.
        @Test @Loop func theKeyOfTheStandardIsShownAsInTheStandard() async throws {
            let seed = try #require(Base64URL.decode(Bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".utf8)))
            let tokens = await Self.tokens([PluginKey(id: "k", seed: seed, madeAt: 0)])
            let x = tokens.publicKeys["keys"]?.array?.first?["x"]?.string
            #expect(x == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        }

        @Test @Loop func aSeedThatIsNoneIsLeftOut() async throws {
            let tokens = await Self.tokens([Self.key("a", 1), PluginKey(id: "b", seed: [1, 2, 3], madeAt: 0)])
            #expect(tokens.publicKeys["keys"]?.array?.count == 1)
            #expect(try await tokens.verify(try await tokens.sign(Self.claims), at: Self.now) == Self.claims)
            #expect(await Self.failure(try Self.forged(Self.head, Self.payload()), tokens) == "unsigned")
        }

        @Test @Loop func theForgeryOfTheseTestsWouldBeTakenWithTheRightKey() async throws {
            #expect(await Self.failure(try Self.forged(Self.head, Self.payload())) == "none")
            #expect(await Self.failure(try Self.forged(#"{"kid":"b","alg":"EdDSA"}"#, Self.payload())) == "none")
        }

        @Test(
            arguments: [
                (head, payload(), 3, "unsigned"), (head, payload(), 1, "unsigned"),
                (#"{"alg":"EdDSA","kid":"c"}"#, payload(), 2, "unsigned"),
                (#"{"alg":"EdDSA","kid":"B"}"#, payload(), 2, "unsigned"),
                (head, payload(), nil, "unsigned"),
                (#"{"alg":"none","kid":"b"}"#, payload(), nil, "malformed"),
                (#"{"alg":"none","kid":"b"}"#, payload(), 2, "malformed"),
                (#"{"alg":"HS256","kid":"b"}"#, payload(), 2, "malformed"),
                (#"{"alg":"eddsa","kid":"b"}"#, payload(), 2, "malformed"),
                (#"{"alg":["EdDSA"],"kid":"b"}"#, payload(), 2, "malformed"),
                (#"{"kid":"b"}"#, payload(), 2, "malformed"),
                (#"{"alg":"EdDSA"}"#, payload(), 2, "malformed"),
                (#"{"alg":"EdDSA","kid":1}"#, payload(), 2, "malformed"),
                (#"{"alg":"EdDSA","kid":"b","crit":["x"]}"#, payload(), 2, "malformed"),
                ("[]", payload(), 2, "malformed"), ("", payload(), 2, "malformed"), ("{", payload(), 2, "malformed"),
                (head, "", 2, "malformed"), (head, "[]", 2, "malformed"), (head, "{}", 2, "malformed"),
                (head, payload(["exp": nil]), 2, "malformed"), (head, payload(["iat": nil]), 2, "malformed"),
                (head, payload(["sub": nil]), 2, "malformed"), (head, payload(["aud": nil]), 2, "malformed"),
                (head, payload(["jti": nil]), 2, "malformed"), (head, payload(["exp": "1"]), 2, "malformed"),
                (head, payload(["exp": 1.5]), 2, "malformed"), (head, payload(["exp": 1e300]), 2, "malformed"),
                (head, payload(["aud": ["platform"]]), 2, "malformed"),
                (head, payload(["scopes": "push"]), 2, "malformed"),
                (head, payload(["exp": .init(Int64.min)]), 2, "expired"),
                (head, payload(["iat": .init(Int64.max)]), 2, "expired"),
                (head, payload(["nbf": .init(Int64.max)]), 2, "expired"),
                (head, payload(["exp": .init(Int64.max)]), 2, "none"),
            ] as [(String, String, UInt8?, String)])
        @Loop func whatLooksLikeATokenIsNone(_ head: String, _ payload: String, _ seed: UInt8?, _ failure: String)
            async throws
        {
            #expect(await Self.failure(try Self.forged(head, payload, seed: seed)) == failure)
        }

        /// The classic: the public key, which everybody knows, as the secret of another algorithm.
        @Test @Loop func thePublicKeyIsNoSecret() async throws {
            let tokens = await Self.tokens()
            let x = try #require(tokens.publicKeys["keys"]?.array?.last?["x"]?.string)
            let raw = try #require(Base64URL.decode(Bytes(x.utf8)))
            for secret in [raw, Bytes(x.utf8)] {
                for algorithm in ["HS256", "EdDSA"] {
                    let head = Base64URL.encode(Bytes(#"{"alg":"\#(algorithm)","kid":"b"}"#.utf8))
                    let signed = "\(head).\(Base64URL.encode(Bytes(Self.payload().utf8)))"
                    let mac = HMAC<SHA256>.authenticationCode(
                        for: Data(signed.utf8), using: SymmetricKey(data: Data(secret)))
                    let token = signed + "." + Base64URL.encode(Bytes(mac))
                    #expect(await Self.failure(token) == (algorithm == "HS256" ? "malformed" : "unsigned"))
                }
            }
        }

        @Test @Loop func noTokenThatWasChangedIsOne() async throws {
            let tokens = await Self.tokens()
            let token = try await tokens.sign(Self.claims)
            let bytes = Bytes(token.utf8)
            for index in bytes.indices {
                var other = bytes
                other[index] = other[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                let failure = await Self.failure(String(decoding: other, as: UTF8.self), tokens)
                #expect(["unsigned", "malformed"].contains(failure), "byte \(index)")
                let cut = await Self.failure(String(decoding: bytes[..<index], as: UTF8.self), tokens)
                #expect(["unsigned", "malformed"].contains(cut), "cut at \(index)")
            }
            for other in [token + ".", "." + token, token + "=", " " + token, "Bearer " + token, token + "\n"] {
                #expect(await Self.failure(other, tokens) == "malformed")
            }
            #expect(await Self.failure(token + "A", tokens) == "unsigned")
        }

        @Test @Loop func whatIsOfOneTokenIsNotOfAnother() async throws {
            let tokens = await Self.tokens()
            var other = Self.claims
            other.scopes = ["push", "kick", "read"]
            let mine = try await tokens.sign(Self.claims).split(separator: ".")
            let theirs = try await tokens.sign(other).split(separator: ".")
            #expect(await Self.failure([mine[0], theirs[1], mine[2]].joined(separator: "."), tokens) == "unsigned")
        }

        @Test(arguments: [
            (-31, "expired"), (-30, "none"), (0, "none"), (600, "none"), (629, "none"), (630, "expired"),
            (1_000_000, "expired"), (-1_700_000_000, "expired"),
        ]) @Loop func aTokenIsOneInItsTimeByTheGivenClock(_ offset: Int64, _ failure: String) async throws {
            let tokens = await Self.tokens()
            let token = try await tokens.sign(Self.claims)
            #expect(await Self.failure(token, at: Self.now + offset, tokens) == failure)
        }

        @Test(arguments: ["", ".", "..", "...", "a.b.c", "a.b", "🙂.🙂.🙂", String(repeating: ".", count: 4096)])
        @Loop func whatHasNotThreePartsIsNone(_ token: String) async {
            #expect(await Self.failure(token) == "malformed")
        }

        @Test @Loop func aTokenThatIsTooLongIsNotLookedAt() async throws {
            let long = try Self.forged(Self.head, Self.payload(["user": .init(String(repeating: "x", count: 4096))]))
            #expect(await Self.failure(long) == "malformed")
            let short = try Self.forged(Self.head, Self.payload(["user": .init(String(repeating: "x", count: 2500))]))
            #expect(await Self.failure(short) == "none")
            let deep = Base64URL.encode(Bytes(String(repeating: "[", count: 2000).utf8))
            #expect(await Self.failure("\(deep).\(deep).\(deep)") == "malformed")
        }
    }
#endif
