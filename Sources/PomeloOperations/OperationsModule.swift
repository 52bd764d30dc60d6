// SPDX-License-Identifier: MIT
import Metrics
import PomeloBytes
import PomeloContract
package import PomeloCore
package import PomeloJSON
package import PomeloLoop

/// Takes the commands of people, as `operations` of a master's administration.
///
/// - Guarantee: a command is carried out once, for somebody who has proved who he is and may give it, and after it was
///   written down.
@Loop package final class OperationsModule: AdminModule {
    package static let id = "operations"
    /// Of a command; each is written down whole.
    private static let mostBytes = 16_384
    package let moduleID = OperationsModule.id
    /// Carries out what is about processes, and says what came of it.
    package var onCommand: (@Loop (OperatorCommand) async throws -> JSON)?
    private let context: ServiceContext
    private let admin: AdminService
    private let operators: Operators
    private let logins: OpenLogins
    private let audit: AuditLog
    private let refused = Counter(label: "pomelo_operations_refused")

    package init(_ context: ServiceContext, _ admin: AdminService, _ operators: Operators, audit: AuditLog) {
        self.context = context
        self.admin = admin
        self.operators = operators
        self.audit = audit
        logins = OpenLogins(context.clock, context.random)
    }

    package func monitorHandler(_ message: JSON) async throws -> JSON {
        switch message["do"]?.string {
        case "hello": return try hello(message)
        case "command": return try await command(message)
        default: throw Fault(400, "neither hello nor command")
        }
    }

    private func hello(_ message: JSON) throws -> JSON {
        guard let user = message["user"]?.string, let nonce = message["nonce"]?.string,
            (16...64).contains(nonce.utf8.count)
        else { throw refusal("", .null, Fault(400, "a hello without user or nonce")) }
        guard user.utf8.count <= 64 else {
            throw refusal("", .null, Fault(400, "a user's name has at most 64 bytes"))
        }
        let password = operators[user]?.password
        let cost = password?.cost ?? PasswordHash.Cost()
        let salt = password?.salt ?? logins.salt(of: user)
        return [
            "nonce": .string(logins.begin(user, nonce)), "salt": .string(Base64.encode(salt)),
            "cost": [JSON(cost.logN), JSON(cost.r), JSON(cost.p)], "named": .bool(!operators.areUnnamed),
        ]
    }

    private func command(_ message: JSON) async throws -> JSON {
        if let count = message["command"]?.string?.utf8.count, count > Self.mostBytes {
            throw refusal("", .null, Fault(400, "a command has at most \(Self.mostBytes) bytes"))
        }
        guard let text = message["command"]?.string,
            let nonce = message["nonce"]?.string,
            let proof = message["proof"]?.string.flatMap({ Base64.decode(Bytes($0.utf8).span) }),
            let (json, command) = Self.parsed(text)
        else { throw refusal("", .null, Fault(400, "no command")) }
        guard let login = logins.take(nonce) else {
            throw refusal("", json, Fault(401, "this login was used, or is too old"))
        }
        let role = try authenticated(login, nonce, proof, text, json)
        let needed = try leastRole(command, login.user, json)
        guard role >= needed else {
            let reason = "\(login.user) has the role \(role), and it takes \(needed)"
            throw refusal(login.user, json, Fault(403, reason))
        }
        guard audit.write(login.user, json, "begun") else {
            throw refusal(login.user, json, Fault(500, "the audit log cannot be written"))
        }
        return try await carryOut(command, login.user, json)
    }

    private func leastRole(_ command: OperatorCommand, _ user: String, _ json: JSON) throws -> AdminRole {
        if let role = command.role { return role }
        guard case .module(let id, _, _) = command else { return .own }
        do throws(Fault) {
            return try admin.leastRole(of: id)
        } catch {
            throw refusal(user, json, error)
        }
    }

    private static func parsed(_ text: String) -> (JSON, OperatorCommand)? {
        do {
            let json = try JSON.parse(Bytes(text.utf8))
            return OperatorCommand(json).map { (json, $0) }
        } catch {
            return nil
        }
    }

    private func authenticated(
        _ login: OpenLogins.Login, _ nonce: String, _ proof: Bytes, _ text: String, _ json: JSON
    ) throws -> AdminRole {
        if operators.areUnnamed { return .own }
        let subject = LoginProof(
            user: login.user, clientNonce: login.clientNonce, masterNonce: nonce, cluster: context.clusterName,
            instance: context.instance.rawValue)
        guard let person = operators[login.user], subject.isValid(proof, person.password, of: Bytes(text.utf8)) else {
            throw refusal(login.user, json, Fault(401, "wrong user or password"))
        }
        return person.role
    }

    private func carryOut(_ command: OperatorCommand, _ user: String, _ json: JSON) async throws -> JSON {
        do {
            let answer = try await answer(command)
            _ = audit.write(user, json, "done")
            return answer
        } catch {
            _ = audit.write(user, json, "failed: \(error)")
            // Who has asked is told the reason, as nobody is by default.
            if let error = error as? PomeloError { throw Fault(400, error.message) }
            throw error
        }
    }

    private func answer(_ command: OperatorCommand) async throws -> JSON {
        switch command {
        case .ask(let server, let message): return try await admin.ask(server, "watchServer", message)
        case .module(let id, let server, let message): return try await admin.answer(id, message, for: server)
        default:
            guard let onCommand else { throw Fault(501, "this master keeps no servers") }
            return try await onCommand(command)
        }
    }

    /// Counted and written down.
    private func refusal(_ user: String, _ command: JSON, _ fault: Fault) -> Fault {
        refused.increment()
        _ = audit.write(user, command, "refused: \(fault.message ?? "")")
        return fault
    }
}
