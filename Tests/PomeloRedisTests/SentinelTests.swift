// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// A client that knows sentinels only.
    @Suite struct Sentinels {
        /// Writes one after the other for as long as it is told to, and notes what becomes of them.
        @Loop final class Writer {
            private(set) var written = 0
            private(set) var failures = 0
            private var isOn = true

            init(_ redis: RedisClient) {
                Loop.spawn {
                    while self.isOn {
                        let error = await failure { () throws(RedisError) in
                            try await redis.send(RedisCommand("INCR", "n"))
                        }
                        if error == nil { self.written += 1 } else { self.failures += 1 }
                        await SystemClock.shared.sleep(for: .milliseconds(5))
                    }
                }
            }

            func stop() { isOn = false }
        }

        @Test @Loop func aFailOverIsFollowedByAllConnections() async throws {
            try await withSentinels { all, redis in
                let heard = Subscriptions.Heard()
                redis.onGap = { heard.gaps.append($0) }
                try await redis.subscribe("news") { heard.hear($0) }
                var runs: [String] = [redis.runID]
                redis.observe { if case .up(let run, let again) = $0 { runs.append(again ? run : "first") } }
                let former = try await all.primary()
                let writer = Writer(redis)
                let next = try await all.failOver()
                let before = writer.written
                try await eventually("writes go on", within: .seconds(5)) { writer.written > before + 20 && redis.isUp }
                try await eventually("the messages' connection has moved") { !heard.gaps.isEmpty }
                _ = try await redis.send(RedisCommand("PUBLISH", "news", "here"))
                await until("it is heard") { heard.texts.contains("here") }
                writer.stop()
                try await all.settle()
                // Owners publish again by another run id.
                #expect(runs.last == redis.runID && runs.last != runs.first)
                #expect(try await next.info("run_id") == redis.runID)
                #expect(try await names(at: former).isEmpty)
                #expect(try await names(at: next) == ["test", "test:control", "test:messages"])
            }
        }

        @Test @Loop func aPrimaryThatDiedIsReplacedAndNotUsedWhenItIsBack() async throws {
            try await withSentinels { all, redis in
                let writer = Writer(redis)
                await until("it writes") { writer.written > 5 }
                let former = try await all.killPrimary()
                let next = try await all.nextPrimary(after: former)
                let before = writer.written
                try await eventually("writes go on", within: .seconds(5)) { writer.written > before + 20 }
                #expect(writer.failures > 0)
                try await former.restart()
                try await all.settle()
                let settled = writer.written
                await until("it writes on") { writer.written > settled + 20 }
                writer.stop()
                #expect(try await names(at: former).isEmpty)
                #expect(try await next.info("run_id") == redis.runID)
            }
        }

        @Test @Loop func aStartWaitsForTheSuccessorOfWhoIsGone() async throws {
            try await withSentinels(starts: false) { all, redis in
                let former = try await all.killPrimary()
                // Refused at first: the sentinels still name it.
                try await redis.start()
                #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                #expect(try await all.nextPrimary(after: former).info("run_id") == redis.runID)
            }
        }

        @Test @Loop func sentinelsThatAreDeadOrFrozenAreAskedInVain() async throws {
            try await withSentinels(starts: false) { all, redis in
                await all.sentinels[0].kill9()
                all.sentinels[1].pause()
                let took = try await seconds { try await redis.start() }
                #expect(took < 2)
                #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                all.sentinels[1].resume()
            }
        }

        @Test @Loop func whenAllSentinelsAreAwayTheConnectionsStayAndNewOnesWait() async throws {
            try await withSentinels { all, redis in
                for sentinel in all.sentinels { await sentinel.kill9() }
                #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                let other = RedisClient(redis.configuration, name: "other", logger: quiet)
                let error = await failure { () throws(RedisError) in try await other.start() }
                #expect("\(error.map { "\($0)" } ?? "")".contains("no sentinel says where the primary \"mymaster\" is"))
                // Lost while nobody can be asked.
                let primary = all.servers[0]
                try await primary.command("CLIENT", "KILL", "TYPE", "normal")
                await until("it is away") { !redis.isUp }
                for sentinel in all.sentinels { try await sentinel.restart() }
                await until("it is back") { redis.isUp }
                #expect(try await redis.send(RedisCommand("GET", "a")) == .text("1"))
            }
        }

        @Test @Loop func aNameThatNoSentinelKnowsIsTold() async throws {
            try await withSentinels(starts: false) { all, _ in
                var address = all.address()
                address.primary = "hermaster"
                let error = await startFailure(address)
                #expect(error.contains("none of the sentinels 127.0.0.1:\(all.sentinelPorts[0])"))
                #expect(error.hasSuffix("knows the primary \"hermaster\""))
            }
        }

        @Test @Loop func sentinelsHaveCredentialsOfTheirOwn() async throws {
            let all = try await RedisSentinels.start(
                replicas: 1, login: RedisLogin(user: "chat", password: "one"),
                sentinelLogin: RedisLogin(password: "two"))
            do {
                var configuration = all.configuration(password: "two")
                configuration.username = "chat"
                configuration.password = "one"
                let redis = RedisClient(configuration, name: "test", logger: quiet)
                try await redis.start()
                #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                _ = try await all.failOver()
                try await eventually("writes go on") {
                    await failure { () throws(RedisError) in try await redis.send(RedisCommand("SET", "a", 2)) } == nil
                }
                await redis.stop()
                var address = all.address()
                address.password = nil
                #expect(await startFailure(address).contains("requires the sentinels' own password"))
                address.password = "three"
                #expect(await startFailure(address).contains("refuses the sentinels' own user or password"))
            } catch {
                Issue.record(error)
            }
            await all.stop()
        }

        @Test @Loop func sentinelsAndServersThatAreMistakenForEachOtherAreTold() async throws {
            try await withSentinels { all, _ in
                let server = SocketAddress(host: "127.0.0.1", port: all.servers[0].port)
                let error = await startFailure(RedisSentinelAddress([server], primary: RedisSentinels.name))
                #expect(error.contains("the sentinel at \(server) is none: it is a server with data"))
                let reverse = RedisClient(
                    RedisConfiguration(host: "127.0.0.1", port: all.sentinelPorts[0]), logger: quiet)
                let other = await failure { () throws(RedisError) in try await reverse.start() }
                #expect("\(other.map { "\($0)" } ?? "")".contains("is a Redis Sentinel, not a server with data"))
            }
        }

        @Test @Loop func furtherSentinelsAreLearned() async throws {
            try await withSentinels(starts: false) { all, _ in
                let first = SocketAddress(host: "127.0.0.1", port: all.sentinelPorts[0])
                let locator = SentinelLocator(
                    RedisSentinelAddress([first], primary: RedisSentinels.name), within: .seconds(2),
                    resolver: Resolver(), logger: quiet)
                let primary = try await locator.locate()
                #expect(primary.port == all.servers[0].port)
                #expect(Set(locator.places.map(\.port)) == Set(all.sentinelPorts))
                // The one that was configured is gone: another one knows.
                await all.sentinels[0].kill9()
                #expect(try await locator.locate() == primary)
                #expect(locator.places.first != first)
            }
        }

        @Loop private func startFailure(_ address: RedisSentinelAddress) async -> String {
            let client = RedisClient(RedisConfiguration(.sentinel(address)), name: "other", logger: quiet)
            let error = await failure { () throws(RedisError) in try await client.start(within: .seconds(3)) }
            await client.stop()
            return error.map { "\($0)" } ?? "it started"
        }
    }
}

/// What the connections of a client called `test` are called at a server.
@Loop func names(at server: RedisServer) async throws -> [String] {
    let lines = try await server.command("CLIENT", "LIST")
    let names = lines.compactMap { line in
        line.split(separator: " ").first { $0.hasPrefix("name=") }.map { String($0.dropFirst(5)) }
    }
    return names.filter { $0.hasPrefix("test") }.sorted()
}

/// Runs a test with sentinels of its own and a client that knows nothing but them.
@Loop func withSentinels(
    starts: Bool = true, tls: RedisTLS? = nil, _ body: @Loop (RedisSentinels, RedisClient) async throws -> Void
) async throws {
    let all = try await RedisSentinels.start(replicas: 1, tls: tls)
    let redis = RedisClient(all.configuration(), name: "test", logger: quiet)
    do {
        if starts { try await redis.start() }
        try await body(all, redis)
    } catch {
        Issue.record(error)
    }
    await redis.stop()
    await all.stop()
}

/// What sentinels say, without them.
@Suite struct SentinelAnswerTests {
    private let named = RedisReply.array([.text("10.0.0.1"), .text("6379")])

    @Test @Loop func anAnswerNamesThePrimaryAndOtherSentinels() throws {
        func sentinel(_ host: String, _ port: String, _ flags: String) -> RedisReply {
            .array(["ip", host, "port", port, "flags", flags].map(RedisReply.text))
        }
        let others = RedisReply.array([
            sentinel("10.0.0.2", "26379", "sentinel"), sentinel("10.0.0.3", "26379", "s_down,sentinel"),
            sentinel("10.0.0.4", "x", "sentinel"), .null,
        ])
        let answer = try SentinelQuestion.answer(of: [.status("OK"), named, others], login: true)
        #expect(answer.primary == SocketAddress(host: "10.0.0.1", port: 6379))
        #expect(answer.sentinels == [SocketAddress(host: "10.0.0.2", port: 26_379)])
        #expect(try SentinelQuestion.answer(of: [.null, .error("ERR No such master")], login: false) == .init())
    }

    @Test @Loop func anAnswerThatIsNoneIsAnError() {
        for replies: [RedisReply] in [
            [], [named], [.array([.text("a")]), .array([])], [.array([.text("a"), .text("0")]), .array([])],
            [.error("NOAUTH Authentication required."), .error("NOAUTH Authentication required.")],
            [.error("ERR unknown command `SENTINEL`, with args"), .error("ERR unknown command `SENTINEL`")],
        ] {
            #expect(throws: RedisError.self) { try SentinelQuestion.answer(of: replies, login: false) }
        }
    }

    @Test @Loop func newsOfAMoveAreAboutOneName() {
        func move(_ text: String, _ channel: String = "+switch-master") -> SocketAddress? {
            SentinelWatch.move(of: "mymaster", channel, Array(text.utf8))
        }
        #expect(move("mymaster 10.0.0.1 6379 10.0.0.2 6380") == SocketAddress(host: "10.0.0.2", port: 6380))
        #expect(move("other 10.0.0.1 6379 10.0.0.2 6380") == nil)
        #expect(move("mymaster 10.0.0.1 6379 10.0.0.2") == nil)
        #expect(move("mymaster 10.0.0.1 6379 10.0.0.2 0") == nil)
        #expect(move("mymaster 10.0.0.1 6379 10.0.0.2 6380", "+sdown") == nil)
    }
}
