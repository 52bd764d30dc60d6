// SPDX-License-Identifier: MIT
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
    /// What an operator is told by each command, of a running cluster and of none.
    @Suite struct OperatorCommandTests {
        private struct Output: Equatable, CustomStringConvertible {
            let status: ChildProcess.Ending
            let lines: [String]
            var description: String { "\(status): \(lines)" }
        }

        @Loop private func run(
            _ words: [String], in chat: ServerProcesses, _ variables: [String: String] = [:]
        ) async throws -> Output {
            let line = words + (words == ["password"] ? [] : ["--config", chat.folder])
            let result = try await ChildProcess.run(
                .init("\(ServerProcesses.binaries)/Chat", line, environment: variables))
            return Output(status: result.ending, lines: result.lines)
        }

        /// `Chat start` in a folder of its own.
        @Loop private func started(
            _ chat: ServerProcesses
        ) async throws -> (child: ChildProcess, end: Journal<ChildProcess.Ending>) {
            let (lines, end) = (Journal<String>(), Journal<ChildProcess.Ending>())
            let words = ["start", "--config", chat.folder, "--logs", "\(chat.folder)/logs"]
            let child = try ChildProcess(
                .init("\(ServerProcesses.binaries)/Chat", words),
                onLine: { lines.note($0) }, onExit: { end.note($0) })
            try await eventually("all are up: \(lines.entries)", within: .seconds(30)) {
                if !end.entries.isEmpty { throw Unmet(description: "\(lines.entries)") }
                return lines.entries.contains { $0.hasPrefix("Chat is up: ") }
            }
            return (child, end)
        }

        private static let ids = [
            "chat-server-1", "chat-server-2", "connector-server-1", "connector-server-2", "gate-server-1",
            "master-server-1",
        ]

        @Loop private func table(_ chat: ServerProcesses) async throws -> [[String]] {
            let output = try await run(["list"], in: chat)
            #expect(output.status == .exited(0), "\(output)")
            return output.lines.map { $0.split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) } }
        }

        @Test @Loop func aClusterIsListedStoppedAndStartedAgain() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (child, end) = try await started(chat)
            var rows = try await table(chat)
            #expect(rows.first?.prefix(4) == ["ID", "TYPE", "PID", "STATE"])
            #expect(rows.dropFirst().map { $0[0] }.sorted() == Self.ids)
            #expect(rows.dropFirst().allSatisfy { $0[3] == "up" && $0[5].hasSuffix(" MiB") && $0[6].hasSuffix("%") })
            let json = try await run(["list", "--json"], in: chat)
            let servers = try JSON.parse(Bytes((json.lines.first ?? "").utf8)).array ?? []
            #expect(servers.count == 6 && servers.allSatisfy { $0["pid"]?.int ?? 0 > 1 && $0["answers"] == true })
            let pids = Dictionary(uniqueKeysWithValues: servers.map { ($0["id"]?.string ?? "", $0["pid"]?.int ?? 0) })

            let stopped = try await run(["stop", "chat-server-2"], in: chat)
            #expect(stopped == Output(status: .exited(0), lines: ["chat-server-2 stopped"]))
            #expect(!ServerProcesses.runs(Int32(pids["chat-server-2"] ?? 0)))
            rows = try await table(chat)
            #expect(!rows.contains { $0[0] == "chat-server-2" })
            // It stays down, and comes back when somebody says so.
            let resumed = try await run(["resume", "chat-server-2"], in: chat)
            #expect(resumed == Output(status: .exited(0), lines: ["chat-server-2 started"]))
            let restarted = try await run(["restart", "-t", "chat"], in: chat)
            #expect(
                restarted == Output(status: .exited(0), lines: ["chat-server-1 restarted", "chat-server-2 restarted"]))
            rows = try await table(chat)
            let now = rows.first { $0[0] == "chat-server-1" }?[2]
            #expect(now != nil && now != "\(pids["chat-server-1"] ?? 0)" && rows.count == 7)

            let unknown = try await run(["stop", "chat-server-2", "chat-server-9"], in: chat)
            #expect(unknown.status == .exited(1) && unknown.lines.count == 1)
            #expect(unknown.lines[0].hasPrefix("error: master-server-1 refuses: no server chat-server-9 is kept here"))
            #expect(try await table(chat).count == 7)

            let all = try await run(["stop"], in: chat)
            #expect(all == Output(status: .exited(0), lines: ["all servers end, and the master"]))
            try await eventually("the end of start", within: .seconds(30)) { end.entries == [.exited(0)] }
            _ = child.pid
            let none = try await run(["stop"], in: chat)
            #expect(none == Output(status: .exited(1), lines: ["error: no master of the cluster chat runs"]))
            let empty = try await run(["list"], in: chat)
            #expect(empty == Output(status: .exited(0), lines: ["no server of the cluster chat runs"]))
            #expect(try await run(["list", "--json"], in: chat).lines.first == "[]")
            try await chat.stop()
        }

        /// A server that does not come up again is an error with the end of its log, and the others are not touched.
        @Test @Loop func aRestartThatFails() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (child, end) = try await started(chat)
            _ = try await run(["stop", "connector-server-2"], in: chat)
            let port = chat.clientPorts["connector-server-2"] ?? 0
            let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
                $0.close()
            }
            let failed = try await run(["resume", "connector-server-2"], in: chat)
            #expect(failed.status == .exited(1))
            #expect(failed.lines.first?.hasPrefix("error: connector-server-2: ") == true, "\(failed)")
            #expect(failed.lines.contains { $0.contains("address already in use") }, "\(failed)")
            holder.close()
            #expect(try await run(["resume", "connector-server-2"], in: chat).status == .exited(0))
            child.signal(SIGTERM)
            try await eventually("the end of start", within: .seconds(30)) { end.entries == [.exited(0)] }
            try await chat.stop()
        }

        /// Servers that no file names: each is there when the command comes back, and is kept as the others are.
        @Test @Loop func serversAreAdded() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (child, end) = try await started(chat)
            var ports: [Int] = []
            for _ in 0..<4 { ports.append(try await TestPorts.next()) }
            let one = ["add", "serverType=chat", "id=chat-server-3", "host=127.0.0.1", "port=\(ports[0])"]
            let added = try await run(one, in: chat)
            #expect(added == Output(status: .exited(0), lines: ["chat-server-3 started"]))
            #expect(try await table(chat).contains { $0[0] == "chat-server-3" && $0[3] == "up" })
            let again = try await run(one, in: chat)
            #expect(again.status == .exited(1), "\(again)")
            #expect(again.lines.first?.contains("there is a server chat-server-3 already") == true, "\(again)")
            let many = try await run(["add", "serverType=chat", "clusterCount=2", "port=\(ports[1])++"], in: chat)
            #expect(many.lines == ["cluster-server-chat-0 started", "cluster-server-chat-1 started"], "\(many)")
            for words in ["serverType=chat id=x", "id=x port=\(ports[3])", "chat", "serverType=chat port=1"] {
                let refused = try await run(["add"] + words.split(separator: " ").map(String.init), in: chat)
                #expect(refused.status == .exited(1) && refused.lines.count == 1, "\(refused)")
            }
            let killed = try await run(["kill", "cluster-server-chat-1"], in: chat)
            #expect(killed == Output(status: .exited(0), lines: ["cluster-server-chat-1 killed"]))
            #expect(try await run(["resume", "cluster-server-chat-1"], in: chat).status == .exited(0))
            let pids = try await table(chat).dropFirst().compactMap { Int32($0[2]) }
            #expect(pids.count == 9)
            let all = try await run(["kill", "--force", "--logs", "\(chat.folder)/logs"], in: chat)
            #expect(all.status == .exited(0) && all.lines.count == 9, "\(all)")
            try await eventually("the end of start") { end.entries == [.signalled(9)] }
            try await eventually("nothing is left") { !pids.contains(where: ServerProcesses.runs) }
            let none = try await run(["kill", "-f", "--logs", "\(chat.folder)/logs"], in: chat)
            #expect(none.status == .exited(1), "\(none)")
            _ = child.pid
            try await chat.stop()
        }

        /// What servers have, and what may be changed of it while they run.
        @Test @Loop func theConsole() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (child, end) = try await started(chat)
            let one = "connector-server-1"
            let ann = try await chat.enter("ann", "console", at: one)
            func console(_ line: String, _ server: String = one) async throws -> Output {
                try await run(["console", "--use", server, "-c", line], in: chat)
            }
            let connections = try await console("show connections")
            #expect(connections.lines == ["\(one): {\"connections\":1,\"logins\":1,\"refused\":0}"])
            #expect(try await console("show logins").lines.first?.contains("\"uid\":\"ann*console\"") == true)
            #expect(try await console("show handlers").lines.first?.contains("connector.entryHandler.enter") == true)
            #expect(try await console("show status", "all").lines.count == 6)
            #expect(try await console("show modules").lines.first?.contains("watchServer") == true)
            #expect(try await console("set level {\"x\":1}").lines == ["\(one): {}"])
            #expect(try await console("get level").lines == ["\(one): {\"value\":{\"x\":1}}"])
            #expect(try await console("enable quiet").status == .exited(0))
            #expect(try await console("show settings").lines.first?.contains("\"quiet\":true") == true)
            let cron = try await console("addCron id=a time=\"0 0 0 * * *\" action=no.such")
            #expect(cron.lines.first?.contains("nothing serves") == true, "\(cron)")
            let wrong = try await console("show secrets")
            #expect(wrong.lines.first?.contains("is not one of components, connections") == true, "\(wrong)")
            for line in ["explode", "set level", "show", "get \"x"] {
                #expect(try await console(line).status == .exited(1), "\(line)")
            }
            let nobody = try await console("show status", "nobody")
            #expect(nobody.lines == ["error: master-server-1 refuses: no server nobody is there"])
            #expect(try await console("kick ann*console").lines == ["\(one): {\"sessions\":1}"])
            _ = try await ann.kicked()
            // Typed lines: what is wrong ends the line, and not the talk.
            let long = String(repeating: "x", count: 9000)
            let lines = "\(long)\\nexplode\\nuse \(one)\\nget level\\nquit\\nget none\\n"
            let typed = "printf '\(lines)' | \"$0\" console --config \"$1\" 2>&1"
            let talk = try await ChildProcess.run(
                .init("/bin/sh", ["-c", typed, "\(ServerProcesses.binaries)/Chat", chat.folder]))
            let text = talk.lines.joined(separator: "\n")
            #expect(text.contains("is no line of the console") && text.contains("{\"value\":{\"x\":1}}"), "\(text)")
            #expect(text.contains("a line has at most 8192 bytes") && !text.contains("xxx"))
            #expect(talk.ending == .exited(0) && !text.contains("none"))
            child.signal(SIGTERM)
            try await eventually("the end of start", within: .seconds(30)) { end.entries == [.exited(0)] }
            try await chat.stop()
        }

        /// With `adminUser.json`: roles, wrong passwords, and the record of all of it.
        @Test @Loop func whoMayDoWhat() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let secret = ["POMELO_ADMIN_PASSWORD": "correct horse battery"]
            let hash = try await run(["password"], in: chat, secret).lines.first ?? ""
            #expect(hash.hasPrefix("scrypt$15$8$1$"))
            let people = [("eve", "read"), ("ann", "operate"), ("max", "own")].map { name, role in
                ["username": .string(name), "role": .string(role), "password": .string(hash)] as JSON
            }
            try chat.write("adminUser", ["development": .array(people)])
            let (_, end) = try await started(chat)
            let wrong = try await run(
                ["stop", "chat-server-1", "-u", "ann"], in: chat, ["POMELO_ADMIN_PASSWORD": "wrong horse battery"])
            #expect(
                wrong == Output(status: .exited(1), lines: ["error: master-server-1 refuses: wrong user or password"]))
            for (user, words, reason) in [
                ("bob", ["stop", "chat-server-1"], "wrong user or password"),
                ("eve", ["stop", "chat-server-1"], "eve has the role read, and it takes operate"),
                ("ann", ["stop"], "ann has the role operate, and it takes own"),
            ] {
                let refused = try await run(words + ["-u", user], in: chat, secret)
                #expect(refused == Output(status: .exited(1), lines: ["error: master-server-1 refuses: \(reason)"]))
            }
            let nameless = try await run(["stop"], in: chat)
            #expect(nameless.status == .exited(1), "\(nameless)")
            #expect(try await table(chat).count == 7)
            let variables = secret.merging(["POMELO_ADMIN_USER": "ann"]) { $1 }
            #expect(
                try await run(["restart", "chat-server-1"], in: chat, variables).lines == ["chat-server-1 restarted"])
            #expect(try await run(["stop", "-u", "max"], in: chat, secret).status == .exited(0))
            try await eventually("the end of start", within: .seconds(30)) { end.entries == [.exited(0)] }
            let text = try String(contentsOfFile: "\(chat.folder)/logs/audit.log", encoding: .utf8)
            let lines = try text.split(separator: "\n").map { try JSON.parse(Bytes($0.utf8)) }
            let outcomes = lines.map { "\($0["user"]?.string ?? "") \($0["outcome"]?.string ?? "")" }
            #expect(
                outcomes == [
                    "ann refused: wrong user or password", "bob refused: wrong user or password",
                    "eve refused: eve has the role read, and it takes operate",
                    "ann refused: ann has the role operate, and it takes own", "ann begun", "ann done", "max begun",
                    "max done",
                ])
            #expect(!text.contains("horse"))
            try await chat.stop()
        }
    }
}
