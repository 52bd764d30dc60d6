// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop

/// Tokens of plugins and of the platform: issued, checked, and remembered while they are good, because a signature
/// costs as much as a request.
///
/// A key signs for a day, from two seconds after it was made, when every process has it; it verifies for as long as a
/// token lives beyond that.
@Loop final class TokenDesk {
    static let platform = "platform"
    static let keyLife = Duration.seconds(86_400)
    private static let settling = Duration.seconds(2)
    private static let remembered = 1024

    private let tokens: any PluginTokens
    private let follower: PluginFollower
    private let clock: any LoopClock
    private let random: RandomSource
    private let log: Logger
    private var known: [Text: PluginClaims] = [:]
    private var issued: [Delegation: (token: String, until: Int64)] = [:]

    /// For whom the platform calls whom.
    private struct Delegation: Hashable {
        let target: PluginID
        let caller: String?
        let user: String?
    }

    init(_ tokens: any PluginTokens, _ follower: PluginFollower, _ context: ServiceContext) {
        self.tokens = tokens
        self.follower = follower
        clock = context.clock
        random = context.random
        log = context.log
    }

    /// The keys' public halves.
    var publicKeys: JSON { tokens.publicKeys }

    private var seconds: Int64 { follower.now / 1000 }

    // MARK: keys

    /// Takes the keys of the registry: those that are settled sign.
    func use(_ keys: [PluginKey]) async {
        let settled = follower.now &- Self.settling.clampedMilliseconds
        let isYoung = { (key: PluginKey) in key.madeAt > settled }
        await tokens.use(keys.filter(isYoung) + keys.filter { !isYoung($0) })
        known.removeAll()
        issued.removeAll()
        guard keys.contains(where: isYoung) else { return }
        _ = clock.schedule(after: Self.settling) { [weak self] in
            Loop.spawn { await self?.use(self?.follower.view.keys ?? []) }
        }
    }

    /// Makes a key when there is none that signs for long, and removes those that nobody needs.
    func renewKeys() async throws(PluginAnswer) {
        let life = Self.keyLife.clampedMilliseconds
        let (seed, name) = (random.bytes(32), random.bytes(8).hexadecimal)
        try await follower.change { view in
            let now = self.follower.now
            let isOld = { (madeAt: Int64) in now &- madeAt > life &+ 2 * PluginClaims.life.clampedMilliseconds }
            let old =
                view.keys.filter { isOld($0.madeAt) }.map(\.id)
                + view.foreignKeys.filter { isOld($0.value) }.map(\.key.string)
            guard view.keys.contains(where: { now &- $0.madeAt <= life }) else {
                return [.putKey(PluginKey(id: name, seed: seed, madeAt: now))] + old.map { .removeKey($0) }
            }
            return old.map { .removeKey($0) }
        }
    }

    // MARK: plugins' own

    /// A token for a plugin that has shown its secret.
    ///
    /// - Throws: `PluginAnswer` 401, the same for an unknown id as for a wrong secret; 503 when nothing can be signed.
    func issue(_ id: String, secret: String) async throws(PluginAnswer) -> (token: String, claims: PluginClaims) {
        guard let record = follower.view.plugin(PluginID(id)),
            isSame(record.secretHash, PluginRecord.hash(secret))
        else { throw PluginAnswer(401, "no plugin has this id and this secret") }
        let claims = PluginClaims(
            subject: record.id.rawValue, audience: Self.platform, id: random.bytes(16).hexadecimal,
            issuedAt: seconds, expires: seconds + PluginClaims.life.components.seconds,
            registration: record.registration, scopes: record.scopes)
        return (try await sign(claims), claims)
    }

    /// Whose token that is.
    ///
    /// - Throws: `PluginAnswer` 401: not signed by us, for somebody else, its time is over, or its plugin is not
    ///   registered any more, or anew.
    func plugin(of token: String) async throws(PluginAnswer) -> PluginRecord {
        let claims = try await verify(token)
        guard Text(claims.audience) == Text(Self.platform) else {
            throw PluginAnswer(401, "the token is for \(claims.audience.forLog)")
        }
        guard let record = follower.view.plugin(PluginID(claims.subject)),
            Text(claims.registration ?? "") == Text(record.registration)
        else { throw PluginAnswer(401, "the token's registration has ended") }
        return record
    }

    private func verify(_ token: String) async throws(PluginAnswer) -> PluginClaims {
        if let claims = known[Text(token)], claims.expires > seconds { return claims }
        do throws(PluginTokenError) {
            let claims = try await tokens.verify(token, at: seconds)
            if known.count >= Self.remembered { known.removeAll() }
            known[Text(token)] = claims
            return claims
        } catch {
            throw PluginAnswer(401, "the token is \(error.text)")
        }
    }

    // MARK: the platform's

    /// What the platform shows a plugin when it calls it for somebody.
    func delegation(to target: PluginID, caller: String?, user: String?) async throws(PluginAnswer) -> String {
        let key = Delegation(target: target, caller: caller, user: user)
        let half = PluginClaims.life.components.seconds / 2
        if let issued = issued[key], issued.until > seconds { return issued.token }
        let claims = PluginClaims(
            subject: Self.platform, audience: target.rawValue, id: random.bytes(16).hexadecimal, issuedAt: seconds,
            expires: seconds + 2 * half, caller: caller, user: user)
        let token = try await sign(claims)
        if issued.count >= Self.remembered { issued.removeAll() }
        issued[key] = (token, claims.issuedAt + half)
        return token
    }

    private func sign(_ claims: PluginClaims) async throws(PluginAnswer) -> String {
        do {
            return try await tokens.sign(claims)
        } catch {
            throw PluginAnswer(503, "nothing can be signed yet")
        }
    }
}

extension PluginTokenError {
    fileprivate var text: String {
        switch self {
        case .malformed(let what): "none: \(what.forLog)"
        case .unsigned: "not signed by this platform"
        case .expired: "not of this time"
        }
    }
}

/// Compares all bytes, so that the time says nothing about where two differ.
func isSame(_ a: String, _ b: String) -> Bool {
    let (a, b) = (Bytes(a.utf8), Bytes(b.utf8))
    guard a.count == b.count else { return false }
    return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
