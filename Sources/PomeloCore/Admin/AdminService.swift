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
    private var disabled: Set<Text> = []
    /// Those that the others are enabled by.
    private var needed: Set<Text> = []
    private var isStopped = false
    /// A round comes each second, and no master may be up for long.
    private let failures: LimitedLog

    init(_ context: ServiceContext) {
        self.context = context
        failures = LimitedLog(context.log, context.clock, "an admin module failed", lines: 4, per: .seconds(10))
        serve(.adminRequest) { module, message, _ in try await module.monitorHandler(message) }
        serve(.adminNotify) { module, message, server in try await module.masterHandler(message, from: server) }
    }

    // MARK: modules

    /// The ids of the modules registered here, in order of registration.
    public var moduleIDs: [String] { modules.map(\.moduleID) }

    func register(_ module: any AdminModule, isNeeded: Bool) throws {
        guard !modules.contains(where: { Text($0.moduleID) == Text(module.moduleID) }) else {
            throw PomeloError(.configuration, "the admin module \(module.moduleID) is registered twice")
        }
        modules.append(module)
        if isNeeded { needed.insert(Text(module.moduleID)) }
    }

    /// Whether a module answers and has its rounds.
    public func isEnabled(_ module: String) -> Bool { !disabled.contains(Text(module)) }

    /// Lets a module answer and have its rounds, or not, until this server ends.
    ///
    /// - Throws: `Fault` 404 when there is no such module; 400 when it is one that cannot be done without.
    public func setEnabled(_ module: String, _ isEnabled: Bool) throws(Fault) {
        let id = Text(try find(module).moduleID)
        guard isEnabled || !needed.contains(id) else { throw Fault(400, "\(module) cannot be disabled") }
        if isEnabled { disabled.remove(id) } else { disabled.insert(id) }
    }

    private func find(_ id: String) throws(Fault) -> any AdminModule {
        guard let module = modules.first(where: { Text($0.moduleID) == Text(id) }) else {
            throw Fault(404, "no admin module \(id.forLog)")
        }
        return module
    }

    private func findEnabled(_ id: String) throws(Fault) -> any AdminModule {
        let module = try find(id)
        guard isEnabled(id) else { throw Fault(403, "the admin module \(id) is disabled") }
        return module
    }

    // MARK: life

    /// Starts the modules in order of registration, then their intervals.
    public func start() async throws {
        for module in modules { try await module.start(AdminAgent(admin: self, module: module.moduleID)) }
        for module in modules { schedule(module, after: module.delay) }
    }

    /// Ends the intervals and stops the modules, in reverse order.
    public func stop() async {
        isStopped = true
        for timer in timers.values { context.clock.cancel(timer) }
        timers = [:]
        for module in modules.reversed() { module.stop() }
    }

    private func schedule(_ module: any AdminModule, after delay: Duration? = nil) {
        guard let interval = module.interval, !isStopped, module.kind == .push || context.isMaster else { return }
        timers[module.moduleID] = context.clock.schedule(after: delay ?? interval) { [weak self] in
            self?.tick(module)
            self?.schedule(module)
        }
    }

    /// One round of a module; one that is still at the round before is left alone.
    private func tick(_ module: any AdminModule) {
        let id = module.moduleID
        guard isEnabled(id), running.insert(id).inserted else { return }
        let own = context.serverID
        Loop.spawn { [weak self, failures] in
            do {
                switch module.kind {
                case .push: _ = try await module.monitorHandler(.null)
                case .pull: _ = try await module.masterHandler(.null, from: own)
                }
            } catch {
                failures.write(["pomelo.module": "\(id)", "error": "\(error)"])
            }
            self?.running.remove(id)
        }
    }

    // MARK: calls

    /// Asks a module on one server.
    ///
    /// - Throws: `RPCError`; `.fault` with code 404 when the server has no such module, 403 when it is disabled.
    public func request(
        _ server: ServerID, _ module: String, _ message: JSON = .null, within deadline: Duration? = nil
    ) async throws -> JSON {
        try await call(server, .adminRequest, module, message, within: deadline)
    }

    /// Asks a module of one server, or of every one that is known, all at once.
    ///
    /// - Returns: their answers by server; of one that does not answer in time, or refuses, `{"error": …}`.
    /// - Throws: `Fault` 404 when there is no such server.
    public func ask(
        _ server: ServerID?, _ module: String, _ message: JSON, within deadline: Duration? = nil
    ) async throws -> JSON {
        let all = context.servers.all.map(\.id)
        if let server, !all.contains(server) { throw Fault(404, "no server \(server) is there") }
        let answers = AdminAnswers()
        await withDiscardingTaskGroup { group in
            for id in server.map({ [$0] }) ?? all {
                group.addTask { @Loop @Sendable in
                    do {
                        answers.all[id.rawValue] = try await self.request(id, module, message, within: deadline)
                    } catch {
                        answers.all[id.rawValue] = ["error": .string("\(error)")]
                    }
                }
            }
        }
        return .object(answers.all)
    }

    /// The least role that a person needs for a module of this server.
    ///
    /// - Throws: `Fault` 404 when there is no such module.
    package func leastRole(of module: String) throws(Fault) -> AdminRole { try find(module).leastRole }

    /// Lets a module of this server answer a person, who means one server or all.
    ///
    /// - Throws: what it throws; `Fault` 404 when there is no such module, 403 when it is disabled.
    package func answer(_ module: String, _ message: JSON, for server: ServerID?) async throws -> JSON {
        let agent = AdminAgent(admin: self, module: module)
        return try await findEnabled(module).clientHandler(message, for: server, agent)
    }

    fileprivate func masters() -> [ServerID] { context.servers.up(.master).map(\.id) }

    func notifyMaster(_ module: String, _ message: JSON) async throws -> [ServerID: JSON] {
        guard !masters().isEmpty else { throw RPCError.notSent("no master is up") }
        var answers: [ServerID: JSON] = [:]
        for master in masters() { answers[master] = try await call(master, .adminNotify, module, message) }
        return answers
    }

    private func call(
        _ server: ServerID, _ procedure: Procedure, _ module: String, _ message: JSON, within deadline: Duration? = nil
    ) async throws -> JSON {
        let payload = Self.payload(module, message)
        return try JSON.parse(try await context.rpc.system(server, procedure, payload, within: deadline))
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
            guard let module = try self?.findEnabled(id) else { throw Fault(503, "this server ends") }
            return try await body(module, try JSON.parse(try reader.rest()), caller.server).encoded()
        }
    }
}

@Loop private final class AdminAnswers {
    var all = JSONObject()
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
    public func registerAdmin(_ module: some AdminModule) throws { try registerAdmin(module, isNeeded: false) }

    /// The same, of one that cannot be disabled.
    package func registerAdmin(_ module: some AdminModule, isNeeded: Bool) throws {
        guard state == .created else { throw PomeloError(.notRunning, "admin modules are registered before start") }
        if component(admin.name) == nil { try load(admin) }
        try admin.register(module, isNeeded: isNeeded)
    }
}
