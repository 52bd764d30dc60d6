import Pomelo
import PomeloTesting
import Testing

@testable import Greeter

@Suite struct GreeterTests {
    @Test @Loop func aClientIsGreeted() async throws {
        let cluster = try TestCluster(configuration: "config")
        try await cluster.startAll { app in
            try app.handle(GreetHandler(app: app))
        }
        let client = try #require(cluster.connect("connector-1"))
        #expect(try await client.request(GreeterAPI.greet, .init(name: "ann")).text == "Hello, ann!")
        await #expect(throws: Fault(400, "a name is missing")) {
            try await client.request(GreeterAPI.greet, .init(name: ""))
        }
        await cluster.stopAll()
    }
}
