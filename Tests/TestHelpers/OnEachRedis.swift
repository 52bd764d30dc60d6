// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
package import Testing

/// How Redis is run, for tests that must hold however it is.
package enum RedisKind: String, CaseIterable, Sendable {
    /// A server of the test's own.
    case standalone
    /// A primary with a replica, which sentinels name.
    case sentinel
    case cluster

    /// The one of the test that runs.
    @TaskLocal package static var current = standalone
}

/// Runs each test of a suite on each kind of Redis: `withRedis` gives it what `RedisKind.current` says.
///
/// Sentinels and cluster are started once for the suite, which is `.serialized`: its tests share them.
package struct OnEachRedis: SuiteTrait, TestTrait, TestScoping {
    fileprivate let kinds: [RedisKind]
    package let isRecursive = true

    @TaskLocal private static var shared: [RedisKind: SharedRedis] = [:]

    /// For the suite, and for every single test.
    package func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? {
        test.isSuite || testCase != nil ? self : nil
    }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        if testCase == nil { return try await sharing(function) }
        for kind in kinds {
            // Never twice on a server of its own.
            try #require(kind == .standalone || Self.shared[kind] != nil, "\(kind) was not started")
            try await RedisKind.$current.withValue(kind) {
                try await SharedRedis.$current.withValue(Self.shared[kind]) { try await function() }
            }
        }
    }

    private func sharing(_ function: @concurrent @Sendable () async throws -> Void) async throws {
        var all: [RedisKind: SharedRedis] = [:]
        for kind in kinds { all[kind] = try await SharedRedis.start(kind) }
        let result: Result<Void, any Error>
        do {
            result = .success(try await Self.$shared.withValue(all) { try await function() })
        } catch {
            result = .failure(error)
        }
        for shared in all.values { await shared.stop() }
        try result.get()
    }
}

extension Trait where Self == OnEachRedis {
    /// On a server of each test's own, and on what the suite shares of the kinds.
    package static func onEachRedis(_ kinds: RedisKind...) -> Self { OnEachRedis(kinds: kinds) }
}

/// What the tests of a suite run on, one after the other.
@Loop final class SharedRedis {
    /// That of the test that runs.
    @TaskLocal static var current: SharedRedis?

    private let sentinels: RedisSentinels?
    private let cluster: RedisClusterServers?

    private init(sentinels: RedisSentinels? = nil, cluster: RedisClusterServers? = nil) {
        self.sentinels = sentinels
        self.cluster = cluster
    }

    /// Nil of a kind of which each test has its own.
    static func start(_ kind: RedisKind) async throws -> SharedRedis? {
        switch kind {
        case .standalone: nil
        case .sentinel: SharedRedis(sentinels: try await RedisSentinels.start(replicas: 1))
        case .cluster: SharedRedis(cluster: try await RedisClusterServers.start(replicas: 0))
        }
    }

    func stop() async {
        await sentinels?.stop()
        await cluster?.stop()
    }

    var configuration: RedisConfiguration {
        sentinels?.configuration() ?? cluster?.configuration ?? RedisConfiguration()
    }

    /// Removes what the test before has left, after what it did to the servers is over.
    ///
    /// - Returns: the primary, or the first node.
    func empty() async throws -> RedisServer {
        try await sentinels?.settle()
        try await cluster?.settle()
        let servers = if let sentinels { [try await sentinels.primary()] } else { cluster?.nodes ?? [] }
        for server in servers { try await server.command("FLUSHALL") }
        return servers[0]
    }
}
