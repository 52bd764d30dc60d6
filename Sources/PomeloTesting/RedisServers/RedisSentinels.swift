// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A real primary with its replicas, and the sentinels that watch over them, on 127.0.0.1.
///
/// The sentinels are hasty: they miss a primary after 0.7 s, and name the next one within about two.
@Loop public final class RedisSentinels {
    /// What the sentinels call the primary.
    public nonisolated static let name = "mymaster"
    /// Servers of data; the first was the primary at the start.
    public private(set) var servers: [RedisServer] = []
    /// More than half of them must agree.
    public private(set) var sentinels: [RedisServer] = []
    /// Where sentinels listen.
    public var sentinelPorts: [Int] { sentinels.map(\.port) }

    private init() {}

    /// Starts all of them, and returns when every sentinel knows all the others.
    ///
    /// `login` is asked for by servers of data, `sentinelLogin` by sentinels; `options` are the former's own, for
    /// instance `["--min-replicas-to-write", "1"]`. Sentinels dial from the address `source`, if one is given; with
    /// `tls`, all of them speak nothing else, and have the same certificate.
    ///
    /// - Throws: `NetworkError` when they do not come up.
    public static func start(
        replicas: Int = 2, sentinels: Int = 3, login: RedisLogin? = nil, sentinelLogin: RedisLogin? = nil,
        source: String? = nil, options: [String] = [], tls: RedisTLS? = nil
    ) async throws(NetworkError) -> RedisSentinels {
        let all = RedisSentinels()
        do throws(NetworkError) {
            try await all.startServers(replicas, login, options, tls)
            try await all.startSentinels(sentinels, sentinelLogin, source, tls)
            return all
        } catch {
            await all.stop()
            throw error
        }
    }

    /// Ends all of them and removes their files.
    public func stop() async {
        for server in sentinels + servers { await server.stop() }
    }

    // MARK: who is what

    /// The port that more than half of all sentinels call the primary's, once they do.
    ///
    /// - Throws: `NetworkError` when they do not agree within 20 s.
    public func currentPrimaryPort() async throws(NetworkError) -> Int {
        var port = 0
        try await RedisServer.wait(for: "the sentinels agree") { () throws(NetworkError) in
            var votes: [Int: Int] = [:]
            for sentinel in sentinels where sentinel.isRunning && !sentinel.isPaused {
                let address = try await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.name)
                votes[Int(address.last ?? "") ?? 0, default: 0] += 1
            }
            guard let vote = votes.first(where: { $0.value > sentinels.count / 2 }) else { return false }
            port = vote.key
            return true
        }
        return port
    }

    /// The server that the sentinels call the primary.
    ///
    /// - Throws: `NetworkError` when they do not agree.
    public func primary() async throws(NetworkError) -> RedisServer {
        let port = try await currentPrimaryPort()
        guard let server = servers.first(where: { $0.port == port }) else {
            throw NetworkError(code: "ENOENT", description: "no server has port \(port)")
        }
        return server
    }

    /// The other servers, running or not.
    ///
    /// - Throws: `NetworkError` when the sentinels do not agree on the primary.
    public func replicas() async throws(NetworkError) -> [RedisServer] {
        let primary = try await primary()
        return servers.filter { $0 !== primary }
    }

    /// Returns the primary when it is not `former` and takes writes; replicas may still be looking for it.
    ///
    /// - Throws: `NetworkError` when there is none within 20 s.
    @discardableResult
    public func nextPrimary(after former: RedisServer) async throws(NetworkError) -> RedisServer {
        var next = former
        try await RedisServer.wait(for: "a primary other than \(former.port)") { () throws(NetworkError) in
            next = try await primary()
            guard next !== former, next.isRunning else { return false }
            return try await next.info("role") == "master"
        }
        return next
    }

    /// Returns when every running server but the primary is its replica, and up to date.
    ///
    /// Sentinels make a former primary a replica some time after it is back, and may need more than one attempt.
    ///
    /// - Throws: `NetworkError` when they are not within 30 s, and who does not.
    public func settle() async throws(NetworkError) {
        try await RedisServer.wait(for: "all follow the primary", within: .seconds(30)) { () throws(NetworkError) in
            let primary = try await primary()
            guard try await primary.info("role") == "master" else {
                throw NetworkError(code: "EAGAIN", description: "\(primary.port) is a replica yet")
            }
            for server in servers where server !== primary && server.isRunning && !server.isPaused {
                let info = try await server.command("INFO", "replication")
                let port = RedisServer.value(of: "master_port", in: info)
                let link = RedisServer.value(of: "master_link_status", in: info)
                guard port == "\(primary.port)", link == "up" else {
                    let own = "\(server.port) follows \(port ?? "nobody"), its link is \(link ?? "none")"
                    let words = "\(own); the primary is \(primary.port)"
                    throw NetworkError(code: "EAGAIN", description: words)
                }
            }
            return true
        }
    }

    // MARK: faults

    /// Makes the sentinels choose another primary while the present one is well; it becomes a replica.
    ///
    /// - Returns: the new primary.
    /// - Throws: `NetworkError` when there is none within 20 s.
    @discardableResult
    public func failOver() async throws(NetworkError) -> RedisServer {
        let former = try await primary()
        try await RedisServer.wait(for: "a fail-over is done") { () throws(NetworkError) in
            guard let sentinel = sentinels.first(where: { $0.isRunning && !$0.isPaused }) else { return false }
            let address = try await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.name)
            if address.last != "\(former.port)" { return true }
            // Refused while one is under way, or as long as no replica is good enough; one that fails is begun again.
            try await sentinel.command("SENTINEL", "FAILOVER", Self.name)
            return false
        }
        return try await nextPrimary(after: former)
    }

    /// Ends the primary as a crash does; `nextPrimary(after:)` is the next one.
    ///
    /// Its `restart` brings it back as a primary without its data, which the sentinels then make a replica.
    ///
    /// - Returns: the one that was.
    /// - Throws: `NetworkError` when the sentinels do not agree on one.
    @discardableResult
    public func killPrimary() async throws(NetworkError) -> RedisServer {
        let primary = try await primary()
        await primary.kill9()
        return primary
    }

    /// Keeps the sentinels, and them alone, from the primary: they choose another, and this one does not know.
    ///
    /// Clients still reach it, and it takes writes that will be lost. It takes a `login`: sentinels have a user of
    /// their own, and without one whoever is not known may do everything.
    ///
    /// - Returns: the one that was, for `rejoin`.
    /// - Throws: `NetworkError` when there is no login, the sentinels do not agree on one, or it does not answer.
    @discardableResult
    public func cutPrimary() async throws(NetworkError) -> RedisServer {
        let primary = try await primary()
        guard primary.login != nil else {
            throw NetworkError(code: "EINVAL", description: "servers that ask for no login let the sentinels in")
        }
        try await primary.command("ACL", "SETUSER", Self.sentinelUser, "off")
        try await primary.command("CLIENT", "KILL", "USER", Self.sentinelUser)
        return primary
    }

    /// Lets the sentinels reach a server again, which they then make a replica.
    ///
    /// - Throws: `NetworkError` when it does not answer.
    public func rejoin(_ server: RedisServer) async throws(NetworkError) {
        try await server.command("ACL", "SETUSER", Self.sentinelUser, "on")
        // A sentinel that was refused keeps the connection, which has no name then, and does not log in again.
        for client in try await server.command("CLIENT", "LIST") where client.contains(" name= ") {
            guard let id = client.split(separator: " ").first?.dropFirst("id=".count) else { continue }
            try await server.command("CLIENT", "KILL", "ID", String(id))
        }
    }

    // MARK: start

    /// What sentinels are to servers of data.
    private static let sentinelUser = "sentinel"

    private func startServers(
        _ replicas: Int, _ login: RedisLogin?, _ options: [String], _ tls: RedisTLS?
    ) async throws(NetworkError) {
        let common =
            ["--repl-diskless-sync-delay", "0"]
            + ["--user", Self.sentinelUser, "on", ">sentinel", "~*", "&*", "+@all"]
            + (login.map { $0.options + $0.replicaOptions } ?? []) + options
        servers.append(try await RedisServer.start(.watched, options: common, login: login, tls: tls))
        for _ in 0..<replicas {
            let primary = ["--replicaof", "127.0.0.1", "\(servers[0].port)"]
            servers.append(try await RedisServer.start(.watched, options: primary + common, login: login, tls: tls))
        }
        for replica in servers.dropFirst() {
            try await RedisServer.wait(for: "replica \(replica.port) follows") { () throws(NetworkError) in
                try await replica.info("master_link_status") == "up"
            }
        }
    }

    private func startSentinels(
        _ count: Int, _ sentinelLogin: RedisLogin?, _ source: String?, _ tls: RedisTLS?
    ) async throws(NetworkError) {
        let name = Self.name
        var options = ["--sentinel", "monitor", name, "127.0.0.1", "\(servers[0].port)", "\(count / 2 + 1)"]
        options += ["--sentinel", "down-after-milliseconds", name, "700"]
        options += ["--sentinel", "failover-timeout", name, "3000"]
        options += ["--sentinel", "auth-user", name, Self.sentinelUser, "--sentinel", "auth-pass", name, "sentinel"]
        // They would be told to others by where they dial from.
        if let source { options += ["--bind-source-addr", source, "--sentinel", "announce-ip", "127.0.0.1"] }
        if let sentinelLogin {
            options += sentinelLogin.options + ["--sentinel", "sentinel-pass", sentinelLogin.password]
            if let user = sentinelLogin.user { options += ["--sentinel", "sentinel-user", user] }
        }
        for _ in 0..<count {
            let sentinel = try await RedisServer.start(.sentinel, options: options, login: sentinelLogin, tls: tls)
            sentinels.append(sentinel)
            // Their periods are seconds by default. The fourth also makes a former primary a replica sooner.
            try await sentinel.command(
                "SENTINEL", "DEBUG", "info-period", "500", "ping-period", "200", "ask-period", "200",
                "publish-period", "300", "min-link-reconnect-period", "500")
        }
        for sentinel in sentinels {
            try await RedisServer.wait(for: "sentinel \(sentinel.port) knows all") { () throws(NetworkError) in
                let fields = try await sentinel.command("SENTINEL", "MASTER", name)
                return Self.field("num-slaves", fields) == "\(servers.count - 1)"
                    && Self.field("num-other-sentinels", fields) == "\(count - 1)"
                    && Self.field("flags", fields) == "master"
            }
        }
        try await settle()
    }

    /// A reply of names and values in turn.
    private static func field(_ name: String, _ lines: [String]) -> String? {
        lines.firstIndex(of: name).flatMap { $0 + 1 < lines.count ? lines[$0 + 1] : nil }
    }
}
