// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloConfiguration
import PomeloContract
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloOperations

/// Commands as they reach a master, and what it does about them.
@Suite struct OperationsTests {
    private static let hash = "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs="
    private static let password = "correct horse battery"

    @Loop private final class Master {
        let cluster: TestCluster
        let app: Application
        let module: OperationsModule
        let commands = Journal<OperatorCommand>()
        let folder: URL

        init(people: [(String, AdminRole)], audit: String = "audit.log") async throws {
            let base = URL(fileURLWithPath: NSTemporaryDirectory())
            folder = try FileManager.default.url(
                for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: base, create: true)
            let list = people.map { #"{"username":"\#($0.0)","role":"\#($0.1)","password":"\#(hash)"}"# }
            try Data("[\(list.joined(separator: ","))]".utf8).write(to: folder.appendingPathComponent("adminUser.json"))
            let configuration = Configuration(env: "production", servers: [], folder: folder.path)
            cluster = TestCluster([ServerRecord(id: "master-1", type: .master, port: 3005)])
            app = try cluster.make("master-1") {
                try $0.registerAdmin(Echo("private", .operate))
                try $0.registerAdmin(Echo("public", .read))
            }
            module = OperationsModule(
                app.context, app.admin, try Operators(configuration),
                audit: AuditLog(folder.appendingPathComponent(audit).path, app.log, app.clock))
            let commands = commands
            module.onCommand = { command in
                commands.note(command)
                return ["done": true]
            }
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        var audit: [JSON] {
            let text = (try? String(contentsOf: folder.appendingPathComponent("audit.log"), encoding: .utf8)) ?? ""
            return text.split(separator: "\n").compactMap { try? JSON.parse(Bytes($0.utf8)) }
        }

        func hello(_ user: String) async throws -> JSON {
            try await module.monitorHandler(
                ["do": "hello", "user": .string(user), "nonce": "0123456789abcdef"])
        }

        func message(
            _ user: String, _ command: OperatorCommand, password: String = OperationsTests.password
        ) async throws -> JSON {
            let challenge = try await hello(user)
            let salt = Base64.decode(Bytes((challenge["salt"]?.string ?? "").utf8).span) ?? []
            let cost = try #require(PasswordHash.Cost((challenge["cost"]?.array ?? []).compactMap(\.int)))
            let nonce = challenge["nonce"]?.string ?? ""
            let subject = LoginProof(
                user: user, clientNonce: "0123456789abcdef", masterNonce: nonce, cluster: app.clusterName,
                instance: app.instance.rawValue)
            let text = command.json.encoded()
            let proof = try subject.make(password, salt: salt, cost: cost, of: text)
            return [
                "do": "command", "nonce": .string(nonce), "proof": .string(Base64.encode(proof)),
                "command": .string(String(decoding: text, as: UTF8.self)),
            ]
        }

        func refusal(_ message: JSON) async -> Fault? {
            await #expect(throws: Fault.self) { _ = try await self.module.monitorHandler(message) }
        }
    }

    @Test @Loop func aCommandIsCarriedOutOnceAndWrittenDown() async throws {
        let master = try await Master(people: [("ann", .operate)])
        let message = try await master.message("ann", .stop(["chat-1"]))
        #expect(try await master.module.monitorHandler(message) == ["done": true])
        #expect(master.commands.entries == [.stop(["chat-1"])])
        #expect(master.audit.map { $0["outcome"]?.string } == ["begun", "done"])
        #expect(master.audit.allSatisfy { $0["user"] == "ann" && $0["command"]?["do"] == "stop" })
        // The clock of these tests.
        #expect(master.audit.first?["time"] == "2023-11-14T22:13:20.000Z")
        // Whoever saw it cannot say it again.
        #expect(await master.refusal(message)?.code == 401)
        #expect(master.commands.entries.count == 1 && master.audit.count == 3)
    }

    @Test @Loop func whatARoleMayNot() async throws {
        let master = try await Master(people: [("eve", .read), ("ann", .operate), ("max", .own)])
        for (user, command) in [("eve", OperatorCommand.stop(["a"])), ("eve", .restart([])), ("ann", .stop([]))] {
            let fault = await master.refusal(try await master.message(user, command))
            #expect(fault?.code == 403, "\(user) \(command)")
        }
        #expect(master.commands.entries == [])
        #expect(master.audit.allSatisfy { $0["outcome"]?.string?.hasPrefix("refused: ") == true })
        for (user, command) in [("eve", OperatorCommand.supervised), ("ann", .restart([])), ("max", .stop([]))] {
            _ = try await master.module.monitorHandler(try await master.message(user, command))
        }
        #expect(master.commands.entries == [.supervised, .restart([]), .stop([])])
    }

    /// A module says itself who may ask it; settings are not for everybody who may look.
    @Test @Loop func whatAModuleAsksFor() async throws {
        let master = try await Master(people: [("eve", .read), ("ann", .operate)])
        let fault = await master.refusal(try await master.message("eve", .module("private", nil, [:])))
        #expect(fault == Fault(403, "eve has the role read, and it takes operate"))
        #expect(try await answer(master, "eve", .module("public", "master-1", ["x": 1])) == ["public": ["x": 1]])
        #expect(try await answer(master, "ann", .module("private", nil, [:])) == ["private": [:]])
        #expect(await master.refusal(try await master.message("ann", .module("none", nil, [:])))?.code == 404)
        for message in [["show": "settings"], ["get": "level"], ["set": "level", "value": 1]] as [JSON] {
            let fault = await master.refusal(try await master.message("eve", .ask(nil, message)))
            #expect(fault == Fault(403, "eve has the role read, and it takes operate"), "\(message)")
        }
        #expect(try await answer(master, "eve", .ask(nil, ["show": "status"])) == [:])
        #expect(
            master.audit.map { $0["outcome"]?.string ?? "" }.filter { $0.hasPrefix("refused") }.count == 5)
        #expect(master.commands.entries == [])
    }

    @Loop private func answer(_ master: Master, _ user: String, _ command: OperatorCommand) async throws -> JSON {
        try await master.module.monitorHandler(try await master.message(user, command))
    }

    /// A name that nobody has is answered as one that somebody has, always in the same way.
    @Test @Loop func strangers() async throws {
        let master = try await Master(people: [("ann", .own)])
        #expect(try await master.hello("bob")["salt"] == (try await master.hello("bob")["salt"]))
        #expect(try await master.hello("bob")["salt"] != (try await master.hello("eve")["salt"]))
        let nobody = try await master.hello("bob")
        #expect(nobody["cost"] == [15, 8, 1] && nobody["named"] == true)
        let fault = await master.refusal(try await master.message("ann", .supervised, password: "wrong horse battery"))
        #expect(fault == Fault(401, "wrong user or password"))
        let unnamed: JSON = [
            "do": "command", "nonce": nobody["nonce"] ?? "", "proof": "", "command": #"{"do":"supervised"}"#,
        ]
        #expect(await master.refusal(unnamed) == Fault(401, "wrong user or password"))
        #expect(master.commands.entries == [])
    }

    @Test(
        arguments: [
            [:], ["do": "run"], ["do": "hello"], ["do": "hello", "user": "ann", "nonce": "short"],
            ["do": "command"], ["do": "command", "nonce": "x", "proof": "!", "command": "{}"],
            ["do": "command", "nonce": "x", "proof": "", "command": "[[[["],
            ["do": "command", "nonce": "x", "proof": "", "command": #"{"do":"stop","ids":[1]}"#],
            ["do": "command", "nonce": "x", "proof": "", "command": #"{"do":"stop","ids":["a"]}"#],
        ] as [JSON])
    @Loop func whatIsNoCommand(_ message: JSON) async throws {
        let master = try await Master(people: [("ann", .own)])
        #expect(await master.refusal(message) != nil)
        #expect(master.commands.entries == [])
    }

    /// Who has the secret and no password cannot fill the disk with a command.
    @Test @Loop func aCommandThatIsTooLong() async throws {
        let master = try await Master(people: [("ann", .own)])
        let word = String(repeating: "x", count: 20_000)
        let fault = await master.refusal(try await master.message("ann", .add([word])))
        #expect(fault == Fault(400, "a command has at most 16384 bytes") && master.commands.entries == [])
        #expect(master.audit.count == 1 && "\(master.audit)".utf8.count < 1000)
    }

    @Test @Loop func aNameThatIsTooLongIsWrittenDownAsNone() async throws {
        let master = try await Master(people: [("ann", .own)])
        let name = String(repeating: "x", count: 65)
        await #expect(throws: Fault(400, "a user's name has at most 64 bytes")) { _ = try await master.hello(name) }
        #expect(master.audit.map { $0["outcome"]?.string } == ["refused: a user's name has at most 64 bytes"])
        #expect(!"\(master.audit)".contains("xxx"))
    }

    /// Logins that nobody goes on with take no memory, and keep nobody else out for long.
    @Test @Loop func tenThousandHellos() async throws {
        let clock = ManualClock()
        let logins = OpenLogins(clock, RandomSource(seed: 1))
        let first = logins.begin("ann", "n")
        for _ in 0..<10_000 { _ = logins.begin("eve", "n") }
        #expect(logins.count == 256 && logins.take(first) == nil)
        let last = logins.begin("ann", "n")
        #expect(logins.take(last)?.user == "ann" && logins.take(last) == nil)
        let late = logins.begin("ann", "n")
        clock.advance(by: .seconds(31))
        #expect(logins.take(late) == nil)
    }

    /// What cannot be written down is not done.
    @Test @Loop func withoutAnAuditLogNothingIsDone() async throws {
        let master = try await Master(people: [("ann", .own)], audit: "no such folder/audit.log")
        let fault = await master.refusal(try await master.message("ann", .stop([])))
        #expect(fault?.code == 500 && master.commands.entries == [])
    }
}

/// Answers what it is asked, under its name.
@Loop private final class Echo: AdminModule {
    let moduleID: String
    let leastRole: AdminRole

    init(_ id: String, _ role: AdminRole) { (moduleID, leastRole) = (id, role) }

    func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON {
        .object([moduleID: message])
    }
}
