// SPDX-License-Identifier: MIT
import Logging
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// What is more likely a slip than meant is a warning at the start, and names what there is.
@Suite struct SlipTests {
    private static let master = #"{"development":{"id":"m","port":3005},"staging":{"id":"m","port":3005}}"#
    private static let named = #"{"development":{"id":"m","port":3005,"Name":"blue","nmae":1}}"#

    private func files(_ id: String, _ server: String = "") -> [String: String] {
        let servers = #"{"room":[{"id":"\#(id)","port":1\#(server)}],"gate":[{"id":"gate-1","port":2}]}"#
        return ["servers.json": #"{"development":\#(servers),"staging":{"room":[]}}"#, "master.json": Self.master]
    }

    /// The warnings of one server's start, by what they are about.
    @Loop private func warnings(
        _ id: ServerID, _ server: String = "", by key: String, _ setUp: @escaping @Loop (Application) throws -> Void
    ) async throws -> [String: String] {
        let logs = CapturedLogs.installed
        let folder = try TemporaryFolder(files(id.rawValue, server))
        defer { folder.remove() }
        let cluster = try TestCluster(configuration: folder.path)
        let app = try await cluster.start(id, setUp)
        #expect(app.state == .running)
        await cluster.stopAll()
        let lines = logs.lines("pomelo", where: "pomelo.server", is: id.rawValue).filter { $0.level == .warning }
        return Dictionary(lines.compactMap { line in line[key].map { ($0, line.message) } }) { $1 }
    }

    @Test @Loop func configureNamesATypeThatNoServerHas() async throws {
        let found = try await warnings("slip-1", by: "pomelo.type") { app in
            for types in ["room|gate", "all", "master", "rom|gate", "room |\u{1B}[2J", ""] {
                app.configure("all", types) { _ in }
            }
        }
        #expect(found.keys.sorted() == ["", #"\u{1b}[2J"#, "rom", "room "])
        #expect(found.values.allSatisfy { $0 == "configure names a type that no server has" })
    }

    /// A contract says its routes twice: as values, and in the list for `declare`.
    @Test @Loop func aContractsListForgetsARoute() async throws {
        let listed = Call<Nothing, Nothing>("room.handler.listed")
        let (call, remote) = (Call<Nothing, Nothing>("room.handler.call"), Remote<Nothing, Nothing>("room.remote.add"))
        func served(_ app: Application) throws {
            try app.handle(
                Routes { on in
                    on.on(listed) { _, _ in Nothing() }
                    on.on(call) { _, _ in Nothing() }
                    on.on(remote) { _ in Nothing() }
                    on.on(json: "room.handler.json") { body, _ in body }
                })
        }
        let found = try await warnings("slip-11", by: "pomelo.route") { app in
            app.declare([listed.route])
            try served(app)
        }
        #expect(found.keys.sorted() == [call.route.text, remote.route.text])
        #expect(found.values.allSatisfy { $0 == "served, but in no list that declare was given" })
        // Who declares nothing has no list.
        #expect(try await warnings("slip-12", by: "pomelo.route") { try served($0) } == [:])
    }

    /// Environments are named freely: those of servers.json, pomelo's two, and any that is like none of these.
    @Test @Loop func configureNamesNearlyAnEnvironment() async throws {
        let found = try await warnings("slip-2", by: "pomelo.env") { app in
            for env in [
                "all", "development|production", "staging", "berlin", "dev", "prod|stagin", "d", "", "developement",
            ] {
                app.configure(env, "all") { _ in }
            }
        }
        #expect(found.keys.sorted() == ["dev", "developement", "prod", "stagin"])
    }

    @Test @Loop func aKeyIsNearlyOneOfTheFrameworks() async throws {
        let own =
            #","area":7,"herbs":1,"maxConnections":5,"wieght":1,"weights":2,"Host":"x","hosts":[],"client-port2":1"#
        let found = try await warnings("slip-3", own, by: "pomelo.key") { _ in }
        #expect(found.keys.sorted() == ["Host", "client-port2", "maxConnections", "weights", "wieght"])
        let rest = try await warnings("slip-4", own + #","weight":1,"max-connections":3"#, by: "pomelo.key") { _ in }
        #expect(rest.keys.sorted() == ["Host", "client-port2"])
    }

    /// Clusters of one name share what they have in Redis.
    @Test @Loop func theClustersNameMayBeMisspelt() async throws {
        let logs = CapturedLogs.installed
        let folder = try TemporaryFolder(files("slip-7").merging(["master.json": Self.named]) { $1 })
        defer { folder.remove() }
        let cluster = try TestCluster(configuration: folder.path)
        try await cluster.start("slip-7")
        await cluster.stopAll()
        let lines = logs.lines("pomelo", where: "pomelo.file", is: "\(folder.path)/master.json")
        #expect(lines.map { $0["pomelo.key"] } == ["Name"] && lines.first?["pomelo.nearest"] == "name")
    }

    @Test @Loop func pomelosKeysOfTLSMeanNothing() async throws {
        let found = try await warnings("slip-8", #","ssl":{"type":"wss"},"tls":false"#, by: "pomelo.key") { _ in }
        #expect(found.keys.sorted() == ["ssl"])
    }

    @Test @Loop func declareNamesATypeThatNoServerHas() async throws {
        let found = try await warnings("slip-9", by: "pomelo.type") {
            $0.declare([Route("conector.entryHandler.enter")])
        }
        #expect(found.keys.sorted() == ["conector"])
    }

    @Test(arguments: ["clientport", "clinetPort", "clientPrt"])
    @Loop func aFrontendWithoutItsClientPortIsToldWhatItHas(_ key: String) async throws {
        let folder = try TemporaryFolder(files("slip-5", #","frontend":true,"\#(key)":3"#))
        defer { folder.remove() }
        let cluster = try TestCluster(configuration: folder.path)
        let error = await failureText { try await cluster.start("slip-5") }
        #expect(error.hasSuffix(#"servers.json: slip-5 has no clientPort; it has "\#(key)", which is another key"#))
        let backend = try TemporaryFolder(files("slip-6", #","Frontend":true"#))
        defer { backend.remove() }
        let other = try TestCluster(configuration: backend.path)
        let text = await failureText { try await other.start("slip-6") { $0.connector = ManualConnector() } }
        #expect(text.hasSuffix(#"it has "Frontend", which is another key"#))
    }
}
