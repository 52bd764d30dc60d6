// SPDX-License-Identifier: MIT
#if Keel
    import Glibc
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// The example plugin `auth`: with it nobody from outside reaches a plugin without a token.
        @Suite struct AuthPluginTests {
            private static let path = "/v1.0/invoke/keel/method/acme-recorder/x"
            private static let login = "/v1.0/invoke/keel/method/auth/v1/login"

            @Test @Loop func whoCallsFromOutsideLogsInFirst() async throws {
                let world = try await KeelWorld.start(KeelWorld.hosts)
                try await Self.walk(world)
                try await world.stop()
            }

            @Loop private static func walk(_ world: KeelWorld) async throws {
                let recorder = try await world.scripted([
                    "/v1/identify": #"{"ret":0,"msg":"ok","plugin_id":"acme-recorder","version":"1.0"}"#,
                    "/v1/status": #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#, "/x": #"{"ret":0,"msg":"ok"}"#,
                ])
                #expect(try await world.register("acme-recorder", recorder).status == 200)
                #expect(try await world.call("GET", path).status == 200, "nobody checks yet")
                let auth = try await world.launch(
                    "python3", ["Examples/auth/auth.py"],
                    [
                        "DAPR_HTTP_PORT": "\(world.ports[KeelWorld.hosts[0]] ?? 0)",
                        "POMELO_KEEL_BOOTSTRAP": KeelWorld.bootstrap, "AUTH_USERS": "ann:secret",
                    ])
                await until("it is registered") { auth.lines.contains("registered auth") }
                for host in KeelWorld.hosts {
                    try await until("\(host) lets nobody in") {
                        try await world.call("GET", path, at: host).status == 401
                    }
                }
                let before = try await world.asked(recorder, "/x").count
                let token = try await token(world)
                try await check(token, world)
                #expect(try await world.asked(recorder, "/x").count == before + 1, "the one with the token")

                await auth.end(SIGKILL)
                let answer = try await world.call("GET", path, ["Authorization": "Bearer \(token)"])
                #expect([502, 503].contains(answer.status), "who cannot be checked does not pass: \(answer)")
            }

            @Loop private static func token(_ world: KeelWorld) async throws -> String {
                for body in ["", "[]", #"{"user":"ann"}"#, #"{"user":"ann","password":"wrong"}"#, #"{"user":1}"#] {
                    let answer = try await world.call("POST", login, body: body)
                    #expect(answer.status == 200 && answer.json["ret"]?.int ?? 0 < 0, "\(body): \(answer)")
                }
                let answer = try await world.call("POST", login, body: #"{"user":"ann","password":"secret"}"#)
                return try #require(answer.json["data"]?["token"]?.string, "\(answer)")
            }

            @Loop private static func check(_ token: String, _ world: KeelWorld) async throws {
                let refused = [
                    [:], ["Authorization": "Bearer x.y"], ["Authorization": "Bearer \(token)x"],
                    ["X-Keel": "True"], ["dapr-caller-app-id": "auth"], ["X-Keel-Check": "True"],
                    ["X-Keel-Plugin": "auth", "X-Keel-Path": "/v1/login"],
                ]
                for headers in refused {
                    let answer = try await world.call("GET", path, headers)
                    #expect(answer.status == 401 && answer.msg == "log in first", "\(headers): \(answer)")
                }
                let elsewhere = try await world.call("GET", login, ["dapr-app-id": "acme-recorder"])
                #expect(elsewhere.status == 401, "the way in leads nowhere else: \(elsewhere)")
                let admitted = try await world.call("GET", path, ["Authorization": "Bearer \(token)"])
                #expect(admitted.status == 200, "\(admitted)")
            }
        }
    }
#endif
