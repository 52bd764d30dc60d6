// SPDX-License-Identifier: MIT
import Pomelo
import PomeloOperations

/// A command on its way to the master, with the proof of who gives it.
@Loop final class OperatorOrder {
    private static let noModule = "no admin module \(OperationsModule.id)"
    /// A restart of all servers takes its time.
    private static let patience = Duration.seconds(300)
    private static let loginPatience = Duration.seconds(5)
    private static let hearing = Duration.seconds(10)
    private static let pause = Duration.milliseconds(300)
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

    /// What became of a command at one master.
    private enum Outcome {
        case answered(JSON)
        /// It is not this one's.
        case elsewhere(PomeloError)
        /// It was not heard, or by one that does not lead now: what may be another thing in a moment.
        case unheard(PomeloError)
    }

    /// What the master answers.
    ///
    /// Tried again for 10 s while no master has heard it: between two leading ones, or when connections are lost.
    ///
    /// - Throws: `PomeloError` when no master runs, or it refuses.
    func give(_ command: OperatorCommand) async throws -> JSON {
        let question = try ClusterQuestion("operator", configuration)
        let clock = SystemClock.shared
        let deadline = clock.deadline(after: Self.hearing)
        while true {
            let masters = try await question.registered().filter { $0.type == .master && $0.state == .up }
            guard !masters.isEmpty else {
                throw PomeloError(.notRunning, "no master of the cluster \(configuration.clusterName) runs")
            }
            switch try await give(command, to: masters, question) {
            case .answered(let answer): return answer
            case .elsewhere(let reason): throw reason
            case .unheard(let reason): guard clock.now < deadline else { throw reason }
            }
            await clock.sleep(for: Self.pause)
        }
    }

    private func give(
        _ command: OperatorCommand, to masters: [ServerInfo], _ question: ClusterQuestion
    ) async throws -> Outcome {
        var last: Outcome?
        for master in masters {
            let outcome = try await give(command, to: master, question)
            switch (outcome, last) {
            // The end of all is for those that stand by, too.
            case (.answered, _) where command != .stop([]) && command != .kill([]): return outcome
            case (.answered, _), (_, nil), (.unheard, .elsewhere): last = outcome
            default: break
            }
        }
        return last ?? .unheard(PomeloError(.notRunning, "no master"))
    }

    private func give(
        _ command: OperatorCommand, to master: ServerInfo, _ question: ClusterQuestion
    ) async throws(PomeloError) -> Outcome {
        func failure(_ code: PomeloError.Code, _ reason: String) -> PomeloError {
            PomeloError(code, "\(master.id)\(reason)")
        }
        do {
            return .answered(try await question.of(master) { try await tell(command, master, $0) })
        } catch RPCError.fault(let code, let message) where code == 404 && message == Self.noModule {
            return .elsewhere(failure(.notRunning, " takes no commands: it is no program of PomeloCommand"))
        } catch RPCError.fault(code: 501, let message) {
            return .elsewhere(failure(.notRunning, ": \(message)"))
        } catch RPCError.fault(code: 503, let message) {
            return .unheard(failure(.notRunning, ": \(message)"))
        } catch RPCError.fault(_, let message) {
            throw failure(.configuration, " refuses: \(message)")
        } catch RPCError.notSent(let reason) {
            // It may be one that is gone, and that nobody has missed yet.
            return .unheard(failure(.notRunning, ": \(reason)"))
        } catch let error as PomeloError {
            throw error
        } catch {
            throw failure(.unreachable, ": \(error)")
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
