import Pomelo
import PomeloTesting
import Testing

@testable import Greeter

@Suite struct GreeterTests {
    @Test @Loop func aClientIsGreeted() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        try await cluster.start("connector-1") { app in
            try app.handle(GreetHandler(app: app))
        }
        let client = try #require(cluster.connect("connector-1"))
        let greet = GreeterAPI.greet.route.text
        #expect(await client.ask(greet, ["name": "ann"]) == #"{"text":"Hello, ann!"}"#)
        #expect(await client.ask(greet, ["name": ""]) == #"{"code":400,"message":"a name is missing"}"#)
        await cluster.stopAll()
    }
}
