// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Modules of administration on their own process, and the way between processes.
@Suite struct AdminTests {
    @Loop private func cluster() -> TestCluster {
        let master = ServerRecord(id: "master-1", type: .master, port: 3005)
        return TestCluster(TestCluster.records(connectors: 0, chats: 2) + [master])
    }

    @Test @Loop func aModuleRunsByItsIntervalFromStartToStop() async throws {
        let cluster = cluster()
        let module = Counting()
        let app = try await cluster.start("chat-1") { try $0.registerAdmin(module) }
        #expect(module.log == ["start"] && app.admin.moduleIDs == ["counting"])
        await cluster.advance(by: .milliseconds(4900))
        #expect(module.log == ["start"])
        await cluster.advance(by: .milliseconds(10_200))
        #expect(module.log == ["start", "run", "run", "run"])
        await app.stop()
        await cluster.advance(by: .seconds(60))
        #expect(module.log == ["start", "run", "run", "run", "stop"])
    }

    @Test @Loop func aRoundThatTakesLongIsNotOvertaken() async throws {
        let cluster = cluster()
        let module = Counting()
        module.door = Door()
        try await cluster.start("chat-1") { try $0.registerAdmin(module) }
        await cluster.advance(by: .seconds(16))
        #expect(module.log == ["start", "run"])
        module.door?.open()
        await cluster.settle()
        await cluster.advance(by: .seconds(5))
        #expect(module.log == ["start", "run", "run"])
    }

    @Test @Loop func aServerAsksTheModuleOfAnother() async throws {
        let cluster = cluster()
        for id in ["chat-1", "chat-2"] as [ServerID] {
            try await cluster.start(id) { try $0.registerAdmin(Counting()) }
        }
        await cluster.settle()
        let admin = cluster["chat-1"].admin
        #expect(try await admin.request("chat-2", "counting", ["add": 2]) == ["sum": 3])
        #expect(try await admin.request("chat-1", "counting", ["add": 4]) == ["sum": 5])
        await #expect(throws: RPCError.fault(code: 404, message: "no admin module other")) {
            try await admin.request("chat-2", "other")
        }
    }

    @Test @Loop func aModuleTellsTheMaster() async throws {
        let cluster = cluster()
        let module = Counting()
        try await cluster.start("chat-1") { try $0.registerAdmin(module) }
        await cluster.settle()
        let agent = try #require(module.agent)
        await #expect(throws: RPCError.notSent("no master is up")) { try await agent.notifyMaster(["x": 1]) }
        let master = Counting()
        try await cluster.start("master-1") { try $0.registerAdmin(master) }
        await cluster.settle()
        #expect(try await agent.notifyMaster(["x": 1]) == ["master-1": ["heard": "chat-1"]])
    }

    @Test @Loop func idsAreUniqueAndModulesComeBeforeTheStart() async throws {
        let app = try cluster().make("chat-1") { try $0.registerAdmin(Counting()) }
        #expect(await failureCode { try app.registerAdmin(Counting()) } == "configuration")
        try await app.start()
        #expect(await failureCode { try app.registerAdmin(Counting()) } == "notRunning")
    }
}

@Loop private final class Counting: AdminModule {
    let moduleID = "counting"
    let interval: Duration? = .seconds(5)
    var log: [String] = []
    var door: Door?
    var agent: AdminAgent?

    func start(_ agent: AdminAgent) async throws {
        self.agent = agent
        log.append("start")
    }

    func monitorHandler(_ message: JSON) async throws -> JSON {
        if let number = message["add"]?.int { return ["sum": .int(number + 1)] }
        log.append("run")
        await door?.pass()
        return .null
    }

    func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON {
        ["heard": .string(server.rawValue)]
    }

    func stop() { log.append("stop") }
}
