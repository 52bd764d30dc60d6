// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// What `./dev up` says before it builds anything; in a folder of its own, whatever runs in this one.
@Suite struct DevTests {
    @Loop private func refusal(_ words: [String]) async throws -> String {
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask,
            appropriateFor: URL(fileURLWithPath: NSTemporaryDirectory()), create: true
        ).path
        try FileManager.default.copyItem(atPath: "\(ServerProcesses.root())/dev", toPath: "\(folder)/dev")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let child = try ChildProcess(
            ChildProcess.Command("/bin/bash", ["\(folder)/dev", "up"] + words), onLine: { lines.append($0) },
            onExit: { status = $0 })
        try await eventually("the end of \(words)", within: .seconds(20)) { status != nil }
        #expect(status == .exited(1), "\(child.pid): \(lines)")
        try await eventually("a line", within: .seconds(2)) { !lines.isEmpty }
        return lines.joined(separator: "\n")
    }

    /// Who has the port is somebody else's program as a rule: another one is an option, and the error names it.
    @Test @Loop func theOptionIsNamedWhereThePagesPortIsTaken() async throws {
        let port = try await TestPorts.next()
        let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
            $0.close()
        }
        let text = "dev: the page's port \(port) is taken; give it another: ./dev up --page-port N"
        #expect(try await refusal(["--page-port", "\(port)"]) == text)
        holder.close()
    }

    @Test(arguments: [["--page-port", "many"], ["--page-port"], ["--page-port", "70000"]])
    @Loop func aPortThatIsNoneIsNamed(_ words: [String]) async throws {
        let given = words.count > 1 ? words[1] : ""
        let text = "dev: --page-port wants a number from 1 to 65535, not '\(given)'"
        #expect(try await refusal(words) == text)
    }
}
