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

/// How plugins come and go.
@Suite(.onEachLayout) struct RegistrationTests {
    static let extends: JSONObject = [
        "main_plugin": [["id": "main", "version": "1.0", "endpoints": [["addons": "pointOne", "endpoint": "/one"]]]]
    ]
    static let owns: JSONObject = ["addons": [["endpoint": "point-one", "desc": ""]]]

    @Test @Loop func aPluginComesAndIsKnownEverywhere() async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join("acme-words", at: "http://a:1")
        for id in world.cluster.records.map(\.id) {
            let answer = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/hello?x=1", at: id)
            #expect(answer.status == 200 && answer.json["path"] == "/hello?x=1", "\(id)")
        }
    }

    @Test @Loop func theSecretIsShownOnceAndKeptAsAHash() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        #expect(secret.utf8.count == 64)
        let kept = try #require(try await world.kept()["p/acme-words"])
        #expect(!kept.contains(secret) && kept.contains(PluginRecord.hash(secret)))
    }

    @Test @Loop func onlyTheBootstrapSecretRegisters() async throws {
        let world = try await PluginWorld.started()
        let plugin = world.plugin("acme-words", at: "http://a:1")
        for secret: JSON in ["", "wrong", .string(PluginWorld.bootstrap + "x")] {
            let answer = try await world.register("acme-words", at: "http://a:1", ["secret": secret])
            #expect(answer.status == 403 && answer.json["ret"] == -403)
        }
        #expect(plugin.requests.isEmpty, "a stranger has the platform call whom it wants")
        #expect(try await world.entries().isEmpty)
    }

    @Test @Loop func withoutABootstrapSecretNobodyRegisters() async throws {
        let world = PluginWorld()
        world.options.bootstrap = nil
        try await world.start("chat-1")
        await world.pass(.seconds(2))
        world.plugin("acme-words", at: "http://a:1")
        #expect(try await world.register("acme-words", at: "http://a:1").status == 403)
    }

    @Test @Loop func aMainPluginIsAskedInTheSpelledWay() async throws {
        let world = try await PluginWorld.started()
        let (main, _) = try await world.join("main", at: "http://m:1", Self.owns)
        _ = try await world.join("acme-words", at: "http://a:1", Self.extends)
        let question = try #require(main.requests(of: "/v1/addons/identify").first)
        let body = try JSON.parse(question.body)
        #expect(body["plugin"] == ["id": "acme-words", "version": "1.0"])
        #expect(body["endpoint"] == [["addons_point": "pointOne", "endpoint": "/one"]])
    }

    /// Requirements that are not met, and what is answered.
    static let refusals: [(String, Int, JSONObject)] = [
        ("not registered", 409, ["main_plugin": [["id": "none", "endpoints": [["addons": "x", "endpoint": "/x"]]]]]),
        ("has no point", 409, ["main_plugin": [["id": "main", "endpoints": [["addons": "x", "endpoint": "/x"]]]]]),
        (
            "does not serve 1.1", 409,
            [
                "main_plugin": [
                    ["id": "main", "version": "1.1", "endpoints": [["addons": "pointOne", "endpoint": "/x"]]]
                ]
            ]
        ),
        (
            "does not serve 0.9", 409,
            [
                "main_plugin": [
                    ["id": "main", "version": "0.9", "endpoints": [["addons": "pointOne", "endpoint": "/x"]]]
                ]
            ]
        ),
        ("for the platform", 400, ["tkeel_version": "1.1"]),
        ("names other, not", 400, ["plugin_id": "other"]),
        ("ret -1", 502, ["ret": -1, "msg": "not today"]),
        ("has no point", 409, ["main_plugin": [["id": "chat", "endpoints": [["addons": "x", "endpoint": "/x"]]]]]),
    ]

    @Test(arguments: refusals) @Loop func whatDoesNotFitIsRefusedAndLeavesNothing(
        _ words: String, _ status: Int, _ more: JSONObject
    ) async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join("main", at: "http://m:1", Self.owns)
        world.plugin("acme-words", at: "http://a:1", more)
        let answer = try await world.register("acme-words", at: "http://a:1")
        #expect(answer.status == status && answer.json["ret"] == .int(Int64(-status)), "\(answer.json)")
        #expect(answer.json["msg"]?.string?.contains(words) ?? false, "\(answer.json)")
        #expect(try await world.entries() == ["p/main"])
    }

    /// Who is told that it failed registers once more, and is told that it is there already.
    @Test @Loop func aChangeThatIsMadeIsNotSaidToHaveFailed() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let token = bearing(try await world.token("acme-words", secret))
        // The registry is read, changed, and read again.
        for call in 0..<3 {
            let url = "http://b:\(call + 1)"
            var reached = false
            world.redis.failCall(call) { reached = true }
            let answer = try await world.ask(
                "POST", "/v1.0/invoke/plugins/method/instances", ["url": .string(url), "seconds": 60], headers: token)
            await world.pass(.seconds(1))
            let isThere = try world.host().view.leases.contains { $0.address == url }
            #expect(reached && isThere == (answer.status == 200), "call \(call): \(answer.status)")
        }
    }

    @Test @Loop func pluginsAndTheirAddressesAreBounded() async throws {
        let world = PluginWorld()
        world.options.maxPlugins = 2
        for record in world.cluster.records { try await world.start(record.id) }
        await world.pass(.seconds(4))
        let (_, secret) = try await world.join("one", at: "http://a:1")
        _ = try await world.join("two", at: "http://b:1")
        world.plugin("three", at: "http://c:1")
        #expect(try await world.register("three", at: "http://c:1").status == 507)
        let token = bearing(try await world.token("one", secret))
        func lease(_ number: Int) async throws -> Int {
            let body: JSON = ["url": .string("http://a\(number):1"), "seconds": 300]
            return try await world.ask("POST", "/v1.0/invoke/plugins/method/instances", body, headers: token).status
        }
        for number in 0..<64 { #expect(try await lease(number) == 200) }
        #expect(try await lease(64) == 507)
        #expect(try await lease(5) == 200, "one that is there is renewed")
    }

    @Test @Loop func aPluginThatSaysTooMuchIsRefused() async throws {
        let world = try await PluginWorld.started()
        let long = String(repeating: "x", count: PluginIdentity.maxBytes)
        world.plugin("acme-words", at: "http://a:1", ["desc": .string(long)])
        let answer = try await world.register("acme-words", at: "http://a:1")
        #expect(answer.status == 502 && answer.json["msg"]?.string?.contains("too large") ?? false, "\(answer.json)")
        #expect(try await world.entries().isEmpty)
    }

    @Test @Loop func aMainPluginMayRefuse() async throws {
        let world = try await PluginWorld.started()
        let (main, _) = try await world.join("main", at: "http://m:1", Self.owns)
        main.answers["/v1/addons/identify"] = { _ in .json(["ret": -400, "msg": "no extension point"]) }
        world.plugin("acme-words", at: "http://a:1", Self.extends)
        let answer = try await world.register("acme-words", at: "http://a:1")
        #expect(answer.status == 409 && answer.json["msg"]?.string?.contains("no extension point") ?? false)
        #expect(try await world.entries() == ["p/main"])
    }

    @Test @Loop func theMainPluginMayCallTheNewcomerMeanwhileAndNobodyElse() async throws {
        let world = try await PluginWorld.started()
        let (main, secret) = try await world.join("main", at: "http://m:1", Self.owns)
        let (_, other) = try await world.join("other", at: "http://o:1")
        let (token, stranger) = (try await world.token("main", secret), try await world.token("other", other))
        let seen = Journal<Int>()
        main.answers["/v1/addons/identify"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(1))
            for headers in [bearing(token), bearing(stranger), []] {
                switch await world.hosts["connector-1"]?.decide(
                    PluginHead("GET", "/v1.0/invoke/keel/method/acme-words/one", headers: headers))
                {
                case .forward(let forward):
                    forward.finished(.answered(status: 200))
                    seen.note(200)
                case .answer(let response): seen.note(response.status)
                default: seen.note(0)
                }
            }
            return .json(["ret": 0, "msg": "ok"])
        }
        _ = try await world.join("acme-words", at: "http://a:1", Self.extends)
        #expect(seen.entries == [200, 503, 503])
    }

    /// The n-th question fails, for each n: nothing of the newcomer is left, and what was there is as before.
    @Test @Loop func aRegistrationIsAllOrNothing() async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join("main", at: "http://m:1", Self.owns)
        world.plugin("acme-words", at: "http://a:1", Self.extends)
        let before = try await world.kept()
        var failed = 0
        for number in 1...10 {
            world.plugins.failing = world.plugins.calls + number
            let answer = try await world.register("acme-words", at: "http://a:1")
            world.plugins.failing = 0
            if answer.status == 200 { break }
            failed += 1
            #expect(answer.status == 502, "\(number): \(answer.json)")
            #expect(try await world.kept() == before, "\(number)")
        }
        #expect(failed == 3, "identify, addons/identify, status")
        #expect(try await world.entries() == ["p/acme-words", "p/main"])
    }

    /// The n-th call of Redis fails, for each n: the answer says so, and what is left of a trial ends by itself.
    @Test @Loop func aRegistrationThatLosesRedisEndsByItself() async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join("main", at: "http://m:1", Self.owns)
        world.plugin("acme-words", at: "http://a:1", Self.extends)
        for number in 0..<24 {
            world.redis.failCall(number / 2, executes: number.isMultiple(of: 2))
            let answer = try await world.register("acme-words", at: "http://a:1")
            world.redis.failCall(.max)
            if answer.status != 200 {
                var kept = try await world.kept()
                if kept.values.contains(where: { $0.contains("trial") }) {
                    await world.pass(.seconds(75))
                    kept = try await world.kept()
                }
                let entries = kept.keys.sorted()
                // What was written before its answer was lost is a whole plugin, whose secret nobody has.
                #expect(entries == ["p/main"] || entries == ["p/acme-words", "p/main"], "\(number)")
                #expect(kept.values.allSatisfy { !$0.contains("trial") }, "\(number)")
            }
            if try await world.entries().contains("p/acme-words") {
                let gone = try await world.ask(
                    "POST", "/v1.0/invoke/plugins/method/unregister",
                    ["id": "acme-words", "secret": .string(PluginWorld.bootstrap)])
                #expect(gone.status == 200, "\(number): \(gone.json)")
            }
        }
    }

    @Test @Loop func aProcessThatDiesInTheMiddleLeavesNothing() async throws {
        let world = try await PluginWorld.started()
        let plugin = world.plugin("acme-words", at: "http://a:1")
        plugin.answers["/v1/status"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(3600))
            return .json([:])
        }
        let host = try world.host()
        Loop.spawn {
            guard
                case .work(_, _, let work) = await host.decide(
                    PluginHead("POST", "/v1.0/invoke/plugins/method/register", headers: []))
            else { return }
            let body: JSON = [
                "id": "acme-words", "secret": .string(PluginWorld.bootstrap), "url": "http://a:1",
            ]
            _ = await work(PluginRequest("POST", "/", body: body.encoded()))
        }
        await world.pass(.milliseconds(500))
        #expect(try await world.entries() == ["p/acme-words"])
        world.cluster.crash("chat-1")
        await world.pass(.seconds(80))
        #expect(try await world.entries().isEmpty)
    }

    @Test @Loop func aSecondRegistrationIsRefusedUnlessItReplaces() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let token = try await world.token("acme-words", secret)
        let again = try await world.register("acme-words", at: "http://a:1")
        #expect(again.status == 409 && again.json["msg"]?.string?.contains("has been registered") ?? false)

        let replaced = try await world.register("acme-words", at: "http://a:1", ["replace": true])
        #expect(replaced.status == 200 && replaced.json["secret"] != .string(secret))
        await world.pass(.seconds(1))
        let stale = try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bearing(token))
        #expect(stale.status == 401, "a token of the former registration is void")
    }

    @Test @Loop func ofTwoAtOnceOneIsRegistered() async throws {
        let world = try await PluginWorld.started()
        world.plugin("acme-words", at: "http://a:1")
        let statuses = Journal<Int>()
        for id in ["chat-1", "connector-1"] as [ServerID] {
            let host = try #require(world.hosts[id])
            Loop.spawn {
                guard
                    case .work(_, _, let work) = await host.decide(
                        PluginHead("POST", "/v1.0/invoke/plugins/method/register", headers: []))
                else { return }
                let body: JSON = [
                    "id": "acme-words", "secret": .string(PluginWorld.bootstrap), "url": "http://a:1",
                ]
                statuses.note(await work(PluginRequest("POST", "/", body: body.encoded())).status)
            }
        }
        await world.pass(.seconds(5))
        #expect(statuses.entries.sorted() == [200, 409])
    }

    /// In the original the last one silently took the point.
    @Test @Loop func aPointForOneIsNotTakenFromItsImplementer() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("main", at: "http://m:1", Self.owns)
        _ = try await world.join("first", at: "http://a:1", Self.extends)
        world.plugin("second", at: "http://b:1", Self.extends)
        let answer = try await world.register("second", at: "http://b:1")
        #expect(answer.status == 409 && answer.json["msg"]?.string?.contains("first has it") ?? false)
        let token = try await world.token("main", secret)
        let called = try await world.ask(
            "GET", "/v1.0/invoke/keel/method/addons/point-one", headers: bearing(token))
        #expect(called.json["path"] == "/one")
    }

    @Test @Loop func whoLeavesTakesOnlyItsOwnAlong() async throws {
        let world = try await PluginWorld.started()
        _ = try await world.join(
            "main", at: "http://m:1", ["addons": [["endpoint": "point-one", "mode": "fanout"]]])
        _ = try await world.join("first", at: "http://a:1", Self.extends)
        _ = try await world.join("second", at: "http://b:1", Self.extends)
        let refused = try await world.ask(
            "POST", "/v1.0/invoke/plugins/method/delete", ["id": "main", "secret": .string(PluginWorld.bootstrap)])
        #expect(refused.status == 409 && refused.json["msg"]?.string?.contains("first, second") ?? false)
        let gone = try await world.ask(
            "POST", "/v1.0/invoke/plugins/method/delete", ["id": "first", "secret": .string(PluginWorld.bootstrap)])
        #expect(gone.status == 200)
        #expect(try await world.entries() == ["p/main", "p/second"])
        let view = try world.host("connector-1").view
        #expect(view.implementers(of: "main", "pointOne").map(\.id) == ["second"])
    }

    @Test @Loop func anUpgradeThatNoLongerServesSuspendsABinding() async throws {
        let world = try await PluginWorld.started()
        let (main, secret) = try await world.join("main", at: "http://m:1", Self.owns)
        _ = secret
        _ = try await world.join("acme-words", at: "http://a:1", Self.extends)
        for (version, isServed) in [("2.0", false), ("1.3", true)] {
            main.identity = [
                "ret": 0, "msg": "ok", "plugin_id": "main", "version": .string(version),
                "addons": [["endpoint": "point-one"]],
            ]
            #expect(try await world.register("main", at: "http://m:1", ["replace": true]).status == 200)
            await world.pass(.seconds(1))
            let view = try world.host("connector-1").view
            #expect(view.implementers(of: "main", "pointOne").isEmpty == !isServed, "\(version)")
            #expect(view.plugin("acme-words") != nil)
        }
    }

    @Test @Loop func unregisteringDrains() async throws {
        let world = try await PluginWorld.started()
        let (plugin, secret) = try await world.join("acme-words", at: "http://a:1")
        let token = try await world.token("acme-words", secret)
        plugin.answers["/slow"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(4))
            return .json(["ret": 0, "done": true])
        }
        let slow = try world.begin("GET", "/v1.0/invoke/keel/method/acme-words/slow")
        await world.pass(.milliseconds(200))
        let gone = try world.begin(
            "POST", "/v1.0/invoke/plugins/method/unregister", ["id": "acme-words"], headers: bearing(token))
        await world.pass(.seconds(1.5))
        #expect(try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/new").status == 503)
        await world.pass(.seconds(1))
        #expect(slow.value == nil && gone.value == nil, "it waits for what is under way")
        await world.pass(.seconds(3))
        #expect(slow.value?.status == 200 && gone.value?.status == 200)
        #expect(try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/new").status == 404)
    }

    @Test @Loop func aRedisThatHasLostEverythingIsPutRight() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        world.redis.down()
        await world.pass(.seconds(2))
        #expect(try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x").status == 200)
        let away = try await world.register("other", at: "http://a:1")
        #expect(away.status == 502 || away.status == 503 || away.status == 400, "\(away.json)")
        world.redis.up(empty: true)
        await world.pass(.seconds(5))
        #expect(try await world.entries() == ["p/acme-words"])
        _ = try await world.token("acme-words", secret)
    }

    @Test @Loop func registrationsAreRefusedWhileRedisIsAway() async throws {
        let world = try await PluginWorld.started()
        world.plugin("acme-words", at: "http://a:1")
        world.redis.down()
        await world.pass(.seconds(2))
        let answer = try await world.register("acme-words", at: "http://a:1")
        #expect(answer.status == 503 && answer.json["ret"] == -503, "\(answer.json)")
    }
}
