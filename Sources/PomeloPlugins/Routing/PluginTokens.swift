// SPDX-License-Identifier: MIT
public import PomeloJSON
public import PomeloLoop

/// What a token says, signed.
public struct PluginClaims: Sendable, Hashable {
    /// The longest life of a token.
    public static let life = Duration.seconds(600)

    /// Whose token it is: a plugin's id, or `platform`.
    public var subject: String
    /// For whom it is meant: `platform`, or a plugin's id.
    public var audience: String
    /// Another one for each token.
    public var id: String
    /// Unix seconds.
    public var issuedAt: Int64
    /// Unix seconds.
    public var expires: Int64
    /// Of which registration of the plugin it is: another registration revokes it.
    public var registration: String?
    /// What its bearer may ask of the platform: `push`, `kick`, `read`.
    public var scopes: [String]
    /// In a token of the platform's: the plugin on whose behalf it calls.
    public var caller: String?
    /// In a token of the platform's: the user for whom it calls.
    public var user: String?

    /// A token's claims.
    public init(
        subject: String, audience: String, id: String, issuedAt: Int64, expires: Int64, registration: String? = nil,
        scopes: [String] = [], caller: String? = nil, user: String? = nil
    ) {
        self.subject = subject
        self.audience = audience
        self.id = id
        self.issuedAt = issuedAt
        self.expires = expires
        self.registration = registration
        self.scopes = scopes
        self.caller = caller
        self.user = user
    }
}

/// A key that signs tokens: 32 random bytes.
public struct PluginKey: Sendable, Hashable {
    /// Its name in a token's head (`kid`).
    public let id: String
    /// The private key's seed (Ed25519, RFC 8032).
    public let seed: [UInt8]
    /// Unix milliseconds.
    public let madeAt: Int64

    /// A key.
    public init(id: String, seed: [UInt8], madeAt: Int64) {
        self.id = id
        self.seed = seed
        self.madeAt = madeAt
    }
}

/// Why a token is none.
public enum PluginTokenError: Error, Sendable, Hashable {
    /// Not three parts, not JSON, another algorithm, a claim that is missing.
    case malformed(String)
    /// No key of that name, or another signature.
    case unsigned
    /// Its time is over, or has not come.
    case expired
}

/// Signs tokens and reads them; the seam to the library that does.
@Loop public protocol PluginTokens: AnyObject {
    /// The keys from now on, the newest last: that one signs, all of them verify.
    func use(_ keys: [PluginKey]) async
    /// A token (JWT, RFC 7519, signed with EdDSA, RFC 8037); throws when there is no key yet.
    func sign(_ claims: PluginClaims) async throws -> String
    /// What a token says whose signature is right and whose time is now, by the given clock, 30 s more or less.
    func verify(_ token: String, at unixSeconds: Int64) async throws(PluginTokenError) -> PluginClaims
    /// The public halves of the keys, as a JSON Web Key Set (RFC 7517).
    var publicKeys: JSON { get }
}
