// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers

/// A network namespace that these processes are alone in, so that packets may be lost in it.
///
/// `./dev soak redis` makes one where the kernel allows it; it is gone with the last process in it.
enum OwnNetwork {
    static let isThis = ProcessInfo.processInfo.environment["POMELO_OWN_NETWORK"] != nil
    static let absence = "it takes a network namespace of its own, which ./dev soak redis makes where that is allowed"
    /// Where sentinels dial from; everybody else does from 127.0.0.1.
    static let sentinels = "127.0.0.2"
}

extension RedisWorld {
    /// Takes the way from the sentinels to a server, and from nobody else.
    func losePackets(to server: RedisServer) async throws { try await rule("add", server) }

    /// Undoes it.
    func letPackets(to server: RedisServer) async throws { try await rule("del", server) }

    private func rule(_ verb: String, _ server: RedisServer) async throws {
        let end = FirstOutcome<ChildProcess.Ending>()
        let from = ["pref", "1", "from", OwnNetwork.sentinels]
        let words = from + ["ipproto", "tcp", "dport", "\(server.port)", "blackhole"]
        let child = try ChildProcess(
            ChildProcess.Command("ip", ["rule", verb] + words), onExit: { end.end(with: $0) })
        let ending = await end.wait()
        guard ending == .exited(0) else { throw Unmet(description: "ip rule \(verb), \(child.pid): \(ending)") }
    }
}
