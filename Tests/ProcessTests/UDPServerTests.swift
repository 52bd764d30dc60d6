// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// A server whose clients send datagrams, and such a client in another language.
@Suite struct UDPServerTests {
    private static let client = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Clients/udp_client.py").path

    @Test @Loop func aClientInPythonTalksIsKickedAndFindsTheNextServer() async throws {
        let processes = try await ServerProcesses.prepare("UDPServer", config: "Tests/UDPServer/config")
        let port = try await TestPorts.next()
        // One number for TCP and for UDP.
        let entries: [JSON] = ["hybrid", "udp"].map { ["type": .string($0), "port": .int(Int64(port))] }
        let record: JSON = [
            "id": "room-1", "host": "127.0.0.1", "port": .int(Int64(try await TestPorts.next())),
            "frontend": true, "clients": .array(entries),
        ]
        try processes.write("servers", ["development": ["room": [record]]])
        try await Self.launch(processes)

        var lines: [String] = []
        var status: ChildProcess.Ending?
        let python = try ChildProcess(
            ChildProcess.Command("python3", [Self.client, "127.0.0.1", "\(port)"]), onLine: { lines.append($0) },
            onExit: { status = $0 })
        func says(_ word: String) async throws {
            try await eventually("the client says \(word)", within: .seconds(60)) {
                if let status, !lines.contains(word) {
                    throw Unmet(description: "the client ended \(status): \(lines)")
                }
                return lines.contains(word)
            }
        }
        do {
            try await says("served")
            processes["room-1"].signal(SIGTERM)
            try await says("told")
            #expect(try await processes.awaitExit("room-1") == .exited(0))
            try await Self.launch(processes)
            try await says("back")
            // Nobody says goodbye this time.
            processes["room-1"].signal(SIGKILL)
            _ = try await processes.awaitExit("room-1")
            try await Self.launch(processes)
            try await says("again")
            try await eventually("the client ends") { status != nil }
        } catch {
            python.signal(SIGKILL)
            try await processes.stop()
            throw error
        }
        #expect(status == .exited(0), "\(lines)")
        try await processes.stop()
    }

    @Loop private static func launch(_ processes: ServerProcesses) async throws {
        try processes.launch("room-1")
        try await processes.awaitUp("room-1")
    }
}
