// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Something that happens to the Redis of a running cluster.
struct RedisFault: Sendable, CustomStringConvertible {
    let description: String
    let kinds: Set<RedisWorld.Kind>
    /// Among those that every run of the tests does; all are done by `./dev soak redis`.
    let isQuick: Bool
    /// What newcomers get while it lasts.
    let newcomers: Newcomers
    let seconds: Double
    /// Whether it changes how packets go, which takes a network that is nobody else's.
    let needsOwnNetwork: Bool
    let begin: @Loop @Sendable (RedisWorld) async throws -> Void
    /// When it returns, Redis is back.
    let end: @Loop @Sendable (RedisWorld) async throws -> Void

    enum Newcomers {
        /// Over before anybody needs to notice; a few may be refused.
        case unharmed
        /// At least one is refused, in time.
        case refused
    }

    /// `always` is among the quick ones.
    init(
        _ description: String, on kinds: Set<RedisWorld.Kind>, always isQuick: Bool = false,
        newcomers: Newcomers = .refused, for seconds: Double = 2, inOwnNetwork needsOwnNetwork: Bool = false,
        begin: @escaping @Loop @Sendable (RedisWorld) async throws -> Void,
        end: @escaping @Loop @Sendable (RedisWorld) async throws -> Void = { _ in }
    ) {
        self.description = description
        self.kinds = kinds
        self.isQuick = isQuick
        self.newcomers = newcomers
        self.seconds = seconds
        self.needsOwnNetwork = needsOwnNetwork
        self.begin = begin
        self.end = end
    }

    // MARK: the table

    /// To the server that takes writes of the registry.
    private static let everywhere = Set(RedisWorld.Kind.allCases)

    static let all = crashes + connections + silences + refusals + sentinelTakeovers + clusterTakeovers

    /// The process ends, or its data do.
    private static let crashes = [
        RedisFault(
            "restart with its data", on: [.standalone], always: true,
            begin: { world in
                try await world.server().command("SAVE")
                await world.processes.redis.kill9()
            }, end: { try await $0.processes.redis.restart() }),
        RedisFault(
            "restart without its data", on: [.standalone], always: true, begin: { await $0.processes.redis.kill9() },
            end: { try await $0.processes.redis.restart(empty: true) }),
        RedisFault(
            "FLUSHALL", on: everywhere, newcomers: .unharmed, for: 0,
            begin: { try await $0.server().command("FLUSHALL") }),
    ]

    /// The connections end, and nothing else.
    private static let connections = [
        RedisFault(
            "CLIENT KILL of those for commands", on: everywhere, newcomers: .unharmed, for: 0,
            begin: { try await $0.server().command("CLIENT", "KILL", "TYPE", "normal") }),
        RedisFault(
            "CLIENT KILL of those for messages", on: everywhere, newcomers: .unharmed, for: 0,
            begin: { try await $0.server().command("CLIENT", "KILL", "TYPE", "pubsub") }),
        RedisFault(
            "CLIENT KILL of both", on: everywhere, always: true, newcomers: .unharmed, for: 0,
            begin: { try await $0.killConnections() }),
        RedisFault(
            "a subscriber over its output buffer", on: everywhere, newcomers: .unharmed, for: 0,
            begin: { world in
                let redis = try await world.server()
                let limits = "client-output-buffer-limit"
                try await redis.command("CONFIG", "SET", limits, "pubsub 1 1 1")
                for channel in try await redis.command("PUBSUB", "CHANNELS") where !channel.isEmpty {
                    try await redis.command("PUBLISH", channel, String(repeating: "0", count: 100_000))
                }
                try await redis.command("CONFIG", "SET", limits, "pubsub 32mb 8mb 60")
            }),
    ]

    /// Connections stay, and nothing is answered, or only that it takes time.
    private static let silences = [
        RedisFault(
            "SIGSTOP", on: [.standalone], begin: { try await $0.server().pause() },
            end: { $0.processes.redis.resume() }),
        RedisFault(
            "CLIENT PAUSE", on: [.standalone], for: 20,
            begin: { try await $0.server().command("CLIENT", "PAUSE", "20000", "ALL") }),
        RedisFault(
            "DEBUG SLEEP", on: [.standalone], for: 4,
            begin: { world in
                let redis = try await world.server()
                Loop.spawn { _ = try? await redis.command(["DEBUG", "SLEEP", "4"]) }
            }),
        RedisFault(
            "LOADING", on: [.standalone], for: 10,
            begin: { world in
                let redis = try await world.server()
                try await redis.command("DEBUG", "POPULATE", "10000", "filler", "8")
                try await redis.command("CONFIG", "SET", "key-load-delay", "1000")
                try await redis.command("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
                Loop.spawn { _ = try? await redis.command(["DEBUG", "RELOAD"], patience: .seconds(20)) }
            },
            end: { world in
                let redis = try await world.server()
                try await eventually("it has loaded", within: .seconds(20)) {
                    try await redis.info("loading") == "0"
                }
                let script = "for _, key in ipairs(redis.call('KEYS', 'filler:*')) do redis.call('UNLINK', key) end"
                try await redis.command("EVAL", script, "0")
            }),
    ]

    /// Everything is answered, but not as it should be.
    private static let refusals = [
        RedisFault(
            "the password changes, and connections end", on: [.standalone],
            begin: { world in
                try await world.changePassword(to: "unknown")
                try await world.killConnections()
            },
            end: { try await $0.changePassword(to: RedisWorld.password) }),
        RedisFault(
            "a replica that takes no writes", on: [.standalone],
            begin: { try await $0.server().command("REPLICAOF", "127.0.0.1", "1") },
            end: { try await $0.server().command("REPLICAOF", "NO", "ONE") }),
        RedisFault(
            "maxmemory reached", on: everywhere, always: true,
            begin: { try await $0.server().command("CONFIG", "SET", "maxmemory", "1") },
            end: { try await $0.server().command("CONFIG", "SET", "maxmemory", "0") }),
    ]
}

extension RedisWorld {
    fileprivate func killConnections() async throws {
        let redis = try await server()
        for type in ["pubsub", "normal"] { try await redis.command("CLIENT", "KILL", "TYPE", type) }
    }

    fileprivate func changePassword(to password: String) async throws {
        let redis = try await server()
        try await redis.command("CONFIG", "SET", "requirepass", password)
        redis.login = RedisLogin(password: password)
    }
}
