// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRPC

/// One server of a test: its transport, its procedures, its view.
@Loop final class TestServer {
    let transport: TCPTransport
    let directory = ServerDirectory()
    let procedures = ProcedureTable()
    private(set) var info: ServerInfo
    /// Payloads in the order their procedures began.
    var seen: [Bytes] = []
    /// Calls of `hold` that wait.
    private(set) var held: [CheckedContinuation<Bytes, any Error>] = []

    init(_ id: String, instance: String, options: RPCOptions, host: String = "127.0.0.1") {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        transport = TCPTransport(options: options, logger: logger)
        info = ServerInfo(
            record: ServerRecord(id: ServerID(id), type: "test", host: host, port: 0),
            instance: InstanceID(instance), state: .up)
        procedures.immediate(Procedure(remote: "echo")) { [weak self] _, payload in
            // A test that has failed may be gone before its calls.
            self?.seen.append(payload)
            return payload
        }
        procedures.immediate(Procedure(remote: "fault")) { _, _ in throw Fault(1001, "no such room") }
        procedures.immediate(Procedure(remote: "broken")) { _, _ in throw PomeloError(.encoding, "cannot be decoded") }
        procedures.immediate(Procedure(remote: "nested")) { _, _ in throw RPCError.notSent("a further call") }
        procedures.immediate(Procedure(remote: "zeros")) { _, payload in
            Bytes(repeating: 0, count: Int(String(decoding: payload, as: UTF8.self)) ?? 0)
        }
        procedures.suspending(Procedure(remote: "later")) { _, payload in
            await nextTurn()
            return payload
        }
        procedures.suspending(Procedure(remote: "hold")) { [weak self] _, payload in
            guard let self else { throw RPCError.notSent("the test is over") }
            seen.append(payload)
            return try await withCheckedThrowingContinuation { self.held.append($0) }
        }
    }

    func start(_ cluster: TransportCluster, port: Int = 0, secret: String = "secret", name: String = "c")
        async throws
    {
        info.record.port = port
        let context = RPCContext(
            network: cluster.network, clock: cluster.clock, random: cluster.random, cluster: name,
            secret: Bytes(secret.utf8), own: info, servers: directory, procedures: procedures)
        try await transport.start(context)
        info.record.port = transport.localAddress?.port ?? 0
    }

    func releaseAll(_ reply: Bytes = [1]) {
        for waiting in held { waiting.resume(returning: reply) }
        held = []
    }

    func call(
        _ other: TestServer, _ method: String = "echo", _ payload: Bytes = [7], within: Duration = .seconds(5)
    ) async -> Result<Bytes, RPCError> {
        await call(other.info.id, method, payload, within: within)
    }

    func call(
        _ id: ServerID, _ method: String, _ payload: Bytes, within: Duration = .seconds(5)
    ) async -> Result<Bytes, RPCError> {
        do throws(RPCError) {
            return .success(try await transport.call(id, Procedure(remote: method), payload, within: within))
        } catch {
            return .failure(error)
        }
    }

    /// Starts a call and returns where its outcome will be.
    func begin(
        _ other: TestServer, _ method: String = "echo", _ payload: Bytes = [7], within: Duration = .seconds(5)
    ) -> CallOutcome {
        begin(other.info.id, method, payload, within: within)
    }

    func begin(
        _ id: ServerID, _ method: String = "echo", _ payload: Bytes = [7], within: Duration = .seconds(5)
    ) -> CallOutcome {
        let outcome = CallOutcome()
        outcome.task = Loop.spawn {
            outcome.add(await self.call(id, method, payload, within: within))
        }
        return outcome
    }
}

/// The outcomes of one call: there must be one.
@Loop final class CallOutcome {
    private(set) var all: [Result<Bytes, RPCError>] = []
    var task: Task<Void, Never>?

    var value: Result<Bytes, RPCError>? { all.first }

    func add(_ outcome: Result<Bytes, RPCError>) { all.append(outcome) }

    var kind: String {
        switch value {
        case nil: "pending"
        case .success: "reply"
        case .failure(.notSent): "notSent"
        case .failure(.maybeExecuted): "maybeExecuted"
        case .failure(.failed(let code, _)): "failed \(code)"
        case .failure(.unimplemented): "unimplemented"
        case .failure(.fault(let code, _)): "fault \(code)"
        }
    }
}

/// Servers that share a network and a clock.
@Loop final class TransportCluster {
    let network: any Network
    let clock: any LoopClock
    let random: RandomSource

    init(network: any Network, clock: any LoopClock = ManualClock(), seed: UInt64? = 1) {
        self.network = network
        self.clock = clock
        random = RandomSource(seed: seed)
    }

    /// Two started servers, `a` and `b`, that know each other.
    func pair(_ options: RPCOptions = RPCOptions()) async throws -> (TestServer, TestServer) {
        let a = TestServer("a", instance: "a1", options: options)
        let b = TestServer("b", instance: "b1", options: options)
        for server in [a, b] { try await server.start(self) }
        for server in [a, b] { server.directory.add([a.info, b.info]) }
        return (a, b)
    }
}

/// A cluster in memory on a clock that tests move.
@Loop final class MemoryCluster {
    let net = TestNetwork()
    let clock = ManualClock()
    let cluster: TransportCluster

    init(seed: UInt64 = 1) { cluster = TransportCluster(network: net, clock: clock, seed: seed) }

    func pair(_ options: RPCOptions = RPCOptions()) async throws -> (TestServer, TestServer) {
        try await cluster.pair(options)
    }

    /// Moves time in steps, so that what each timer sets off happens before the next one.
    func advance(_ duration: Duration, step: Duration = .milliseconds(10)) async {
        let end = clock.deadline(after: duration)
        while clock.now < end {
            clock.advance(to: min(end, clock.deadline(after: step)))
            for _ in 0..<4 { await nextTurn() }
        }
        await settle()
    }
}

extension Result where Success == Bytes, Failure == RPCError {
    var isNotSent: Bool { if case .failure(.notSent) = self { true } else { false } }
    var isMaybeExecuted: Bool { if case .failure(.maybeExecuted) = self { true } else { false } }
    var isReply: Bool { if case .success = self { true } else { false } }
}
