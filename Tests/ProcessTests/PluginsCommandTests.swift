// SPDX-License-Identifier: MIT
#if Keel
    import Glibc
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// `Chat plugins …` asks a server that serves plugins about all of them.
        @Suite struct PluginsCommandTests {
            private static let id = "acme-words"
            private static let failed = "\(ChildProcess.Ending.exited(1))"
            private static let words = "error: plugins list, or plugins show, register, remove or dead-letters with "
            private static let identity = """
                {"ret":0,"msg":"ok","plugin_id":"acme-words","version":"1.2",
                 "addons":[{"endpoint":"greet","desc":"says hello"}],
                 "main_plugin":[{"id":"chat","endpoints":[{"addons":"after-send-callback","endpoint":"/told"}]}]}
                """
            private static let dependent = """
                {"ret":0,"msg":"ok","plugin_id":"acme-more","version":"1.0",
                 "main_plugin":[{"id":"acme-words","endpoints":[{"addons":"greet","endpoint":"/greet"}]}]}
                """
            private static let active = #"{"ret":0,"msg":"ok","status":"ACTIVE"}"#
            private static let ok = #"{"ret":0,"msg":"ok"}"#

            /// What the command says on both its outputs, sorted, and how it ends when that is not with 0.
            @Loop private func plugins(_ line: String, _ world: KeelWorld) async throws -> [String] {
                let words = line.split(separator: " ").map(String.init)
                let result = try await ChildProcess.run(
                    ChildProcess.Command(
                        "\(ServerProcesses.binaries)/Chat", ["plugins", "--config", world.chat.folder] + words))
                return result.lines.sorted() + (result.ending == .exited(0) ? [] : ["\(result.ending)"])
            }

            /// What it says on its standard output alone.
            @Loop private func output(_ line: String, _ world: KeelWorld) async throws -> [String] {
                let words = ["plugins", "--config", world.chat.folder] + line.split(separator: " ").map(String.init)
                return try await ChildProcess.run(
                    ChildProcess.Command(
                        "/bin/sh", ["-c", "exec \"$0\" \"$@\" 2>/dev/null", "\(ServerProcesses.binaries)/Chat"] + words)
                ).lines
            }

            @Test @Loop func pluginsAreRegisteredShownSettledAndRemoved() async throws {
                let world = try await KeelWorld.start([])
                #expect(
                    try await plugins("list", world) == ["error: no server of the cluster chat is up", Self.failed])
                try await launch(["connector-server-1", "gate-server-1"], world)
                #expect(
                    try await plugins("list", world)
                        == ["error: no server of the cluster chat serves plugins", Self.failed])
                try await launch(KeelWorld.hosts, world)
                #expect(try await plugins("list", world).isEmpty)
                let plugin = try await world.scripted([
                    "/v1/identify": Self.identity, "/v1/status": Self.active, "/v1/addons/identify": Self.ok,
                    "/told": Self.ok,
                ])
                try await registers(plugin, world)
                try await settles(plugin, world)
                try await refusesWrongWords(world)
                try await knowsNoOther(world)
                try await asksTheNextServer(plugin, world)
                try await removes(world)
                try await saysWhoDoesNotAnswer(world)
                try await world.stop()
            }

            @Loop private func launch(_ ids: [String], _ world: KeelWorld) async throws {
                for id in ids { try world.chat.launch(id) }
                for id in ids { try await world.chat.awaitUp(id) }
            }

            /// Whether the registry takes a secret for the plugin's.
            @Loop private func isSecret(_ secret: String, _ world: KeelWorld) async throws -> Bool {
                let form = "client_id=\(Self.id)&client_secret=\(secret)"
                return try await world.call(
                    "POST", KeelWorld.registry + "/oauth2/token",
                    ["Content-Type": "application/x-www-form-urlencoded"], body: form
                ).status == 200
            }

            @Loop private func registers(_ plugin: OutsideProcess, _ world: KeelWorld) async throws {
                let said = try await output("register \(Self.id) --url \(plugin.base)", world)
                #expect(said.count == 1)
                let secret = try #require(said.first)
                #expect(try await isSecret(secret, world))
                #expect(try await plugins("list", world) == ["\(Self.id)\t1.2\tACTIVE\t\(plugin.base)\t"])
                let shown = try await plugins("show \(Self.id)", world)
                for line in ["id\t\(Self.id)", "version\t1.2", "status\tACTIVE", "urls\t[\"\(plugin.base)\"]"] {
                    #expect(shown.contains(line), "\(shown)")
                }
                #expect(!shown.contains { $0.contains(secret) })
                let taken = "error: \(Self.id): \(Self.id) has been registered; --replace takes its place"
                #expect(try await plugins("register \(Self.id) --url \(plugin.base)", world) == [taken, Self.failed])
                let second = try #require(
                    try await output("register \(Self.id) --replace --url \(plugin.base)", world).last)
                #expect(second != secret)
                #expect(try await isSecret(second, world))
                #expect(try await !isSecret(secret, world))
                #expect(
                    try await plugins("register acme-late", world) == [
                        "error: acme-late: where acme-late is: a url is missing, and keel.json has none under apps",
                        Self.failed,
                    ])
            }

            /// More dead letters than are in one page or one message.
            @Loop private func settles(_ plugin: OutsideProcess, _ world: KeelWorld) async throws {
                let script = """
                    for n = 1, 300 do
                        redis.call('XADD', KEYS[1], n .. '-0', 'why', 'no\\tway',
                            'e', '1:after-send-callback\\nk{"n":' .. n .. '}')
                    end
                    """
                let key = "pomelo:{chat}:plugq:\(Self.id):dead"
                _ = try await world.chat.redisCommand(["EVAL", script, "1", key])
                let all = try await plugins("dead-letters \(Self.id)", world)
                #expect(all == (1...300).map { "\($0)-0\tno\\u{9}way\t{\"n\":\($0)}" }.sorted())
                #expect(try await plugins("drop \(Self.id) 1-0 2-0", world) == ["\(Self.id): 2 dropped"])
                #expect(try await plugins("retry \(Self.id) 3-0", world) == ["\(Self.id): 1 tried again"])
                try await eventually("the plugin is told") {
                    try await world.asked(plugin, "/told").map { $0["body"] } == [#"{"n":3}"#]
                }
                #expect(
                    try await plugins("drop \(Self.id) 3-0 4-0", world)
                        == ["\(Self.id): 1 dropped", "error: \(Self.id) has no dead letter 3-0", Self.failed])
                #expect(try await plugins("dead-letters \(Self.id)", world).count == 296)
                #expect(try await plugins("drop \(Self.id) all", world) == ["\(Self.id): 296 dropped"])
                #expect(try await plugins("dead-letters \(Self.id)", world).isEmpty)
                #expect(try await plugins("retry \(Self.id) all", world) == ["\(Self.id): 0 tried again"])
            }

            @Loop private func refusesWrongWords(_ world: KeelWorld) async throws {
                for line in [
                    "", "lost", "list \(Self.id)", "show", "show a b", "register", "retry a", "drop a 1", "drop a one",
                    "drop a +1-0", "drop a 1-0 all",
                ] {
                    let said = try await plugins(line, world)
                    #expect(said.count == 2 && said[0].hasPrefix(Self.words) && said[1] == Self.failed, "\(line)")
                }
                let flags = "error: --url and --replace are for register, and --force is for remove"
                for line in ["list --force", "show a --replace", "remove a --url http://127.0.0.1:1"] {
                    #expect(try await plugins(line, world) == [flags, Self.failed], "\(line)")
                }
            }

            @Loop private func knowsNoOther(_ world: KeelWorld) async throws {
                let unknown = "error: acme-none: plugin not registered"
                for line in [
                    "show acme-none", "remove acme-none", "dead-letters acme-none", "retry acme-none all",
                    "drop acme-none 1-0",
                ] {
                    #expect(try await plugins(line, world) == [unknown, Self.failed], "\(line)")
                }
                #expect(
                    try await plugins("list --id connector-server-1", world)
                        == ["error: connector-server-1 does not serve plugins", Self.failed])
                #expect(
                    try await plugins("list --id chat-server-9", world)
                        == ["error: chat-server-9 is not up", Self.failed])
                let known = try await plugins("list", world)
                #expect(known.count == 1)
                for host in KeelWorld.hosts { #expect(try await plugins("list --id \(host)", world) == known) }
            }

            /// The first one has died, and is registered until its lease has ended.
            @Loop private func asksTheNextServer(_ plugin: OutsideProcess, _ world: KeelWorld) async throws {
                world.chat[KeelWorld.hosts[0]].signal(SIGKILL)
                _ = try await world.chat.awaitExit(KeelWorld.hosts[0])
                let said = try await plugins("list --id \(KeelWorld.hosts[0])", world)
                #expect(said.count == 2 && said[0].hasPrefix("error: \(KeelWorld.hosts[0])"), "\(said)")
                #expect(try await plugins("list", world) == ["\(Self.id)\t1.2\tACTIVE\t\(plugin.base)\t"])
            }

            @Loop private func removes(_ world: KeelWorld) async throws {
                let more = try await world.scripted(["/v1/identify": Self.dependent, "/v1/status": Self.active])
                #expect(try await output("register acme-more --url \(more.base)", world).count == 1)
                let held = "error: \(Self.id): acme-more extends it; --force removes it all the same"
                #expect(try await plugins("remove \(Self.id)", world) == [held, Self.failed])
                #expect(try await plugins("remove \(Self.id) --force", world) == ["\(Self.id) removed"])
                #expect(try await plugins("remove acme-more", world) == ["acme-more removed"])
                #expect(try await plugins("list", world).isEmpty)
            }

            /// It stands still, and others serve none.
            @Loop private func saysWhoDoesNotAnswer(_ world: KeelWorld) async throws {
                let last = KeelWorld.hosts[1]
                try await world.chat[last].freeze()
                let said = try await plugins("list", world)
                world.chat[last].thaw()
                #expect(said.count == 2 && said.last == Self.failed, "\(said)")
                let reason = try #require(said.first)
                #expect(reason.hasPrefix("error: no server of the cluster chat answers for plugins: "))
                #expect(reason.contains("\(last): "))
            }
        }
    }
#endif
