// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloRedis

/// What a candidate is answered.
public enum ElectionAnswer: Sendable, Equatable {
    /// It holds the office, from the moment it asked, for the term that it asked for.
    case elected(token: UInt64)
    /// Another one does.
    case held(by: String, token: UInt64)
}

/// Where it is written who holds an office.
///
/// - Guarantee: one candidate at a time is elected, or has its term renewed; each new one gets a token above all there
///   were. A store that may lose what it has confirmed may elect a second one within a term, by a higher token.
@Loop public protocol ElectionStore: AnyObject {
    /// Takes an office that nobody holds, or renews the term of a candidate that does.
    ///
    /// The token is above the one given, which somebody has met; a candidate that holds a lower one gets a new one.
    ///
    /// - Throws: what keeps the store from answering; whether the office was taken is not known then.
    func stand(
        for office: String, _ candidate: String, term: Duration, above token: UInt64
    ) async throws -> ElectionAnswer
    /// Gives an office back; without effect for who does not hold it.
    func resign(_ office: String, _ candidate: String) async throws
}

/// Offices in Redis: `pomelo:{c}:elect:<office>`, a hash that lives as long as a term, and `…:fence`, the last token.
///
/// - Guarantee: that of `ElectionStore`. A fail-over, or a restart without its data, may lose a term; tokens rise on,
///   because none is smaller than the clock of Redis.
@Loop public final class RedisElectionStore: ElectionStore {
    private let redis: any RedisPort
    private let keys: ClusterKeys

    /// Reads and writes through the given connection.
    public init(_ redis: any RedisPort, cluster: String) {
        self.redis = redis
        keys = ClusterKeys(cluster: cluster)
    }

    /// One script; see `ElectionStore`.
    ///
    /// - Throws: `RedisError`.
    public func stand(
        for office: String, _ candidate: String, term: Duration, above token: UInt64
    ) async throws -> ElectionAnswer {
        let reply = try await redis.run(
            ClusterScripts.stand, keys: [keys.elected(office), keys.fence(office)],
            args: [.text(candidate), .milliseconds(term), .number(Int(clamping: token))])
        let fields = reply.array ?? []
        guard fields.count >= 2, let isOurs = fields[0].int, let token = fields[1].int.flatMap(UInt64.init(exactly:))
        else { throw RedisError.protocolError("an election is not what it should be") }
        if isOurs == 1 { return .elected(token: token) }
        guard fields.count == 3, let holder = fields[2].string else {
            throw RedisError.protocolError("an election is not what it should be")
        }
        return .held(by: holder, token: token)
    }

    /// One script; see `ElectionStore`.
    ///
    /// - Throws: `RedisError`.
    public func resign(_ office: String, _ candidate: String) async throws {
        _ = try await redis.run(ClusterScripts.resign, keys: [keys.elected(office)], args: [.text(candidate)])
    }
}
