// SPDX-License-Identifier: MIT
#if Keel
    import Foundation
    import Glibc
    import PomeloBytes
    import PomeloJSON
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    /// A Chat cluster of real processes whose chat servers serve plugins, and those who call it over HTTP.
    @Loop final class KeelWorld {
        /// What somebody was answered.
        struct Answer {
            let status: Int
            let headers: [PluginHeader]
            let text: String

            /// Null for what is none.
            var json: JSON {
                do { return try JSON.parse(Bytes(text.utf8)) } catch { return .null }
            }
            var msg: String { json["msg"]?.string ?? "" }
        }

        static let bootstrap = "a secret that tests have"
        static let hosts = ["chat-server-1", "chat-server-2"]
        let chat: ServerProcesses
        private(set) var ports: [String: Int] = [:]
        let caller = KeelCaller()
        private var plugins: [OutsideProcess] = []

        private init(_ chat: ServerProcesses) { self.chat = chat }

        /// The servers named, and Redis.
        static func start(
            _ servers: [String], options: JSONObject = [:], words: [String] = []
        ) async throws -> KeelWorld {
            let world = KeelWorld(try await ServerProcesses.prepare("Chat", config: "config"))
            world.chat.environment["POMELO_KEEL_BOOTSTRAP"] = bootstrap
            try await world.writeFiles(options)
            let texts = JSON.array(words.map { .string($0) })
            try world.chat.write("moderation", ["development": ["words": texts]])
            for id in servers { try world.chat.launch(id) }
            for id in servers { try await world.chat.awaitUp(id) }
            return world
        }

        private func writeFiles(_ options: JSONObject) async throws {
            let file = try chat.read("\(chat.folder)/servers.json")
            var section = file["development"]?.object ?? [:]
            var servers: [JSON] = []
            for server in section["chat"]?.array ?? [] {
                var server = server.object ?? [:]
                let port = try await TestPorts.next()
                server["keelPort"] = .int(Int64(port))
                ports[server["id"]?.string ?? ""] = port
                servers.append(.object(server))
            }
            section["chat"] = .array(servers)
            try chat.write("servers", ["development": .object(section)])
            try chat.write("keel", ["development": .object(options)])
        }

        func stop() async throws {
            for plugin in plugins { await plugin.end(SIGKILL) }
            await caller.stop()
            try await chat.stop()
        }

        /// All of them to their ends; then the first error of any.
        static func alongside(_ scenarios: [@Loop () async throws -> Void]) async throws {
            let failures = Journal<any Error>()
            let tasks = scenarios.map { scenario in
                Loop.spawn { if let error = await thrown(by: scenario) { failures.note(error) } }
            }
            for task in tasks { await task.value }
            if let first = failures.entries.first { throw first }
        }

        // MARK: plugins

        /// A program that writes where it is.
        func launch(
            _ program: String, _ words: [String], _ environment: [String: String] = [:]
        ) async throws -> OutsideProcess {
            let plugin = try OutsideProcess(program, words, environment)
            plugins.append(plugin)
            try await eventually("\(words) is up", within: .seconds(20)) {
                if let ending = plugin.ending { throw Unmet(description: "\(words): \(ending) \(plugin.lines)") }
                return plugin.address != nil
            }
            return plugin
        }

        /// A plugin that answers what it is told to.
        func scripted(_ answers: [String: String]) async throws -> OutsideProcess {
            let plugin = try await launch("python3", ["-c", PluginPrograms.scripted, "0"])
            try await tell(plugin, answers)
            return plugin
        }

        func tell(_ plugin: OutsideProcess, _ answers: [String: String]) async throws {
            var texts = JSONObject()
            for (path, text) in answers { texts[path] = .string(text) }
            let answer = try await ask(plugin.base, "POST", "/_set", body: JSON.object(texts).encoded())
            guard answer.status == 200 else { throw Unmet(description: "it was told nothing: \(answer)") }
        }

        /// What a plugin was asked at a path.
        func asked(_ plugin: OutsideProcess, _ path: String) async throws -> [JSON] {
            let seen = try await ask(plugin.base, "GET", "/_seen").json.array ?? []
            return seen.filter { $0["path"]?.string?.hasPrefix(path) == true }
        }

        // MARK: calls

        /// A call of one of the hosts.
        func call(
            _ method: String, _ path: String, at host: String = hosts[0], _ headers: [String: String] = [:],
            body: String = ""
        ) async throws -> Answer {
            try await ask("http://127.0.0.1:\(ports[host] ?? 0)", method, path, headers, body: Bytes(body.utf8))
        }

        /// A call of a plugin itself, or of anybody.
        func ask(
            _ base: String, _ method: String, _ path: String, _ headers: [String: String] = [:], body: Bytes = Bytes()
        ) async throws -> Answer {
            let request = PluginRequest(
                method, path, headers: headers.map { PluginHeader($0.key, $0.value) }, body: body)
            let response = try await caller.call(base, request, within: .seconds(20), limit: 1 << 20)
            return Answer(
                status: response.status, headers: response.headers,
                text: String(decoding: response.body, as: UTF8.self))
        }

        static let registry = "/v1.0/invoke/plugins/method"
        static let keel = "/v1.0/invoke/keel/method"
        /// What an operator shows.
        static let operatorHeaders = ["Authorization": "Bearer \(bootstrap)"]

        func register(
            _ id: String, _ plugin: OutsideProcess, at host: String = hosts[0], replaces: Bool = false
        ) async throws -> Answer {
            let wish: JSON = [
                "id": .string(id), "url": .string(plugin.base), "secret": .string(Self.bootstrap),
                "replace": .bool(replaces),
            ]
            return try await call("POST", Self.registry + "/register", at: host, body: wish.description)
        }

        /// Registers and shows a token.
        func token(_ id: String, _ plugin: OutsideProcess) async throws -> [String: String] {
            let answer = try await register(id, plugin, replaces: true)
            guard let secret = answer.json["secret"]?.string else { throw Unmet(description: "\(answer)") }
            let form = "client_id=\(id)&client_secret=\(secret)"
            let issued = try await call(
                "POST", Self.registry + "/oauth2/token", ["Content-Type": "application/x-www-form-urlencoded"],
                body: form)
            guard let token = issued.json["access_token"]?.string else { throw Unmet(description: "\(issued)") }
            return ["x-plugin-jwt": "Bearer \(token)"]
        }

        /// Whether each host that runs has this status of a plugin.
        func has(_ id: String, _ status: String) async throws -> Bool {
            for host in Self.hosts where chat[host].status == nil {
                let shown = try await call("GET", Self.registry + "/show?id=" + id, at: host, Self.operatorHeaders)
                guard shown.json["data"]?["status"]?.string == status else { return false }
            }
            return true
        }

        /// Whether a call of a plugin comes to this at each host that runs.
        func isAnswered(_ id: String, _ status: Int, _ msg: String, path: String = "/hello") async throws -> Bool {
            for host in Self.hosts where chat[host].status == nil {
                let answer = try await call("GET", "\(Self.keel)/\(id)\(path)", at: host)
                guard answer.status == status, answer.msg == msg else { return false }
            }
            return true
        }
    }

    /// A program in another language, which ends with the tests.
    @Loop final class OutsideProcess {
        private(set) var lines: [String] = []
        private(set) var ending: ChildProcess.Ending?
        private var child: ChildProcess?

        init(_ program: String, _ words: [String], _ environment: [String: String]) throws {
            let leash = ["--pdeathsig", "KILL", program]
            child = try ChildProcess(
                ChildProcess.Command(
                    "/usr/bin/setpriv", leash + words, environment: environment, directory: ServerProcesses.root()),
                onLine: { [weak self] in self?.lines.append($0) }, onExit: { [weak self] in self?.ending = $0 })
        }

        /// What it says behind `up` and a name.
        var address: String? {
            lines.first { $0.hasPrefix("up ") }?.split(separator: " ").last.map(String.init)
        }
        var base: String { address ?? "" }
        var port: String { base.split(separator: ":").last.map(String.init) ?? "0" }

        func signal(_ number: Int32) { child?.signal(number) }

        func end(_ number: Int32) async {
            signal(number)
            await until("a plugin has ended by \(number)") { ending != nil }
        }
    }
#endif
