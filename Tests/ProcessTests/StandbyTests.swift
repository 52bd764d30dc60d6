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
    /// Three masters, of which one leads: `Chat start -D` and `Chat masterha`.
    @Suite struct StandbyTests {
        @Loop private final class World {
            let chat: ServerProcesses
            var logs: String { "\(chat.folder)/logs" }
            static let masters = ["master-server-1", "master-server-2", "master-server-3"]

            init() async throws {
                chat = try await ServerProcesses.prepare("Chat", config: "config")
                var standbys: [JSON] = []
                for id in Self.masters.dropFirst() {
                    let port = try await TestPorts.next()
                    standbys.append(["id": .string(id), "host": "127.0.0.1", "port": .int(Int64(port))])
                }
                try chat.write("masterha", ["masterha": .array(standbys)])
            }

            func run(_ words: [String]) async throws -> (isDone: Bool, lines: [String]) {
                let more = ["start", "masterha"].contains(words[0]) ? ["--logs", logs] : []
                let result = try await ChildProcess.run(
                    .init("\(ServerProcesses.binaries)/Chat", words + ["--config", chat.folder] + more))
                return (result.ending == .exited(0), result.lines)
            }

            func pid(_ name: String) -> Int32 {
                let text = try? String(contentsOfFile: "\(logs)/\(name).pid", encoding: .utf8)
                return (text?.dropLast()).flatMap { Int32($0) } ?? 0
            }

            func pid(ofMaster id: String) -> Int32 { pid(id == Self.masters[0] ? "start" : id) }

            /// The master that holds the office, as Redis has it.
            func leader() async throws -> String? {
                let text = try await chat.redisCommand(["HGETALL", "pomelo:{chat}:elect:master"])
                return Self.masters.first { text.contains("\($0)/") }
            }

            /// Waits until another one than `former` leads and keeps the servers.
            func next(after former: String) async throws -> String {
                var found = ""
                try await eventually("another leader than \(former)", within: .seconds(12), every: .milliseconds(50)) {
                    guard let now = try await leader(), now != former else { return false }
                    found = now
                    return true
                }
                try await eventually("\(found) keeps the servers", within: .seconds(5)) {
                    let (isDone, _) = try await run(["restart", "gate-server-1"])
                    return isDone
                }
                return found
            }

            func startAgain(_ id: String) async throws {
                let (isUp, lines) =
                    id == Self.masters[0]
                    ? try await run(["start", "-D"])
                    : try await run(["start", "-D", "--standby", id])
                #expect(isUp, "\(lines)")
            }

            /// A signal to a master that is stopping all of them cuts that short for nobody.
            func stop() async throws {
                let names = ["chat-server-1", "chat-server-2", "connector-server-1", "gate-server-1"]
                let servers = names.map { pid($0) }
                let (isDone, lines) = try await run(["stop"])
                #expect(isDone, "\(lines)")
                for master in Self.masters { kill(pid(ofMaster: master), SIGTERM) }
                let pids = Self.masters.map { pid(ofMaster: $0) }
                try await eventually("the masters are gone", within: .seconds(30)) {
                    pids.allSatisfy { !ServerProcesses.runs($0) }
                }
                #expect(servers.allSatisfy { $0 > 0 && !ServerProcesses.runs($0) }, "servers are left")
                try await chat.stop()
            }
        }

        private static let rounds = ProcessInfo.processInfo.environment["POMELO_FAILOVERS"].flatMap { Int($0) } ?? 2

        @Test @Loop func anotherMasterLeadsWithinTwelveSecondsOfADeath() async throws {
            let world = try await World()
            #expect(try await world.run(["start", "-D"]).isDone)
            #expect(try await world.run(["masterha"]).isDone)
            let chats = world.pid("chat-server-1")
            var leader = try #require(try await world.leader())
            for _ in 0..<Self.rounds {
                kill(world.pid(ofMaster: leader), SIGKILL)
                let next = try await world.next(after: leader)
                #expect(world.pid("chat-server-1") == chats && ServerProcesses.runs(chats))
                try await world.startAgain(leader)
                leader = next
            }
            try await world.stop()
        }

        /// Woken after its term is over, it starts and ends nothing.
        @Test @Loop func aLeaderThatStoodStillDoesNoHarm() async throws {
            let world = try await World()
            #expect(try await world.run(["start", "-D"]).isDone)
            #expect(try await world.run(["masterha"]).isDone)
            let leader = try #require(try await world.leader())
            let former = world.pid(ofMaster: leader)
            // A child of it ends while it stands still: what it finds when it wakes is what it would start again.
            let gate = world.pid("gate-server-1")
            kill(former, SIGSTOP)
            kill(gate, SIGKILL)
            let next = try await world.next(after: leader)
            let pids = ["gate-server-1", "chat-server-1", "connector-server-1"].map { world.pid($0) }
            kill(former, SIGCONT)
            let log = "\(world.logs)/\(leader == World.masters[0] ? "start" : "\(leader).start").log"
            try await eventually("it knows that it leads no more") {
                try String(contentsOfFile: log, encoding: .utf8).contains(
                    "another master may lead: servers are left to it")
            }
            #expect(try await world.run(["restart", "chat-server-2"]).isDone)
            #expect(try await world.leader() == next)
            #expect(["gate-server-1", "chat-server-1", "connector-server-1"].map { world.pid($0) } == pids)
            let gates = try await ChildProcess.run(.init("pgrep", ["-f", "\(world.chat.folder) --id gate-server-1"]))
            #expect(gates.lines.count == 1, "\(gates.lines)")
            try await world.stop()
        }

        /// By force, without a word to a master: who stands by ends first, or it would start all again.
        @Test @Loop func allMastersAreKilledByForce() async throws {
            let world = try await World()
            #expect(try await world.run(["start", "-D"]).isDone)
            #expect(try await world.run(["masterha"]).isDone)
            let pids = World.masters.map { world.pid(ofMaster: $0) } + [world.pid("chat-server-1")]
            let (isDone, lines) = try await world.run(["kill", "-f", "--logs", world.logs])
            #expect(isDone && lines.count == 8, "\(lines)")
            #expect(lines.prefix(2) == ["master-server-2 killed", "master-server-3 killed"])
            try await eventually("nothing is left") { !pids.contains(where: ServerProcesses.runs) }
            try await world.chat.stop()
        }

        @Test @Loop func inTheForegroundThereIsNoStandby() async throws {
            let world = try await World()
            let (isUp, lines) = try await world.run(["start"])
            #expect(!isUp && lines.last?.contains("names masters that stand by: start with -D") == true, "\(lines)")
            try await world.chat.stop()
        }
    }
}
