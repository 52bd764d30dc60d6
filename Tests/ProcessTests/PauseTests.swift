// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
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
            try await chat["connector-server-1"].freeze()
            await SystemClock.shared.sleep(for: .milliseconds(pause))
            chat["connector-server-1"].thaw()
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

    /// Who is at a connector that stands still is listed from the published copy, and the list says that it may be old.
    @Test @Loop func aListWithoutAConnectorSaysSo() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        try await eventually("bob is published", within: .seconds(5)) {
            try await chat.redisHolds(["POMELO:CHANNEL:hall:connector-server-2": ["bob*hall"]])
        }
        try await chat["connector-server-2"].freeze()
        #expect(try await ann.request("chat.chatHandler.list", [:]) == ["users": ["ann", "bob"], "stale": true])
        chat["connector-server-2"].thaw()
        try await eventually("the list is whole", within: .seconds(5)) {
            try await ann.request("chat.chatHandler.list", [:]) == ["users": ["ann", "bob"]]
        }
        for client in [ann, bob] { client.close() }
        try await chat.stop()
    }
}
