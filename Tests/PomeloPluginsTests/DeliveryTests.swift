// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// What plugins are told: at least once, in order, or a dead letter.
@Suite(.onEachLayout) struct DeliveryTests {
    static let told: JSONObject = [
        "main_plugin": [["id": "chat", "endpoints": [["addons": "after-send-callback", "endpoint": "/after"]]]]
    ]

    @Loop private final class Teller {
        let world: PluginWorld
        let plugin: FakePlugin
        private var number = 0

        init() async throws {
            world = try await PluginWorld.started()
            (plugin, _) = try await world.join("acme-push", at: "http://a:1", DeliveryTests.told)
        }

        func tell(_ key: String, at id: ServerID = "chat-1") throws {
            number += 1
            let event = ExtensionEvent(
                point: .afterSend, id: "id-\(number)", at: 0, server: id, key: key,
                data: ["n": .init(number), "key": .string(key)])
            try world.outside(id).deliver(event, coalesced: false)
        }

        /// Numbers that were taken, of a key.
        func taken(_ key: String) -> [Int64] {
            plugin.requests(of: "/after").compactMap { request in
                do {
                    let data = try JSON.parse(request.body)["data"]
                    return data?["key"]?.string == key ? data?["n"]?.int : nil
                } catch { return nil }
            }
        }
    }

    @Test @Loop func eventsOfAKeyComeInOrderAndOnce() async throws {
        let teller = try await Teller()
        for number in 0..<300 { try teller.tell(["a", "b", "c"][number % 3]) }
        await teller.world.pass(.seconds(5))
        for (index, key) in ["a", "b", "c"].enumerated() {
            #expect(teller.taken(key) == (0..<100).map { Int64($0 * 3 + index + 1) })
        }
        await teller.world.pass(.seconds(5))
        #expect(teller.plugin.requests(of: "/after").count == 300)
    }

    @Test @Loop func whatFailsIsTriedAgainAndHoldsItsKeyAlone() async throws {
        let teller = try await Teller()
        var failures = 2
        teller.plugin.answers["/after"] = { request in
            if String(decoding: request.body, as: UTF8.self).contains(#""n":1,"#), failures > 0 {
                failures -= 1
                return .json(["ret": -1, "msg": "not yet"])
            }
            return .json(["ret": 0])
        }
        for key in ["a", "a", "b"] { try teller.tell(key) }
        await teller.world.pass(.milliseconds(500))
        #expect(teller.taken("b") == [3] && teller.taken("a") == [1])
        await teller.world.pass(.seconds(8))
        #expect(teller.taken("a") == [1, 1, 1, 2])
    }

    @Test @Loop func whatIsNeverTakenIsADeadLetterThatCanBeToldAgain() async throws {
        let teller = try await Teller()
        teller.plugin.answers["/after"] = { _ in .json(["ret": -5, "msg": "never"]) }
        try teller.tell("a")
        try teller.tell("a")
        await teller.world.pass(.seconds(50))
        #expect(teller.taken("a").filter { $0 == 1 }.count == 4, "once, and after 1, 5 and 30 s")
        let host = try teller.world.host()
        let letters = try await host.deadLetters(of: "acme-push", behind: nil)
        #expect(letters.count == 1 && letters.first?.reason.contains("ret -5") ?? false)
        #expect(letters.first?.body.contains(#""n":1"#) ?? false)
        await teller.world.pass(.seconds(50))
        teller.plugin.answers["/after"] = nil
        let numbers = try await host.deadLetters(of: "acme-push", behind: nil).map(\.number)
        #expect(numbers.count == 2)
        let before = teller.taken("a").count
        #expect(try await host.settle("acme-push", numbers + ["1-1"], again: true) == numbers)
        await teller.world.pass(.seconds(2))
        #expect(Array(teller.taken("a")[before...]) == [1, 2])
        #expect(try await host.deadLetters(of: "acme-push", behind: nil).isEmpty)
    }

    @Test @Loop func noMoreThanAWindowOfAStreamIsHeld() async throws {
        let teller = try await Teller()
        let gate = FirstOutcome<Void>()
        teller.plugin.answers["/after"] = { _ in
            await gate.wait()
            return .json(["ret": 0])
        }
        for _ in 0..<1024 { try teller.tell("a") }
        for key in 0..<100 { try teller.tell("k\(key)") }
        await teller.world.pass(.seconds(2))
        #expect(teller.plugin.requests(of: "/after").count == 1, "what is behind the window waits in the stream")
        gate.end()
        await teller.world.pass(.seconds(30))
        #expect(teller.plugin.requests(of: "/after").count == 1124)

        let second = FirstOutcome<Void>()
        teller.plugin.answers["/after"] = { _ in
            await second.wait()
            return .json(["ret": 0])
        }
        for key in 0..<100 { try teller.tell("k\(key)") }
        await teller.world.pass(.seconds(2))
        #expect(teller.plugin.requests(of: "/after").count == 1124 + 64)
        second.end()
        await teller.world.pass(.seconds(2))
        #expect(teller.plugin.requests(of: "/after").count == 1124 + 100)
    }

    @Test @Loop func aStreamAndItsDeadLettersAreBounded() async throws {
        let redis = FakeRedis(clock: ManualClock())
        let streams = PluginStreams(redis, cluster: "t")
        let keys = PluginKeys(cluster: "t")
        let event = ExtensionEvent(point: .afterSend, id: "i", at: 0, server: "chat-1", key: "a", data: [:])
        let stored = try #require(StoredEvent("1-1", event.stored))
        for _ in 0..<10_100 { try await streams.bury("acme-push", stored, "r") }
        #expect(try await redis.send(RedisCommand("XLEN", keys.dead("acme-push"))).int == 10_000)

        let teller = try await Teller()
        teller.plugin.status = ["ret": 0, "msg": "ok", "status": "STOPPING"]
        await teller.world.pass(.seconds(20))
        for _ in 0..<21 {
            for _ in 0..<5000 { try teller.tell("a") }
            await teller.world.pass(.seconds(1))
        }
        #expect(try await teller.world.waiting(for: "acme-push") == PluginOutbox.streamLength)
    }

    @Test @Loop func whatIsNoNumberOfALetterIsSaidToBeNone() async throws {
        let teller = try await Teller()
        try teller.tell("a")
        let host = try teller.world.host()
        for text in ["-", "+", "", "1", "-1", "1-", "1-x", "(1-1", "1-1-1", "1-99999999999999999999", "1-１"] {
            await #expect(throws: PluginAnswer.self, "\(text)") {
                _ = try await host.settle("acme-push", [text], again: false)
            }
            await #expect(throws: PluginAnswer.self, "\(text)") {
                _ = try await host.deadLetters(of: "acme-push", behind: text)
            }
        }
        #expect(try await host.settle("acme-push", ["1-18446744073709551615"], again: false) == [])
    }

    @Test @Loop func whoIsElectedIsToldAndAHostThatHasStoppedTakesNothing() async throws {
        let world = PluginWorld()
        for record in world.cluster.records { try await world.start(record.id) }
        let (plugin, _) = try await world.join(
            "acme-view", at: "http://a:1",
            ["main_plugin": [["id": "chat", "endpoints": [["addons": "leader_changed", "endpoint": "/leader"]]]]])
        let first = try #require(world.hosts.first { $0.value.isLeader })
        await first.value.stop()
        #expect(world.extensions[first.key]?.outside == nil, "its stream would not be written any more")
        await world.pass(.seconds(12))
        let second = try #require(world.hosts.first { $0.value.isLeader })
        #expect(second.key != first.key)
        let told = try plugin.requests(of: "/leader").map { try JSON.parse($0.body)["data"]?["server_id"] }
        #expect(told.last == second.key.json, "\(told)")
    }

    @Test @Loop func whileThePluginIsAwayNothingIsTriedAndNothingLost() async throws {
        let teller = try await Teller()
        teller.plugin.mood = .away
        await teller.world.pass(.seconds(22))
        for _ in 0..<50 { try teller.tell("a") }
        await teller.world.pass(.seconds(120))
        #expect(try await teller.world.host().deadLetters(of: "acme-push", behind: nil).isEmpty)
        teller.plugin.mood = .well
        await teller.world.pass(.seconds(15))
        #expect(teller.taken("a") == Array(1...50))
    }

    @Test @Loop func anotherProcessGoesOnWhereOneDied() async throws {
        let teller = try await Teller()
        let world = teller.world
        let leader = try #require(world.hosts.first { $0.value.isLeader }).key
        let other = try #require(world.hosts.keys.first { $0 != leader })
        teller.plugin.answers["/after"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(2))
            return .json(["ret": 0])
        }
        for _ in 0..<5 { try teller.tell("a", at: other) }
        await world.pass(.seconds(3))
        world.cluster.crash(leader)
        teller.plugin.answers["/after"] = nil
        await world.pass(.seconds(20))
        let numbers = teller.taken("a")
        #expect(Set(numbers) == Set(1...5), "\(numbers)")
        #expect(Array(numbers.suffix(3)) == [3, 4, 5], "\(numbers)")
    }

    @Test @Loop func whileRedisIsAwayEventsWaitAndAreBounded() async throws {
        let teller = try await Teller()
        teller.world.redis.down()
        for _ in 0..<200 { try teller.tell("a") }
        await teller.world.pass(.seconds(5))
        #expect(teller.taken("a").isEmpty)
        teller.world.redis.up()
        await teller.world.pass(.seconds(20))
        #expect(teller.taken("a") == Array(1...200))

        teller.world.redis.down()
        let large = String(repeating: "x", count: 1 << 20)
        for _ in 0..<8 {
            try teller.world.outside().deliver(
                ExtensionEvent(
                    point: .afterSend, id: "i", at: 0, server: "chat-1", key: "big", data: ["key": .string(large)]),
                coalesced: false)
        }
        teller.world.redis.up()
        await teller.world.pass(.seconds(30))
        let taken = teller.plugin.requests(of: "/after").filter { $0.body.count > 1 << 20 }.count
        #expect(taken == 3, "four mebibytes wait, no more: \(taken)")
    }

    @Test @Loop func whatIsSupersededIsToldOnceAndTheLatest() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join(
            "acme-view", at: "http://a:1",
            ["main_plugin": [["id": "chat", "endpoints": [["addons": "replace_servers", "endpoint": "/view"]]]]])
        plugin.answers["/view"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(1))
            return .json(["ret": 0])
        }
        for number in 1...10 {
            for id in world.hosts.keys {
                try world.outside(id).deliver(
                    ExtensionEvent(
                        point: .replaceServers, id: "\(number)", at: 0, server: id, key: "servers",
                        data: ["n": .init(number)]), coalesced: true)
            }
            if number == 1 { await world.pass(.milliseconds(100)) }
        }
        await world.pass(.seconds(5))
        let told = try plugin.requests(of: "/view").map { try JSON.parse($0.body)["data"]?["n"]?.int }
        #expect(told == [1, 10], "by the one process that tells")
    }

    @Test @Loop func aPluginIsAskedAsAnImplementerWithinItsTime() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join(
            "acme-words", at: "http://a:1",
            ["main_plugin": [["id": "chat", "endpoints": [["addons": "beforeSendCallBack", "endpoint": "/before"]]]]])
        let implementer = try #require(try world.outside().implementers(of: .beforeSend).first)
        let event = ExtensionEvent(
            point: .beforeSend, id: "i", at: 5, server: "chat-1", key: "hall", data: ["body": "darn"])
        func ask() async -> Result<ExtensionAnswer, any Error>? {
            let end = FirstOutcome<Result<ExtensionAnswer, any Error>>()
            Loop.spawn {
                do {
                    end.end(with: .success(try await implementer.answer(event, within: .milliseconds(150))))
                } catch { end.end(with: .failure(error)) }
            }
            await world.pass(.milliseconds(200))
            return end.value
        }
        plugin.answers["/before"] = { _ in .json(["ret": 0, "msg": "ok", "data": ["body": "***"]]) }
        guard case .success(let answer)? = await ask() else { return #expect(Bool(false), "no answer") }
        #expect(answer.data == ["body": "***"])
        let body = try JSON.parse(try #require(plugin.requests(of: "/before").first).body)
        #expect(body["event"] == "before-send-callback" && body["id"] == "i" && body["ts"] == 5)
        #expect(body["server_id"] == "chat-1" && body["data"] == ["body": "darn"])
        for bad: JSON in ["x", [:], ["ret": "0"]] {
            plugin.answers["/before"] = { _ in .json(bad) }
            guard case .failure? = await ask() else { return #expect(Bool(false), "\(bad) was taken") }
        }
        plugin.mood = .hangs
        guard case .failure? = await ask() else { return #expect(Bool(false), "it did not end") }
    }
}
