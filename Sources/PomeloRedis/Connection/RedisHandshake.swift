// SPDX-License-Identifier: MIT
import PomeloLoop

/// What is said first on every connection, and what the answers mean.
///
/// - Source: the commands AUTH, SELECT, CLIENT SETNAME, PING, ROLE and INFO of Redis.
struct RedisHandshake {
    private enum Step { case auth, select, name, ping, role, info }

    enum Verdict: Equatable {
        /// Ready; the run id is empty when the server does not tell it. `refused` names the commands that the user has
        /// no right to: without INFO neither version nor run id are known.
        case ready(runID: String, refused: [String] = [])
        /// Another attempt with this configuration is pointless.
        case misconfigured(String)
        /// The server may accept later: it loads its data, or is a replica.
        case unready(String)
    }

    /// The least version: streams, and scripts that write after they have asked for the time.
    ///
    /// - Source: https://redis.io/docs/latest/commands/, "Available since", and the release notes of Redis 5.0.
    static let leastVersion = (major: 5, minor: 0)

    private let place: String
    private let role: RedisRole
    private let secrets: [String]
    private var steps: [(step: Step, command: RedisCommand)] = []

    init(_ configuration: RedisConfiguration, at place: SocketAddress, name: String, role: RedisRole = .primary) {
        self.place = "\(role == .sentinel ? "the sentinel" : "redis") at \(place)\(configuration.sourceNote)"
        self.role = role
        secrets = [configuration.password].compactMap { $0 }
        if let username = configuration.username {
            steps.append((.auth, RedisCommand("AUTH", username, configuration.password ?? "")))
        } else if let password = configuration.password {
            steps.append((.auth, RedisCommand("AUTH", password)))
        }
        if configuration.db != 0 { steps.append((.select, RedisCommand("SELECT", configuration.db))) }
        steps.append((.name, RedisCommand("CLIENT", "SETNAME", name)))
        steps.append((.ping, RedisCommand("PING")))
        steps.append((.role, RedisCommand("ROLE")))
        steps.append((.info, RedisCommand("INFO", "server")))
    }

    var commands: [RedisCommand] { steps.map(\.command) }

    func verdict(_ replies: [RedisReply]) -> Verdict {
        var runID = ""
        var refused: [String] = []
        for ((step, command), reply) in zip(steps, replies) {
            if let text = reply.errorText, let verdict = judge(text, step) { return verdict }
            if reply.errorCode == "NOPERM" { refused.append(command.name) }
            switch step {
            case .role where reply.array?.first?.string == "slave" && role != .anyClusterNode:
                return .unready("\(place) is a read-only replica")
            case .info:
                let info = reply.string ?? ""
                if let reason = objection(to: info) { return .misconfigured("\(place) \(reason)") }
                runID = Self.field("run_id", in: info) ?? ""
            default:
                break
            }
        }
        return .ready(runID: runID, refused: refused)
    }

    /// Why the server that says this of itself cannot be used; nil when it can, or says nothing.
    private func objection(to info: String) -> String? {
        switch (Self.field("redis_mode", in: info), role) {
        case ("sentinel", .sentinel):
            break
        case ("standalone", .sentinel), ("cluster", .sentinel):
            return "is a server with data, no sentinel: its address begins with redis://"
        case ("sentinel", _):
            return "is a Redis Sentinel, not a server with data: begin its address with redis+sentinel://"
        case ("cluster", .primary):
            return "is a node of a Redis Cluster: an address of one begins with redis+cluster://"
        case ("standalone", .clusterPrimary), ("standalone", .anyClusterNode):
            return "is no node of a Redis Cluster: its address begins with redis://"
        default: break
        }
        guard let version = Self.field("redis_version", in: info) else { return nil }
        let parts = version.split(separator: ".").map { Int($0) }
        let least = Self.leastVersion
        guard parts.count >= 2, let major = parts[0], let minor = parts[1], (major, minor) < least else { return nil }
        return "is version \(version); \(least.major).\(least.minor) is the least that is supported"
    }

    private func judge(_ text: String, _ step: Step) -> Verdict? {
        let code = RedisError.code(of: text)
        if ["LOADING", "MASTERDOWN", "READONLY", "BUSY", "CLUSTERDOWN"].contains(code) {
            return .unready("\(place) is not ready: \(text)")
        }
        switch step {
        case .auth:
            let words = RedisError.without(secrets, text)
            return .misconfigured("\(place) refused the key \"password\" (or \"username\"): \(words)")
        case _ where code == "NOAUTH":
            return .misconfigured("\(place) requires the key \"password\": \(text)")
        case .select:
            return .misconfigured("\(place) refused the key \"db\": \(text)")
        case .name, .ping, .role, .info:
            // A user without these rights can still do everything else.
            return nil
        }
    }

    private static func field(_ name: String, in info: String) -> String? {
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("\(name):") }
        return line.map { String($0.dropFirst(name.count + 1)) }
    }
}
