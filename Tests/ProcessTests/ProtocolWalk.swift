// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// The plugin protocol from its first line to its last, by its own examples, at a real server.
    @Loop struct ProtocolWalk {
        private static let id = "yunify-xxx"
        let world: KeelWorld

        func run() async throws {
            let early = try await world.scripted(["/v1/status": PluginProtocol.plain(PluginProtocol.status)])
            let plugin = try await world.scripted(["/v1/status": PluginProtocol.plain(PluginProtocol.status)])
            let main = try await world.scripted(["/v1/status": PluginProtocol.plain(PluginProtocol.status)])
            try await identify(early)
            try await status(early, then: plugin)
            try await examination(plugin, by: main)
            try await platformAsksPlugin(plugin)
            try await pluginAsksPlatform(main)
            try await pluginAsksPlugin(plugin, main)
            try await point(plugin, main)
        }

        // MARK: what a plugin says of itself

        /// The shortest example lacks a comma, and has words for people: each is refused with the reason.
        private func identify(_ plugin: OutsideProcess) async throws {
            let lacking = PluginProtocol.plain(PluginProtocol.minimal)
            let minimal = lacking.replacing(#""msg":"ok""#, with: #""msg":"ok","#)
            for broken in [PluginProtocol.minimal, lacking, PluginProtocol.withPoints] {
                try await world.tell(plugin, ["/v1/identify": broken])
                let refused = try await world.register(Self.id, plugin)
                #expect(refused.status == 502 && refused.json["ret"] == -502, "\(refused)")
                #expect(refused.msg.hasPrefix("/v1/identify answers no JSON: "), "\(refused)")
            }
            #expect(try await show() == nil)
            try await world.tell(plugin, ["/v1/identify": minimal])
            let accepted = try await world.register(Self.id, plugin)
            #expect(accepted.status == 200 && accepted.json["ret"] == 0 && accepted.json["secret"] != nil)
            #expect(try await show()?["identify"] == ["plugin_id": .string(Self.id), "version": "1.0"])
            try await world.tell(plugin, ["/v1/identify": PluginProtocol.plain(PluginProtocol.withPoints)])
            #expect(try await world.register(Self.id, plugin, replaces: true).status == 200)
            let points = try await show()?["points"]?.array?.map { $0["name"] }
            #expect(points == ["before-send-callback", "after-send-callback"])
        }

        private func show() async throws -> JSON? {
            let path = KeelWorld.registry + "/show?id=" + Self.id
            return try await world.call("GET", path, KeelWorld.operatorHeaders).json["data"]
        }

        /// Requests are held back unless it serves; in the end another process takes its place, which does.
        private func status(_ early: OutsideProcess, then plugin: OutsideProcess) async throws {
            let example = PluginProtocol.plain(PluginProtocol.status)
            for (status, answer, msg) in [
                ("STARTING", 503, "plugin starting"), ("STOPPING", 503, "plugin stopping"),
                ("FAILED", 502, "plugin failed"),
            ] {
                try await world.tell(
                    early, ["/v1/status": example.replacing("ACTIVE", with: status), "/work": #"{"ret":0}"#])
                #expect(try await world.register(Self.id, early, replaces: true).status == 200)
                try await until("\(status) is known") { try await world.has(Self.id, status) }
                #expect(try await world.isAnswered(Self.id, answer, msg, path: "/work"))
            }
            #expect(try await world.asked(early, "/work").isEmpty)
            let points = PluginProtocol.plain(PluginProtocol.withPoints)
            try await world.tell(plugin, ["/v1/identify": points, "/work": #"{"ret":0,"msg":"done"}"#])
            #expect(try await world.register(Self.id, plugin, replaces: true).status == 200)
            try await until("ACTIVE is known") { try await world.has(Self.id, "ACTIVE") }
            #expect(try await world.isAnswered(Self.id, 200, "done", path: "/work"))
        }

        // MARK: main plugins

        /// A main plugin looks at what those that extend it implement.
        private func examination(_ plugin: OutsideProcess, by main: OutsideProcess) async throws {
            try await world.tell(plugin, ["/v1/identify": PluginProtocol.plain(PluginProtocol.withMainPlugin)])
            let lonely = try await world.register(Self.id, plugin, replaces: true)
            #expect(lonely.status == 409 && lonely.msg == "plugin, which it extends, is not registered", "\(lonely)")
            let points = PluginProtocol.plain(PluginProtocol.withPoints).replacing(Self.id, with: "plugin")
            try await world.tell(
                main, ["/v1/identify": points, "/v1/addons/identify": #"{"ret":-1,"msg":"not like that"}"#])
            #expect(try await world.register("plugin", main).status == 200)
            let refused = try await world.register(Self.id, plugin, replaces: true)
            #expect(refused.status == 409 && refused.msg.contains("not like that"), "\(refused)")
            try await world.tell(main, ["/v1/addons/identify": PluginProtocol.plain(PluginProtocol.examined)])
            #expect(try await world.register(Self.id, plugin, replaces: true).status == 200)
            let question = try #require(try await world.asked(main, "/v1/addons/identify").last)
            #expect(question["method"] == "POST")
            let body = try JSON.parse(Bytes((question["body"]?.string ?? "").utf8))
            #expect(
                body == [
                    "plugin": ["id": .string(Self.id), "version": "1.0"],
                    "endpoint": [["addons_point": "beforeSendCallBack", "endpoint": "/before-send-callback"]],
                ])
            let example = try JSON.parse(Bytes(PluginProtocol.plain(PluginProtocol.examination).utf8))
            #expect(Self.shape(body) == Self.shape(example))
        }

        /// The same with all texts emptied.
        private nonisolated static func shape(_ value: JSON) -> JSON {
            switch value {
            case .array(let items): return .array(items.map(shape))
            case .object(var object):
                for key in object.keys { object[key] = object[key].map(shape) }
                return .object(object)
            default: return ""
            }
        }

        // MARK: who asks whom

        private func platformAsksPlugin(_ plugin: OutsideProcess) async throws {
            for path in ["/v1/identify", "/v1/status"] {
                let questions = try await world.asked(plugin, path)
                #expect(!questions.isEmpty)
                for question in questions {
                    #expect(question["method"] == "GET" && question["path"] == .string(path) && question["body"] == "")
                }
            }
        }

        private func pluginAsksPlatform(_ main: OutsideProcess) async throws {
            let path = KeelWorld.keel + "/chat/v1/servers"
            #expect(try await world.call("GET", path).status == 401)
            let token = try await world.token("plugin", main)
            let answer = try await world.call("GET", path, token)
            let types = answer.json["data"]?.array?.compactMap { $0["type"]?.string } ?? []
            #expect(answer.status == 200 && types.contains("chat") && types.contains("connector"), "\(answer)")
        }

        /// By way of the platform, which says who asks.
        private func pluginAsksPlugin(_ plugin: OutsideProcess, _ main: OutsideProcess) async throws {
            try await world.tell(plugin, ["/job/more": #"{"ret":0,"msg":"done","data":[1,2]}"#])
            let path = "\(KeelWorld.keel)/\(Self.id)/job/more?a=b%20c"
            var headers = try await world.token("plugin", main)
            headers["Authorization"] = "token"
            headers["dapr-caller-app-id"] = "somebody-else"
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let answer = try await world.call(method, path, headers, body: method == "GET" ? "" : "words")
                #expect(answer.status == 200 && answer.text == #"{"ret":0,"msg":"done","data":[1,2]}"#, "\(answer)")
                let asked = try #require(try await world.asked(plugin, "/job/more").last)
                #expect(asked["method"] == .string(method) && asked["path"] == "/job/more?a=b%20c")
                #expect(asked["body"] == .string(method == "GET" ? "" : "words"))
                let shown = asked["headers"] ?? .null
                #expect(shown["authorization"] == "token" && shown["dapr-caller-app-id"] == "plugin")
                #expect(shown["x-plugin-jwt"]?.string?.hasPrefix("Bearer ") == true)
                #expect(shown["x-plugin-jwt"]?.string != headers["x-plugin-jwt"])
            }
            _ = try await world.call("GET", path, ["dapr-caller-app-id": "somebody-else"])
            let outside = try #require(try await world.asked(plugin, "/job/more").last)
            #expect(outside["headers"]?["dapr-caller-app-id"] == nil)
        }

        /// A plugin calls its own point, and the platform whoever implements it.
        private func point(_ plugin: OutsideProcess, _ main: OutsideProcess) async throws {
            try await world.tell(plugin, ["/before-send-callback": #"{"ret":0,"msg":"ok","data":{"x":1}}"#])
            let token = try await world.token("plugin", main)
            for host in KeelWorld.hosts {
                // A token is good where its registration is known.
                try await until("\(host) knows its caller") {
                    try await world.call("GET", KeelWorld.keel + "/chat/v1/servers", at: host, token).status == 200
                }
                for (method, name) in [("POST", "beforeSendCallBack"), ("PUT", "before-send-callback")] {
                    let path = "\(KeelWorld.keel)/addons/\(name)"
                    let answer = try await world.call(method, path, at: host, token, body: #"{"a":1}"#)
                    #expect(answer.status == 200 && answer.json["data"] == ["x": 1], "\(answer)")
                    let asked = try #require(try await world.asked(plugin, "/before-send-callback").last)
                    #expect(asked["method"] == .string(method) && asked["body"] == #"{"a":1}"#)
                }
                let none = try await world.call("POST", KeelWorld.keel + "/addons/afterSendCallback", at: host, token)
                #expect(none.status == 404 && none.msg.contains("nobody implements"), "\(none)")
                #expect(
                    try await world.call("POST", KeelWorld.keel + "/addons/no-point", at: host, token).status == 404)
                let unknown = try await world.call("POST", KeelWorld.keel + "/addons/beforeSendCallBack", at: host)
                #expect(unknown.status == 403, "\(unknown)")
            }
        }
    }
#endif
