// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import Testing

/// A cluster without a secret stays on one machine.
@Suite struct SecretTests {
    struct Start: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var env = "development"
        var secret = ""
        /// Where a server of the configuration is that is not started.
        var host = "127.0.0.1"
        /// Where a server of the registry is that is in no configuration.
        var other = "127.0.0.1"
        let starts: Bool
    }

    @Test(arguments: [
        Start(testDescription: "all on this machine", starts: true),
        Start(testDescription: "by name", host: "localhost", other: "::1", starts: true),
        Start(testDescription: "a server elsewhere", host: "10.0.0.7", starts: false),
        Start(testDescription: "a server at a name", host: "chat.example.org", starts: false),
        Start(testDescription: "a server of the registry elsewhere", other: "192.168.1.9", starts: false),
        Start(testDescription: "a server on every address", host: "0.0.0.0", starts: false),
        Start(
            testDescription: "elsewhere, with a secret", secret: "s", host: "10.0.0.7", other: "10.0.0.8",
            starts: true),
        Start(testDescription: "in production", env: "production", starts: false),
        Start(testDescription: "in production, with a secret", env: "production", secret: "s", starts: true),
    ])
    @Loop func anEmptySecretIsForOneMachineOnly(_ start: Start) async throws {
        let elsewhere = ServerRecord(id: "chat-9", type: "chat", host: start.host, port: 6009)
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1) + [elsewhere])
        let app = try cluster.make("connector-1", env: start.env) { app in
            app.secret = Array(start.secret.utf8)
            // Clients may come from anywhere.
            app.servers.add([
                ServerInfo(
                    record: ServerRecord(
                        id: "area-1", type: "area", host: start.other, port: 7000, clientHost: "game.example.org"),
                    instance: "x", state: .up)
            ])
        }
        do {
            try await app.start()
            #expect(start.starts)
        } catch let error as PomeloError {
            #expect(!start.starts && error.code == .configuration && error.message.contains("POMELO_SECRET"))
        }
    }
}
