// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Where transports under test meet.
@Loop public protocol TransportWorld: AnyObject {
    /// What the transports dial through.
    var network: any Network { get }
    /// What measures their deadlines.
    var clock: any LoopClock { get }
    /// A transport that was not started.
    func makeTransport(of server: ServerID) -> any RPCTransport
    /// Makes a process at a free address that takes connections and says nothing; returns its record.
    func silent(_ server: ServerID) async throws -> ServerRecord
    /// Lets time pass until the body is done.
    func drive(_ body: @escaping @Loop @Sendable () async throws -> Void) async throws
}

/// What every `RPCTransport` must do about pings, proofs and calls; run all cases against a transport of your own.
///
/// Transports in memory stand in for the real one in most tests; what they are kinder in, no test sees.
@Loop public struct TransportSuite {
    /// One rule each.
    public enum Case: String, CaseIterable, Sendable {
        case pingAnswers, pingOtherInstance, pingOtherServer, pingSilent, pingRefused, pingNotRunning
        case pingOwnInstance, pingOwnIDElsewhere, pingOwnIDOfADeadInstance, addressInUse
        case proofAccepted, proofOfAnyInstance, proofRefused, proofOtherCluster, proofOtherServer
        case proofNobodyThere, proofSilent, proofNotRunning
        case callReplies, callFails, callUnimplemented, callNested, callOfOwn, callUnknown, callNobodyThere
        case callOtherInstance, callSilent, callNotRunning, callOrder
    }

    private let world: any TransportWorld
    private let random = RandomSource(seed: 7)

    /// `world` must be new.
    public init(_ world: any TransportWorld) { self.world = world }

    /// Runs one case.
    ///
    /// - Throws: `SuiteFailure` naming the rule; what the transport throws.
    public func run(_ name: Case) async throws {
        try await world.drive {
            if name.rawValue.hasPrefix("ping") || name == .addressInUse {
                try await self.ping(name)
            } else if name.rawValue.hasPrefix("proof") {
                try await self.proof(name)
            } else {
                try await self.call(name)
            }
        }
    }

    // MARK: tools

    /// A server of the world: its transport and what it is.
    @Loop private final class Server {
        let transport: any RPCTransport
        let directory = ServerDirectory()
        let procedures = ProcedureTable()
        var info: ServerInfo
        var seen: [Bytes] = []

        init(_ transport: any RPCTransport, _ info: ServerInfo) {
            self.transport = transport
            self.info = info
            procedures.immediate(.echo) { [unowned self] _, payload in
                seen.append(payload)
                return payload
            }
            procedures.immediate(.fault) { _, _ in throw Fault(1001, "no such room") }
            procedures.immediate(.nested) { _, _ in throw RPCError.unimplemented("a further call") }
        }

        func outcome(
            _ server: ServerID, _ procedure: Procedure = .echo, _ payload: Bytes = [7],
            within limit: Duration = .seconds(30)
        ) async -> String {
            do throws(RPCError) {
                return "\(try await transport.call(server, procedure, payload, within: limit))"
            } catch {
                switch error {
                case .notSent: return "notSent"
                case .maybeExecuted: return "maybeExecuted"
                case .failed(let code, _): return "failed \(code)"
                case .fault(let code, _): return "fault \(code)"
                case .unimplemented: return "unimplemented"
                }
            }
        }

        /// What becomes of a proof; the words are for who reads of a failure.
        func proof(_ server: ServerInfo) async -> (outcome: String, words: String) {
            do {
                try await transport.proveSecret(to: server)
                return ("proved", "")
            } catch {
                return ((error as? PomeloError).map { "\($0.code)" } ?? "unknown", "\(error)")
            }
        }
    }

    private func server(
        _ id: ServerID, _ instance: InstanceID, port: Int = 0, cluster: String = "c", secret: String = "secret"
    ) async throws -> Server {
        let record = ServerRecord(id: id, type: "test", port: port)
        let server = Server(
            world.makeTransport(of: id), ServerInfo(record: record, instance: instance, state: .up))
        try await server.transport.start(
            RPCContext(
                network: world.network, clock: world.clock, random: random, cluster: cluster,
                secret: Bytes(secret.utf8), own: server.info, servers: server.directory,
                procedures: server.procedures))
        server.info.record.port = server.transport.localAddress?.port ?? 0
        return server
    }

    private func expect<Value: Equatable>(_ what: String, _ value: Value, _ expected: Value) throws {
        if value != expected { throw SuiteFailure("\(what): \(value), not \(expected)") }
    }

    private func expect(_ what: String, _ proof: (outcome: String, words: String), _ expected: String) throws {
        if proof.outcome != expected { throw SuiteFailure("\(what): \(proof), not \(expected)") }
    }

    private func pinged(_ server: Server, _ other: ServerInfo, within limit: Duration = .seconds(10)) async -> Bool {
        await server.transport.ping(other, within: limit)
    }

    /// The same place, another instance.
    private func other(_ info: ServerInfo, _ instance: InstanceID = "x0") -> ServerInfo {
        ServerInfo(record: info.record, instance: instance, state: info.state)
    }

    /// The same place under another id.
    private func renamed(_ info: ServerInfo, _ id: ServerID) -> ServerInfo {
        var info = info
        info.record.id = id
        return info
    }

    // MARK: rules

    private func ping(_ name: Case) async throws {
        let a = try await server("a", "a1")
        let b = try await server("b", "b1")
        switch name {
        case .pingAnswers: try expect("ping of a server no view has", await pinged(a, b.info), true)
        case .pingOtherInstance: try expect("ping of a former instance", await pinged(a, other(b.info)), false)
        case .pingOtherServer:
            try expect("ping of a server whose port is another's", await pinged(a, renamed(b.info, "c")), false)
        case .pingSilent:
            let record = try await world.silent("c")
            let begin = world.clock.now
            let silent = ServerInfo(record: record, instance: "c1", state: .up)
            try expect("ping of a silent server", await pinged(a, silent, within: .milliseconds(500)), false)
            try expect("it takes its deadline", world.clock.now - begin >= 490_000_000, true)
        case .pingRefused:
            await b.transport.stop(within: .zero)
            try expect("ping where nobody listens", await pinged(a, b.info), false)
        case .pingNotRunning:
            await a.transport.stop(within: .zero)
            try expect("ping by a stopped transport", await pinged(a, b.info), false)
        case .pingOwnInstance: try expect("ping of itself", await pinged(a, a.info), true)
        case .pingOwnIDElsewhere:
            let second = try await server("a", "a2")
            try expect("ping of a live instance of the own id", await pinged(second, a.info), true)
            try expect("and the other way round", await pinged(a, second.info), true)
            try expect("ping of a third instance there", await pinged(second, other(a.info)), false)
        case .pingOwnIDOfADeadInstance:
            try expect("ping of a former instance here", await pinged(a, other(a.info)), false)
            await b.transport.stop(within: .zero)
            let gone = renamed(other(b.info), "a")
            try expect("ping of a former instance elsewhere", await pinged(a, gone), false)
        default:
            let failure = await failureOf { _ = try await server("c", "c1", port: b.info.record.port) }
            try expect("listening where another does", failure?.code, .network)
        }
    }

    private func proof(_ name: Case) async throws {
        let a = try await server("a", "a1")
        let b = try await server("b", "b1")
        switch name {
        case .proofAccepted: try expect("the right secret", await a.proof(b.info), "proved")
        case .proofOfAnyInstance: try expect("to another instance", await a.proof(other(b.info, "")), "proved")
        case .proofRefused:
            let stranger = try await server("s", "s1", secret: "wrong")
            try expect("a wrong secret", await stranger.proof(b.info), "configuration")
        case .proofOtherCluster:
            let stranger = try await server("s", "s1", cluster: "d")
            try expect("to a server of another cluster", await stranger.proof(b.info), "unreachable")
        case .proofOtherServer:
            try expect("where another server is", await a.proof(renamed(b.info, "c")), "unreachable")
        case .proofNobodyThere:
            await b.transport.stop(within: .zero)
            try expect("where nobody listens", await a.proof(b.info), "unreachable")
        case .proofSilent:
            let silent = ServerInfo(record: try await world.silent("c"), instance: "c1", state: .up)
            try expect("to a server that says nothing", await a.proof(silent), "noAnswer")
        default:
            await a.transport.stop(within: .zero)
            try expect("by a stopped transport", await a.proof(b.info), "notRunning")
        }
    }

    private func call(_ name: Case) async throws {
        let a = try await server("a", "a1")
        let b = try await server("b", "b1")
        a.directory.add([a.info, b.info])
        switch name {
        case .callReplies: try expect("a call", await a.outcome("b"), "[7]")
        case .callFails: try expect("a procedure that fails", await a.outcome("b", .fault), "fault 1001")
        case .callUnimplemented:
            try expect("a procedure nobody serves", await a.outcome("b", .missing), "unimplemented")
        case .callNested: try expect("a further call that fails", await a.outcome("b", .nested), "failed 500")
        case .callOfOwn: try expect("a call to itself", await a.outcome("a"), "[7]")
        case .callUnknown: try expect("a call of a server no view has", await a.outcome("c"), "notSent")
        case .callNobodyThere:
            await b.transport.stop(within: .zero)
            try expect("a call where nobody listens", await a.outcome("b"), "notSent")
        case .callOtherInstance:
            a.directory.add([other(b.info)])
            try expect("a call of a former instance", await a.outcome("b"), "notSent")
            try expect("what the other instance has run", b.seen, [])
        case .callSilent:
            let silent = ServerInfo(record: try await world.silent("c"), instance: "c1", state: .up)
            a.directory.add([silent])
            let outcome = await a.outcome("c", within: .milliseconds(500))
            try expect("a call of a silent server fails", ["notSent", "maybeExecuted"].contains(outcome), true)
        case .callNotRunning:
            await a.transport.stop(within: .zero)
            try expect("a call by a stopped transport", await a.outcome("b"), "notSent")
        default:
            let calls = (0..<20).map { number in Loop.spawn { _ = await a.outcome("b", .echo, [UInt8(number)]) } }
            for call in calls { await call.value }
            try expect("the order of calls", b.seen, (0..<20).map { [UInt8($0)] })
        }
    }

    private func failureOf(_ body: @Loop () async throws -> Void) async -> PomeloError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? PomeloError
        }
    }
}

extension Procedure {
    fileprivate static let echo = Procedure(remote: "echo")
    fileprivate static let fault = Procedure(remote: "fault")
    fileprivate static let nested = Procedure(remote: "nested")
    /// Of a newer version.
    fileprivate static let missing = Procedure(40_000, "missing")
}
