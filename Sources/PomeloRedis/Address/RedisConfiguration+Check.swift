// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTLS

// What a file is refused for is refused of a program too: when it starts.

extension RedisConfiguration {
    /// The longest time, of an hour.
    private static let longestSeconds = 3600.0
    static let secondsForm = "a number of seconds above 0, at most 3600"
    static let leastPending = (commands: 16, bytes: 65_536)
    static let leastReplyBytes = 65_536
    static let dbForm = "a number from 0"
    static let portForm = "a number from 1 to 65535"

    static func isSeconds(_ seconds: Double) -> Bool { seconds > 0 && seconds <= longestSeconds }
    static func isPort(_ port: Int) -> Bool { (1...65_535).contains(port) }

    /// Any number as a time: what cannot be one is the nearest that can.
    static func duration(_ seconds: Double) -> Duration {
        seconds.isNaN ? .zero : .seconds(min(max(seconds, 0), longestSeconds))
    }

    /// Why nothing can be started with this; nil when something can.
    var objection: RedisError? {
        func check(_ key: String, _ form: String, _ isValid: Bool) -> RedisError? {
            isValid ? nil : .reply("redis\(sourceNote): \"\(key)\" must be \(form)")
        }
        return check("commandTimeoutSeconds", Self.secondsForm, Self.isSeconds(commandTimeoutSeconds))
            ?? check("connectTimeoutSeconds", Self.secondsForm, Self.isSeconds(connectTimeoutSeconds))
            ?? check("startTimeoutSeconds", Self.secondsForm, Self.isSeconds(startTimeoutSeconds))
            ?? check(
                "maxPendingCommands", "a number from \(Self.leastPending.commands)",
                maxPendingCommands >= Self.leastPending.commands)
            ?? check(
                "maxPendingBytes", "a number from \(Self.leastPending.bytes)",
                maxPendingBytes >= Self.leastPending.bytes)
            ?? check(
                "maxReplyBytes", "a number from \(Self.leastReplyBytes)", maxReplyBytes >= Self.leastReplyBytes)
            ?? check("db", Self.dbForm, db >= 0)
            ?? check("keyPrefix", Self.keyPrefixForm, Self.isKeyPrefix(keyPrefix))
            ?? check("clientName", Self.clientNameForm, clientName.map(Self.isClientName) ?? true)
            ?? placeObjection(check)
    }

    /// Trying again would not help.
    private var absence: RedisError? {
        guard tls != nil, let error = TLSError.ofAbsence else { return nil }
        return .reply("redis\(sourceNote): \(error)")
    }

    private func placeObjection(_ check: (String, String, Bool) -> RedisError?) -> RedisError? {
        if let absence { return absence }
        let form = "a list of places with a host, and a port from 1 to 65535"
        func areValid(_ places: [SocketAddress]) -> Bool {
            !places.isEmpty && places.allSatisfy { !$0.host.isEmpty && Self.isPort($0.port) }
        }
        switch topology {
        case .standalone(let place):
            let isPath = place.port == 0 && Self.isPath(place.host)
            return check("host", "a host name or address, without a port", !place.host.isEmpty)
                ?? check("port", Self.portForm, isPath || Self.isPort(place.port))
                ?? check("tls", "absent for the path of a Unix-domain socket", tls == nil || !isPath)
        case .sentinel(let address): return check("sentinels", form, areValid(address.places))
        case .cluster(let seeds):
            return check("cluster", form, areValid(seeds))
                ?? check("db", "0 for a cluster: it has no other", db == 0)
        }
    }
}
