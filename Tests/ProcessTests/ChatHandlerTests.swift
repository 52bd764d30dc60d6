// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloGlobalChannel
import PomeloJSON
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

@testable import Chat

/// Handlers of the example in a cluster in memory: quicker than processes, and every answer can be seen.
@Suite struct ChatHandlerTests {
    @Loop private func cluster() async throws -> TestCluster {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1))
        let (channels, status) = (MemoryChannelStore.Entries(), MemoryStatusStore.Entries())
        try await cluster.startAll { app in
            try app.use(GlobalChannel(store: MemoryChannelStore(channels)))
            try app.use(Status(store: MemoryStatusStore(status)))
            if app.serverType == .chat { try app.handle(ChatHandler(app: app)) }
        }
        return cluster
    }

    @Loop private func enter(_ uid: UserID, _ room: ChannelName, _ frontend: ServerID, _ cluster: TestCluster)
        async throws -> TestSocket
    {
        let client = try await cluster.client(frontend, uid)
        try await cluster["chat-1"].globalChannel.add(room, uid, frontend)
        return client
    }

    /// A client comes to the gate by the protocol that it speaks with the connector too, or names another.
    @Test @Loop func theGateChoosesByTheKindOfConnector() async throws {
        var records = TestCluster.records(connectors: 1, chats: 0)
        records[0].clients = [
            .init(type: "hybrid", port: 3010), .init(type: "socketio", host: "io.example", port: 3011),
        ]
        records.append(ServerRecord(id: "gate-1", type: "gate", port: 4100, clientPort: 3100, isFrontend: true))
        let cluster = TestCluster(records)
        try await cluster.startAll { app in
            if app.serverType == "gate" { try app.handle(GateHandler(app: app)) }
        }
        let client = try #require(cluster.connect("gate-1"))
        let route = ChatAPI.queryEntry.route.text
        for (comesBy, asksFor, answer) in [
            ("hybrid", nil, #"{"code":200,"host":"127.0.0.1","port":3010,"id":"connector-1"}"#),
            ("socketio", nil, #"{"code":200,"host":"io.example","port":3011,"id":"connector-1"}"#),
            ("hybrid", "socketio", #"{"code":200,"host":"io.example","port":3011,"id":"connector-1"}"#),
            (nil, nil, #"{"code":200,"host":"127.0.0.1","port":3010,"id":"connector-1"}"#),
            ("hybrid", "mqtt", #"{"code":500}"#),
        ] as [(String?, String?, String)] {
            client.connectorType = comesBy
            var body: JSONObject = ["uid": "ann"]
            body["type"] = asksFor.map(JSON.string)
            let got = await client.ask(route, .object(body))
            #expect(got == answer)
        }
        await cluster.stopAll()
    }

    @Test @Loop func theListNamesTheRoom() async throws {
        let cluster = try await cluster()
        let ann = try await enter("ann*hall", "hall", "connector-1", cluster)
        _ = try await enter("bob*hall", "hall", "connector-2", cluster)
        _ = try await enter("cid*attic", "attic", "connector-2", cluster)
        #expect(await ann.ask(ChatAPI.list.route.text) == #"{"users":["ann","bob"]}"#)
        let nobody = try await cluster.client("connector-1")
        #expect(await nobody.ask(ChatAPI.list.route.text) == #"{"code":500}"#)
        await cluster.stopAll()
    }

    @Test(arguments: [
        (#"{"content":"hi","target":"*"}"#, "{}", 1), (#"{"content":"hi","target":"bob"}"#, "{}", 1),
        (#"{"content":"hi","target":"eve"}"#, #"{"code":404}"#, 0), (#"{"content":"hi"}"#, #"{"code":404}"#, 0),
    ])
    @Loop func whatIsSaidReachesWhomItIsFor(_ said: String, _ answer: String, _ heard: Int) async throws {
        let cluster = try await cluster()
        let ann = try await enter("ann*hall", "hall", "connector-1", cluster)
        let bob = try await enter("bob*hall", "hall", "connector-2", cluster)
        #expect(await ann.ask(ChatAPI.send.route.text, try JSON.parse(Bytes(said.utf8))) == answer)
        await cluster.settle()
        #expect(bob.pushes.filter { $0.route == "onChat" }.count == heard)
        await cluster.stopAll()
    }
}
