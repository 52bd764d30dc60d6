// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import Testing

@Suite("faults of FakeRedis") struct FakeRedisFaultTests {
    private static let increment = RedisScript(name: "increment", source: "return redis.call('INCR', KEYS[1])")

    /// A server, two clients, and what they were told.
    @Loop private final class Bench {
        let clock = ManualClock()
        let server: FakeRedis
        let one: FakeRedisClient
        let two: FakeRedisClient
        var events: [String] = []
        var outcomes: [String] = []

        init() {
            server = FakeRedis(clock: clock)
            one = server.client()
            two = server.client()
            for (name, client) in [("one", one), ("two", two)] {
                client.observe { [weak self] event in
                    switch event {
                    case .up(let runID, _): self?.events.append("\(name) up \(runID)")
                    case .down: self?.events.append("\(name) down")
                    }
                }
                client.onGap = { [weak self] in self?.events.append("\(name) gap \($0)") }
            }
        }

        /// Begins a call; its outcome is noted.
        func begin(_ client: any RedisPort, _ command: RedisCommand) {
            Loop.spawn {
                do {
                    self.outcomes.append(try await client.send(command).string ?? "null")
                } catch {
                    self.outcomes.append("\(error)")
                }
            }
        }

        func value(_ key: String) async throws -> String? {
            try await server.send(RedisCommand("GET", key)).string
        }
    }

    private static let settled = 40

    @Loop private func settle() async {
        for _ in 0..<Self.settled { await Loop.yield() }
    }

    @Test @Loop func withoutDelaysNoTimePasses() async throws {
        let bench = Bench()
        for index in 0..<5 { bench.begin(bench.one, RedisCommand("INCRBY", "n", index)) }
        #expect(bench.outcomes.isEmpty)
        await settle()
        #expect(bench.outcomes == ["0", "1", "3", "6", "10"])
        #expect(bench.clock.pendingTimers == 0)
        #expect(bench.server.calls == 5)
        #expect(bench.one.inFlight == 0)
    }

    @Test @Loop func requestsAndRepliesTakeTheirDelayInOrder() async throws {
        let bench = Bench()
        bench.server.delay = .milliseconds(1)...(.milliseconds(40))
        for _ in 0..<20 { bench.begin(bench.one, RedisCommand("INCR", "n")) }
        await settle()
        #expect(bench.outcomes.isEmpty)
        #expect(bench.one.inFlight == 20)
        for _ in 0..<80 {
            bench.clock.advance(by: .milliseconds(1))
            await settle()
        }
        let all = (1...20).map { "\($0)" }
        #expect(bench.outcomes == all)
    }

    @Test @Loop func anOutageFailsWhatIsUnderWay() async throws {
        let bench = Bench()
        bench.server.delay = .milliseconds(10)...(.milliseconds(10))
        bench.begin(bench.one, RedisCommand("SET", "executed", "1"))
        await settle()
        bench.clock.advance(by: .milliseconds(10))
        bench.begin(bench.two, RedisCommand("SET", "lost", "1"))
        await settle()
        bench.server.down()
        let error = await failure { () throws(RedisError) in _ = try await bench.one.send(RedisCommand("PING")) }
        #expect(error?.maybeExecuted == false)
        await settle()
        let lost = "the connection to redis at fake:6379 was lost"
        #expect(bench.outcomes == [lost, lost])
        #expect(bench.events == ["one down", "two down"])
        bench.clock.advance(by: .seconds(1))
        bench.server.up()
        bench.server.delay = .zero...(.zero)
        #expect(bench.events.suffix(2) == ["one up fake-1", "two up fake-1"])
        #expect(try await bench.value("executed") == "1")
        #expect(try await bench.value("lost") == nil)
    }

    /// Equal runs must be equal: who is told first decides what happens next.
    @Test @Loop func anOutageIsToldInTheOrderOfTheCalls() async throws {
        let bench = Bench()
        bench.server.pause()
        var told: [Int] = []
        for index in 0..<20 {
            Loop.spawn {
                _ = await failure { () throws(RedisError) in _ = try await bench.one.send(RedisCommand("PING")) }
                told.append(index)
            }
        }
        await settle()
        bench.server.down()
        await settle()
        #expect(told == Array(0..<20))
    }

    @Test @Loop func anEmptyServerIsAnotherOne() async throws {
        let bench = Bench()
        _ = try await bench.one.send(RedisCommand("SET", "a", "1"))
        bench.server.down()
        bench.server.up(empty: true)
        #expect(bench.events.suffix(2) == ["one up fake-2", "two up fake-2"])
        #expect(try await bench.value("a") == nil)
    }

    @Test @Loop func aFailoverLosesTheLastChanges() async throws {
        let bench = Bench()
        _ = try await bench.one.send(RedisCommand("SADD", "s", "old"))
        let replica = bench.server.state
        _ = try await bench.one.pipeline([RedisCommand("SADD", "s", "new"), RedisCommand("SET", "b", "2")])
        bench.server.failOver(to: replica)
        #expect(bench.events == ["one down", "two down", "one up fake-2", "two up fake-2"])
        #expect(try await bench.server.send(RedisCommand("SMEMBERS", "s")).strings == ["old"])
        #expect(try await bench.value("b") == nil)
    }

    @Test @Loop func oneClientIsCutOffAlone() async throws {
        let bench = Bench()
        bench.one.cut()
        let error = await failure { () throws(RedisError) in _ = try await bench.one.send(RedisCommand("PING")) }
        #expect(error == .connection("redis at fake:6379 is not connected"))
        _ = try await bench.two.send(RedisCommand("PING"))
        bench.server.down()
        bench.server.up()
        #expect(!bench.one.isUp)
        bench.one.mend()
        #expect(bench.events == ["one down", "two down", "two up fake-1", "one up fake-1"])
        _ = try await bench.one.send(RedisCommand("PING"))
    }

    @Test @Loop func aPausedServerExecutesLate() async throws {
        let bench = Bench()
        bench.server.pause()
        bench.begin(bench.one, RedisCommand("SET", "a", "1"))
        await settle()
        bench.clock.advance(by: .milliseconds(1499))
        await settle()
        #expect(bench.outcomes.isEmpty)
        bench.clock.advance(by: .milliseconds(1))
        await settle()
        #expect(bench.outcomes == ["redis did not answer within 1500 ms"])
        #expect(!bench.one.isUp)
        bench.server.resume()
        #expect(bench.events == ["one down", "one up fake-1"])
        #expect(try await bench.value("a") == "1")
    }

    @Test @Loop func aPauseThatEndsInTimeIsADelay() async throws {
        let bench = Bench()
        bench.server.pause()
        for _ in 0..<3 { bench.begin(bench.one, RedisCommand("INCR", "n")) }
        await settle()
        bench.clock.advance(by: .seconds(1))
        bench.server.resume()
        await settle()
        #expect(bench.outcomes == ["1", "2", "3"])
        #expect(bench.events.isEmpty)
    }

    @Test(arguments: [false, true]) @Loop func oneCallFails(_ executes: Bool) async throws {
        let bench = Bench()
        var reached = 0
        bench.server.failCall(1, executes: executes) { reached += 1 }
        for _ in 0..<4 { bench.begin(bench.one, RedisCommand("INCR", "n")) }
        await settle()
        let lost = "redis did not answer within 1500 ms"
        #expect(bench.outcomes == (executes ? ["1", lost, "3", "4"] : ["1", lost, "2", "3"]))
        #expect(reached == 1)
    }

    // MARK: messages

    @Test @Loop func messagesReachEverySubscriberInOrder() async throws {
        let bench = Bench()
        bench.server.delay = .milliseconds(1)...(.milliseconds(9))
        var got: [String: [String]] = [:]
        for (name, client) in [("one", bench.one), ("two", bench.two)] {
            Loop.spawn {
                do {
                    try await client.subscribe("c") {
                        got[name, default: []].append(String(decoding: $0, as: UTF8.self))
                    }
                } catch {
                    Issue.record(error)
                }
            }
        }
        func pass(_ milliseconds: Int) async {
            for _ in 0..<milliseconds {
                await settle()
                bench.clock.advance(by: .milliseconds(1))
            }
            await settle()
        }
        await pass(20)
        for index in 0..<10 { bench.begin(bench.two, RedisCommand("PUBLISH", "c", index)) }
        await pass(40)
        #expect(bench.outcomes == Array(repeating: "2", count: 10))
        let all = (0..<10).map { "\($0)" }
        #expect(got["one"] == all)
        #expect(got["two"] == all)
        bench.one.unsubscribe("c")
        bench.begin(bench.two, RedisCommand("PUBLISH", "c", "last"))
        await pass(40)
        #expect(bench.outcomes.last == "1")
        #expect(got["one"]?.count == 10)
    }

    @Test @Loop func anOutageLeavesAGapAndTheSubscription() async throws {
        let bench = Bench()
        var got: [String] = []
        try await bench.one.subscribe("c") { got.append(String(decoding: $0, as: UTF8.self)) }
        try await bench.one.subscribe("c") { got.append("second " + String(decoding: $0, as: UTF8.self)) }
        bench.one.cut()
        #expect(try await bench.two.send(RedisCommand("PUBLISH", "c", "missed")) == .integer(0))
        bench.one.mend()
        #expect(bench.events == ["one down", "one up fake-1", #"one gap ["c"]"#])
        #expect(try await bench.two.send(RedisCommand("PUBLISH", "c", "seen")) == .integer(1))
        await settle()
        #expect(got == ["second seen"])
        bench.server.down()
        let error = await failure { () throws(RedisError) in try await bench.two.subscribe("c") { _ in } }
        #expect(error?.maybeExecuted == false)
    }

    @Test @Loop func aDroppedClientIsGone() async throws {
        let server = FakeRedis(clock: ManualClock())
        var client: FakeRedisClient? = server.client()
        try await client?.subscribe("c") { _ in }
        #expect(try await server.send(RedisCommand("PUBLISH", "c", "x")) == .integer(1))
        await settle()
        client = nil
        #expect(try await server.send(RedisCommand("PUBLISH", "c", "x")) == .integer(0))
    }

    // MARK: scripts

    @Test @Loop func scriptsAreTheirTwins() async throws {
        let bench = Bench()
        let unknown = await failure { () throws(RedisError) in
            _ = try await bench.one.run(Self.increment, keys: ["n"], args: [])
        }
        #expect(unknown == .reply("ERR FakeRedis has no twin of script increment"))
        bench.server.register(script: Self.increment) { redis, keys, args throws(RedisError) in
            try redis(RedisCommand("SET", "before", args.joined(separator: ",")))
            return try redis(RedisCommand("INCR", keys[0]))
        }
        let args: [RedisArgument] = ["a", 5, .bytes([98])]
        #expect(try await bench.one.run(Self.increment, keys: ["n"], args: args) == .integer(1))
        #expect(try await bench.value("before") == "a,5,b")
        _ = try await bench.one.send(RedisCommand("SADD", "set", "m"))
        let refused = await failure { () throws(RedisError) in
            _ = try await bench.one.run(Self.increment, keys: ["set"], args: ["kept"])
        }
        #expect(refused == .reply("WRONGTYPE Operation against a key holding the wrong kind of value"))
        // As in Redis, what a script wrote before it failed stays.
        #expect(try await bench.value("before") == "kept")
    }

    @Test @Loop func aTransactionIsExecutedAtOnce() async throws {
        let bench = Bench()
        let replies = try await bench.one.transaction([RedisCommand("INCR", "n"), RedisCommand("HGET", "n", "f")])
        #expect(replies.first == .integer(1))
        #expect(replies.last?.errorText?.hasPrefix("WRONGTYPE") == true)
        let error = await failure { () throws(RedisError) in
            _ = try await bench.one.transaction([RedisCommand("INCR", "n"), RedisCommand("NOSUCH", "n")])
        }
        #expect(error == .reply("ERR unknown command 'NOSUCH', with args beginning with: 'n' "))
        #expect(try await bench.value("n") == "1")
    }
}
