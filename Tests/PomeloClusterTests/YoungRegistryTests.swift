// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// A registry that has lost its data, or lists who is gone, and servers that start then.
@Suite("starting in bad moments", .onEachLayout) struct YoungRegistryTests {
    private static let records = (1...4).map {
        ServerRecord(id: ServerID(["a", "b", "c", "d"][$0 - 1]), type: "chat", port: $0)
    }

    @Test @Loop func aRegistryThatLostItsDataIsWholeAtTheNextLook() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        try await cluster.flush()
        await cluster.clock.pass(.milliseconds(600))
        #expect(try await cluster.registered() == Dictionary(members.map { ($0.id, $0.instance) }) { $1 })
        #expect(members.allSatisfy { $0.notes.published > 0 })
    }

    @Test @Loop func aServerThatStartsThenServesOnlyWithAWholeView() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        try await cluster.flush()
        let c = try await cluster.started("c", port: 3, knows: Self.records)
        #expect(c.view == "a:u b:u c:u" && members.allSatisfy(\.isJoined))
        #expect(c.application?.membership?.isViewComplete == true)
    }

    /// It waits for another server's clean-up, and is told to end: at once, and not after hundreds of questions.
    @Test @Loop func aStartThatWaitsEndsWhenItIsStopped() async throws {
        let cluster = MemoryCluster()
        let a = try cluster.server("a", port: 1, knows: Self.records)
        _ = try await cluster.redis.send(RedisCommand("SET", "pomelo:{test/a}:reap", "another", "PX", 100_000))
        var ended = false
        Loop.spawn {
            do { try await a.start() } catch { ended = true }
        }
        await cluster.clock.pass(.seconds(1))
        #expect(!ended)
        let calls = cluster.redis.calls
        Loop.spawn { await a.stop() }
        await cluster.clock.pass(.seconds(1))
        #expect(ended && cluster.redis.calls < calls + 30)
    }

    @Test @Loop func aColdStartWaitsForNothing() async throws {
        let cluster = MemoryCluster()
        let begin = cluster.clock.now
        let a = try cluster.server("a", port: 1, knows: Self.records)
        try await a.start()
        #expect(cluster.clock.now == begin)
        #expect(a.application?.membership?.isViewComplete == true)
        await settle()
        let b = try cluster.server("b", port: 2, knows: Self.records)
        try await b.start()
        #expect(cluster.clock.now == begin)
    }

    @Test @Loop func whoAnswersAndDoesNotComeIsWaitedForOneRenewal() async throws {
        let cluster = MemoryCluster()
        cluster.fleet.answering["127.0.0.1:2"] = "b1"
        let a = try cluster.server("a", port: 1, knows: Self.records)
        let begin = cluster.clock.now
        var started = false
        Loop.spawn {
            do { try await a.start() } catch { Issue.record(error) }
            started = true
        }
        await cluster.clock.pass(.seconds(2))
        #expect(!started && a.view == "a:j")
        #expect(a.application?.membership?.isViewComplete == false)
        while !started { await cluster.clock.pass(.milliseconds(100)) }
        #expect(cluster.clock.now - begin <= 3_500_000_000)
        #expect(a.application?.membership?.isViewComplete == false)
        // In the end it is believed to be what it is: not of this cluster.
        await cluster.clock.pass(.seconds(8))
        #expect(a.application?.membership?.isViewComplete == true)
    }

    @Test @Loop func aServerMissedByOneThatRunsMakesItsViewIncomplete() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1, knows: Self.records)
        await cluster.clock.pass(.seconds(1))
        cluster.fleet.answering["127.0.0.1:2"] = "b1"
        #expect(a.application?.membership?.isViewComplete == true)
        try await cluster.flush()
        await cluster.clock.pass(.milliseconds(600))
        #expect(a.application?.membership?.isViewComplete == false)
    }

    // MARK: the secret

    @Test @Loop func aServerOfAYoungRegistryRefusesAWrongSecretToo() async throws {
        let cluster = MemoryCluster()
        _ = try await cluster.started("a", port: 1)
        try await cluster.flush()
        cluster.fleet.refusesSecrets = true
        let b = try cluster.server("b", port: 2, knows: Self.records)
        let error = await failure { try await cluster.clock.drive { try await b.start() } }
        #expect(error?.code == .configuration)
        #expect(try await cluster.registered()["b"] == nil)
    }

    @Test @Loop func aBusyServerIsAskedAgainUntilItAnswers() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        cluster.fleet.frozen = [a.instance]
        let b = try cluster.server("b", port: 2)
        var started = false
        Loop.spawn {
            do { try await b.start() } catch { Issue.record(error) }
            started = true
        }
        await cluster.clock.pass(.seconds(20))
        #expect(!started)
        #expect(try await cluster.registered()["b"] == nil)
        cluster.fleet.frozen = []
        await cluster.clock.pass(.seconds(5))
        #expect(started && cluster.fleet.secretsProved == ["a"])
    }

    @Test @Loop func aServerDoesNotJoinUnproved() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        cluster.fleet.frozen = [a.instance]
        let b = try cluster.server("b", port: 2)
        var error: PomeloError?
        Loop.spawn { error = await failure { try await b.start() } }
        await cluster.clock.pass(.seconds(61))
        #expect(error?.code == .noAnswer)
        #expect(error?.message.contains("secret") == true)
        #expect(try await cluster.registered()["b"] == nil)
    }

    @Test @Loop func aBusyServerWhoseLeaseEndsIsNobodyToAsk() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        a.crash(in: cluster.fleet)
        // Its host is gone with it: nothing refuses the connection.
        cluster.fleet.answering["127.0.0.1:1"] = "a1"
        cluster.fleet.frozen = ["a1"]
        let begin = cluster.clock.now
        let b = try await cluster.started("b", port: 2)
        #expect(b.isJoined && cluster.clock.now - begin < 15_000_000_000)
    }

    @Test @Loop func aPortThatIsAnothersByNowIsNobodyToAsk() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        a.crash(in: cluster.fleet)
        let b = try await cluster.started("b", port: 1)
        #expect(b.isJoined && cluster.fleet.secretsProved == [])
    }

    // MARK: Redis

    @Test @Loop func aSlowRedisIsWaitedFor() async throws {
        let cluster = MemoryCluster()
        cluster.redis.pause()
        let a = try cluster.server("a", port: 1)
        var started = false
        Loop.spawn {
            do { try await a.start() } catch { Issue.record(error) }
            started = true
        }
        await cluster.clock.pass(.seconds(10))
        #expect(!started)
        cluster.redis.resume()
        await cluster.clock.pass(.seconds(3))
        #expect(started && a.view == "a:u")
    }

    @Test(arguments: [
        "LOADING Redis is loading the dataset in memory",
        "ERR Error running script (call to f_1): @user_script:1: -LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    ]) @Loop func aRedisThatLoadsIsWaitedFor(_ text: String) async throws {
        for call in 0..<8 {
            let cluster = MemoryCluster()
            cluster.redis.failCall(call, error: .reply(text))
            let a = try await cluster.started("a", port: 1)
            await cluster.clock.pass(.seconds(1))
            #expect(a.view == "a:u", "call \(call)")
        }
    }

    @Test @Loop func aStartThatNeverGetsAnAnswerTellsWhy() async throws {
        let cluster = MemoryCluster()
        cluster.redis.pause()
        let a = try cluster.server("a", port: 1)
        var error: PomeloError?
        Loop.spawn { error = await failure { try await a.start() } }
        await cluster.clock.pass(.seconds(61))
        #expect(error?.code == .redisUnavailable)
    }
}
