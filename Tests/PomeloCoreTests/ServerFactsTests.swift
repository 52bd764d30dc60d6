// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// What an application knows of itself, of its configuration, and of the servers around it.
@Suite struct ServerFactsTests {
    struct Facts: Sendable, CustomTestStringConvertible {
        let id: ServerID
        let type: ServerType
        var isFrontend = false
        var isBackend = false
        var isMaster = false
        var testDescription: String { "\(id)" }
    }

    @Test(arguments: [
        Facts(id: "connector-1", type: "connector", isFrontend: true),
        Facts(id: "chat-1", type: "chat", isBackend: true),
        Facts(id: "master-1", type: .master, isMaster: true),
    ])
    @Loop func anApplicationKnowsWhatItIs(_ facts: Facts) throws {
        let servers = """
            {"production":{"connector":[{"id":"connector-1","port":4050,"clientPort":3050,"frontend":"true"}],
                           "chat":[{"id":"chat-1","port":6050}]}}
            """
        let master = #"{"production":{"id":"master-1","host":"10.0.0.9","port":3005}}"#
        let folder = try TemporaryFolder(["config/servers.json": servers, "config/master.json": master])
        defer { folder.remove() }
        let clock = ManualClock()
        let app = try Application(
            Configuration(folder: folder.path + "/config", env: "production"), id: facts.id,
            world: World(
                clock: clock, random: RandomSource(seed: 1), network: MemoryNetwork(clock: clock).endpoint("a"),
                transport: LoopbackNetwork(clock: clock).transport(of: facts.id)))
        #expect(app.base == folder.path && app.env == "production")
        #expect(app.serverID == facts.id && app.serverType == facts.type)
        #expect(app.isFrontend == facts.isFrontend && app.isBackend == facts.isBackend)
        #expect(app.isMaster == facts.isMaster)
        #expect(app.record == app.configuration[facts.id] && app.configuration["chat-2"] == nil)
        #expect(app.configuration.servers.map(\.id) == ["chat-1", "connector-1", "master-1"])
        #expect(app.master?.id == "master-1" && app.master?.host == "10.0.0.9" && app.master?.port == 3005)
        #expect(app.serverTypes == ["chat", "connector"], "the master's type aside")
    }

    @Test @Loop func theServersThatAreThereAreListedAlikeEverywhere() async throws {
        let master = ServerRecord(id: "master-1", type: .master, port: 3005)
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 2) + [master])
        let running: [ServerID] = ["chat-1", "chat-2", "connector-1", "master-1"]
        for id in ["chat-2", "master-1", "connector-1", "chat-1"] as [ServerID] { try await cluster.start(id) }
        await cluster.settle()
        for id in running {
            let servers = cluster[id].servers
            #expect(servers.all.map(\.id) == running && servers.all.allSatisfy { $0.state == .up })
            #expect(servers.all.map(\.instance) == running.map { cluster[$0].instance })
            #expect(servers["chat-1"]?.record == cluster["chat-1"].record)
            #expect(servers["connector-2"] == nil && cluster[id].configuration["connector-2"] != nil)
            #expect(servers.up("chat").map(\.id) == ["chat-1", "chat-2"] && servers.up("area").isEmpty)
        }
        let before = cluster["connector-1"].servers.up("chat")
        await cluster.stop("chat-2")
        #expect(cluster["connector-1"].servers.up("chat").map(\.id) == ["chat-1"])
        #expect(before.count == 2, "what was handed out does not change")
    }

    /// pomelo 2.2.7 never took a type off its list; lib/application.js, `removeServers`.
    @Test @Loop func regressionATypeThatIsGoneIsNotListed() throws {
        let app = try TestCluster(TestCluster.records(connectors: 0, chats: 1)).make("chat-1")
        let area = ServerInfo(record: ServerRecord(id: "area-1", type: "area", port: 1), instance: "1", state: .up)
        app.servers.add([area])
        #expect(app.serverTypes == ["area", "chat"])
        app.servers.remove(["area-1"])
        #expect(app.serverTypes == ["chat"])
    }

    /// pomelo 2.2.7 left a server that came back as another type in the list of the old one too; lib/application.js,
    /// `addServers`.
    @Test @Loop func regressionAServerIsOfOneTypeAtATime() {
        let directory = ServerDirectory()
        for type in ["chat", "area"] as [ServerType] {
            let record = ServerRecord(id: "a", type: type, port: 1)
            directory.add([ServerInfo(record: record, instance: InstanceID("\(type)"), state: .up)])
            #expect(directory.up(type).map(\.id) == ["a"])
        }
        #expect(directory.up("chat").isEmpty && directory.choices("chat").isEmpty)
        #expect(directory.all.map(\.type) == ["area"])
    }

    /// pomelo 2.2.7 had one application object for the whole process; lib/pomelo.js, `createApp`.
    @Test @Loop func regressionApplicationsOfOneProcessShareNothing() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 2))
        let journal = Journal<String>()
        let one = try await cluster.start("chat-1") { app in
            app.set("key", 1)
            app.enable("flag")
            app.setService(Service())
            try app.load(Part())
            app.beforeShutdown { journal.note("one stops") }
        }
        let other = try await cluster.start("chat-2") { app in
            app.set("key", 2)
            app.beforeShutdown { journal.note("other stops") }
        }
        #expect(one.get("key") == 1 && other.get("key") == 2 && other.disabled("flag"))
        #expect(one.service(Service.self) != nil && other.service(Service.self) == nil)
        #expect(one.component("part") != nil && other.component("part") == nil)
        #expect(one.instance != other.instance)
        await one.stop()
        #expect(one.state == .stopped && other.state == .running && journal.entries == ["one stops"])
    }
}

private final class Service {}

@Loop private final class Part: Component {
    let name = "part"
}
