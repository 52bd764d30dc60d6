// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The example that uses the Redis client alone.
@Suite struct RedisVisitsTests {
    @Test @Loop func theProgramCountsAndHears() async throws {
        let server = try await RedisServer.start()
        let first = try await lines("redis://127.0.0.1:\(server.port)")
        #expect(first == ["visit 1, the first: true, before: nobody", "noted 2 letters"])
        let second = try await lines("redis://127.0.0.1:\(server.port)/0")
        #expect(second == ["visit 2, the first: false, before: me", "noted 2 letters"])
        await server.stop()
    }

    /// It was a crash, whose report hid the reason.
    @Test @Loop func whoIsNotThereIsAnErrorInOneLine() async throws {
        let last = try await lines("redis+unix:///nowhere/redis.sock", ending: .exited(1)).last
        #expect(last?.hasPrefix("error: cannot connect to redis at /nowhere/redis.sock: ") == true, "\(last ?? "")")
    }

    @Loop private func lines(_ url: String, ending: ChildProcess.Ending = .exited(0)) async throws -> [String] {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let command = ChildProcess.Command("\(ServerProcesses.binaries)/RedisVisits", [url])
        let child = try ChildProcess(command, onLine: { lines.append($0) }, onExit: { status = $0 })
        _ = child.pid
        try await eventually("the program ends", within: .seconds(20)) { status != nil }
        #expect(status == ending)
        return lines.filter { !$0.contains("pomelo.redis") }
    }
}
