// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// What a server shows of itself; the lines of the console have tests with processes.
@Suite struct WatchServerTests {
    /// More than a message holds may be connected.
    @Test @Loop func ofManyLoginsTheLastAreShown() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let app = try await cluster.start("connector-1")
        for number in 0..<1003 {
            let socket = try #require(cluster.connect("connector-1"))
            cluster.clock.advance(by: .milliseconds(1))
            try await app.sessionService.bind(try #require(socket.session).id, UserID("u\(number)"))
        }
        let watch = WatchServer(app)
        #expect(try await watch.monitorHandler(["show": "connections"])["logins"] == 1003)
        let logins = try #require(try await watch.monitorHandler(["show": "logins"]).array)
        #expect(logins.count == 1000 && logins.first?["uid"] == "u3" && logins.last?["uid"] == "u1002")
    }

    @Test @Loop func theBlacklistOfItsServer() async throws {
        let app = try TestCluster(TestCluster.records(connectors: 1, chats: 0)).make("connector-1") { _ in }
        let watch = WatchServer(app)
        let added: JSON = ["blacklist": "add", "addresses": ["192.0.2.0/24", "2001:db8::/32", "192.0.2.0/24"]]
        #expect(try await watch.monitorHandler(added) == ["added": 2, "entries": 2])
        #expect(
            try await watch.monitorHandler(["blacklist": "list"]) == [
                "addresses": ["192.0.2.0/24", "2001:db8::/32"], "entries": 2,
            ])
        let removed: JSON = ["blacklist": "remove", "addresses": ["2001:db8::/32", "10.0.0.1"]]
        #expect(try await watch.monitorHandler(removed) == ["removed": 1, "entries": 1])
        #expect(app.blacklist.contains(SocketAddress(host: "192.0.2.77", port: 1)))
        for wrong: JSON in [["blacklist": "clear"], ["blacklist": "add", "addresses": ["1.1.1"]]] {
            await #expect(throws: Fault.self) { try await watch.monitorHandler(wrong) }
        }
        let many = (0..<1200).map { JSON.string("10.0.\($0 >> 8).\($0 & 255)") }
        #expect(try await watch.monitorHandler(["blacklist": "add", "addresses": .array(many)])["entries"] == 1201)
        #expect(try await watch.monitorHandler(["blacklist": "list"])["addresses"]?.array?.count == 1000)
    }

    @Test @Loop func modulesAndWhetherTheyAnswer() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let app = try cluster.make("connector-1") {
            try $0.registerAdmin(WatchServer($0), isNeeded: true)
            try $0.registerAdmin(Silent())
        }
        let watch = WatchServer(app)
        #expect(try await watch.monitorHandler(["disableModule": "silent"]) == [:])
        #expect(
            try await watch.monitorHandler(["show": "modules"]) == [
                ["id": "watchServer", "enabled": true], ["id": "silent", "enabled": false],
            ])
        #expect(try await watch.monitorHandler(["enableModule": "silent"]) == [:])
        #expect(app.admin.isEnabled("silent"))
        await #expect(throws: Fault(400, "watchServer cannot be disabled")) {
            try await watch.monitorHandler(["disableModule": "watchServer"])
        }
        await #expect(throws: Fault.self) { try await watch.monitorHandler(["enableModule": "none"]) }
        await #expect(throws: Fault.self) { try await watch.monitorHandler(["enableModule": 1]) }
    }
}

@Loop private final class Silent: AdminModule { let moduleID = "silent" }
