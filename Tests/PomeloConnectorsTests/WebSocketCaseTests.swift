// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloLoop
import PomeloUV
import Testing

@testable import PomeloConnectors

/// The cases of the Autobahn test suite, by their numbers, run by a client of our own against a port that echoes.
///
/// `./dev cases` prints all of them; `POMELO_CASES=full` has all lengths and numbers as they are published,
/// `POMELO_CASES_ONLY=6.` those that begin so.
@Suite(.serialized) struct WebSocketCaseTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let environment = ProcessInfo.processInfo.environment

    static func limits(keepsContext: Bool = false) -> ClientLimits {
        var limits = ClientLimits()
        limits.maxMessageBytes = 1 << 26
        limits.maxOutboundBytes = 1 << 27
        limits.maxHeldBytes = 1 << 28
        limits.compression.isOn = true
        limits.compression.minBytes = 0
        limits.compression.keepsClientContext = keepsContext
        return limits
    }

    @Test @Loop func everyCasePasses() async throws {
        let port = try await EchoProtocol.listen(Self.limits())
        let address = try #require(port.localAddress)
        var words = ["\(Self.root)/Tests/Clients/websocket/run.py", "127.0.0.1", "\(address.port)"]
        if Self.environment["POMELO_CASES"] == "full" { words.append("--full") }
        if Self.environment["POMELO_CASES_TABLE"] == nil { words.append("--quiet") }
        if let only = Self.environment["POMELO_CASES_ONLY"] { words += ["--only", only] }
        let (ending, lines) = try await ChildProcess.run(ChildProcess.Command("python3", words))
        for line in lines { print(line) }
        await port.stop(within: .seconds(1))
        #expect(ending == .exited(0), "\(lines.filter { $0.contains("FAILED") || $0.contains("Error") })")
        #expect(lines.last?.contains(" pass") == true)
    }

    /// Clients that nobody here wrote, whose messages stand by themselves or refer to those before.
    @Test(arguments: ["websockets", "autobahn"], [false, true])
    @Loop func publishedClientsAreUnderstood(_ library: String, _ keepsContext: Bool) async throws {
        let python = "\(Self.root)/.build/venvs/\(library)/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            print("skipped: the WebSocket client \(library), which .build/venvs/\(library) lacks")
            return
        }
        let port = try await EchoProtocol.listen(Self.limits(keepsContext: keepsContext))
        let address = try #require(port.localAddress)
        for word in ["on", "off"] {
            let words = [
                "\(Self.root)/Tests/Clients/websocket/interop.py", library, "127.0.0.1", "\(address.port)", word,
            ]
            let (ending, lines) = try await ChildProcess.run(ChildProcess.Command(python, words))
            #expect(ending == .exited(0), "\(lines)")
            #expect(port.statistics.inflated > 0)
        }
        await port.stop(within: .seconds(1))
        #expect(port.statistics.deflated > 0 && port.statistics.faults.isEmpty)
    }
}
