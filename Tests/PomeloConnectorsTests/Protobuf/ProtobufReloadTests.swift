// SPDX-License-Identifier: MIT
import Foundation
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

@Suite struct ProtobufReloadTests {
    typealias Transport = TestClient.Transport
    typealias Setting = MemoryNetworkTests.Setting

    /// Who is there goes on with the schemas of its welcome; who comes has the new ones.
    @Test(arguments: Transport.allCases)
    @Loop func clientsKeepTheSchemasTheyWereWelcomedWith(_ transport: Transport) async throws {
        let setting = try await Setting.make(Schemas.options)
        let connector = setting.frontend.connector
        let before = try #require(connector.protobufVersion)
        let old = try await setting.client(transport)
        let oldReply = try await old.handshake()
        #expect(oldReply["sys"]?["protos"]?["version"]?.string == before)
        #expect(try await old.answer(to: try old.ask(Schemas.echo, [16, 5])) == [16, 5])

        try connector.reloadProtobuf(.schemas(server: Schemas.newServer, client: Schemas.newClient))
        let after = try #require(connector.protobufVersion)
        #expect(after != before)
        let new = try await setting.client(transport)
        let newReply = try await new.handshake()
        #expect(newReply["sys"]?["protos"]?["version"]?.string == after)
        // 9 is the tag of x now, and was nobody's before.
        #expect(try await new.answer(to: try new.ask(Schemas.echo, [72, 5])) == [72, 5])
        #expect(try await old.answer(to: try old.ask(Schemas.echo, [16, 5])) == [16, 5])
        #expect(try await old.answer(to: try old.ask(Schemas.echo, [72, 5])) == [8, 0xF4, 3])
        #expect(setting.frontend.host.messages.map(\.body) == Array(repeating: Bytes(#"{"x":5}"#.utf8), count: 3))

        let push = try PushMessage(route: "onMove", body: Bytes(#"{"id":5}"#.utf8))
        for session in setting.frontend.host.sessions.values { #expect(session.socket.push(push)) }
        let toOld = try await old.wait(for: "a push") { old.pushes.first }
        let toNew = try await new.wait(for: "a push") { new.pushes.first }
        #expect(toOld.body == [8, 5] && toNew.body == [56, 5])
        await connector.stop()
    }

    /// A handshake that a hook holds up gets the schemas that its answer says.
    @Test @Loop func theSchemasAreThoseOfTheAnswer() async throws {
        var options = Schemas.options
        let gate = Door()
        options.handshake = { _ in
            await gate.pass()
            return nil
        }
        let setting = try await Setting.make(options)
        let client = try await setting.client()
        client.send(Schemas.handshake(nil))
        await setting.settle()
        try setting.frontend.connector.reloadProtobuf(.schemas(server: Schemas.newServer, client: Schemas.newClient))
        gate.open()
        let reply = try await client.wait(for: "the answer") { client.handshakes.first }
        #expect(reply["sys"]?["protos"]?["version"]?.string == setting.frontend.connector.protobufVersion)
        client.send(Sample.ack)
        #expect(try await client.answer(to: try client.ask(Schemas.echo, [72, 5])) == [72, 5])
        await setting.frontend.connector.stop()
    }

    /// By the address of its objects a push would take a new version for one that is gone.
    @Test @Loop func aPushKeepsTheVersionsItWasFramedFor() throws {
        let push = try PushMessage(route: "onMove", body: Bytes(#"{"id":5}"#.utf8))
        for round in 0..<200 {
            var options = HybridOptions()
            let tag = JSON.int(Int64(1 + round % 100))
            options.protobuf = .schemas(server: ["onMove": .object(["required uInt32 id": tag])], client: [:])
            let wired = try Wired(options)
            wired.work()
            #expect(try #require(wired.host.session?.socket).push(push))
            let expected = try #require(wired.shared.edition.schemas?.serverSchema.codec(for: "onMove"))
            let body = try expected.encode(["id": 5])
            #expect(wired.stream.taken() == Sample.data([6, 6] + Bytes("onMove".utf8) + body))
            wired.stream.end()
        }
    }

    @Test @Loop func aBrokenSchemaLeavesTheOldOnes() async throws {
        let setting = try await Setting.make(Schemas.options)
        let connector = setting.frontend.connector
        let before = connector.protobufVersion
        let error = #expect(throws: PomeloError.self) {
            try connector.reloadProtobuf(.schemas(server: ["a.b.c": ["optional vec3 at": 1]], client: [:]))
        }
        #expect(error?.code == .configuration)
        #expect(error?.message == "the server's schemas: a.b.c: the field at has the unknown type vec3")
        #expect(connector.protobufVersion == before)
        await connector.stop()
        #expect(throws: PomeloError.self) { try connector.reloadProtobuf() }
    }

    // MARK: files

    private func options(_ folder: borrowing SchemaFolder) throws -> HybridOptions {
        try folder.configuration.options(HybridOptions())
    }

    @Test @Loop func filesAreReadByEnvironmentAndOneMayBeMissing() async throws {
        let folder = try SchemaFolder()
        try folder.write("connector", ["useProtobuf": true, "protobufCheckSeconds": 0])
        let none = await #expect(throws: PomeloError.self) { try await Setting.make(try self.options(folder)) }
        #expect(none?.message.contains("there is neither \(folder.path)/serverProtos.json nor") == true)
        try folder.write("testing/serverProtos", Schemas.newServer)
        let one = try await Setting.make(try options(folder))
        let both = try MessageSchemas(server: Schemas.newServer, client: [:])
        #expect(one.frontend.connector.protobufVersion == both.version)
        try folder.write("serverProtos", ["testing": Schemas.server, "other": [:]])
        try one.frontend.connector.reloadProtobuf()
        #expect(
            one.frontend.connector.protobufVersion == (try MessageSchemas(server: Schemas.server, client: [:])).version)
        await one.frontend.connector.stop()
    }

    @Test @Loop func aBrokenFileIsNamedAtTheStart() async throws {
        let folder = try SchemaFolder()
        try folder.write("connector", ["useProtobuf": true])
        try folder.write("clientProtos", ["a.b.c": ["optional vec3 at": 1]])
        let error = await #expect(throws: PomeloError.self) { try await Setting.make(try self.options(folder)) }
        #expect(
            error?.message == "\(folder.path)/clientProtos.json: a.b.c: the field at has the unknown type vec3")
        try folder.write("clientProtos", text: "{\n  no")
        let broken = await #expect(throws: PomeloError.self) { try await Setting.make(try self.options(folder)) }
        #expect(broken?.message.contains("clientProtos.json is not JSON: line 2") == true)
        try folder.write("connector", ["useProtobuf": true, "maxProtobufFileBytes": 1024])
        try folder.write("clientProtos", text: String(repeating: " ", count: 1025))
        let long = await #expect(throws: PomeloError.self) { try await Setting.make(try self.options(folder)) }
        #expect(long?.message == "\(folder.path)/clientProtos.json has 1025 bytes; 1024 are allowed")
    }

    @Test @Loop func changedFilesAreReadOnceTheyStandStill() async throws {
        let folder = try SchemaFolder()
        try folder.write("connector", ["useProtobuf": true, "protobufCheckSeconds": 5])
        try folder.write("serverProtos", Schemas.server)
        try folder.write("clientProtos", Schemas.client)
        let setting = try await Setting.make(try options(folder))
        let connector = setting.frontend.connector
        let before = try #require(connector.protobufVersion)
        try folder.write("serverProtos", Schemas.newServer)
        try folder.write("clientProtos", Schemas.newClient)
        await look(setting)
        #expect(connector.protobufVersion == before, "it may still be written")
        await look(setting)
        let after = try MessageSchemas(server: Schemas.newServer, client: Schemas.newClient).version
        #expect(connector.protobufVersion == after)

        try folder.write("serverProtos", text: "{")
        await look(setting)
        await look(setting)
        #expect(connector.protobufVersion == after, "a broken file leaves the old schemas")
        try folder.write("serverProtos", Schemas.server)
        try folder.write("clientProtos", Schemas.client)
        await look(setting)
        await look(setting)
        #expect(connector.protobufVersion == before)
        await connector.stop()
        #expect(setting.clock.pendingTimers == 0)
    }

    /// Moved away by mistake, or by an editor that saves: nobody loses its schemas by that, until somebody starts anew.
    @Test @Loop func aFileThatIsGoneLeavesTheOldSchemas() async throws {
        let folder = try SchemaFolder()
        try folder.write("connector", ["useProtobuf": true, "protobufCheckSeconds": 5])
        try folder.write("serverProtos", Schemas.server)
        let setting = try await Setting.make(try options(folder))
        let connector = setting.frontend.connector
        let before = try #require(connector.protobufVersion)
        for round in 0..<2 {
            try folder.write("clientProtos", Schemas.client)
            await look(setting)
            await look(setting)
            let both = try #require(connector.protobufVersion)
            #expect(both != before)
            try FileManager.default.removeItem(atPath: "\(folder.path)/clientProtos.json")
            await look(setting)
            await look(setting)
            #expect(connector.protobufVersion == both, "round \(round)")
            // What is left has changed: that does not make the other one superfluous.
            try folder.write("serverProtos", round == 0 ? Schemas.newServer : Schemas.server)
            await look(setting)
            await look(setting)
            #expect(connector.protobufVersion == both, "round \(round)")
        }
        await connector.stop()
        let anew = try await Setting.make(try options(folder))
        #expect(anew.frontend.connector.protobufVersion == before)
        await anew.frontend.connector.stop()
    }

    /// One look at the files, which reads them off the loop.
    @Loop private func look(_ setting: Setting) async {
        setting.clock.advance(by: .seconds(5))
        await until("the look is over") { setting.clock.pendingTimers == 1 }
    }

    /// One line for each broken state, however often it is looked at.
    @Test @Loop func aBrokenFileIsToldOnce() async throws {
        let logs = CapturedLogs.installed
        let label = "protobuf-broken"
        let folder = try SchemaFolder()
        try folder.write("serverProtos", Schemas.server)
        var options = HybridOptions()
        options.protobuf = .files(folder.configuration)
        let clock = ManualClock()
        let shared = try HybridProtocol(options, clock: clock, logger: Logger(label: label))
        let version = shared.edition.schemas?.version
        try folder.write("serverProtos", text: "[")
        for _ in 0..<5 {
            clock.advance(by: .seconds(5))
            await until("the look is over") { clock.pendingTimers == 1 }
        }
        let lines = logs.lines(label).filter { $0.level == .error }
        #expect(lines.count == 1)
        #expect(lines.first?.message == "the message schemas stay as they were")
        #expect(lines.first?["error"]?.contains("serverProtos.json is not JSON") == true)
        #expect(shared.edition.schemas?.version == version)
        // strict: a request whose failure has no form.
        let warnings = logs.lines(label).filter { $0.level == .warning }
        #expect(warnings.count == 1)
        #expect(warnings.first?.message.contains("game.areaHandler.strict: a request that fails") == true)
        shared.stop()
        #expect(clock.pendingTimers == 0)
    }

    @Test func aReaderWithoutAFolderSaysSo() {
        let error = #expect(throws: PomeloError.self) {
            _ = try HybridOptions(try OptionReader(["useProtobuf": true], file: "connector.json"))
        }
        #expect(error?.message.contains("useProtobuf needs a configuration folder") == true)
    }
}
