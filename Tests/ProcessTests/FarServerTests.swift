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
    /// `Chat start` of a configuration that has servers of another machine: a real ssh daemon starts them.
    @Suite(.enabled("needs an ssh daemon") { await SecureShell.isInstalled() })
    struct FarServerTests {
        @Loop private final class World {
            let chat: ServerProcesses
            let shell: SecureShell
            let lines = Journal<String>()
            let end = Journal<ChildProcess.Ending>()
            private var child: ChildProcess?
            var logs: String { "\(chat.folder)/logs" }
            var pid: Int32 { child?.pid ?? 0 }
            /// The other machine has a name of its own, and is this one.
            static let variables = ["POMELO_HOSTS": "far=127.0.0.1", "POMELO_SECRET": "of the cluster"]

            init() async throws {
                chat = try await ServerProcesses.prepare("Chat", config: "config")
                shell = try await SecureShell.start()
                let servers = try chat.read("\(chat.folder)/servers.json")
                var types = servers["development"]?.object ?? [:]
                let chats = (types["chat"]?.array ?? []).map { server in
                    var record = server.object ?? [:]
                    if record["id"] == "chat-server-2" { record["host"] = "far" }
                    return JSON.object(record)
                }
                types["chat"] = .array(chats)
                try chat.write("servers", ["development": .object(types)])
            }

            func start(_ words: [String] = []) throws {
                let ssh = shell.words.joined(separator: " ")
                let line = ["start", "--config", chat.folder, "--logs", logs, "--ssh", ssh] + words
                let (lines, end) = (lines, end)
                child = try ChildProcess(
                    .init("\(ServerProcesses.binaries)/Chat", line, environment: Self.variables),
                    onLine: { lines.note($0) }, onExit: { end.note($0) })
            }

            func untilUp() async throws {
                try await eventually("all are up: \(lines.entries)", within: .seconds(30)) {
                    if !end.entries.isEmpty { throw Unmet(description: "\(lines.entries)") }
                    return lines.entries.contains { $0.hasPrefix("Chat is up: ") }
                }
            }

            func run(_ words: [String]) async throws -> (ending: ChildProcess.Ending, lines: [String]) {
                try await ChildProcess.run(
                    .init(
                        "\(ServerProcesses.binaries)/Chat", words + ["--config", chat.folder],
                        environment: Self.variables))
            }

            /// The number that the server itself says it has.
            func far() async throws -> Int32? {
                let rows = try await run(["list", "--json"]).lines.first ?? ""
                let servers = try JSON.parse(Bytes(rows.utf8)).array ?? []
                let pid = servers.first { $0["id"] == "chat-server-2" && $0["state"] == "up" }?["pid"]?.int
                return pid.flatMap { Int32(exactly: $0) }
            }

            func isGone(_ pid: Int32) async throws {
                try await eventually("the far server is gone", within: .seconds(20)) { !ServerProcesses.runs(pid) }
            }

            func stop() async throws {
                await shell.stop()
                try await chat.stop()
            }
        }

        @Test @Loop func itIsStartedStoppedAndKilled() async throws {
            let world = try await World()
            try world.start()
            try await world.untilUp()
            let first = try #require(try await world.far())
            #expect(ServerProcesses.runs(first))
            // What it writes is here, where all logs are.
            let log = try String(contentsOfFile: "\(world.logs)/chat-server-2.log", encoding: .utf8)
            #expect(log.contains("up chat-server-2"))
            let stopped = try await world.run(["stop", "chat-server-2"])
            #expect(stopped.lines == ["chat-server-2 stopped"] && !ServerProcesses.runs(first))
            #expect(try await world.run(["resume", "chat-server-2"]).ending == .exited(0))
            // Who has another secret is told so, and not that nobody runs.
            let stranger = try await ChildProcess.run(
                .init(
                    "\(ServerProcesses.binaries)/Chat", ["list", "--config", world.chat.folder],
                    environment: ["POMELO_HOSTS": "far=127.0.0.1", "POMELO_SECRET": "another"]))
            #expect(stranger.lines.contains { $0.contains("does not answer") && $0.contains("secret") }, "\(stranger)")
            #expect(!stranger.lines.contains { $0.hasPrefix("no master runs") }, "\(stranger)")
            let second = try #require(try await world.far())
            kill(second, SIGKILL)
            try await eventually("it runs again", within: .seconds(20)) {
                guard let third = try await world.far() else { return false }
                return third != second
            }
            let third = try #require(try await world.far())
            #expect(try await world.run(["kill", "chat-server-2"]).lines == ["chat-server-2 killed"])
            #expect(!ServerProcesses.runs(third))
            #expect(try await world.run(["restart", "chat-server-2"]).ending == .exited(0))
            let last = try #require(try await world.far())
            kill(world.pid, SIGTERM)
            try await eventually("the end of start", within: .seconds(30)) { world.end.entries == [.exited(0)] }
            #expect(!ServerProcesses.runs(last))
            try await world.stop()
        }

        /// Nobody is asked: the keeper ends the ssh, and the other machine the server.
        @Test @Loop func nothingIsLeftOfIt() async throws {
            let world = try await World()
            try world.start()
            try await world.untilUp()
            let far = try #require(try await world.far())
            kill(world.pid, SIGKILL)
            try await world.isGone(far)
            try await world.stop()
        }

        /// A master that is gone leaves it running; the next one adopts it, and stops it.
        @Test @Loop func itOutlivesAMasterInTheBackground() async throws {
            let world = try await World()
            try world.start(["-D"])
            try await eventually("it comes back", within: .seconds(30)) { world.end.entries == [.exited(0)] }
            let far = try #require(try await world.far())
            let master = try String(contentsOfFile: "\(world.logs)/start.pid", encoding: .utf8)
            kill(try #require(Int32(master.dropLast())), SIGKILL)
            let log = "\(world.logs)/start.log"
            try world.start(["-D"])
            try await eventually("it comes back", within: .seconds(30)) { world.end.entries.count == 2 }
            #expect(try String(contentsOfFile: log, encoding: .utf8).contains("chat-server-2 runs already"))
            #expect(try await world.far() == far)
            #expect(try await world.run(["stop", "chat-server-2"]).lines == ["chat-server-2 stopped"])
            #expect(!ServerProcesses.runs(far))
            #expect(try await world.run(["stop"]).ending == .exited(0))
            let next = try String(contentsOfFile: "\(world.logs)/start.pid", encoding: .utf8)
            try await eventually("the master ends", within: .seconds(30)) {
                !ServerProcesses.runs(Int32(next.dropLast()) ?? 0)
            }
            try await world.stop()
        }

        @Test @Loop func onlyThoseThatAreHere() async throws {
            let world = try await World()
            try world.start(["--here"])
            try await world.untilUp()
            #expect(world.lines.entries.first == "chat-server-2 is of far, and not started here")
            #expect(try await world.far() == nil)
            kill(world.pid, SIGTERM)
            try await eventually("the end of start", within: .seconds(30)) { world.end.entries == [.exited(0)] }
            try await world.stop()
        }
    }
}
