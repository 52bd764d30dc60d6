// SPDX-License-Identifier: MIT
import Pomelo
import PomeloOperations

/// A command on its way to the master, with the proof of who gives it.
@Loop final class OperatorOrder {
    private static let noModule = "no admin module \(OperationsModule.id)"
    /// A restart of all servers takes its time.
    private static let patience = Duration.seconds(300)
    private static let loginPatience = Duration.seconds(5)
    private let configuration: Configuration
    private let user: String
    private let password: @Sendable () throws -> String
    /// Asked for once.
    private var known: String?

    init(_ configuration: Configuration, _ user: String, _ password: @escaping @Sendable () throws -> String) {
        self.configuration = configuration
        self.user = user
        self.password = password
    }

    /// What the master answers.
    ///
    /// - Throws: `PomeloError` when no master runs, or it refuses.
    func give(_ command: OperatorCommand) async throws -> JSON {
        let question = try ClusterQuestion("operator", configuration)
        let masters = try await question.registered().filter { $0.type == .master && $0.state == .up }
        var answer: JSON?
        var refusal = PomeloError(.notRunning, "no master of the cluster \(configuration.clusterName) runs")
        for master in masters {
            do throws(PomeloError) {
                answer = try await give(command, to: master, question)
                // The end of all is for those that stand by, too.
                if command != .stop([]), command != .kill([]) { break }
            } catch {
                refusal = error
                if error.code != .notRunning { break }
            }
        }
        guard let answer else { throw refusal }
        return answer
    }

    /// - Throws: `PomeloError` `.notRunning` when it is to be given to another one.
    private func give(
        _ command: OperatorCommand, to master: ServerInfo, _ question: ClusterQuestion
    ) async throws(PomeloError) -> JSON {
        do {
            return try await question.of(master) { try await tell(command, master, $0) }
        } catch RPCError.fault(let code, let message) where code == 404 && message == Self.noModule {
            let reason = "\(master.id) keeps no servers: it was not started by the command start"
            throw PomeloError(.notRunning, reason)
        } catch RPCError.fault(code: 503, let message) {
            throw PomeloError(.notRunning, "\(master.id): \(message)")
        } catch RPCError.fault(_, let message) {
            throw PomeloError(.configuration, "\(master.id) refuses: \(message)")
        } catch RPCError.notSent(let reason) {
            // It may be one that is gone, and that nobody has missed yet.
            throw PomeloError(.notRunning, "\(master.id): \(reason)")
        } catch let error as PomeloError {
            throw error
        } catch {
            throw PomeloError(.unreachable, "\(master.id): \(error)")
        }
    }

    private func tell(
        _ command: OperatorCommand, _ master: ServerInfo, _ transport: any RPCTransport
    ) async throws -> JSON {
        let random = RandomSource()
        let nonce = random.instanceID() + random.instanceID()
        let hello: JSON = ["do": "hello", "user": .string(user), "nonce": .string(nonce)]
        let challenge = try await transport.ask(
            master.id, OperationsModule.id, hello, within: Self.loginPatience)
        let text = command.json.encoded()
        let proof = try await proof(challenge, nonce, master, text)
        let message: JSON = [
            "do": "command", "nonce": challenge["nonce"] ?? "", "proof": .string(Base64.encode(proof)),
            "command": .string(String(decoding: text, as: UTF8.self)),
        ]
        return try await transport.ask(master.id, OperationsModule.id, message, within: Self.patience)
    }

    private func proof(_ challenge: JSON, _ nonce: String, _ master: ServerInfo, _ command: Bytes) async throws -> Bytes
    {
        guard challenge["named"] != false else { return [] }
        let numbers = (challenge["cost"]?.array ?? []).compactMap(\.int)
        guard let masterNonce = challenge["nonce"]?.string, numbers.count == 3,
            let salt = challenge["salt"]?.string.flatMap({ Base64.decode(Bytes($0.utf8).span) }),
            let cost = PasswordHash.Cost(numbers)
        else { throw PomeloError(.unreachable, "\(master.id) answers a login with something else") }
        let subject = LoginProof(
            user: user, clientNonce: nonce, masterNonce: masterNonce, cluster: configuration.clusterName,
            instance: master.instance.rawValue)
        let password = try known ?? self.password()
        known = password
        return try await offLoop { try subject.make(password, salt: salt, cost: cost, of: command) }
    }
}
