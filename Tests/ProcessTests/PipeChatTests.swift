// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

/// The example with a connector of its own, and a client in another language.
@Suite struct PipeChatTests {
    private static let client = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Clients/pipe_client.mjs").path

    /// On either executor.
    @Test(arguments: [[], ["--no-process-executor"]])
    @Loop func aProgramOfTheSameMachineChats(_ options: [String]) async throws {
        let pipe = try await ServerProcesses.prepare("PipeChat", config: "config/pipe")
        let path = pipe.folder + "/chat.sock"
        try pipe.write("pipe", ["development": ["path": .string(path)]])
        for id in pipe.ids { try pipe.launch(id, arguments: ["--id", id, "--config", pipe.folder] + options) }
        for id in pipe.ids { try await pipe.awaitUp(id) }
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let node = try ChildProcess(
            ChildProcess.Command("node", [Self.client, path]), onLine: { lines.append($0) }, onExit: { status = $0 })
        _ = node.pid
        try await eventually("the client has chatted", within: .seconds(60)) {
            if let status { throw Unmet(description: "the client ended \(status): \(lines)") }
            return lines.contains("served")
        }
        try await pipe.stop()
        // Its own patience is 20 s: then it says what it has missed.
        try await eventually("the client knows, which said \(lines)", within: .seconds(30)) { status != nil }
        #expect(status == .exited(0), "\(lines)")
        #expect(lines.contains("told"))
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
