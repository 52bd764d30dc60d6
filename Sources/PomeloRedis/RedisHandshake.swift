// SPDX-License-Identifier: MIT

/// What is said first on every connection, and what the answers mean.
///
/// - Source: the commands AUTH, SELECT, CLIENT SETNAME, PING, ROLE and INFO of Redis.
struct RedisHandshake {
    private enum Step { case auth, select, name, ping, role, info }

    enum Verdict: Equatable {
        /// Ready; the run id is empty when the server does not tell it.
        case ready(runID: String)
        /// Another attempt with this configuration is pointless.
        case misconfigured(String)
        /// The server may accept later: it loads its data, or is a replica.
        case unready(String)
    }

    private let place: String
    private var steps: [(step: Step, command: RedisCommand)] = []

    init(_ configuration: RedisConfiguration, name: String) {
        place = "redis at \(configuration.host):\(configuration.port)"
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
        for ((step, _), reply) in zip(steps, replies) {
            if let text = reply.errorText, let verdict = judge(text, step) { return verdict }
            switch step {
            case .role where reply.array?.first?.string == "slave":
                return .unready("\(place) is a read-only replica")
            case .info:
                runID = Self.runID(in: reply.string ?? "")
            default:
                break
            }
        }
        return .ready(runID: runID)
    }

    private func judge(_ text: String, _ step: Step) -> Verdict? {
        let code = text.prefix { $0 != " " }
        if ["LOADING", "MASTERDOWN", "READONLY", "BUSY", "CLUSTERDOWN"].contains(code) {
            return .unready("\(place) is not ready: \(text)")
        }
        switch step {
        case .auth:
            return .misconfigured("\(place) refused the key \"password\" (or \"username\"): \(text)")
        case _ where code == "NOAUTH":
            return .misconfigured("\(place) requires the key \"password\": \(text)")
        case .select:
            return .misconfigured("\(place) refused the key \"db\": \(text)")
        case .name, .ping, .role, .info:
            // A user without these rights can still do everything else.
            return nil
        }
    }

    private static func runID(in info: String) -> String {
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("run_id:") {
            return String(line.dropFirst("run_id:".count))
        }
        return ""
    }
}
