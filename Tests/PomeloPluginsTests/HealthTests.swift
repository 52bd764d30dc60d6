// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// Who is asked for its status, by whom, and what becomes of the answers.
@Suite(.onEachLayout) struct HealthTests {
    @Test func threeBadAnswersFailAndTwoGoodOnesServe() {
        var count = ProbeCount(.active)
        for _ in 0..<2 { count.take(nil) }
        #expect(count.status == .active)
        count.take(.active)
        for _ in 0..<2 { count.take(nil) }
        #expect(count.status == .active, "in a row")
        count.take(nil)
        #expect(count.status == .failed)
        count.take(.active)
        #expect(count.status == .failed)
        count.take(nil)
        count.take(.active)
        #expect(count.status == .failed, "in a row")
        count.take(.active)
        #expect(count.status == .active)
        count.take(.failed)
        #expect(count.status == .failed, "who says so is believed")
    }

    @Test(arguments: [FakePlugin.Mood.hangs, .away, .breaks, .garbage, .huge])
    @Loop func aPluginThatDoesNotAnswerFailsWithinTwentySecondsAndComesBack(_ mood: FakePlugin.Mood) async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        plugin.mood = mood
        await world.pass(.seconds(21))
        for id in world.cluster.records.map(\.id) {
            let answer = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", at: id)
            #expect(answer.status == 502 && answer.json["msg"] == "plugin failed", "\(id)")
        }
        plugin.mood = .well
        await world.pass(.seconds(14))
        for id in world.cluster.records.map(\.id) {
            #expect(try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", at: id).status == 200, "\(id)")
        }
    }

    @Test @Loop func whatIsRegisteredAnewBeginsAnew() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        plugin.mood = .away
        await world.pass(.seconds(21))
        plugin.mood = .well
        #expect(try await world.register("acme-words", at: "http://a:1", ["replace": true]).status == 200)
        for _ in 0..<10 {
            await world.pass(.seconds(1))
            #expect(try world.host().view.plugin("acme-words")?.status == .active)
        }
    }

    @Test @Loop func onlyOneProcessAsks() async throws {
        let world = try await PluginWorld.started(connectors: 3)
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let before = plugin.requests(of: "/v1/status").count
        await world.pass(.seconds(60))
        let probes = plugin.requests(of: "/v1/status").count - before
        #expect((9...16).contains(probes), "\(probes) in a minute, one each five seconds")
    }

    @Test @Loop func anotherProcessTakesTheProbesOver() async throws {
        let world = try await PluginWorld.started(connectors: 2)
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let leader = try #require(world.hosts.first { $0.value.isLeader })
        world.cluster.crash(leader.key)
        await world.pass(.seconds(12))
        let before = plugin.requests(of: "/v1/status").count
        await world.pass(.seconds(20))
        #expect(plugin.requests(of: "/v1/status").count - before >= 3)
        #expect(world.hosts.filter { $0.key != leader.key && $0.value.isLeader }.count == 1)
    }

    /// Nobody could register it any more, and probes left it alone.
    @Test @Loop func whatAProcessBeganToUnregisterThatDiedIsEnded() async throws {
        let world = try await PluginWorld.started(connectors: 2)
        _ = try await world.join("acme-words", at: "http://a:1")
        let other = try #require(world.hosts.first { !$0.value.isLeader }).key
        _ = try world.begin(
            "POST", "/v1.0/invoke/plugins/method/delete",
            ["id": "acme-words", "secret": .string(PluginWorld.bootstrap)],
            at: other)
        await world.pass(.milliseconds(200))
        world.cluster.crash(other)
        await world.pass(.seconds(20))
        #expect(try await world.entries() == ["p/acme-words"], "who began it has its time")
        await world.pass(.seconds(30))
        #expect(try await world.entries() == [])
    }

    /// In the original a plugin that was dead stayed ACTIVE.
    @Test @Loop func regressionADeadPluginIsNotActive() async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join("acme-words", at: "http://a:1")
        world.plugins.byAddress["http://a:1"] = nil
        await world.pass(.seconds(21))
        #expect(try world.host().view.plugin("acme-words")?.status == .failed)
    }

    @Test @Loop func anAddressThatFailsIsLeftOutAndThePluginServesOn() async throws {
        let world = try await PluginWorld.started()
        let (first, secret) = try await world.join("acme-words", at: "http://a:1")
        let second = world.plugin("acme-words", at: "http://b:1")
        let token = bearing(try await world.token("acme-words", secret))
        let instances = "/v1.0/invoke/plugins/method/instances"
        let added = try await world.ask("POST", instances, ["url": "http://b:1", "seconds": 60], headers: token)
        #expect(added.status == 200, "\(added.json)")
        await world.pass(.seconds(1))
        for _ in 0..<20 { _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x") }
        #expect(!first.requests(of: "/x").isEmpty && !second.requests(of: "/x").isEmpty, "both are used")

        first.mood = .away
        await world.pass(.seconds(21))
        var good = 0
        for _ in 0..<20 where try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x").status == 200 {
            good += 1
        }
        #expect(good >= 15, "five failures open the circuit of the address")
        await world.pass(.seconds(60))
        #expect(try world.host().view.leases.isEmpty, "a lease that nobody renews ends")
    }

    @Test @Loop func aCircuitOpensForFiveSecondsAndTriesOneCall() async throws {
        let world = try await PluginWorld.started()
        let clock = world.cluster.clock
        let instances = Instances(clock, RandomSource(seed: 1))
        func call(_ isGood: Bool?) -> Bool {
            guard let place = instances.choose("a", among: ["http://a:1"]) else { return false }
            instances.ended(place, isGood: isGood)
            return true
        }
        for _ in 0..<4 { #expect(call(false)) }
        #expect(call(nil), "who goes away says nothing")
        #expect(call(false))
        #expect(!call(true), "open")
        await world.pass(.seconds(4.9))
        #expect(!call(true))
        await world.pass(.milliseconds(200))
        let trial = instances.choose("a", among: ["http://a:1"])
        #expect(trial != nil && instances.choose("a", among: ["http://a:1"]) == nil, "one at a time")
        if let trial { instances.ended(trial, isGood: false) }
        #expect(!call(true), "open again")
        await world.pass(.seconds(5.1))
        #expect(call(true) && call(true))
        for _ in 0..<4 { #expect(call(false)) }
        await world.pass(.seconds(11))
        for _ in 0..<4 { #expect(call(false), "failures of long ago do not count") }
    }

    @Test @Loop func ofTwoAddressesTheOneWithLessUnderWayIsChosen() async throws {
        let instances = Instances(ManualClock(), RandomSource(seed: 1))
        let chosen = (0..<10).compactMap { _ in instances.choose("a", among: ["http://a:1", "http://b:1"]) }
        let first = chosen.filter { $0.address == "http://a:1" }
        #expect(chosen.count == 10 && first.count == 5)
        for place in first { instances.ended(place, isGood: true) }
        for _ in 0..<5 { #expect(instances.choose("a", among: ["http://a:1", "http://b:1"])?.address == "http://a:1") }
    }

    @Test @Loop func keysAreMadeOnceAndRotated() async throws {
        let world = try await PluginWorld.started(connectors: 2)
        #expect(try world.host().view.keys.count == 1)
        await world.cluster.advance(by: .seconds(86_400 + 120), step: .seconds(30))
        #expect(try world.host().view.keys.count == 2)
        await world.cluster.advance(by: .seconds(1800), step: .seconds(30))
        #expect(try world.host().view.keys.count == 1, "an old key goes when no token of it is left")
    }
}
