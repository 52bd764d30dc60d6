// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension WholeClusters {
    /// `Chat start`, as a process: the master and every server of the configuration; and nothing is left of it.
    @Suite struct StartCommandTests {
        /// One start, and what it has said.
        @Loop private final class Run {
            let chat: ServerProcesses
            let logs: String
            private(set) var lines: [String] = []
            private(set) var status: ChildProcess.Ending?
            private(set) var child: ChildProcess?
            var variables: [String: String] = [:]

            init(_ chat: ServerProcesses) {
                self.chat = chat
                logs = "\(chat.folder)/logs"
            }

            func launch(_ words: [String] = []) throws {
                let line = ["start", "--config", chat.folder, "--logs", logs] + words
                child = try ChildProcess(
                    .init("\(ServerProcesses.binaries)/Chat", line, environment: variables),
                    onLine: { [weak self] in self?.lines.append($0) },
                    onExit: { [weak self] in self?.status = $0 })
            }

            func untilUp(_ beginning: String = "Chat is up: ") async throws {
                try await eventually("all are up: \(lines)", within: .seconds(30)) {
                    if let status { throw Unmet(description: "ended \(status): \(lines)") }
                    return lines.contains { $0.hasPrefix(beginning) }
                }
            }

            func untilEnd(within limit: Duration = .seconds(30)) async throws -> ChildProcess.Ending {
                try await eventually("the end of start: \(lines)", within: limit) { status != nil }
                return status ?? .exited(-1)
            }

            /// Process ids by name, as the files say.
            var pids: [String: Int32] {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: logs)) ?? []
                var pids: [String: Int32] = [:]
                for name in names where name.hasSuffix(".pid") && name != "start.pid" {
                    let text = (try? String(contentsOfFile: "\(logs)/\(name)", encoding: .utf8)) ?? ""
                    pids[String(name.dropLast(4))] = Int32(text.dropLast())
                }
                return pids
            }

            func stop() async throws {
                child?.signal(SIGTERM)
                _ = try await untilEnd()
                try await chat.stop()
            }
        }

        @Loop private func started(_ words: [String] = []) async throws -> Run {
            let run = Run(try await ServerProcesses.prepare("Chat", config: "config"))
            try run.launch(words)
            try await run.untilUp()
            return run
        }

        private static let servers: Set = [
            "gate-server-1", "connector-server-1", "connector-server-2", "chat-server-1", "chat-server-2",
        ]

        @Test @Loop func allOfThemUntilItIsToldToStop() async throws {
            let run = try await started()
            let pids = run.pids
            #expect(Set(pids.keys) == Self.servers)
            let ann = try await run.chat.enter("ann", "start", at: "connector-server-1")
            ann.close()
            let port = run.chat.clientPorts["gate-server-1"] ?? 0
            #expect(run.lines.last?.contains("gate-server-1 ws://127.0.0.1:\(port)") == true)
            #expect(run.lines.last?.hasSuffix("(logs in \(run.logs), Ctrl-C stops everything)") == true)
            run.child?.signal(SIGTERM)
            #expect(try await run.untilEnd() == .exited(0))
            #expect(
                run.lines.last == "stopping" && run.pids.isEmpty && !pids.values.contains(where: ServerProcesses.runs))
            let log = try String(contentsOfFile: "\(run.logs)/chat-server-1.log", encoding: .utf8)
            #expect(log.contains("up chat-server-1") && log.contains("stopped"), "\(log)")
            try await run.chat.stop()
        }

        /// However it ends: nobody is asked, or the terminal is gone.
        @Test(arguments: [SIGKILL, SIGHUP, SIGINT])
        @Loop func nothingIsLeft(signal: Int32) async throws {
            let run = try await started()
            let pids = run.pids
            run.child?.signal(signal)
            #expect(try await run.untilEnd() == (signal == SIGKILL ? .signalled(9) : .exited(0)))
            try await eventually("the servers are gone", within: .seconds(20)) {
                !pids.values.contains(where: ServerProcesses.runs)
            }
            #expect(pids.count == Self.servers.count)
            // The next one waits for what the last one has left, if need be.
            let next = Run(run.chat)
            try next.launch()
            try await next.untilUp()
            try await next.stop()
        }

        /// Servers that stand still are no exception.
        @Test @Loop func nothingIsLeftOfServersThatHang() async throws {
            let run = try await started()
            let pids = run.pids
            kill(pids["chat-server-1"] ?? 0, SIGSTOP)
            run.child?.signal(SIGKILL)
            try await eventually("the servers are gone", within: .seconds(30)) {
                !pids.values.contains(where: ServerProcesses.runs)
            }
            try await run.chat.stop()
        }

        /// Somebody ends the keeper first: another one takes its place.
        @Test @Loop func nothingIsLeftWithoutTheFirstKeeper() async throws {
            let run = try await started()
            let pids = run.pids
            let start = run.child?.pid ?? 0
            let keepers = try await Self.keepers(of: start)
            for keeper in keepers { kill(keeper, SIGKILL) }
            #expect(keepers.count == 1)
            try await eventually("another keeper") {
                let now = try await Self.keepers(of: start)
                return now.count == 1 && now != keepers
            }
            kill(start, SIGKILL)
            try await eventually("the servers are gone", within: .seconds(20)) {
                !pids.values.contains(where: ServerProcesses.runs)
            }
            try await run.chat.stop()
        }

        private static func keepers(of pid: Int32) async throws -> [Int32] {
            let found = try await ChildProcess.run(.init("pgrep", ["-P", "\(pid)", "-f", "pomelo-keeper"]))
            return found.lines.compactMap { Int32($0) }
        }

        @Test @Loop func whatEndsIsStartedAgain() async throws {
            let run = try await started()
            let pid = run.pids["chat-server-2"] ?? 0
            kill(pid, SIGKILL)
            try await eventually("chat-server-2 runs again") {
                guard let new = run.pids["chat-server-2"] else { return false }
                return new != pid && ServerProcesses.runs(new)
            }
            let line = "chat-server-2 ended (signal 9); restarted"
            try await eventually("a line about it: \(run.lines)") { run.lines.contains(line) }
            try await run.stop()
        }

        /// By the server itself, as it runs: no line is lost, and the next ones are in the new file.
        @Test @Loop func aLogThatHasBecomeLongIsPutAside() async throws {
            let run = try await started()
            let log = "\(run.logs)/chat-server-1.log"
            let filler = try #require(FileHandle(forWritingAtPath: log))
            try filler.seekToEnd()
            try filler.write(contentsOf: Data(repeating: UInt8(ascii: "x"), count: 17 << 20) + Data("\n".utf8))
            try filler.close()
            try await eventually("it is put aside", within: .seconds(20)) {
                FileManager.default.fileExists(atPath: log + ".1") && FileManager.default.fileExists(atPath: log)
            }
            let former = try String(contentsOfFile: log + ".1", encoding: .utf8)
            #expect(former.contains("up chat-server-1") && former.utf8.count > 17 << 20)
            run.child?.signal(SIGTERM)
            #expect(try await run.untilEnd() == .exited(0))
            #expect(try String(contentsOfFile: log, encoding: .utf8).contains("stopped"))
            try await run.chat.stop()
        }

        /// Whoever may read a server's environment is not to know how to command it.
        @Test @Loop func noServerHasThePasswordOfAnOperator() async throws {
            let run = Run(try await ServerProcesses.prepare("Chat", config: "config"))
            run.variables = ["POMELO_ADMIN_PASSWORD": "correct horse battery", "POMELO_X_Y": "known"]
            try run.launch()
            try await run.untilUp()
            for (name, pid) in run.pids {
                let all = try String(contentsOfFile: "/proc/\(pid)/environ", encoding: .utf8)
                #expect(all.contains("POMELO_X_Y=known") && !all.contains("horse"), "\(name)")
            }
            try await run.stop()
        }

        @Test @Loop func orIsLeftDown() async throws {
            let run = try await started(["--no-restart"])
            kill(run.pids["chat-server-2"] ?? 0, SIGKILL)
            let line = "chat-server-2 ended (signal 9); left down, see \(run.logs)/chat-server-2.log"
            try await eventually("a line about it") { run.lines.last == line }
            try await run.stop()
        }

        @Test @Loop func aSecondOneIsTold() async throws {
            let run = try await started()
            let second = Run(run.chat)
            try second.launch()
            #expect(try await second.untilEnd() == .exited(1))
            let pid = run.child?.pid ?? 0
            #expect(second.lines == ["error: already running as process \(pid) (\(run.logs)/start.pid)"])
            try await run.stop()
        }

        /// One that does not come up is named with its reason, and the others end.
        @Test @Loop func aPortInUse() async throws {
            let run = Run(try await ServerProcesses.prepare("Chat", config: "config"))
            let port = run.chat.clientPorts["connector-server-1"] ?? 0
            let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
                $0.close()
            }
            try run.launch()
            #expect(try await run.untilEnd() == .exited(1))
            let text = run.lines.joined(separator: "\n")
            let log = "\(run.logs)/connector-server-1.log"
            #expect(text.contains("error: connector-server-1 did not come up; the end of \(log):"), "\(text)")
            #expect(text.contains("127.0.0.1:\(port): address already in use"), "\(text)")
            #expect(run.pids.isEmpty)
            holder.close()
            try await run.chat.stop()
        }

        /// The servers of one type, or one server, beside a master that runs elsewhere; and words that mean nothing.
        @Test @Loop func someOfThem() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (master, chats, wrong) = (Run(chat), Run(chat), Run(chat))
            try master.launch(["--id", "master-server-1"])
            try await master.untilUp("Chat is up (logs in")
            try chats.launch(["-t", "chat", "--logs", "\(chat.folder)/more"])
            try await chats.untilUp("Chat is up (logs in")
            try wrong.launch(["-t", "chats", "--logs", "\(chat.folder)/wrong"])
            #expect(try await wrong.untilEnd() == .exited(1))
            #expect(
                wrong.lines.last?.hasSuffix("to start; it has: master, chat, connector, gate") == true, "\(wrong.lines)"
            )
            chats.child?.signal(SIGTERM)
            #expect(try await chats.untilEnd() == .exited(0))
            try await master.stop()
        }

        /// With a Redis of its own, and a companion that says where it is.
        @Test @Loop func withRedisAndAPage() async throws {
            let run = Run(try await ServerProcesses.prepare("Chat", config: "config"))
            await run.chat.redis.kill9()
            try run.launch([
                "--redis", "standalone", "--companion", "page=sh -c 'echo up page http://here/; sleep 1000'",
            ])
            try await run.untilUp()
            #expect(run.lines.last?.hasPrefix("Chat is up: http://here/, ") == true, "\(run.lines)")
            #expect(Set(run.pids.keys) == Self.servers.union(["redis", "page"]))
            run.child?.signal(SIGTERM)
            #expect(try await run.untilEnd() == .exited(0))
            #expect(run.pids.isEmpty)
            try await run.chat.stop()
        }
    }
}
