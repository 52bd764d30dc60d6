// SPDX-License-Identifier: MIT
#if Keel
    import Foundation
    import Glibc
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// Plugins in other processes and another language, in a Chat cluster of real processes.
        @Suite struct KeelTests {
            /// What happens to plugins, all at once; then what happens to the platform.
            @Test @Loop func pluginsOfOtherProcessesTakePartInTheChat() async throws {
                let world = try await KeelWorld.start(["connector-server-1"] + KeelWorld.hosts)
                let mortal = try await ProbedPlugins.start(world)
                try await KeelWorld.alongside([
                    { try await ProtocolWalk(world: world).run() },
                    { try await ModeratedChat.run(world) },
                    { try await mortal?.live() },
                ])
                try await anotherOneProbes(world)
                try await withoutRedis(world)
                try await world.stop()
            }

            /// The process that asks plugins for their status is killed: the other one does so.
            @Loop private func anotherOneProbes(_ world: KeelWorld) async throws {
                let plugin = try await world.scripted(Self.answers("acme-probed"))
                #expect(try await world.register("acme-probed", plugin).status == 200)
                try await until("all know it") { try await world.isAnswered("acme-probed", 200, "hi") }
                let holder = try #require(try await prober(world))
                let other = try #require(KeelWorld.hosts.first { $0 != holder })
                world.chat[holder].signal(SIGKILL)
                _ = try await world.chat.awaitExit(holder)
                try await world.tell(plugin, ["/v1/status": #"{"ret":0,"msg":"ok","status":"STOPPING"}"#])
                try await eventually("the other one has asked", within: .seconds(30)) {
                    try await world.isAnswered("acme-probed", 503, "plugin stopping")
                }
                #expect(try await prober(world) == other)
            }

            /// Who holds the office, as Redis has it: `server/instance`, and a word of this start.
            @Loop private func prober(_ world: KeelWorld) async throws -> String? {
                let owner = try await world.chat.redisCommand(["HGET", "pomelo:{chat}:elect:plugins", "owner"])
                return KeelWorld.hosts.first { owner.contains($0) }
            }

            /// Redis is gone: what is known stays, nothing new is admitted; and back, without its data, all is there.
            @Loop private func withoutRedis(_ world: KeelWorld) async throws {
                let host = try #require(KeelWorld.hosts.first { world.chat[$0].status == nil })
                let plugin = try await world.scripted(Self.answers("acme-late"))
                let early = try await world.scripted(Self.answers("acme-early"))
                #expect(try await world.register("acme-early", early, at: host).status == 200)
                await world.chat.redis.kill9()
                #expect(try await world.isAnswered("acme-early", 200, "hi"))
                let refused = try await world.register("acme-late", plugin, at: host)
                #expect(refused.status == 503 && refused.json["ret"] == -503, "\(refused)")
                #expect(refused.msg.hasPrefix("the registry cannot be reached"), "\(refused)")
                #expect(try await world.isAnswered("acme-early", 200, "hi"))
                #expect(try await world.isAnswered("acme-late", 404, "plugin not registered"))
                try await world.chat.redis.restart()
                try await eventually("it is admitted", within: .seconds(20)) {
                    try await world.register("acme-late", plugin, at: host, replaces: true).status == 200
                }
                #expect(try await world.isAnswered("acme-late", 200, "hi"))
                // What Redis has lost was put back by who knew it.
                let stored = try await world.chat.redisCommand(["HKEYS", "pomelo:{chat}:plug"])
                for id in ["acme-early", "acme-late"] { #expect(stored.contains("p/\(id)"), "\(stored)") }
            }

            @Loop private static func answers(_ id: String) -> [String: String] {
                [
                    "/v1/identify": #"{"ret":0,"msg":"ok","plugin_id":"\#(id)","version":"1.0"}"#,
                    "/v1/status": #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#,
                    "/hello": #"{"ret":0,"msg":"hi"}"#,
                ]
            }
        }
    }

    /// Plugins made with Flask: one says what its status is, one is killed and started again.
    @Loop final class ProbedPlugins {
        private let world: KeelWorld
        private let python: String
        private let speaker: OutsideProcess
        private var mortal: OutsideProcess

        private init(_ world: KeelWorld, _ python: String, _ speaker: OutsideProcess, _ mortal: OutsideProcess) {
            self.world = world
            self.python = python
            self.speaker = speaker
            self.mortal = mortal
        }

        /// Nil where Flask is not installed: then this is not shown.
        static func start(_ world: KeelWorld) async throws -> ProbedPlugins? {
            let python = ServerProcesses.root() + "/.build/venvs/flask/bin/python"
            guard FileManager.default.fileExists(atPath: python) else {
                print("skipped: plugins made with Flask, which .build/venvs/flask lacks")
                return nil
            }
            let speaker = try await world.launch(python, ["-c", PluginPrograms.flask, "0", "acme-speaker"])
            let mortal = try await world.launch(python, ["-c", PluginPrograms.flask, "0", "acme-mortal"])
            return ProbedPlugins(world, python, speaker, mortal)
        }

        func live() async throws {
            #expect(try await world.register("acme-speaker", speaker).status == 200)
            #expect(try await world.register("acme-mortal", mortal, at: KeelWorld.hosts[1]).status == 200)
            for id in ["acme-speaker", "acme-mortal"] {
                try await until("\(id) serves") { try await world.isAnswered(id, 200, "ok") }
            }
            let failures = Journal<any Error>()
            let dying = Loop.spawn { if let error = await thrown(by: self.die) { failures.note(error) } }
            try await speak()
            await dying.value
            if let failure = failures.entries.first { throw failure }
        }

        /// Its gate is what it says, at each host.
        private func speak() async throws {
            for (status, answer, msg) in [
                ("STARTING", 503, "plugin starting"), ("STOPPING", 503, "plugin stopping"),
                ("FAILED", 502, "plugin failed"), ("ACTIVE", 200, "ok"),
            ] {
                _ = try await world.ask(speaker.base, "POST", "/_status", body: Bytes(status.utf8))
                try await eventually("\(status) is known", within: .seconds(20)) {
                    try await world.isAnswered("acme-speaker", answer, msg)
                }
            }
        }

        /// Killed, it is FAILED within 20 s, and back, ACTIVE within 20 s.
        private func die() async throws {
            await mortal.end(SIGKILL)
            try await eventually("it has failed", within: .seconds(20)) {
                try await world.has("acme-mortal", "FAILED")
            }
            #expect(try await world.isAnswered("acme-mortal", 502, "plugin failed"))
            mortal = try await world.launch(
                python, ["-c", PluginPrograms.flask, mortal.port, "acme-mortal"])
            try await eventually("it serves again", within: .seconds(20)) {
                try await world.has("acme-mortal", "ACTIVE")
            }
            #expect(try await world.isAnswered("acme-mortal", 200, "ok"))
        }
    }
#endif
