// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import Testing

/// A server that stood still finds its clients' heartbeats in its sockets.
@Suite(.serialized) struct PauseTests {
    @Test @Loop func aPauseOfTheServerIsNoClientsFault() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        var clients: [TestClient] = []
        // Their heartbeats, 3 s apart, are spread over all that time: some are due soon whenever the pause begins.
        for _ in 0..<60 {
            clients.append(try await chat.connect("connector-server-1"))
            await SystemClock.shared.sleep(for: .milliseconds(50))
        }
        for pause in [4000, 5000, 6500] {
            chat["connector-server-1"].signal(SIGSTOP)
            await SystemClock.shared.sleep(for: .milliseconds(pause))
            chat["connector-server-1"].signal(SIGCONT)
            for client in clients where client.end == nil {
                let answer = try await client.request("connector.no.such", [:])
                #expect(answer == ["code": 500])
            }
            let closed = clients.count { $0.end != nil }
            #expect(closed == 0, "after a pause of \(pause) ms")
        }
        for client in clients { client.close() }
        try await chat.stop()
    }
}
