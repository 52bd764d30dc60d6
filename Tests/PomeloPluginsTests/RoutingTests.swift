// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// Whose a request is, whether it passes, and where it goes.
@Suite struct RoutingTests {
    /// The table of what callers see, from every process.
    @Test @Loop func theGateAnswersByStatus() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let table: [(JSON, Int, String, String?)] = [
            ("STARTING", 503, "plugin starting", "1"), ("ACTIVE", 200, "ok", nil),
            ("STOPPING", 503, "plugin stopping", nil), ("FAILED", 502, "plugin failed", nil),
            ("ACTIVE", 200, "ok", nil),
        ]
        for (status, code, words, retry) in table {
            plugin.status = ["ret": 0, "msg": "ok", "status": status]
            await world.pass(.seconds(20))
            for id in world.cluster.records.map(\.id) {
                let answer = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", at: id)
                #expect(answer.status == code && answer.json["msg"] == .string(words), "\(status) at \(id)")
                #expect(answer.headers["Retry-After"] == retry)
                #expect(answer.json["ret"] == .int(code == 200 ? 0 : Int64(-code)))
            }
        }
        let unknown = try await world.ask("GET", "/v1.0/invoke/keel/method/nobody/x")
        #expect(unknown.status == 404 && unknown.json == ["ret": -404, "msg": "plugin not registered"])
    }

    @Test @Loop func onlyThePlatformSaysWhoCalls() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let (_, secret) = try await world.join("caller", at: "http://c:1")
        let forged = [
            PluginHeader("dapr-caller-app-id", "caller"), PluginHeader("Dapr-Caller-Namespace", "x"),
            PluginHeader("X-Keel", "True"), PluginHeader("x-keel-depth", "0"),
            PluginHeader("x-tKeel-auth", "dXNlcj1yb290"),
            PluginHeader("dapr-callee-app-id", "x"),
            PluginHeader("traceparent", "00-\(String(repeating: "a", count: 32))-b-01"),
            PluginHeader("X-Mine", "stays"), PluginHeader("Authorization", "Bearer user-token"),
        ]
        _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: forged)
        let request = try #require(plugin.requests.last)
        let names = request.headers.map { $0.name.lowercased() }
        #expect(Set(names).count == names.count, "a header is there twice: \(names)")
        #expect(request.headers["dapr-caller-app-id"] == nil && request.headers["x-keel"] == nil)
        #expect(request.headers["x-tkeel-auth"] == nil && request.headers["dapr-callee-app-id"] == "acme-words")
        #expect(request.headers["x-mine"] == "stays" && request.headers["authorization"] == "Bearer user-token")
        #expect(request.headers["traceparent"]?.contains("aaaa") == false)
        let claims = try #require(FakeTokens.read(request.headers["x-plugin-jwt"] ?? ""))
        #expect(claims.subject == "platform" && claims.audience == "acme-words" && claims.caller == nil)

        let token = try await world.token("caller", secret)
        _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: forged + bearing(token))
        let known = try #require(plugin.requests.last)
        #expect(known.headers["dapr-caller-app-id"] == "caller")
        #expect(FakeTokens.read(known.headers["x-plugin-jwt"] ?? "")?.caller == "caller")
        #expect(known.headers["traceparent"]?.contains("aaaa") == true, "a plugin's trace goes on")
        #expect(known.headers["x-keel-depth"] == "1")
    }

    /// Who is called could call as the caller for the rest of ten minutes.
    @Test @Loop func aTokenInAuthorizationStaysWithThePlatform() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let (_, secret) = try await world.join("caller", at: "http://c:1")
        let token = try await world.token("caller", secret)
        for value in [token, "Bearer \(token)"] {
            _ = try await world.ask(
                "GET", "/v1.0/invoke/keel/method/acme-words/x", headers: [PluginHeader("authorization", value)])
            let request = try #require(plugin.requests.last)
            #expect(request.headers["dapr-caller-app-id"] == "caller")
            #expect(request.headers["authorization"] == nil)
        }
        let basic = "Basic " + Base64.encode(Bytes("caller:\(secret)".utf8))
        for value in ["Bearer \(token)", "Bearer \(secret)", secret, basic, "Bearer \(PluginWorld.bootstrap)"] {
            let shown = [PluginHeader("Authorization", "Bearer other"), PluginHeader("Authorization", value)]
            for way in [bearing(token), [PluginHeader("dapr-api-token", secret)], []] {
                _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: way + shown)
                let values = plugin.requests.last?.headers.filter { $0.name == "Authorization" }.map(\.value)
                #expect(values == ["Bearer other"], "\(way)")
            }
        }
        let user = [PluginHeader("Authorization", "Bearer user")]
        _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: bearing(token) + user)
        #expect(plugin.requests.last?.headers["authorization"] == "Bearer user", "that one is not the platform's")
    }

    /// What a caller says of its connection took away who calls, for whom, and how deep.
    @Test @Loop func aCallersConnectionReachesNothingOfThePlatform() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        let (_, secret) = try await world.join("caller", at: "http://c:1")
        let names = "x-plugin-jwt, dapr-caller-app-id, x-keel-depth, traceparent, dapr-callee-app-id, x-mine"
        let headers = [
            PluginHeader("Connection", names), PluginHeader("X-Mine", "1"), PluginHeader("X-Other", "2"),
            PluginHeader("Keep-Alive", "5"),
        ]
        let token = bearing(try await world.token("caller", secret))
        _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: headers + token)
        let request = try #require(plugin.requests.last)
        #expect(request.headers["connection"] == nil && request.headers["keep-alive"] == nil)
        #expect(request.headers["x-mine"] == nil && request.headers["x-other"] == "2")
        #expect(request.headers["dapr-caller-app-id"] == "caller" && request.headers["x-keel-depth"] == "1")
        #expect(FakeTokens.read(request.headers["x-plugin-jwt"] ?? "")?.caller == "caller")
    }

    @Test @Loop func tokensThatAreNoneAreRefused() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let good = try await world.token("acme-words", secret)
        var unsigned = good
        unsigned.removeFirst(4)
        let shown = try #require(
            try await {
                _ = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x")
                return world.plugins.byAddress["http://a:1"]?.requests.last?.headers["x-plugin-jwt"]
            }())
        #expect(shown.hasPrefix("Bearer "))
        let platform = String(shown.dropFirst("Bearer ".count))
        for token in ["", "x", unsigned, platform] {
            let answer = try await world.ask(
                "GET", "/v1.0/invoke/plugins/method/list", headers: [PluginHeader("x-plugin-jwt", "Bearer \(token)")])
            #expect(answer.status == 401 && answer.json["ret"] == -401, "\(token)")
            // Not only because no plugin is called as the platform is.
            if token == platform { #expect(answer.json["msg"]?.string?.contains("is for acme-words") == true) }
        }
        #expect(try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bearing(good)).status == 200)
        for value in [good, "Bearer \(good)"] {
            let answer = try await world.ask(
                "GET", "/v1.0/invoke/plugins/method/list", headers: [PluginHeader("Authorization", value)])
            #expect(answer.status == 200, "as the platform's first plugins showed it")
        }
        await world.pass(.seconds(640))
        let late = try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bearing(good))
        #expect(late.status == 401, "ten minutes, and thirty seconds for clocks")
    }

    @Test @Loop func aRevokedPluginsTokenAndSecretAreVoid() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let token = try await world.token("acme-words", secret)
        #expect(
            try await world.ask(
                "POST", "/v1.0/invoke/plugins/method/delete", ["id": "acme-words"], headers: bearing(token)
            )
            .status == 200)
        await world.pass(.seconds(1))
        #expect(try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bearing(token)).status == 401)
        let bySecret = [PluginHeader("dapr-api-token", secret)]
        #expect(try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bySecret).status == 403)
        let (_, second) = try await world.join("acme-words", at: "http://a:1")
        #expect(second != secret)
        #expect(try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bearing(token)).status == 401)
        #expect(try await world.ask("GET", "/v1.0/invoke/plugins/method/list", headers: bySecret).status == 403)
    }

    @Test @Loop func aTokenIsForWhoHasTheSecret() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let path = "/v1.0/invoke/plugins/method/oauth2/token"
        func encoded(_ text: String) -> String { Base64.encode(Bytes(text.utf8)) }
        for word in [encoded("acme-words:\(secret)"), "Basic " + encoded("acme-words:\(secret)")] {
            let answer = try await world.ask("POST", path, headers: [PluginHeader("Authorization", word)])
            #expect(answer.status == 200, "\(word): \(answer.json)")
            let token = try #require(answer.json["access_token"]?.string)
            #expect(FakeTokens.read(token)?.subject == "acme-words" && answer.json["expires_in"] == 600)
        }
        for word in ["acme-words:wrong", "acme-words:", "nobody:\(secret)", "acme-words"] {
            let answer = try await world.ask("POST", path, headers: [PluginHeader("Authorization", encoded(word))])
            #expect([400, 401].contains(answer.status), "\(word): \(answer.json)")
        }
        #expect(try await world.ask("POST", path, headers: [PluginHeader("Authorization", "?")]).status == 400)
    }

    @Test @Loop func theAPITokenIsAskedForWhenThereIsOne() async throws {
        let world = PluginWorld()
        world.options.apiToken = "a-token"
        world.options.appToken = "app-token"
        try await world.start("chat-1")
        await world.pass(.seconds(4))
        let plugin = world.plugin("acme-words", at: "http://a:1")
        let api = [PluginHeader("dapr-api-token", "a-token")]
        #expect(try await world.ask("GET", "/v1.0/healthz").status == 204)
        #expect(try await world.ask("GET", "/v1.0/metadata").status == 401)
        let registered = try await world.ask(
            "POST", "/v1.0/invoke/plugins/method/register",
            ["id": "acme-words", "secret": .string(PluginWorld.bootstrap), "url": "http://a:1"], headers: api)
        let secret = try #require(registered.json["secret"]?.string)
        await world.pass(.seconds(1))
        for token in [api, [PluginHeader("dapr-api-token", secret)]] {
            #expect(try await world.ask("GET", "/v1.0/invoke/acme-words/method/x", headers: token).status == 200)
            #expect(plugin.requests.last?.headers["dapr-api-token"] == "app-token")
        }
        #expect(plugin.requests.last?.headers["dapr-caller-app-id"] == "acme-words", "a secret shows whose it is")
        #expect(try await world.ask("GET", "/v1.0/invoke/acme-words/method/x").status == 401)
    }

    @Test @Loop func callersFromOutsideAreCheckedByWhoImplementsThat() async throws {
        let world = try await PluginWorld.started()
        let (target, _) = try await world.join("acme-words", at: "http://a:1")
        let auth = world.plugin(
            "auth", at: "http://auth:1",
            [
                "main_plugin": [
                    ["id": "keel", "endpoints": [["addons": "externalPreRouteCheck", "endpoint": "/check"]]]
                ]
            ])
        auth.answers["/check"] = { request in
            if let probe = request.headers["x-keel-check"] { return .json(["ret": probe == "True" ? 0 : -1]) }
            return request.headers["authorization"] == "Bearer ann"
                ? .json(["ret": 0, "data": ["user": "ann"]]) : .json(["ret": -1, "msg": "who are you"])
        }
        #expect(try await world.register("auth", at: "http://auth:1").status == 200)
        await world.pass(.seconds(1))
        let refused = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x")
        #expect(refused.status == 401 && refused.json["msg"] == "who are you")
        #expect(target.requests(of: "/x").isEmpty)
        let admitted = try await world.ask(
            "GET", "/v1.0/invoke/keel/method/acme-words/x", headers: [PluginHeader("Authorization", "Bearer ann")])
        #expect(admitted.status == 200)
        #expect(FakeTokens.read(target.requests.last?.headers["x-plugin-jwt"] ?? "")?.user == "ann")
        let told = try #require(auth.requests(of: "/check").last)
        #expect(told.headers["x-keel-plugin"] == "acme-words" && told.headers["x-keel-path"] == "/x")
        // What lets somebody in by the path must not be told one and lead to another.
        _ = try await world.ask(
            "GET", "/v1.0/invoke/auth/method/login",
            headers: [PluginHeader("dapr-app-id", "acme-words"), PluginHeader("X-Keel-Plugin", "auth")])
        let other = try #require(auth.requests(of: "/check").last)
        #expect(other.headers["x-keel-plugin"] == "acme-words")
        #expect(other.headers["x-keel-path"] == "/v1.0/invoke/auth/method/login")
        auth.answers["/check"] = { _ in .json(["ret": 0], 404) }
        let odd = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x")
        #expect(odd.status == 502, "an answer that is none lets nobody in")
        auth.mood = .hangs
        let closed = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x")
        #expect(closed.status == 504, "who cannot be checked does not pass")
    }

    @Test @Loop func aCheckThatAdmitsEverybodyIsNotTaken() async throws {
        let world = try await PluginWorld.started()
        let auth = world.plugin(
            "auth", at: "http://auth:1",
            [
                "main_plugin": [
                    ["id": "keel", "endpoints": [["addons": "externalPreRouteCheck", "endpoint": "/check"]]]
                ]
            ])
        auth.answers["/check"] = { _ in .json(["ret": 0]) }
        #expect(try await world.register("auth", at: "http://auth:1").status == 409)
        #expect(try await world.entries().isEmpty)
    }

    @Test @Loop func loopsEnd() async throws {
        let world = try await PluginWorld.started()
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let token = try await world.token("acme-words", secret)
        for (depth, status) in [("3", 200), ("4", 508), ("99", 508), ("-1", 400), ("x", 400)] {
            let answer = try await world.ask(
                "GET", "/v1.0/invoke/keel/method/acme-words/x",
                headers: bearing(token) + [PluginHeader("x-keel-depth", depth)])
            #expect(answer.status == status, "\(depth)")
        }
    }

    @Test @Loop func deadlinesAreTheCallersWithinOurs() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        plugin.answers["/x"] = { _ in
            await world.cluster.clock.sleep(for: .seconds(3600))
            return .json([:])
        }
        for (text, time) in [(nil, 10), ("2000", 2), ("9999999", 30)] as [(String?, Int)] {
            let headers = text.map { [PluginHeader("x-keel-timeout-ms", $0)] } ?? []
            let answer = try world.begin("GET", "/v1.0/invoke/keel/method/acme-words/x", headers: headers)
            await world.pass(.seconds(time) - .milliseconds(200))
            #expect(answer.value == nil)
            await world.pass(.milliseconds(400))
            #expect(answer.value?.status == 504, "\(time)")
            await world.pass(.seconds(10))
        }
        for text in ["0", "-5", "x", "99999999999999999999"] {
            let answer = try await world.ask(
                "GET", "/v1.0/invoke/keel/method/acme-words/x", headers: [PluginHeader("x-keel-timeout-ms", text)])
            #expect(answer.status == 400, "\(text)")
        }
    }

    @Test @Loop func directInvocationsFailWithTheSidecarsCode() async throws {
        let world = try await PluginWorld.started()
        let (plugin, _) = try await world.join("acme-words", at: "http://a:1")
        plugin.mood = .breaks
        let direct = try await world.ask("GET", "/v1.0/invoke/acme-words/method/x")
        #expect(direct.status == 500 && direct.json["errorCode"] == "ERR_DIRECT_INVOKE")
        let routed = try await world.ask("GET", "/v1.0/invoke/keel/method/acme-words/x")
        #expect(routed.status == 502 && routed.json["errorCode"] == nil)
    }

    @Test @Loop func severalImplementersAreAskedAsThePointSays() async throws {
        let world = try await PluginWorld.started()
        let modes: JSONObject = [
            "addons": [
                ["endpoint": "in-a-row", "mode": "chain"], ["endpoint": "all", "mode": "fanout"],
                ["endpoint": "first", "mode": "race"],
            ]
        ]
        let (_, secret) = try await world.join("main", at: "http://m:1", modes)
        let token = try await world.token("main", secret)
        for (name, priority) in [("b", 1), ("a", 2)] {
            let endpoints = ["inARow", "all", "first"].map { point -> JSON in
                ["addons": .string(point), "endpoint": "/\(point)", "priority": .init(priority)]
            }
            let (plugin, _) = try await world.join(
                name, at: "http://\(name):1", ["main_plugin": [["id": "main", "endpoints": .array(endpoints)]]])
            plugin.answers["/inARow"] = { request in
                var text = "?"
                do { text = try JSON.parse(request.body)["text"]?.string ?? "?" } catch {}
                return .json(["ret": 0, "msg": "ok", "data": ["text": .string(text + name)]])
            }
            plugin.answers["/first"] = { _ in .json(["ret": name == "a" ? 0 : -7, "msg": .string(name)]) }
        }
        func call(_ point: String) async throws -> JSON {
            try await world.ask(
                "POST", "/v1.0/invoke/keel/method/addons/\(point)", ["text": "x"], headers: bearing(token)
            ).json
        }
        #expect(try await call("in-a-row")["data"] == ["text": "xba"], "by priority, each with what the other made")
        #expect(try await call("all")["data"]?.array?.map { $0["plugin_id"] } == ["b", "a"])
        #expect(try await call("first")["msg"] == "a")
        #expect(try await call("none")["ret"] == -404)
        let stranger = try await world.ask("POST", "/v1.0/invoke/keel/method/addons/all", [:])
        #expect(stranger.status == 403)
    }

    @Test @Loop func pluginsAskTheClusterWithinTheirScopesAndRate() async throws {
        let world = PluginWorld()
        world.options.grants = ["reader": ["read"]]
        world.options.maxCallbacksPerSecond = 20
        let desk = FakeClusterDesk()
        world.desk = desk
        try await world.start("chat-1")
        await world.pass(.seconds(4))
        let (_, secret) = try await world.join("acme-words", at: "http://a:1")
        let (_, readers) = try await world.join("reader", at: "http://r:1")
        let (all, read) = (
            bearing(try await world.token("acme-words", secret)), bearing(try await world.token("reader", readers))
        )
        let chat = "/v1.0/invoke/keel/method/chat/v1"
        let push: JSON = ["route": "onNews", "msg": ["a": 1], "uids": ["ann", "bob"]]
        #expect(try await world.ask("POST", "\(chat)/push", push, headers: all).json["data"] == ["queued": 2])
        #expect(try await world.ask("POST", "\(chat)/push", push, headers: read).status == 403)
        #expect(try await world.ask("POST", "\(chat)/push", push).status == 401)
        #expect(try await world.ask("POST", "\(chat)/kick", ["uid": "ann"], headers: all).json["data"] == ["kicked": 1])
        #expect(
            try await world.ask("GET", "\(chat)/sessions/ann", headers: read).json["data"]
                == ["frontends": ["connector-1"]])
        #expect(
            try await world.ask("GET", "\(chat)/channels/hall/members", headers: read).json["data"]
                == ["uids": ["ann", "bob"]])
        #expect(try await world.ask("GET", "\(chat)/channels/x/members", headers: read).status == 503)
        #expect(try await world.ask("GET", "\(chat)/nothing", headers: read).status == 404)
        #expect(try await world.ask("POST", "\(chat)/push", ["route": "r"], headers: all).status == 400)
        let long: JSON = ["route": .string(String(repeating: "r", count: 256)), "uids": ["ann"]]
        #expect(try await world.ask("POST", "\(chat)/push", long, headers: all).status == 400, "it fits no message")
        #expect(desk.asked == [#"push onNews {"a":1} to ["ann", "bob"]"#, "kick ann plugin"])

        await world.pass(.seconds(2))
        let answers = try (0..<30).map { _ in try world.begin("GET", "\(chat)/sessions/ann", headers: read) }
        await world.pass(.milliseconds(100))
        #expect(answers.filter { $0.value?.status == 429 }.count == 10)
    }
}
