// SPDX-License-Identifier: MIT
import PomeloContract
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

    /// A module of the kind pull has its rounds on the master alone, from the delay on.
    @Test @Loop func aPullIsTheMasters() async throws {
        let cluster = cluster()
        let (chat, master) = (Pulling(), Pulling())
        try await cluster.start("chat-1") { try $0.registerAdmin(chat) }
        try await cluster.start("master-1") { try $0.registerAdmin(master) }
        await cluster.advance(by: .milliseconds(950))
        #expect(master.log == [])
        await cluster.advance(by: .milliseconds(100))
        #expect(master.log == ["pull from master-1"])
        await cluster.advance(by: .seconds(10))
        #expect(master.log == ["pull from master-1", "pull from master-1", "pull from master-1"])
        #expect(chat.log == [])
    }

    /// One that is disabled answers nobody and has no rounds; there are those that cannot be done without.
    @Test @Loop func aModuleIsDisabledAndEnabled() async throws {
        let cluster = cluster()
        let (module, needed) = (Counting(), Pulling())
        let app = try await cluster.start("chat-1") {
            try $0.registerAdmin(module)
            try $0.registerAdmin(needed, isNeeded: true)
        }
        await cluster.settle()
        try app.admin.setEnabled("counting", false)
        #expect(!app.admin.isEnabled("counting") && app.admin.isEnabled("pulling"))
        await cluster.advance(by: .seconds(11))
        #expect(module.log == ["start"])
        await #expect(throws: RPCError.fault(code: 403, message: "the admin module counting is disabled")) {
            try await app.admin.request("chat-1", "counting", ["add": 1])
        }
        await #expect(throws: Fault(403, "the admin module counting is disabled")) {
            try await app.admin.answer("counting", [:], for: nil)
        }
        try app.admin.setEnabled("counting", true)
        #expect(try await app.admin.request("chat-1", "counting", ["add": 1]) == ["sum": 2])
        await cluster.advance(by: .seconds(5))
        #expect(module.log == ["start", "run"])
        #expect(throws: Fault(400, "pulling cannot be disabled")) { try app.admin.setEnabled("pulling", false) }
        #expect(throws: Fault(404, "no admin module other")) { try app.admin.setEnabled("other", false) }
    }

    /// A person who asks the master is answered by the modules of one server, or of all, unless the module has its own
    /// way.
    @Test @Loop func aPersonAsks() async throws {
        let cluster = cluster()
        for id in ["chat-1", "chat-2", "master-1"] as [ServerID] {
            try await cluster.start(id) {
                try $0.registerAdmin(Counting())
                if id != "chat-2" { try $0.registerAdmin(Pulling()) }
            }
        }
        await cluster.settle()
        let admin = cluster["master-1"].admin
        #expect(try await admin.answer("counting", ["add": 1], for: "chat-2") == ["chat-2": ["sum": 2]])
        #expect(
            try await admin.answer("counting", ["add": 1], for: nil)
                == ["chat-1": ["sum": 2], "chat-2": ["sum": 2], "master-1": ["sum": 2]])
        let mixed = try await admin.answer("pulling", ["x": 1], for: nil)
        #expect(mixed["client"] == true && mixed["servers"]?["chat-1"] == [:])
        #expect(mixed["servers"]?["chat-2"]?["error"]?.string?.contains("no admin module pulling") == true)
        await #expect(throws: Fault(404, "no server chat-9 is there")) {
            try await admin.answer("counting", [:], for: "chat-9")
        }
        await #expect(throws: Fault(404, "no admin module other")) { try await admin.answer("other", [:], for: nil) }
        #expect(try admin.leastRole(of: "counting") == .operate && admin.leastRole(of: "pulling") == .read)
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

@Loop private final class Pulling: AdminModule {
    let moduleID = "pulling"
    let kind = AdminModuleKind.pull
    let interval: Duration? = .seconds(5)
    let delay: Duration? = .seconds(1)
    let leastRole = AdminRole.read
    var log: [String] = []

    func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON {
        log.append("pull from \(server)")
        return .null
    }

    func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON {
        ["client": true, "servers": try await agent.ask(server, message)]
    }
}
