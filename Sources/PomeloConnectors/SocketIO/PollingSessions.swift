// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// The sessions that have no WebSocket: so many at most, and so many from one address.
@Loop struct PollingSessions {
    private let limit: Int
    private let perAddress: Int
    private var byID: [ObjectIdentifier: SocketIOClient] = [:]
    private var byOrigin: [Origin: Set<ObjectIdentifier>] = [:]

    init(limit: Int, perAddress: Int) {
        self.limit = limit
        self.perAddress = perAddress
    }

    var count: Int { byID.count }
    var all: [SocketIOClient] { Array(byID.values) }

    /// Adds one; returns who must make room for it, or nil when nobody can be asked to.
    ///
    /// Who has been away for longest is the likeliest to be gone.
    mutating func add(_ client: SocketIOClient) -> [SocketIOClient]? {
        let origin = Origin(client.remoteAddress)
        var leaving: [SocketIOClient] = []
        if let same = byOrigin[origin], same.count >= perAddress {
            guard let longest = longestAway(same.compactMap { byID[$0] }) else { return nil }
            leaving.append(longest)
        } else if byID.count >= limit {
            guard let longest = longestAway(all) else { return nil }
            leaving.append(longest)
        }
        for one in leaving { remove(one) }
        byID[ObjectIdentifier(client)] = client
        byOrigin[origin, default: []].insert(ObjectIdentifier(client))
        return leaving
    }

    private func longestAway(_ clients: [SocketIOClient]) -> SocketIOClient? {
        clients.filter(\.isAway).min { $0.awaySince < $1.awaySince }
    }

    mutating func remove(_ client: SocketIOClient) {
        guard byID.removeValue(forKey: ObjectIdentifier(client)) != nil else { return }
        let origin = Origin(client.remoteAddress)
        byOrigin[origin]?.remove(ObjectIdentifier(client))
        if byOrigin[origin]?.isEmpty == true { byOrigin[origin] = nil }
    }
}
