// SPDX-License-Identifier: MIT
#if Keel
    import Glibc
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    /// Guests in rooms of two chat servers, and the example plugin that hides words, registered at one of them.
    @Loop final class ModeratedChat {
        private static let id = "pomelo-moderation"
        private let world: KeelWorld
        /// By the chat server of the room.
        private var guests: [String: TestClient] = [:]
        private var plugin: OutsideProcess

        private init(_ world: KeelWorld, _ plugin: OutsideProcess) {
            self.world = world
            self.plugin = plugin
        }

        static func run(_ world: KeelWorld) async throws {
            let chat = ModeratedChat(world, try await moderation(world))
            try await chat.findRooms()
            try await chat.hides()
            try await chat.hides("darned", "darned")
            try await chat.diesAndComesBack()
            try await chat.hangs()
            for guest in chat.guests.values { try await guest.leave() }
        }

        /// It registers itself at the first host.
        private static func moderation(_ world: KeelWorld) async throws -> OutsideProcess {
            let plugin = try await world.launch(
                "python3", ["Examples/moderation/moderation.py"],
                [
                    "DAPR_HTTP_PORT": "\(world.ports[KeelWorld.hosts[0]] ?? 0)",
                    "POMELO_KEEL_BOOTSTRAP": KeelWorld.bootstrap, "MODERATION_WORDS": "darn,heck",
                ])
            await until("it is registered") { plugin.lines.contains("registered \(id)") }
            return plugin
        }

        /// A room of each chat server: a second plugin notes which of them has asked it.
        private func findRooms() async throws {
            let recorder = try await world.scripted([
                "/v1/identify": """
                {"ret":0,"msg":"ok","plugin_id":"acme-recorder","version":"1.0","main_plugin":[
                  {"id":"chat","endpoints":[{"addons":"beforeSendCallback","endpoint":"/said","priority":200}]}]}
                """,
                "/v1/status": #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#, "/said": #"{"ret":0,"msg":"ok"}"#,
            ])
            #expect(try await world.register("acme-recorder", recorder).status == 200)
            for host in KeelWorld.hosts {
                try await until("\(host) knows it") {
                    let path = KeelWorld.registry + "/show?id=acme-recorder"
                    return try await world.call("GET", path, at: host, KeelWorld.operatorHeaders).status == 200
                }
            }
            for number in 0..<16 where guests.count < 2 {
                let guest = try await world.chat.enter("ann", "room\(number)", at: "connector-server-1")
                guest.patience = .seconds(2)
                var asked = JSON.null
                // The first question of a plugin may take longer than all of them may.
                try await eventually("it is asked") {
                    _ = try await guest.request("chat.chatHandler.send", ["content": "hello", "target": "*"])
                    _ = try await guest.next("onChat")
                    guard let text = try await world.asked(recorder, "/said").last?["body"]?.string else {
                        return false
                    }
                    asked = try JSON.parse(Bytes(text.utf8))
                    return asked["data"]?["channel"] == .string("room\(number)")
                }
                #expect(asked["event"] == "before-send-callback" && asked["data"]?["from"] == "ann")
                let host = try #require(asked["server_id"]?.string)
                if guests[host] == nil { guests[host] = guest } else { try await guest.leave() }
            }
            #expect(guests.keys.sorted() == KeelWorld.hosts)
        }

        /// Says it in each room, and is answered within the guest's patience of 2 s; what is heard comes back.
        private func say(_ text: String) async throws -> [JSON] {
            var heard: [JSON] = []
            for (_, guest) in guests.sorted(by: { $0.key < $1.key }) {
                let said: JSON = ["content": .string(text), "target": "*"]
                #expect(try await guest.request("chat.chatHandler.send", said) == [:])
                heard.append(try await guest.next("onChat"))
            }
            return heard
        }

        private static func line(_ text: String, isUnmoderated: Bool = false) -> [JSON] {
            var line: JSONObject = ["msg": .string(text), "from": "ann", "target": "*"]
            if isUnmoderated { line["unmoderated"] = true }
            return [.object(line), .object(line)]
        }

        /// Soon, and from then on; on a machine with more to do an answer may be late.
        private func hides(_ text: String = "Oh DARN, what the Heck", _ heard: String = "Oh ***, what the ***")
            async throws
        {
            try await eventually("words are hidden", within: .seconds(20)) {
                try await say(text) == Self.line(heard)
            }
        }

        private func diesAndComesBack() async throws {
            await plugin.end(SIGKILL)
            #expect(try await say("darn") == Self.line("darn", isUnmoderated: true))
            plugin = try await Self.moderation(world)
            try await hides("darn", "***")
        }

        /// Connections to it are made, and no answer comes.
        private func hangs() async throws {
            plugin.signal(SIGSTOP)
            #expect(try await say("darn") == Self.line("darn", isUnmoderated: true))
            plugin.signal(SIGCONT)
            try await hides("darn", "***")
        }
    }
#endif
