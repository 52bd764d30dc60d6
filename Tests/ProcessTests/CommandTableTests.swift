// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension WholeClusters {
    /// Every command that is about a running cluster, as a table: what is said, and what comes of it.
    @Suite struct CommandTableTests {
        /// A command line and what it is to end with; `output` is the lines, where `*` stands for anything.
        private struct Row {
            let words: String
            let status: Int
            let output: [String]
            var user = "max"
            var password = "correct horse battery"

            init(_ words: String, _ status: Int, _ output: String..., user: String = "max", password: String? = nil) {
                (self.words, self.status, self.output, self.user) = (words, status, output, user)
                if let password { self.password = password }
            }
        }

        /// Of "correct horse battery".
        private static let hash = "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs="
        private static let refuses = "error: master-server-1 refuses:"

        private static let withoutCluster = [
            Row("list", 0, "no server of the cluster chat runs"),
            Row("list --json", 0, "[]", "no server of the cluster chat runs"),
            Row("stop", 1, "error: no master of the cluster chat runs"),
            Row("stop chat-server-1", 1, "error: no master of the cluster chat runs"),
            Row("restart", 1, "error: no master of the cluster chat runs"),
            Row("restart -t chat", 1, "error: no master of the cluster chat runs"),
            Row("resume chat-server-1", 1, "error: no master of the cluster chat runs"),
            Row("add serverType=chat port=1", 1, "error: no master of the cluster chat runs"),
            Row("kill", 1, "error: no master of the cluster chat runs"),
            Row("kill -f --logs LOGS", 1, "error: nothing runs that *processes.json knows of"),
            Row("console -c show_status", 1, "error: no master of the cluster chat runs"),
            Row("health --id chat-server-1", 1, "error: chat-server-1 is not registered"),
            Row("plugins list", 1, "error: no server of the cluster chat is up"),
            Row("masterha", 1, "error: *masterha.json names no master of this machine that stands by"),
            Row(
                "start -t chats", 1,
                "*has no server of the type \"chats\" to start; it has: master, chat, connector, gate"),
            Row("start -d /nowhere/at/all", 1, "error: --directory: there is no folder /nowhere/at/all"),
        ]

        private static let wrongPassword = [
            "stop", "stop chat-server-1", "restart", "resume chat-server-1", "add serverType=chat port=1", "kill",
            "console -c show_status", "console -c module_onlineUser",
        ].map { Row($0, 1, "\(refuses) wrong user or password", password: "wrong horse battery") }

        private static let unknown = [
            "stop chat-server-9", "restart chat-server-9", "resume chat-server-9", "kill chat-server-9",
        ].map { Row($0, 1, "\(refuses) no server chat-server-9 is kept here; those that are: *") }

        private static let roles = [
            Row("stop chat-server-1", 1, "\(refuses) eve has the role read, and it takes operate", user: "eve"),
            Row("kill chat-server-1", 1, "\(refuses) ann has the role operate, and it takes own", user: "ann"),
            Row(
                "console -c disable_module_onlineUser", 1, "\(refuses) eve has the role read, and it takes operate",
                user: "eve"),
            Row("console -c module_profiler", 1, "\(refuses) eve has the role read, and it takes operate", user: "eve"),
        ]

        private static let running = [
            Row(
                "list", 0, "ID *", "chat-server-1 *", "chat-server-2 *", "connector-server-1 *", "connector-server-2 *",
                "gate-server-1 *", "master-server-1 *"),
            Row("list --json", 0, "[{*}]"),
            Row(
                "servers", 0, "chat-server-1\tchat\t*", "chat-server-2\tchat\t*", "connector-server-1\tconnector\t*",
                "connector-server-2\tconnector\t*", "gate-server-1\tgate\t*", "master-server-1\tmaster\t*"),
            Row("health --id chat-server-1", 0, "chat-server-1 is up and ready"),
            // Without a secret that admits plugins none of them serves any.
            Row("plugins list", 1, "error: no server of the cluster chat serves plugins"),
            Row("start", 1, "error: already running as process *"),
            Row("stop chat-server-2", 0, "chat-server-2 stopped"),
            Row("stop chat-server-2", 0, "chat-server-2 stopped"),
            Row("resume chat-server-2", 0, "chat-server-2 started"),
            Row("restart chat-server-2", 0, "chat-server-2 restarted"),
            Row("restart -t gate", 0, "gate-server-1 restarted"),
            Row("restart -t gates", 1, "error: servers.json has no server of the type \"gates\""),
            Row("add serverType=chat id=chat-server-3 host=127.0.0.1 port=FREE", 0, "chat-server-3 started"),
            Row(
                "add serverType=chat id=chat-server-3 host=127.0.0.1 port=FREE", 1,
                "\(refuses) there is a server chat-server-3 already"),
            Row("kill chat-server-3", 0, "chat-server-3 killed"),
            // Files are called by an id, and the secret is sent to a host.
            Row("add serverType=chat id=../../x port=FREE", 1, "\(refuses) *must not begin with a dot nor hold /*"),
            Row("add serverType=chat id=audit port=FREE", 1, "\(refuses) no process can be called audit*"),
            Row("add serverType=chat id=start port=FREE", 1, "\(refuses) no process can be called start*"),
            Row(
                "add serverType=chat id=chat-server-4 host=evil.example port=FREE", 1,
                "\(refuses) evil.example is no host of *"),
            // What was stopped stays down until somebody says its name.
            Row("stop chat-server-2", 0, "chat-server-2 stopped"),
            Row("restart -t chat", 0, "chat-server-1 restarted"),
            Row(
                "restart", 0, "chat-server-1 restarted", "connector-server-1 restarted", "connector-server-2 restarted",
                "gate-server-1 restarted"),
            Row("restart chat-server-2", 0, "chat-server-2 restarted"),
            Row("restart -t chat chat-server-2", 1, "error: either --type or ids"),
            Row("console -c use_nobody", 1, "\(refuses) no server nobody is there"),
            Row("console -c use", 1, "error: \"use\" is no line of the console; see help"),
            Row("console --use nobody -c show_status", 1, "\(refuses) no server nobody is there"),
            Row("console -c module_nothing", 1, "\(refuses) no admin module nothing"),
            Row("console -c module_onlineUser", 0, "connections: 0", "logins: 0", "servers: {*}", user: "eve"),
            Row("console --use chat-server-1 -c module_systemInfo", 0, "chat-server-1: {\"host\":*", user: "eve"),
            Row("console --use chat-server-1 -c module_nodeInfo", 0, "chat-server-1: {\"pid\":*", user: "eve"),
            Row("console --use chat-server-1 -c module_monitorLog_{\"number\":1}", 0, "chat-server-1: {\"lines\":[*]}"),
            Row("console --use chat-server-1 -c module_monitorLog_{\"number\":0}", 1, "chat-server-1: {\"error\":*"),
            Row(
                "console --use chat-server-1 -c module_profiler_{\"seconds\":1}", 0,
                "chat-server-1: {\"samples\":*,\"stacks\":[\"*\"*]}"),
            Row("console -c module_monitorLog_{number", 1, "error: a module is asked in JSON*"),
            Row("console --use chat-server-1 -c disable_module_onlineUser", 0, "chat-server-1: {}"),
            Row(
                "console --use chat-server-1 -c module_onlineUser", 0, "connections: 0", "logins: 0",
                "servers: {\"chat-server-1\":{\"error\":\"*the admin module onlineUser is disabled*\"}}"),
            Row("console --use chat-server-1 -c show_modules", 0, "*{\"id\":\"onlineUser\",\"enabled\":false}*"),
            Row("console --use chat-server-1 -c enable_module_onlineUser", 0, "chat-server-1: {}"),
            Row(
                "console --use chat-server-1 -c blacklist_192.0.2.7_2001:db8::/32", 0,
                "chat-server-1: {\"added\":2,\"entries\":2}"),
            Row(
                "console --use chat-server-1 -c blacklist", 0,
                "chat-server-1: {\"addresses\":[\"192.0.2.7\",\"2001:db8::/32\"],\"entries\":2}"),
            Row(
                "console --use chat-server-1 -c blacklist_remove_192.0.2.7", 0,
                "chat-server-1: {\"removed\":1,\"entries\":1}"),
            Row("console --use chat-server-1 -c blacklist_1.1.1", 1, "*is no address and no network*"),
            Row("console -c blacklist_remove", 1, "error: blacklist remove takes addresses"),
            Row("console --use chat-server-1 -c disable_module_watchServer", 1, "*watchServer cannot be disabled*"),
        ]

        /// With its port taken by somebody else.
        private static let portTaken = [
            Row(
                "resume connector-server-2", 1, "error: connector-server-2: *did not come up; the end of *",
                "*address already in use*"),
            Row(
                "restart connector-server-2", 1, "error: connector-server-2: *did not come up; the end of *",
                "*address already in use*"),
            Row(
                "add serverType=connector id=connector-server-9 port=FREE frontend=true clientPort=HELD", 1,
                "error: connector-server-9: *did not come up; the end of *",
                "*address already in use*"),
            // One that was added in vain is not there.
            Row("kill connector-server-9", 1, "\(refuses) no server connector-server-9 is kept here; *"),
        ]

        private static let end = [
            Row("stop", 0, "all servers end, and the master")
        ]

        @Test @Loop func eachCommandAndWhatComesOfIt() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let people = [("eve", "read"), ("ann", "operate"), ("max", "own")].map { name, role in
                ["username": .string(name), "role": .string(role), "password": .string(Self.hash)] as JSON
            }
            try chat.write("adminUser", ["development": .array(people)])
            let ports = (free: try await TestPorts.next(), held: try await TestPorts.next())
            try await check(Self.withoutCluster, chat, ports)
            let end = Journal<ChildProcess.Ending>()
            let start = try await started(chat, end)
            try await check(Self.running + Self.wrongPassword + Self.unknown + Self.roles, chat, ports)
            try await check([Row("stop connector-server-2", 0, "connector-server-2 stopped")], chat, ports)
            let own = try await holder(of: chat.clientPorts["connector-server-2"] ?? 0)
            let other = try await holder(of: ports.held)
            try await check(Self.portTaken, chat, ports)
            own.close()
            other.close()
            try await check(Self.end, chat, ports)
            try await eventually("the end of start", within: .seconds(30)) { end.entries == [.exited(0)] }
            _ = start.pid
            try await chat.stop()
        }

        @Loop private func holder(of port: Int) async throws -> any StreamListener {
            try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) { $0.close() }
        }

        @Loop private func started(
            _ chat: ServerProcesses, _ end: Journal<ChildProcess.Ending>
        ) async throws -> ChildProcess {
            let lines = Journal<String>()
            let words = ["start", "--config", chat.folder, "--logs", "\(chat.folder)/logs"]
            let child = try ChildProcess(
                .init("\(ServerProcesses.binaries)/Chat", words), onLine: { lines.note($0) }, onExit: { end.note($0) })
            try await eventually("all are up: \(lines.entries)", within: .seconds(30)) {
                if !end.entries.isEmpty { throw Unmet(description: "\(lines.entries)") }
                return lines.entries.contains { $0.hasPrefix("Chat is up: ") }
            }
            return child
        }

        /// A word's `_` is a space.
        @Loop private func check(_ rows: [Row], _ chat: ServerProcesses, _ ports: (free: Int, held: Int)) async throws {
            for row in rows {
                let isStart = row.words.hasPrefix("start") || row.words.hasPrefix("masterha")
                var words = row.words.split(separator: " ").map { word in
                    String(word).replacing("FREE", with: "\(ports.free)").replacing("HELD", with: "\(ports.held)")
                        .replacing("LOGS", with: "\(chat.folder)/logs").replacing("_", with: " ")
                }
                words += ["--config", chat.folder] + (isStart ? ["--logs", "\(chat.folder)/logs"] : [])
                let variables = ["POMELO_ADMIN_USER": row.user, "POMELO_ADMIN_PASSWORD": row.password]
                let result = try await ChildProcess.run(
                    .init("\(ServerProcesses.binaries)/Chat", words, environment: variables))
                #expect(result.ending == .exited(row.status), "\(row.words): \(result.lines)")
                #expect(Self.fit(result.lines, row.output), "\(row.words): \(result.lines)")
            }
        }

        /// Of a server that does not come up the end of its log follows, in which the reason is somewhere.
        private static func fit(_ lines: [String], _ patterns: [String]) -> Bool {
            guard patterns.first?.contains("did not come up") == true else {
                return lines.count == patterns.count && zip(lines, patterns).allSatisfy(fits)
            }
            return patterns.allSatisfy { pattern in lines.contains { fits($0, pattern) } }
        }

        private static func fits(_ line: String, _ pattern: String) -> Bool {
            let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
            guard parts.count > 1 else { return line == pattern }
            var rest = line[...]
            for (index, part) in parts.enumerated() {
                if index == 0 {
                    guard rest.hasPrefix(part) else { return false }
                    rest = rest.dropFirst(part.count)
                } else if index == parts.count - 1 {
                    return rest.hasSuffix(part)
                } else {
                    guard let found = rest.range(of: part) else { return part.isEmpty }
                    rest = rest[found.upperBound...]
                }
            }
            return true
        }
    }
}
