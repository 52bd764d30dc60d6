// SPDX-License-Identifier: MIT
#if Keel
    import Crypto
    import JWTKit
    import Logging
    import PomeloBytes
    import PomeloCore
    public import PomeloJSON
    public import PomeloLoop
    public import PomeloPlugins

    /// Tokens as JSON Web Tokens, signed with Ed25519.
    ///
    /// - Guarantee: a token is taken only when its head says `EdDSA` and names a key of ours, that key's signature is
    ///   under it, and its time is now.
    /// - Isolation: signatures are made and checked on the thread of HTTP: one takes as long as many messages.
    /// - Source: RFC 7519; RFC 8037.
    @Loop public final class KeelTokens: PluginTokens {
        private let logger = Logger(label: "pomelo.keel")
        private var keys = JWTKeyCollection()
        private var names: Set<Text> = []
        private var signing: JWKIdentifier?
        private var generation = 0
        /// The public halves of the keys, as a JSON Web Key Set (RFC 7517).
        public private(set) var publicKeys: JSON = ["keys": []]

        /// Without keys.
        public nonisolated init() {}

        /// The keys from now on, the newest last: that one signs, all of them verify.
        ///
        /// One whose seed has not 32 bytes is left out, and logged.
        public func use(_ keys: [PluginKey]) async {
            generation += 1
            let mine = generation
            let collection = JWTKeyCollection()
            var names: Set<Text> = []
            var published: [JSON] = []
            var signing: JWKIdentifier?
            for key in keys {
                guard let pair = pair(key) else { continue }
                let kid = JWKIdentifier(string: key.id)
                await collection.add(eddsa: EdDSA.PrivateKey(backing: pair), kid: kid)
                names.insert(Text(key.id))
                published.append(Self.published(key.id, Bytes(pair.publicKey.rawRepresentation)))
                signing = kid
            }
            // REENTRANCY: later keys may have been taken meanwhile, and stay.
            guard mine == generation else { return }
            (self.keys, self.names, self.signing) = (collection, names, signing)
            publicKeys = ["keys": .array(published)]
        }

        private func pair(_ key: PluginKey) -> Curve25519.Signing.PrivateKey? {
            do {
                return try Curve25519.Signing.PrivateKey(rawRepresentation: key.seed)
            } catch {
                logger.error("a key of tokens is none", metadata: ["kid": "\(key.id.forLog)", "error": "\(error)"])
                return nil
            }
        }

        private static func published(_ id: String, _ key: Bytes) -> JSON {
            [
                "kty": "OKP", "crv": "Ed25519", "kid": .init(id), "x": .init(Base64URL.encode(key)), "alg": "EdDSA",
                "use": "sig",
            ]
        }

        /// A token, signed by the newest key.
        ///
        /// - Throws: `PomeloError` `.notRunning` when there is no key yet.
        public func sign(_ claims: PluginClaims) async throws -> String {
            guard let signing else { throw PomeloError(.notRunning, "there is no key yet that signs tokens") }
            let keys = keys
            return try await withTaskExecutorPreference(KeelThread.executor) {
                try await keys.sign(TokenClaims(claims), kid: signing)
            }
        }

        /// What a token says whose signature is right and whose time is now, by the given clock, 30 s more or less.
        public func verify(_ token: String, at unixSeconds: Int64) async throws(PluginTokenError) -> PluginClaims {
            let text = try TokenText(token)
            guard names.contains(text.key) else { throw .unsigned }
            let keys = keys
            let claims: TokenClaims
            do {
                claims = try await withTaskExecutorPreference(KeelThread.executor) {
                    try await keys.verify(token, as: TokenClaims.self)
                }
            } catch let error as JWTError where error.errorType == .signatureVerificationFailed {
                throw .unsigned
            } catch {
                throw .malformed("\(error)".escapedForLog(maxBytes: 200))
            }
            try claims.check(at: unixSeconds)
            return claims.claims
        }
    }

    /// What stands in a token.
    private struct TokenClaims: JWTPayload {
        /// How many seconds the clocks of two hosts may differ.
        private static let skew: Int64 = 30

        let sub: String
        let aud: String
        let jti: String
        let iat: Int64
        let exp: Int64
        /// Not ours to write, but heeded.
        let nbf: Int64?
        let reg: String?
        let scopes: [String]?
        let caller: String?
        let user: String?

        init(_ claims: PluginClaims) {
            sub = claims.subject
            aud = claims.audience
            jti = claims.id
            iat = claims.issuedAt
            exp = claims.expires
            nbf = nil
            reg = claims.registration
            scopes = claims.scopes.isEmpty ? nil : claims.scopes
            caller = claims.caller
            user = claims.user
        }

        /// The library's clock is not the host's: the time is looked at by ``check(at:)``.
        func verify(using algorithm: some JWTAlgorithm) {}

        func check(at now: Int64) throws(PluginTokenError) {
            let (earliest, latest) = (now &- Self.skew, now &+ Self.skew)
            guard exp > earliest, iat <= latest, nbf ?? iat <= latest else { throw .expired }
        }

        var claims: PluginClaims {
            PluginClaims(
                subject: sub, audience: aud, id: jti, issuedAt: iat, expires: exp, registration: reg,
                scopes: scopes ?? [], caller: caller, user: user)
        }
    }
#endif
