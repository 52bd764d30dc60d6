// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Several connectors of one frontend: which listens where, by `clients` of servers.json.
@Suite struct ClientPlanTests {
    @Loop private final class Stub: Connector {
        let type: String
        let takesPort: Bool
        var takesDatagrams: Bool { type == "udp" }
        var localAddress: SocketAddress?
        private(set) var shared: [String]?

        init(_ type: String, takesPort: Bool = true) {
            self.type = type
            self.takesPort = takesPort
        }

        func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
            localAddress = context.address
        }

        func start(_ host: any ConnectorHost, _ context: ConnectorContext, with others: [any Connector]) async throws {
            localAddress = context.address
            shared = others.map(\.type)
        }

        func stop() async { localAddress = nil }
    }

    /// One that can share no port.
    @Loop private final class Lonely: Connector {
        var localAddress: SocketAddress?
        func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {}
        func stop() async {}
    }

    private func record(_ clients: [ServerRecord.ClientEntry]) -> ServerRecord {
        var record = ServerRecord(id: "c-1", type: "connector", port: 1, isFrontend: true, bind: "10.0.0.1")
        record.clients = clients
        return record
    }

    @Loop private func plan(_ types: [String], _ clients: [ServerRecord.ClientEntry]) throws -> [String] {
        try ClientPlan(types.map { Stub($0) }, record(clients), file: "servers.json").ports.map { port in
            ([port.connector] + port.sharing).map(\.type).joined(separator: "+") + " \(port.address)"
        }
    }

    @Test @Loop func eachListensOnThePortOfItsType() throws {
        #expect(try plan(["hybrid"], [.init(port: 3010)]) == ["hybrid 10.0.0.1:3010"])
        #expect(
            try plan(["hybrid", "socketio"], [.init(type: "socketio", port: 2), .init(type: "hybrid", port: 1)])
                == ["hybrid 10.0.0.1:1", "socketio 10.0.0.1:2"])
        #expect(
            try plan(["hybrid", "hybrid"], [.init(type: "hybrid", port: 1), .init(type: "hybrid", port: 2)])
                == ["hybrid 10.0.0.1:1", "hybrid 10.0.0.1:2"])
        #expect(
            try plan(["hybrid", "socketio"], [.init(type: "hybrid", port: 1), .init(type: "socketio", port: 1)])
                == ["hybrid+socketio 10.0.0.1:1"])
        #expect(try plan(["hybrid", "socketio"], [.init(port: 3010)]) == ["hybrid+socketio 10.0.0.1:3010"])
        #expect(try plan([], []) == [])
    }

    @Test @Loop func whatListensOnNoPortNeedsNone() throws {
        let pipe = Stub("pipe", takesPort: false)
        let ports = try ClientPlan([pipe, Stub("hybrid")], record([.init(port: 3010)]), file: "f").ports
        #expect(ports.map(\.connector.type) == ["pipe", "hybrid"])
        #expect(try ClientPlan([pipe], record([]), file: "f").ports.count == 1)
    }

    @Test @Loop func aPortOfUDPIsNoneOfTCP() throws {
        let entries: [ServerRecord.ClientEntry] = [
            .init(type: "hybrid", port: 1), .init(type: "udp", port: 1), .init(type: "socketio", port: 1),
        ]
        #expect(
            try plan(["hybrid", "udp", "socketio"], entries) == ["hybrid+socketio 10.0.0.1:1", "udp 10.0.0.1:1"])
        #expect(try plan(["udp", "hybrid"], [.init(port: 7)]) == ["udp 10.0.0.1:7", "hybrid 10.0.0.1:7"])
    }

    /// A cluster in a test's process is made of the files that the servers have.
    @Test @Loop func aStandInTakesAllPorts() async throws {
        let two: [ServerRecord.ClientEntry] = [.init(type: "hybrid", port: 1), .init(type: "socketio", port: 2)]
        let cluster = TestCluster([record(two)])
        try await cluster.start("c-1")
        #expect(cluster["c-1"].connector?.localAddress == SocketAddress(host: "10.0.0.1", port: 1))
        await cluster.stop("c-1")
    }

    @Test @Loop func whatDoesNotFitIsAnErrorThatNamesBoth() {
        let cases: [(types: [String], clients: [ServerRecord.ClientEntry], says: String)] = [
            (["hybrid"], [], "servers.json: c-1 has no clientPort"),
            (
                ["hybrid", "socketio"], [.init(type: "hybrid", port: 1)],
                "c-1 has no port for its connector socketio in clients"
            ),
            (
                ["hybrid"], [.init(type: "hybird", port: 1)],
                "c-1 has no port for its connector hybrid in clients; there are those of: hybird"
            ),
            (
                ["hybrid", "socketio"], [],
                "c-1 has no clientPort for its connectors hybrid, socketio, which may share it"
            ),
            (
                ["hybrid"], [.init(type: "hybrid", port: 1), .init(type: "mqtt", port: 2)],
                "c-1 has a port for the type mqtt, but its connectors are: hybrid"
            ),
            // Two spellings of one text are two types.
            (["caf\u{E9}"], [.init(type: "cafe\u{301}", port: 1)], "c-1 has no port for its connector caf\u{E9}"),
        ]
        for one in cases {
            let error = #expect(throws: PomeloError.self) { try plan(one.types, one.clients) }
            #expect(error?.code == .configuration && "\(error as Any)".contains(one.says), "\(error as Any)")
        }
    }

    @Test @Loop func oneOfAPortListensForAll() async throws {
        let cluster = TestCluster([
            record([.init(type: "a", port: 1), .init(type: "b", port: 1), .init(type: "c", port: 2)])
        ])
        let stubs = ["a", "b", "c"].map { Stub($0) }
        let app = try cluster.make("c-1") { $0.connectors = stubs }
        try await app.start()
        #expect(stubs.map(\.localAddress?.port) == [1, nil, 2])
        #expect(stubs.map(\.shared) == [["b"], nil, nil])
        await app.stop()
        #expect(stubs.allSatisfy { $0.localAddress == nil })
    }

    @Test @Loop func whoCannotShareSaysSo() async throws {
        let cluster = TestCluster([record([.init(type: "Lonely", port: 7), .init(type: "a", port: 7)])])
        let app = try cluster.make("c-1") { $0.connectors = [Lonely(), Stub("a")] }
        let error = await #expect(throws: PomeloError.self) { try await app.start() }
        #expect("\(error as Any)".contains("Lonely, a cannot share the port 7"))
    }

    // MARK: the file

    private func servers(_ connector: String) throws -> [ServerRecord] {
        try withFolder([
            "config/servers.json": #"{"development":{"connector":[\#(connector)]}}"#,
            "config/master.json": #"{"id":"m","port":3005}"#,
        ]) { folder in try Configuration(folder: "\(folder)/config", env: "development").servers("connector") }
    }

    @Test func theFileListsThem() throws {
        let two = #""clients":[{"type":"hybrid","port":3010},{"type":"socketio","port":3011,"host":"io.example"}]"#
        let record = try #require(
            try servers(#"{"id":"c-1","port":1,"frontend":true,"clientHost":"h.example",\#(two)}"#).first)
        #expect(record.clientPort == 3010 && record.clients.count == 2)
        let addresses = ["hybrid", "socketio", "mqtt"].map {
            record.clientAddress(for: $0).map { "\($0.host):\($0.port)" }
        }
        #expect(addresses == ["h.example:3010", "io.example:3011", nil])
        #expect(record.clientAddress().map { "\($0.host):\($0.port)" } == "h.example:3010")
        #expect(record.clientAddress()?.tls == false)
        let one = try #require(try servers(#"{"id":"c-1","port":1,"frontend":true,"clientPort":5}"#).first)
        #expect(one.clientAddress(for: "any")?.port == 5)
        let counted = try servers(
            #"{"clusterCount":2,"port":"1++","frontend":true,"clients":[{"type":"hybrid","port":"3010++"}]}"#)
        #expect(counted.map(\.clientPort) == [3010, 3011])
        let tls = #""clients":[{"type":"hybrid","port":3010,"tls":true},{"type":"mqtt","port":3011}]"#
        let encrypted = try #require(try servers(#"{"id":"c-1","port":1,"frontend":true,\#(tls)}"#).first)
        #expect(["hybrid", "mqtt"].map { encrypted.clientAddress(for: $0)?.tls } == [true, false])
    }

    @Test @Loop func whatCannotEncryptDoesNotListenInTheClear() throws {
        let entries = try servers(
            #"{"id":"c-1","port":1,"frontend":true,"clients":[{"type":"a","port":2,"tls":true}]}"#)
        #expect(entries.first?.clients.first?.tls == true)
        let error = #expect(throws: PomeloError.self) {
            try ClientPlan([Stub("a")], try #require(entries.first), file: "servers.json")
        }
        #expect("\(error as Any)".contains("servers.json: c-1 wants tls, which its connector a cannot"))
    }

    @Test @Loop func entriesOfOnePortAgreeAboutTLS() throws {
        let entries: [ServerRecord.ClientEntry] = [
            .init(type: "a", port: 2, tls: false), .init(type: "b", port: 2),
        ]
        let error = #expect(throws: PomeloError.self) { try plan(["a", "b"], entries) }
        #expect("\(error as Any)".contains("two entries for the port 2, and tls is not the same in both"))
    }

    @Test(arguments: [
        (#""clients":[]"#, "clients is empty"), (#""clients":{}"#, "clients must be a list"),
        (#""clients":[7]"#, "clients[0] must hold an object"),
        (#""clients":[{"port":1}]"#, "clients[0]: type is missing"),
        (#""clients":[{"type":"a"}]"#, "clients[0]: port is missing"),
        (#""clients":[{"type":"a","port":70000}]"#, "clients[0]: port must be"),
        (#""clients":[{"type":"a","port":1,"prot":2}]"#, "clients[0]: unknown key prot"),
        (#""clients":[{"type":"a","port":1,"tls":"yes"}]"#, "clients[0]: tls must be true or false"),
        (
            #""clientPort":2,"clients":[{"type":"a","port":1}]"#,
            "clientPort is the port of clients[0], 1, or is left out"
        ),
    ])
    func theFileIsHeldToIt(_ field: String, _ says: String) {
        let error = #expect(throws: PomeloError.self) {
            try servers(#"{"id":"c-1","port":1,"frontend":true,\#(field)}"#)
        }
        #expect("\(error as Any)".contains(says), "\(error as Any)")
    }
}
