// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Serves the cron of these tests.
@Loop private struct News: Handler {
    let tell: @Loop @Sendable () -> Void

    var routes: [ServedRoute] { [on(cron: "news.tell") { tell() }] }
}

/// A cron that one server of a type runs at a time.
@Suite struct SingletonCronTests {
    /// Three chat servers with a job each second; who ran it when, in seconds.
    @Loop private final class World {
        let cluster: TestCluster
        let runs = Journal<(server: ServerID, second: Int64)>()

        init() {
            cluster = TestCluster(TestCluster.records(connectors: 0, chats: 3))
            cluster.useRedis(globalChannel: nil, status: nil)
        }

        func startAll() async throws {
            try await cluster.startAll { app in
                let (runs, clock, id) = (runs, app.clock, app.serverID)
                try app.handle(News { runs.note((id, clock.wallMilliseconds / 1000)) })
                try app.addCrons([try Cron("news", "* * * * * *", "news.tell", isSingleton: true)])
            }
        }

        var servers: Set<ServerID> { Set(runs.entries.map(\.server)) }
        var isOncePerSecond: Bool { Set(runs.entries.map(\.second)).count == runs.entries.count }
    }

    @Test @Loop func oneOfThemRunsItEachTime() async throws {
        let world = World()
        try await world.startAll()
        await world.cluster.advance(by: .seconds(30))
        #expect(world.servers.count == 1 && world.isOncePerSecond)
        #expect((28...31).contains(world.runs.entries.count), "\(world.runs.entries.count)")
    }

    @Test @Loop func anotherFollowsWithinElevenSecondsOfADeath() async throws {
        let world = World()
        try await world.startAll()
        await world.cluster.advance(by: .seconds(5))
        let first = try #require(world.runs.entries.last)
        world.cluster.crash(first.server)
        await world.cluster.advance(by: .seconds(20))
        let next = try #require(world.runs.entries.first { $0.server != first.server })
        #expect(next.second - first.second <= 12 && world.servers.count == 2 && world.isOncePerSecond)
    }

    @Test @Loop func anotherFollowsAtOnceWhenItStops() async throws {
        let world = World()
        try await world.startAll()
        await world.cluster.advance(by: .seconds(5))
        let first = try #require(world.runs.entries.last)
        await world.cluster.stop(first.server)
        await world.cluster.advance(by: .seconds(5))
        let next = try #require(world.runs.entries.first { $0.server != first.server })
        #expect(next.second - first.second <= 4 && world.isOncePerSecond)
    }

    /// One that stood still does not run it, although it still believes to have time.
    @Test @Loop func whoStoodStillRunsNothing() async throws {
        let world = World()
        try await world.startAll()
        await world.cluster.advance(by: .seconds(5))
        let first = try #require(world.runs.entries.last?.server)
        world.cluster.pause(first)
        await world.cluster.advance(by: .seconds(20))
        world.cluster.resume(first)
        await world.cluster.advance(by: .seconds(10))
        #expect(world.servers.count == 2 && world.isOncePerSecond)
    }

    @Test @Loop func whatASingletonMustBeIsSaid() async throws {
        #expect(throws: PomeloError.self) { try Cron("a", "* * * * * *", "b.c", server: "chat-1", isSingleton: true) }
        // Without a cluster nobody knows who the one would be.
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let error = await #expect(throws: PomeloError.self) {
            _ = try await cluster.start("chat-1") { app in
                try app.handle(News {})
                try app.addCrons([try Cron("news", "* * * * * *", "news.tell", isSingleton: true)])
            }
        }
        #expect(error?.message.contains("needs app.use(Cluster(…))") == true)
    }
}
