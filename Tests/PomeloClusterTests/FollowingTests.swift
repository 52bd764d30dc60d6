// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// How a view keeps step with the registry when things come in an unusual order, or were never written by us.
@Suite("following the registry", .onEachLayout) struct FollowingTests {
    @Test @Loop func aChangeSeenWhileALookIsUnderWayIsNoLossOfHistory() async throws {
        let cluster = MemoryCluster()
        let control = HeldLooks(cluster.redis.client())
        let a = try await cluster.started("a", port: 1, control: control)
        await cluster.clock.pass(.seconds(1))
        control.holds = true
        await cluster.clock.pass(.milliseconds(600))
        let looks = control.runs["cluster.look"] ?? 0
        _ = try await cluster.started("b", port: 2)
        await settle()
        #expect(a.view == "a:u b:u" && control.runs["cluster.look"] == looks)
        let reads = control.runs["cluster.view"]
        control.release()
        await settle()
        #expect(control.runs["cluster.view"] == reads)
        #expect(a.application?.membership?.isViewComplete == true)
    }

    struct WayCase: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let losesStream: Bool
    }

    @Test(arguments: [
        WayCase(testDescription: "told by the stream", losesStream: false),
        WayCase(testDescription: "found by reading everything", losesStream: true),
    ]) @Loop func aReplacedInstanceIsRemovedThenAdded(_ way: WayCase) async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u b:u")
        b.crash(in: cluster.fleet)
        let before = a.changes.count
        let again = try await cluster.started("b", port: 2)
        if way.losesStream { _ = try await cluster.redis.send(RedisCommand("DEL", "pomelo:{test}:ev")) }
        await cluster.clock.pass(.seconds(1))
        #expect(a.sees("b")?.instance == again.instance)
        #expect(a.changes.dropFirst(before).filter { $0 != "=" } == ["-b", "+b"])
    }

    @Test @Loop func anEpochWithoutItsEventIsFetchedAtOnce() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        let entry =
            #"{"inst":"i","state":"up","record":{"id":"x","serverType":"chat","host":"127.0.0.1","port":77}}"#
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "x", entry))
        _ = try await cluster.redis.send(RedisCommand("INCR", "pomelo:{test}:epoch"))
        await cluster.clock.pass(.milliseconds(600))
        #expect(a.view == "a:u x:u")
    }

    @Test @Loop func aRegistryOfAnotherBirthIsNotTakenForTheOldOne() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        // Emptied, and filled by others to the epoch that was known, before anybody looks again.
        _ = try await cluster.redis.send(RedisCommand("DEL", "pomelo:{test}:servers"))
        _ = try await cluster.redis.send(RedisCommand("SET", "pomelo:{test}:born", "5"))
        await cluster.clock.pass(.milliseconds(600))
        #expect(try await cluster.registered() == ["a": a.instance])
        #expect(a.notes.published > 0)
    }

    // MARK: what nobody of us has written

    private static func entry(_ record: String) -> String { #"{"inst":"i","state":"up","record":{\#(record)}}"# }

    @Test(arguments: [
        #""id":"x","serverType":"chat","host":"h","port":99999999999"#,
        #""id":"x","serverType":"chat","host":"h","port":9223372036854775808"#,
        #""id":"x","serverType":"chat","host":"h","port":-1"#,
        #""id":"x","serverType":"chat","host":"h","port":0"#,
        #""id":"x","serverType":"chat","host":"h","port":1,"clientPort":65536"#,
        #""id":"x","serverType":"chat","host":"h","port":1,"weight":-5"#,
        #""id":"x","serverType":"chat","host":"","port":1"#,
    ]) @Loop func anEntryThatNoServerWouldAnnounceIsIgnored(_ record: String) async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let entry = Self.entry(record)
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "x", entry))
        _ = try await cluster.redis.send(RedisCommand("INCR", "pomelo:{test}:epoch"))
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u")
        _ = try await cluster.redis.send(
            RedisCommand(
                "XADD", "pomelo:{test}:ev", "*", "e", "4", "op", "put", "id", "x", "inst", "i", "entry", entry))
        _ = try await cluster.redis.send(RedisCommand("INCR", "pomelo:{test}:epoch"))
        // A restart reads it too, and others go on being seen.
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(40))
        #expect(a.view == "a:u b:u" && b.view == "a:u b:u")
    }

    @Test @Loop func aRecordThatOthersCouldNotReadIsNotRegistered() async throws {
        let cluster = MemoryCluster()
        let a = try cluster.server(ServerID(String(repeating: "a", count: 129)), port: 1)
        let error = await failure { try await cluster.clock.drive { try await a.start() } }
        #expect(error?.code == .configuration)
    }
}
