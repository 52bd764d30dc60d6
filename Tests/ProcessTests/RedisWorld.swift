// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers

/// The Redis that a program's servers stand on, as people run it.
@Loop final class RedisWorld {
    /// A slot's way from one node of the cluster to another.
    struct SlotMove {
        let slot: Int
        let from: Int
        let to: Int
    }

    enum Kind: String, CaseIterable {
        case standalone, sentinel, cluster
    }

    /// What the program's servers say to Redis, but for a cluster.
    static let password = "known"

    let processes: ServerProcesses
    let kind: Kind
    /// Who is to come back, between two faults or halves of one.
    var former: RedisServer?
    /// Slots that are half-way.
    var moves: [SlotMove] = []
    private let sentinelsOrNone: RedisSentinels?
    private let clusterOrNone: RedisClusterServers?

    private init(
        _ processes: ServerProcesses, _ kind: Kind, sentinels: RedisSentinels? = nil,
        cluster: RedisClusterServers? = nil
    ) {
        self.processes = processes
        self.kind = kind
        sentinelsOrNone = sentinels
        clusterOrNone = cluster
    }

    /// Starts Redis, then a program's servers, which are told where it is; sentinels and theirs may speak TLS.
    static func start(
        _ kind: Kind, _ program: String = "Chat", config: String = "config", tls: RedisTLS? = nil
    ) async throws -> RedisWorld {
        let processes = try await ServerProcesses.prepare(
            program, config: config, redis: ["--requirepass", password])
        let world: RedisWorld
        switch kind {
        case .standalone:
            processes.redis.login = RedisLogin(password: password)
            try processes.write(
                "redis",
                [
                    "development": [
                        "host": "127.0.0.1", "port": .int(Int64(processes.redis.port)), "password": .string(password),
                    ]
                ])
            world = RedisWorld(processes, kind)
        case .sentinel:
            let sentinels = try await RedisSentinels.start(
                login: RedisLogin(password: password), source: OwnNetwork.isThis ? OwnNetwork.sentinels : nil,
                tls: tls)
            let hosts = sentinels.sentinelPorts.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            let rest = "+sentinel://:\(password)@\(hosts)/\(RedisSentinels.name)/0"
            if let tls {
                let url = "rediss\(rest)?ca=\(tls.authorityFile)"
                try processes.write("redis", ["development": ["url": .string(url)]])
            } else {
                processes.environment["REDIS_URL"] = "redis\(rest)"
            }
            world = RedisWorld(processes, kind, sentinels: sentinels)
        case .cluster:
            let cluster = try await RedisClusterServers.start()
            let hosts = cluster.ports.prefix(3).map { "127.0.0.1:\($0)" }.joined(separator: ",")
            processes.environment["REDIS_URL"] = "redis+cluster://\(hosts)"
            world = RedisWorld(processes, kind, cluster: cluster)
        }
        try await processes.startAll()
        return world
    }

    func stop() async throws {
        try await processes.stop()
        await sentinelsOrNone?.stop()
        await clusterOrNone?.stop()
    }

    // MARK: for what is done to it

    var sentinels: RedisSentinels {
        get throws { try found(sentinelsOrNone) }
    }

    var cluster: RedisClusterServers {
        get throws { try found(clusterOrNone) }
    }

    private func found<T>(_ part: T?) throws -> T {
        guard let part else { throw Unmet(description: "not a part of \(kind)") }
        return part
    }

    /// The server that takes writes of a key, of the registry's if none is said.
    func server(for key: String = "pomelo:{chat}:servers") async throws -> RedisServer {
        switch kind {
        case .standalone: return processes.redis
        case .sentinel: return try await sentinels.primary()
        case .cluster:
            guard let node = try cluster.nodes.first(where: { $0.isRunning && !$0.isPaused }),
                let slot = Int(try await node.command("CLUSTER", "KEYSLOT", key).joined())
            else { throw Unmet(description: "no slot of \(key)") }
            return try await cluster.nodes[cluster.owner(of: slot)]
        }
    }

    // MARK: what the servers publish there

    /// Whether no server is still connected to one that is not the sentinels' primary.
    func hasLeftOthers() async throws -> Bool {
        guard kind == .sentinel else { return true }
        for server in try await sentinels.replicas() where server.isRunning && !server.isPaused {
            guard try await !server.command("CLIENT", "LIST").contains(where: { $0.contains("-server-") }) else {
                return false
            }
        }
        return true
    }

    /// Whether Redis says exactly these people of a room, by the connector that they are at.
    func holds(_ people: [String: [String]], of room: String) async throws -> Bool {
        do {
            for (connector, names) in people {
                let users = names.map { "\($0)*\(room)" }.sorted()
                guard try await members(channelKey(of: room, at: connector)) == users else { return false }
                for name in names where try await members("POMELO:STATUS:\(name)*\(room)") != [connector] {
                    return false
                }
            }
            return true
        } catch let error where "\(error)".contains("CLUSTERDOWN") {
            // A node of a busy machine that has not heard of the others in time says so for a moment.
            return false
        }
    }

    func channelKey(of room: String, at connector: String) -> String {
        kind == .cluster ? "POMELO:CHANNEL:{chat/\(connector)}:\(room)" : "POMELO:CHANNEL:\(room):\(connector)"
    }

    /// The set of a key, as another client sees it.
    func members(_ key: String) async throws -> [String] {
        try await server(for: key).command("SMEMBERS", key).filter { !$0.isEmpty }.sorted()
    }
}
