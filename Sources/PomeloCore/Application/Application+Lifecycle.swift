// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

extension Application {
    /// Starts the server: RPC port, components, client port; returns when it serves.
    ///
    /// - Throws: the first error; everything started before it has been stopped again, in reverse order.
    public func start() async throws {
        guard state == .created else { throw PomeloError(.notRunning, "an application starts once") }
        state = .starting
        do {
            try checkSetUp()
            for hook in hooks.beforeStartup { try await step("beforeStartup", hook) }
            try await step("the RPC port") { try await self.startTransport() }
            for component in components {
                started.append(component)
                try await step("the start of \(component.name)") { try await component.start() }
            }
            try checkSecret(for: servers.all.map(\.record))
            try await step("the channels' store") { try await self.channelService.start() }
            for component in components {
                try await step("the afterStart of \(component.name)") { try await component.afterStart() }
            }
            try await step("the client port") { try await self.startConnectors() }
            // Where nobody keeps a view of the cluster, this server is all of it.
            if membership == nil { servers.add([ServerInfo(record: record, instance: instance, state: .up)]) }
            for component in components {
                try await step("the didStart of \(component.name)") { try await component.didStart() }
            }
            hasServed = true
            for hook in hooks.afterStartup { try await step("afterStartup", hook) }
            crons.start()
        } catch {
            // The error is the last word; who asked for the stop has been heard.
            await stopEverything(isTold: stopRequested)
            throw error
        }
        state = .running
        log.info("up")
        for listener in listeners { listener.startServer(serverID) }
        announceStartOfAll()
    }

    /// One step of the start: it ends in time, and not at all once the application was told to stop.
    private func step(_ name: String, _ body: @escaping @Loop @Sendable () async throws -> Void) async throws {
        try checkNotStopping()
        let step = BoundedStep(clock)
        startStep = step
        let outcome = await step.run(within: limits.startStep, body)
        startStep = nil
        try checkNotStopping()
        switch outcome {
        case .done: return
        case .failed(let error): throw error
        case .overdue:
            throw PomeloError(.notRunning, "\(name) on \(serverID) did not end within \(limits.startStep)")
        }
    }

    /// Stops the application from anywhere, also while it starts; returns at once.
    public func requestStop() {
        guard !stopRequested else { return }
        stopRequested = true
        // One that is starting stops itself when its step has ended; the step is told to.
        startStep?.stop(within: limits.stopPhase)
        if state == .running { Loop.spawn { await self.stop() } }
    }

    /// Stops the application because it must not go on; `failure` tells why, and `run` of a process throws it.
    public func fail(_ error: any Error) {
        failure = failure ?? error
        log.error("stopping", metadata: ["error": "\(error)"])
        requestStop()
    }

    /// Suspends until the application has stopped.
    public func stopped() async {
        await withCheckedContinuation { waiter in
            if state == .stopped { waiter.resume() } else { stopWaiters.append(waiter) }
        }
    }

    private func checkNotStopping() throws {
        if let failure { throw failure }
        if stopRequested { throw PomeloError(.notRunning, "\(serverID) was stopped while it started") }
    }

    /// Stops in order: no new work, clients closed, components in reverse, RPC last; later calls await the first.
    ///
    /// A step that takes longer than `Limits.stopPhase`, or its component's `stopDeadline`, is logged and left behind.
    public func stop() async {
        switch state {
        case .stopped: return
        case .stopping: await stopped()
        case .starting:
            requestStop()
            await stopped()
        default: await stopEverything()
        }
    }

    private func checkSetUp() throws {
        warn()
        guard isFrontend != connectors.isEmpty else {
            throw PomeloError(
                .configuration,
                isFrontend
                    ? "\(serverID) is a frontend in \(configuration.path("servers")) but has no connector"
                    : "\(serverID) has a connector but is no frontend in \(configuration.path("servers"))"
                        + configuration.hint(for: "frontend", of: serverID))
        }
        let hint = configuration.hint(for: "clientPort", of: serverID)
        _ = try ClientPlan(connectors, record, file: configuration.path("servers"), hint: hint)
        if secret.isEmpty, env != "development" {
            throw PomeloError(.configuration, "the cluster secret is required outside development (POMELO_SECRET)")
        }
        try checkSecret(for: configuration.servers)
        try checkDeclaredRoutes()
        try checkFilters()
        try crons.load(
            isMaster ? [] : try CronFile.crons(of: serverType, in: configuration), from: configuration.path("crons"))
    }

    /// Without a secret anybody can call a server that other machines reach.
    private func checkSecret(for records: [ServerRecord]) throws {
        guard secret.isEmpty else { return }
        for record in records where !SocketAddress(host: record.host, port: record.port).isLoopback {
            let place = "\(record.id) is at \(record.host), which other machines reach"
            throw PomeloError(.configuration, "the cluster secret is required (POMELO_SECRET): \(place)")
        }
    }

    private func startTransport() async throws {
        let own = ServerInfo(record: record, instance: instance, state: .joining)
        let context = RPCContext(
            network: network, clock: clock, random: random, cluster: clusterName, secret: secret, own: own,
            servers: servers, procedures: procedures)
        try await listening(by: ["host", "port"]) { try await transport.start(context) }
        if record.port == 0 { record.port = transport.localAddress?.port ?? 0 }
        if membership == nil { servers.add([ServerInfo(record: record, instance: instance, state: .joining)]) }
    }

    private func startConnectors() async throws {
        let room = ConnectionRoom([record.maxConnections, network.connectionLimit].compactMap { $0 }.min())
        for port in try ClientPlan(connectors, record, file: configuration.path("servers")).ports {
            let context = ConnectorContext(
                network: network, clock: clock, random: random, address: port.address, room: room,
                tls: port.tls, blacklist: blacklist)
            let keys = [record.bind == nil ? "host" : bindKey, record.clientKey]
            try await listening(by: keys) {
                if port.sharing.isEmpty {
                    try await port.connector.start(dispatcher, context)
                } else {
                    try await port.connector.start(dispatcher, context, with: port.sharing)
                }
            }
        }
    }

    /// Who cannot listen says where the address comes from: the file or the command line, and the keys.
    private func listening(by keys: [String], _ body: @Loop () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as PomeloError where error.code == .network {
            let isGiven = keys.map(configuration.keysOfArguments.contains)
            let areAllGiven = isGiven.allSatisfy { $0 }
            let file = configuration.folder.isEmpty ? "" : configuration.path(isMaster ? "master" : "servers") + ": "
            let marked = zip(keys, isGiven).map { $1 && !areAllGiven ? "(on the command line) \($0)" : $0 }
            let source = (areAllGiven ? "the command line: " : file) + marked.joined(separator: " and ")
            throw PomeloError(.network, "\(source) of \(serverID): \(error.message)", cause: error.cause)
        }
    }

    private func stopEverything(isTold: Bool = true) async {
        state = .stopping
        for hook in hasServed ? hooks.beforeShutdown.reversed() : [] { await stopStep("beforeShutdown", nil, hook) }
        await crons.stop(within: limits.stopPhase)
        for component in started.reversed() {
            await stopStep("the willStop of \(component.name)", component.stopDeadline) { await component.willStop() }
        }
        await dispatcher.drain(within: limits.drain)
        pushSchedulers.flush()
        for connector in connectors.reversed() {
            await stopStep("the client port", nil) { await connector.stop() }
        }
        for session in sessionService.all { sessionService.close(session, .stopped) }
        for component in started.reversed() {
            await stopStep("the stop of \(component.name)", component.stopDeadline) { await component.stop() }
        }
        await stopStep("the channels' store", nil) { await self.channelService.stop() }
        pauseWatch.stop()
        await transport.stop(within: limits.stopPhase)
        sessionService.retire()
        procedures.retire()
        state = .stopped
        if isTold { log.info("stopped") }
        let waiters = stopWaiters
        stopWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    private func stopStep(
        _ name: String, _ deadline: Duration?, _ body: @escaping @Loop @Sendable () async throws -> Void
    ) async {
        switch await BoundedStep(clock).run(within: deadline ?? limits.stopPhase, body) {
        case .done: return
        case .failed(let error): log.error("\(name) failed", metadata: ["error": "\(error)"])
        case .overdue: log.error("\(name) did not end in time")
        }
    }
}
