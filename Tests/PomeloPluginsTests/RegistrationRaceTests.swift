// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// Registrations that others come in between.
@Suite(.onEachLayout) struct RegistrationRaceTests {
    private static let checks: JSONObject = [
        "main_plugin": [["id": "keel", "endpoints": [["addons": "externalPreRouteCheck", "endpoint": "/check"]]]]
    ]

    /// All of them were told a secret, and all but one of the secrets were void.
    @Test @Loop func ofSeveralThatReplaceOneIsMade() async throws {
        let world = try await PluginWorld.started()
        let (plugin, former) = try await world.join("acme-words", at: "http://a:1")
        plugin.answers["/v1/status"] = { _ in
            await world.cluster.clock.sleep(for: .milliseconds(300))
            return .json(["ret": 0, "status": "ACTIVE"])
        }
        let body: JSON = [
            "id": "acme-words", "secret": .string(PluginWorld.bootstrap), "url": "http://a:1", "replace": true,
        ]
        let answers = try (0..<6).map { _ in try world.begin("POST", "/v1.0/invoke/plugins/method/register", body) }
        await world.pass(.seconds(5))
        let made = answers.compactMap(\.value).filter { $0.status == 200 }
        #expect(made.count == 1 && answers.compactMap { $0.value?.status }.filter { $0 == 409 }.count == 5)
        let secret = try #require(made.first?.json["secret"]?.string)
        _ = try await world.token("acme-words", secret)
        #expect(secret != former)
    }

    /// It was on trial for a minute, and nobody could register it.
    @Test @Loop func whatWasRefusedIsTakenBackWhenRedisIsThereAgain() async throws {
        let world = try await PluginWorld.started()
        let plugin = world.plugin("acme-words", at: "http://a:1")
        plugin.answers["/v1/status"] = { _ in
            world.redis.down()
            return .json(["ret": 0, "status": "ACTIVE"])
        }
        #expect(try await world.register("acme-words", at: "http://a:1").status == 503)
        await world.pass(.seconds(3))
        world.redis.up()
        #expect(try await world.entries() == ["p/acme-words"])
        await world.pass(.seconds(4))
        #expect(try await world.entries().isEmpty)
        plugin.answers["/v1/status"] = nil
        #expect(try await world.register("acme-words", at: "http://a:1").status == 200)
    }

    /// Whoever had the place of the one that checks admitted everybody, by not asking.
    @Test @Loop func theIDOfWhoChecksCallersIsForThatAlone() async throws {
        let world = try await PluginWorld.started()
        world.plugin("auth", at: "http://auth:1")
        #expect(try await world.register("auth", at: "http://auth:1").status == 409)
        let other = world.plugin("acme-gate", at: "http://b:1", Self.checks)
        for plugin in [other, world.plugin("auth", at: "http://c:1", Self.checks)] {
            plugin.answers["/check"] = { request in
                .json(["ret": request.headers["x-keel-check"] == "True" ? 0 : -1])
            }
        }
        #expect(try await world.register("acme-gate", at: "http://b:1").status == 409)
        #expect(try await world.register("auth", at: "http://c:1").status == 200)
        let taken = try await world.register("auth", at: "http://auth:1", ["replace": true])
        #expect(taken.status == 409, "\(taken.json)")
        #expect(try await world.ask("GET", "/v1.0/invoke/auth/method/x").status == 401)
    }
}
