// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension WholeClusters {
    /// `Chat start -D`: servers that outlive their master, and a master that finds servers it has not started.
    @Suite struct DaemonTests {
        @Loop private func run(_ words: [String], in chat: ServerProcesses) async throws -> (Bool, [String]) {
            let logs = words.first == "start" ? ["--logs", "\(chat.folder)/logs"] : []
            let result = try await ChildProcess.run(
                .init("\(ServerProcesses.binaries)/Chat", words + ["--config", chat.folder] + logs))
            return (result.ending == .exited(0), result.lines)
        }

        private func pid(_ name: String, in chat: ServerProcesses) async -> Int32 {
            let text = try? String(contentsOfFile: "\(chat.folder)/logs/\(name).pid", encoding: .utf8)
            return (text?.dropLast()).flatMap { Int32($0) } ?? 0
        }

        @Test @Loop func theServersOutliveTheirMasterAndTheNextOneKeepsThem() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let (isUp, lines) = try await run(["start", "-D"], in: chat)
            #expect(isUp && lines.count == 1 && lines[0].contains("in the background as process "), "\(lines)")
            _ = try await run(["stop", "chat-server-2"], in: chat)
            let ann = try await chat.enter("ann", "room", at: "connector-server-1")
            let bob = try await chat.enter("bob", "room", at: "connector-server-2")
            let former = await pid("chat-server-1", in: chat)
            let master = await pid("start", in: chat)
            kill(master, SIGKILL)
            try await eventually("the master is gone") { !ServerProcesses.runs(master) }

            // Chat goes on, nobody supervises, and everybody is told so.
            _ = try await ann.request("chat.chatHandler.send", ["rid": "room", "content": "hello", "target": "*"])
            let (isListed, alone) = try await run(["list"], in: chat)
            let line = "no master answers: nobody starts again what ends, if none runs"
            #expect(isListed && alone.contains(line), "\(alone)")
            #expect(ServerProcesses.runs(former))

            // The next one has them, and what was stopped on purpose stays down.
            let (isUpAgain, more) = try await run(["start", "-D"], in: chat)
            #expect(isUpAgain, "\(more)")
            let log = try String(contentsOfFile: "\(chat.folder)/logs/start.log", encoding: .utf8)
            #expect(log.contains("chat-server-1 runs already, as process \(former): adopted"), "\(log)")
            #expect(log.contains("chat-server-2 was stopped on purpose, and is left down"), "\(log)")
            #expect(await pid("chat-server-1", in: chat) == former)
            let (isRestarted, _) = try await run(["restart", "chat-server-1"], in: chat)
            let latter = await pid("chat-server-1", in: chat)
            #expect(isRestarted && latter != former && !ServerProcesses.runs(former))
            // An adopted one that ends by itself is started again.
            let gate = await pid("gate-server-1", in: chat)
            kill(gate, SIGKILL)
            try await eventually("the gate runs again") {
                let now = await pid("gate-server-1", in: chat)
                return now != gate && now != 0
            }
            #expect(try await run(["resume", "chat-server-2"], in: chat).0)
            ann.close()
            bob.close()
            let last = await pid("start", in: chat)
            #expect(try await run(["stop"], in: chat).0)
            try await eventually("all are gone", within: .seconds(30)) { !ServerProcesses.runs(last) }
            #expect(!ServerProcesses.runs(latter))
            try await chat.stop()
        }

        @Test @Loop func whatDoesNotComeUpIsSaid() async throws {
            let chat = try await ServerProcesses.prepare("Chat", config: "config")
            let port = chat.clientPorts["connector-server-1"] ?? 0
            let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
                $0.close()
            }
            let (isUp, lines) = try await run(["start", "-D"], in: chat)
            #expect(!isUp && lines.first?.hasPrefix("error: connector-server-1 did not come up") == true, "\(lines)")
            let (_, list) = try await run(["list"], in: chat)
            #expect(list == ["no server of the cluster chat runs"])
            holder.close()
            try await chat.stop()
        }
    }
}
