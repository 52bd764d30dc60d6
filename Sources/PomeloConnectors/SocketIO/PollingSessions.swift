// SPDX-License-Identifier: MIT
import DequeModule
import PomeloCore
import PomeloLoop

/// The sessions that have no WebSocket: so many at most, so many from one address, and a sixteenth of these from one
/// connection before the core knows them.
///
/// A connection costs whoever floods more than a request does: many requests in one breath take no other's place.
@Loop struct PollingSessions {
    /// Longer than a client needs from one poll to the next, also on a slow line, in nanoseconds.
    private static let betweenPolls: UInt64 = 2_000_000_000

    private let limit: Int
    private let perAddress: Int
    private let perConnection: Int
    private var byID: [ObjectIdentifier: SocketIOClient] = [:]
    private var byOrigin: [Origin: Set<ObjectIdentifier>] = [:]
    /// Oldest first; who is no newcomer any more leaves it later.
    private var newcomers: Deque<SocketIOClient> = []
    private var newcomerCount = 0
    /// Those that one connection began, oldest first; who is no newcomer any more leaves it later.
    private var byOpener: [Int: [SocketIOClient]] = [:]

    init(limit: Int, perAddress: Int) {
        self.limit = limit
        self.perAddress = perAddress
        perConnection = max(1, perAddress / 16)
    }

    var count: Int { byID.count }

    /// Adds one; returns who must make room for it, one at most, or nil when nobody can be asked to.
    ///
    /// That is the oldest of those the core does not know, by the same connection if it began too many; or who of the
    /// others has been away for longest, if they are more: a crowd makes room for its own. At one address who has been
    /// away too long goes before all.
    mutating func add(_ client: SocketIOClient) -> [SocketIOClient]? {
        let origin = Origin(client.remoteAddress)
        let begun = (byOpener[client.opener] ?? []).filter { isNewcomer($0) }
        var leaving: SocketIOClient?
        if begun.count >= perConnection {
            leaving = begun.first
        } else if let same = byOrigin[origin], same.count >= perAddress {
            leaving = leastLikely(same.compactMap { byID[$0] }, client.now)
            if leaving == nil { return nil }
        } else if byID.count >= limit {
            tidy()
            let isNewcomersTurn = newcomerCount >= byID.count - newcomerCount && !newcomers.isEmpty
            leaving = isNewcomersTurn ? newcomers.first : longestAway(byID.values.filter(\.hasEntered))
            leaving = leaving ?? newcomers.first
            if leaving == nil { return nil }
        }
        byOpener[client.opener] = begun + [client]
        if let leaving { remove(leaving) }
        byID[ObjectIdentifier(client)] = client
        byOrigin[origin, default: []].insert(ObjectIdentifier(client))
        newcomers.append(client)
        newcomerCount += 1
        tidy()
        return leaving.map { [$0] } ?? []
    }

    /// The core knows one of them from now on; called before it does.
    mutating func enters(_ client: SocketIOClient) {
        if isNewcomer(client) { newcomerCount -= 1 }
    }

    /// Who at one address is the least likely to be missed; a client that polls is away between two polls only.
    private func leastLikely(_ clients: [SocketIOClient], _ now: UInt64) -> SocketIOClient? {
        let away = clients.filter { $0.session != nil && $0.isAway }
        let longest = longestAway(away)
        if let longest, longest.awaySince &+ Self.betweenPolls < now { return longest }
        let strangers = clients.filter { $0.session == nil }
        let oldest = strangers.min { $0.awaySince < $1.awaySince }
        return away.count > strangers.count ? longest ?? oldest : oldest ?? longest
    }

    private func longestAway(_ clients: [SocketIOClient]) -> SocketIOClient? {
        clients.filter(\.isAway).min { $0.awaySince < $1.awaySince }
    }

    private func isNewcomer(_ client: SocketIOClient) -> Bool {
        !client.hasEntered && byID[ObjectIdentifier(client)] != nil
    }

    /// The first of the row is always a newcomer, and half of the others are.
    private mutating func tidy() {
        while let first = newcomers.first, !isNewcomer(first) { newcomers.removeFirst() }
        if newcomers.count > 2 * byID.count + 32 { newcomers = newcomers.filter { isNewcomer($0) } }
    }

    mutating func remove(_ client: SocketIOClient) {
        if isNewcomer(client) { newcomerCount -= 1 }
        guard byID.removeValue(forKey: ObjectIdentifier(client)) != nil else { return }
        let origin = Origin(client.remoteAddress)
        byOrigin[origin]?.remove(ObjectIdentifier(client))
        if byOrigin[origin]?.isEmpty == true { byOrigin[origin] = nil }
        byOpener[client.opener]?.removeAll { $0 === client }
        if byOpener[client.opener]?.isEmpty == true { byOpener[client.opener] = nil }
        tidy()
    }
}
