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
            try await startTransport()
            for component in components {
                try checkNotStopping()
                started.append(component)
                try await component.start()
            }
            for component in components { try await component.afterStart() }
            try checkNotStopping()
            try await startConnector()
            // Where nobody keeps a view of the cluster, this server is all of it.
            if membership == nil { servers.add([ServerInfo(record: record, instance: instance, state: .up)]) }
            for component in components { try await component.didStart() }
            try checkNotStopping()
            crons.start()
        } catch {
            await stopEverything()
            throw error
        }
        state = .running
        log.info("up")
    }

    /// Stops the application from anywhere, also while it starts; returns at once.
    public func requestStop() {
        guard !stopRequested else { return }
        stopRequested = true
        // One that is starting notices by itself, at its next step.
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
    public func stop() async {
        switch state {
        case .stopped: return
        case .stopping: await stopped()
        // `start` notices at its next step, and stops what it has started.
        case .starting:
            stopRequested = true
            await stopped()
        default: await stopEverything()
        }
    }

    private func checkSetUp() throws {
        guard isFrontend == (connector != nil) else {
            throw PomeloError(
                .configuration,
                isFrontend
                    ? "\(serverID) is a frontend in \(configuration.path("servers")) but has no connector"
                    : "\(serverID) has a connector but is no frontend in \(configuration.path("servers"))")
        }
        if isFrontend, record.clientPort == nil {
            throw PomeloError(.configuration, "\(configuration.path("servers")): \(serverID) has no clientPort")
        }
        if secret.isEmpty, env != "development" {
            throw PomeloError(.configuration, "the cluster secret is required outside development (POMELO_SECRET)")
        }
        try crons.load()
    }

    private func startTransport() async throws {
        let own = ServerInfo(record: record, instance: instance, state: .joining)
        if membership == nil { servers.add([own]) }
        try await transport.start(
            RPCContext(
                network: network, clock: clock, random: random, cluster: clusterName, secret: secret, own: own,
                servers: servers, procedures: procedures))
    }

    private func startConnector() async throws {
        guard let connector, let port = record.clientPort else { return }
        let address = SocketAddress(host: record.bind ?? record.host, port: port)
        try await connector.start(
            self, ConnectorContext(network: network, clock: clock, random: random, address: address))
    }

    private func stopEverything() async {
        state = .stopping
        await crons.stop(within: limits.stopPhase)
        for component in started.reversed() { await component.willStop() }
        await connector?.stop()
        for session in sessionService.all { sessionService.close(session, .stopped) }
        for component in started.reversed() { await component.stop() }
        await transport.stop(within: limits.stopPhase)
        state = .stopped
        log.info("stopped")
        let waiters = stopWaiters
        stopWaiters = []
        for waiter in waiters { waiter.resume() }
    }
}
