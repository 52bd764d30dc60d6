// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// `Chat health --id …` asks the server itself, and the registry when it does not answer.
@Suite struct HealthCommandTests {
    @Loop private func health(_ chat: ServerProcesses, of id: String) async throws -> String {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let words = ["health", "--id", id, "--config", chat.folder]
        let child = try ChildProcess(
            ChildProcess.Command("\(ServerProcesses.binaries)/Chat", words), onLine: { lines.append($0) },
            onExit: { status = $0 })
        try await eventually("the end of \(child.pid)", within: .seconds(10)) { status != nil && !lines.isEmpty }
        return "\(status ?? .exited(-1)) \(lines.joined(separator: "\n"))"
    }

    @Test @Loop func theServerItselfIsAskedAndElseTheRegistry() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let (one, two) = ("chat-server-1", "chat-server-2")
        for id in [one, two] {
            try chat.launch(id)
            try await chat.awaitUp(id)
        }
        let (well, ill) = (ChildProcess.Ending.exited(0), ChildProcess.Ending.exited(1))
        #expect(try await health(chat, of: one) == "\(well) \(one) is up and ready")
        #expect(try await health(chat, of: "gate-server-1") == "\(ill) error: gate-server-1 is not registered")
        try await chat[two].freeze()
        let silent = try await health(chat, of: two)
        #expect(silent.hasPrefix("\(well) \(two) is up in the registry, but did not answer: "), "\(silent)")
        var answer = ""
        let reason = "calls: 1 of 1 servers do not answer: \(two)"
        for _ in 0..<20 where answer != "\(ill) error: \(one) is up, but degraded: \(reason)" {
            answer = try await health(chat, of: one)
        }
        #expect(answer == "\(ill) error: \(one) is up, but degraded: \(reason)")
        chat[two].thaw()
        try await chat.stop()
    }
}
