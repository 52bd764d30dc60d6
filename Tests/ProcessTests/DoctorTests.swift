// SPDX-License-Identifier: MIT
import Foundation
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension WholeClusters {
    /// `Chat doctor`: one line for each thing that servers need, and which of them is not there.
    @Suite struct DoctorTests {
        @Loop private func doctor(
            _ chat: ServerProcesses, _ variables: [String: String] = [:]
        ) async throws -> (status: ChildProcess.Ending, lines: [String]) {
            let result = try await ChildProcess.run(
                .init("\(ServerProcesses.binaries)/Chat", ["doctor", "--config", chat.folder], environment: variables))
            return (result.ending, result.lines)
        }

        private func line(_ subject: String, _ lines: [String]) -> String {
            lines.first { $0.contains(" \(subject): ") } ?? ""
        }

        @Test @Loop func aHealthyMachine() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config", redis: ["--appendonly", "yes"])
            let (status, lines) = try await doctor(chat)
            #expect(status == .exited(0), "\(lines)")
            #expect(line("configuration", lines) == "ok       configuration: 6 servers for development")
            #expect(line("redis", lines).hasPrefix("ok       redis: version "))
            #expect(line("durability", lines) == "ok       durability: appendonly yes, appendfsync everysec")
            #expect(line("rights", lines) == "ok       rights: for all that was tried")
            #expect(line("secret", lines).hasPrefix("ok       secret: none is needed"))
            #expect(lines.filter { $0.contains("-server-") && $0.hasPrefix("ok") }.count == 6)
            #expect(try await chat.redisCommand(["KEYS", "*doctor*"]) == "")
            // What runs holds its ports rightly.
            try chat.launch("chat-server-1")
            try await chat.awaitUp("chat-server-1")
            #expect(line("chat-server-1", try await doctor(chat).lines) == "ok       chat-server-1: runs")
            try await chat.stop()
        }

        @Test @Loop func whatIsMissingIsSaid() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let port = chat.clientPorts["connector-server-1"] ?? 0
            let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
                $0.close()
            }
            try chat.write("adminUser", ["development": [["username": "a", "password": "a", "level": 1]]])
            let (status, lines) = try await doctor(chat)
            #expect(status == .exited(1))
            let connector = line("connector-server-1", lines)
            let held = "failure  connector-server-1: cannot listen on 127.0.0.1:\(port): address already in use"
            #expect(connector.hasPrefix(held), "\(connector)")
            #expect(line("operators", lines).contains("level is pomelo's"))
            #expect(line("durability", lines).hasPrefix("warning  durability: appendonly no"))
            holder.close()
            await chat.redis.kill9()
            let away = try await doctor(chat)
            #expect(
                away.status == .exited(1) && line("redis", away.lines).hasPrefix("failure  redis: "), "\(away.lines)")
            try await chat.stop()
        }

        /// The rights of README's user, but for one.
        @Test @Loop func aRightThatIsMissing() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            _ = try await chat.redisCommand(["ACL", "SETUSER", "weak", "on", ">secret", "~*", "&*", "+@all", "-zadd"])
            let url = "redis://weak:secret@127.0.0.1:\(chat.redis.port)"
            let (status, lines) = try await doctor(chat, ["REDIS_URL": url])
            #expect(status == .exited(1) && line("rights", lines) == "failure  rights: none for ZADD", "\(lines)")
            try await chat.stop()
        }
    }
}
