// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// The modules of administration on this server, and the way to those of others.
///
/// ```
/// call   module text | message as JSON, to the end      reply  JSON
/// ```
@Loop public final class AdminService: Component {

    /// The component's name.
    public let name = "admin"
    private let context: ServiceContext
    private var modules: [any AdminModule] = []
    private var timers: [String: TimerID] = [:]
    private var running: Set<String> = []
    private var isStopped = false
    /// A round comes each second, and no master may be up for long.
    private let failures: LimitedLog

    init(_ context: ServiceContext) {
        self.context = context
        failures = LimitedLog(context.log, context.clock, "an admin module failed", lines: 4, per: .seconds(10))
        serve(.adminRequest) { module, message, _ in try await module.monitorHandler(message) }
        serve(.adminNotify) { module, message, server in try await module.masterHandler(message, from: server) }
    }

    /// Asks a module on one server.
    ///
    /// - Throws: `RPCError`; `.fault` with code 404 when the server has no such module.
    public func request(_ server: ServerID, _ module: String, _ message: JSON = .null) async throws -> JSON {
        try await call(server, .adminRequest, module, message)
    }

    /// The ids of the modules registered here, in order of registration.
    public var moduleIDs: [String] { modules.map(\.moduleID) }

    func register(_ module: any AdminModule) throws {
        guard !modules.contains(where: { $0.moduleID == module.moduleID }) else {
            throw PomeloError(.configuration, "the admin module \(module.moduleID) is registered twice")
        }
        modules.append(module)
    }

    // MARK: life

    /// Starts the modules in order of registration, then their intervals.
    public func start() async throws {
        for module in modules { try await module.start(AdminAgent(admin: self, module: module.moduleID)) }
        for module in modules { schedule(module) }
    }

    /// Ends the intervals and stops the modules, in reverse order.
    public func stop() async {
        isStopped = true
        for timer in timers.values { context.clock.cancel(timer) }
        timers = [:]
        for module in modules.reversed() { module.stop() }
    }

    private func schedule(_ module: any AdminModule) {
        guard let interval = module.interval, !isStopped else { return }
        timers[module.moduleID] = context.clock.schedule(after: interval) { [weak self] in
            self?.tick(module)
            self?.schedule(module)
        }
    }

    /// One round of a module; one that is still at the round before is left alone.
    private func tick(_ module: any AdminModule) {
        let id = module.moduleID
        guard running.insert(id).inserted else { return }
        Loop.spawn { [weak self, failures] in
            do {
                _ = try await module.monitorHandler(.null)
            } catch {
                failures.write(["pomelo.module": "\(id)", "error": "\(error)"])
            }
            self?.running.remove(id)
        }
    }

    // MARK: calls

    fileprivate func masters() -> [ServerID] { context.servers.up(.master).map(\.id) }

    func notifyMaster(_ module: String, _ message: JSON) async throws -> [ServerID: JSON] {
        guard !masters().isEmpty else { throw RPCError.notSent("no master is up") }
        var answers: [ServerID: JSON] = [:]
        for master in masters() { answers[master] = try await call(master, .adminNotify, module, message) }
        return answers
    }

    private func call(
        _ server: ServerID, _ procedure: Procedure, _ module: String, _ message: JSON
    ) async throws -> JSON {
        try JSON.parse(try await context.rpc.system(server, procedure, Self.payload(module, message)))
    }

    fileprivate static func payload(_ module: String, _ message: JSON) -> Bytes {
        var payload = PayloadWriter()
        payload.text(module)
        payload.rest(message.encoded())
        return payload.bytes
    }

    private func serve(
        _ procedure: Procedure,
        _ body: @escaping @Loop @Sendable (any AdminModule, JSON, ServerID) async throws -> JSON
    ) {
        context.procedures.suspending(procedure) { [weak self] caller, payload in
            var reader = PayloadReader(payload)
            let id = try reader.text()
            guard let module = self?.modules.first(where: { Text($0.moduleID) == Text(id) }) else {
                throw Fault(404, "no admin module \(id)")
            }
            return try await body(module, try JSON.parse(try reader.rest()), caller.server).encoded()
        }
    }
}

extension RPCTransport {
    /// Asks a module on one server, from a process that has no part in the cluster.
    ///
    /// - Throws: as ``AdminService/request(_:_:_:)``.
    package func ask(
        _ server: ServerID, _ module: String, _ message: JSON = .null, within deadline: Duration
    ) async throws -> JSON {
        try JSON.parse(
            try await call(server, .adminRequest, AdminService.payload(module, message), within: deadline))
    }
}

extension Application {
    /// Registers a module of administration.
    ///
    /// - Throws: `PomeloError` `.configuration` when its id is taken; `.notRunning` after `start`.
    public func registerAdmin(_ module: some AdminModule) throws {
        guard state == .created else { throw PomeloError(.notRunning, "admin modules are registered before start") }
        if component(admin.name) == nil { try load(admin) }
        try admin.register(module)
    }
}
