// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// Plugins are asked at connectors, where guests are bound, though those serve none.
        @Suite struct BindingPluginTests {
            @Test @Loop func aPluginRefusesGuestsAndHearsOfThoseWhoComeAndGo() async throws {
                let world = try await KeelWorld.start(["connector-server-1"] + KeelWorld.hosts)
                let plugin = try await world.scripted([
                    "/v1/identify": """
                    {"ret":0,"msg":"ok","plugin_id":"acme-ban","version":"1.0","main_plugin":[{"id":"chat","endpoints":[
                      {"addons":"before-bind","endpoint":"/bind"},{"addons":"bind_session","endpoint":"/bound"},
                      {"addons":"close_session","endpoint":"/closed"}]}]}
                    """,
                    "/v1/status": #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#, "/bind": #"{"ret":-9,"msg":"banned"}"#,
                    "/bound": #"{"ret":0}"#, "/closed": #"{"ret":0}"#,
                ])
                #expect(try await world.register("acme-ban", plugin).status == 200)
                let entry: JSON = ["username": "ann", "rid": "hall"]
                var refused = JSON.null
                try await eventually("the connector asks it", within: .seconds(20)) {
                    let guest = try await world.chat.connect("connector-server-1")
                    refused = try await guest.request("connector.entryHandler.enter", entry)
                    try await guest.leave()
                    return refused["users"] == nil
                }
                #expect(refused["code"]?.int ?? 0 >= 400, "\(refused)")
                try await world.tell(plugin, ["/bind": #"{"ret":0}"#])
                let guest = try await world.chat.enter("bob", "hall", at: "connector-server-1")
                try await until("it is told") { try await !world.asked(plugin, "/bound").isEmpty }
                try await guest.leave()
                try await until("it is told of the end") { try await !world.asked(plugin, "/closed").isEmpty }
                let asked = try #require(try await world.asked(plugin, "/bind").last?["body"]?.string)
                let event = try JSON.parse(Bytes(asked.utf8))
                #expect(event["data"]?["uid"] == "bob*hall" && event["server_id"] == "connector-server-1")
                try await world.stop()
            }
        }
    }
#endif
