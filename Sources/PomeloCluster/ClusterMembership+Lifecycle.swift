// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloRedis

extension ClusterMembership {
    /// The pause before what failed is tried again.
    private static let retryPause = Duration.milliseconds(250)
    private static let tokenPoll = Duration.milliseconds(100)
    private static let tokenPatience = Duration.seconds(30)

    // MARK: start

    /// Connects, proves the secret and joins.
    ///
    /// A Redis that is slow or loads its data is waited for, and servers that do not answer are asked again, as long as
    /// the start may take (`Limits.startStep`).
    ///
    /// - Throws: `PomeloError` `.redisUnavailable` naming host and port; `.configuration`: the secret is refused, or
    ///   the id is running elsewhere; `.noAnswer`: nobody who must be asked about the secret answers.
    public func start() async throws {
        let limit = patience()
        try await orUnavailable { () async throws(RedisError) in try await ports.client?.start() }
        try await patiently(until: limit) { () async throws(RedisError) in
            try await view.load()
            // What will be asked again and again must be allowed.
            _ = try await registry.look(limit: 1)
        }
        try await proveSecret(until: limit)
        try await rollCall.ask(within: options.pingDeadline)
        // A port that the configuration leaves open is known only now.
        if renewer.info.record.port == 0 { renewer.info.record.port = ports.transport.localAddress?.port ?? 0 }
        renewer.info.services = reaper.cleaners.map(\.name).sorted()
        try checkEntry()
        try await join(until: limit)
        isJoined = true
        phase = .joining
        view.setOwn(renewer.info)
        ports.client?.observeHealth { [weak self] in self?.leaseHealth.delivers = $0 == .ready }
        observe(ports.redis)
        if ports.control !== ports.redis { observe(ports.control) }
        startPeriodicTasks()
    }

    /// Cleans up what a former instance has left, now that every service is ready to, follows the cluster, and lets it
    /// know this server before clients come.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func afterStart() async throws {
        try await cleanUpFormerInstance()
        phase = .member
        await subscribe()
        await view.follow()
        await awaitMissing()
        if isFrontend { await introduction.toAll() }
    }

    /// Tells everybody that this server serves.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func didStart() async throws { try await move(to: .up, until: patience()) }

    /// When a step of the start that must tell why it failed gives up: before it is given up.
    private func patience() -> UInt64 { clock.deadline(after: limits().startStep * 0.9) }

    /// Others would ignore an entry that they cannot read.
    private func checkEntry() throws {
        do throws(RegistryEntry.Unreadable) {
            _ = try RegistryEntry.read(RegistryEntry.encode(renewer.info), of: id)
        } catch {
            throw PomeloError(.configuration, "the record of \(id) cannot be registered: \(error)", cause: error)
        }
    }

    /// Shows one server that is up that the secret is the same; there may be none.
    ///
    /// Who refuses connections is dead, and who has let its lease end is as good as dead. Who holds its lease and says
    /// nothing is busy: it is asked again, for a server must not join unproved because others are flooded.
    private func proveSecret(until limit: UInt64) async throws {
        while true {
            let running = try await listed(until: limit).filter {
                $0.info.state == .up && !$0.isExpired && $0.info.id != id
            }
            var busy: PomeloError?
            for server in running {
                do {
                    return try await ports.transport.proveSecret(to: server.info)
                } catch let error as PomeloError where error.code == .unreachable {
                    log.notice("cannot prove the cluster secret to \(server.info.id): \(error)")
                } catch let error as PomeloError where error.code == .noAnswer {
                    busy = error
                }
                guard clock.now < limit else { break }
            }
            guard let busy else { return }
            guard clock.now < limit else {
                throw PomeloError(.noAnswer, "the cluster secret cannot be proved: \(busy)", cause: busy)
            }
            log.notice("the cluster secret is not proved yet", metadata: ["pomelo.reason": "\(busy)"])
            await clock.sleep(for: Self.retryPause)
            try Task.checkCancellation()
        }
    }

    private func listed(until limit: UInt64) async throws -> [RegisteredServer] {
        try await patiently(until: limit) { () async throws(RedisError) in try await registry.servers() }
    }

    private func join(until limit: UInt64) async throws {
        var replacing: InstanceID?
        for _ in 0..<Self.joinAttempts {
            let holder = try await patiently(until: limit) { () async throws(RedisError) in
                try await renewer.join(replacing: replacing)
            }
            guard let holder else { return }
            replacing = holder.instance
            guard await !isDead(holder), let other = holder.info else { continue }
            throw PomeloError(
                .configuration,
                "server id \(id) is already running at \(other.record.host):\(other.record.port)")
        }
        throw PomeloError(.configuration, "server id \(id) is being started by several processes")
    }

    /// A registry that has lost data is whole again after one renewal period.
    private func awaitMissing() async {
        let limit = clock.deadline(after: options.renewEvery * 1.1)
        guard !isViewComplete else { return }
        log.notice(
            "servers that answer are not in the registry: waiting for them",
            metadata: ["pomelo.servers": "\(rollCall.missing)"])
        while !isViewComplete, clock.now < limit, phase == .member, !Task.isCancelled {
            await clock.sleep(for: Self.tokenPoll)
            await view.follow()
        }
    }

    private func startPeriodicTasks() {
        periodicTasks = [
            PeriodicTask(every: options.renewEvery, clock, random) { [weak self] in await self?.renew() },
            PeriodicTask(every: options.scanEvery, clock, random) { [weak self] in await self?.scan() },
            PeriodicTask(every: options.reloadEvery, clock, random) { [weak self] in self?.view.reload() },
        ]
        for task in periodicTasks { task.start() }
    }

    /// Nothing is published before what a former instance left is gone.
    private func cleanUpFormerInstance() async throws {
        let patience = clock.deadline(after: Self.tokenPatience)
        while clock.now < patience {
            do {
                if try await cleanUpOnce() { return }
            } catch let error as RedisError where error.isPassing {
                log.notice("cannot clean up yet", metadata: ["pomelo.reason": "\(error)"])
            } catch let error as RedisError {
                throw PomeloError(.redisUnavailable, "\(error)", cause: error)
            } catch is Reaper.TokenLost {
                log.notice("the clean-up of the former instance took too long: once more")
            }
            await clock.sleep(for: Self.tokenPoll)
            // Whoever is cancelled does not sleep, and would try again and again.
            try Task.checkCancellation()
        }
        throw PomeloError(.redisUnavailable, "the clean-up after the former instance of \(id) does not end")
    }

    /// False while another server cleans up after the former instance.
    private func cleanUpOnce() async throws -> Bool {
        let token = reaper.makeToken()
        guard try await registry.takeToken(id, token, for: options.reapToken) else { return false }
        try await reaper.runCleaners(for: id, instance, token)
        guard try await registry.finish(id, token, successor: instance) else { throw Reaper.TokenLost() }
        await conclude(from: try await confirm(claims: true))
        return true
    }

    // MARK: stop

    /// Tells everybody that this server takes no new work.
    public func willStop() async {
        guard isJoined else { return }
        do {
            try await move(to: .draining, until: 0)
        } catch {
            log.warning(
                "cannot tell the cluster that this server stops", metadata: ["pomelo.reason": "\(error)"])
        }
    }

    /// Leaves the registry, unless something published under the lease could not be removed, or a start ends before
    /// what a former instance left was; and closes the connections last.
    public func stop() async {
        await resign()
        let hasCleanedUp = phase == .member
        phase = .stopped
        leaseHealth.stop()
        for task in periodicTasks { task.stop() }
        reaper.stop()
        for (port, observation) in observations { port.unobserve(observation) }
        ports.messages?.unsubscribe(registry.keys.hint)
        view.close()
        if isJoined {
            isJoined = false
            await leave(hasCleanedUp)
        }
        await ports.client?.stop()
    }

    /// From all offices at once: each waits for Redis as long as that is away.
    private func resign() async {
        await withTaskGroup(of: Void.self) { group in
            for election in elections.values { group.addTask { @Loop @Sendable in await election.resign() } }
        }
    }

    /// Nobody cleans up after who is not registered.
    private func leave(_ hasCleanedUp: Bool) async {
        renewer.leaves()
        guard hasCleanedUp else {
            return log.warning("what a former instance has left is not removed: left to the others, after its lease")
        }
        guard !publishers.contains(where: \.isBehind) else {
            return log.warning("what this server has published is not removed: left to the others, after its lease")
        }
        do throws(RedisError) {
            _ = try await registry.leave(renewer.info)
        } catch {
            log.warning("cannot leave the registry", metadata: ["pomelo.reason": "\(error)"])
        }
    }

    // MARK: helpers

    /// Here first, then in the registry.
    private func move(to state: ServerState, until limit: UInt64) async throws {
        renewer.state = state
        view.setOwn(renewer.info)
        let standing = try await patiently(until: limit) { () async throws(RedisError) in
            let standing = try await renewer.announce()
            if case .taken = standing { return try await confirm() }
            return standing
        }
        await conclude(from: standing)
        await view.follow()
    }

    /// Tries again until then, when Redis may be able to answer soon.
    private func patiently<Value>(
        until limit: UInt64, _ body: () async throws(RedisError) -> Value
    ) async throws -> Value {
        try await orUnavailable { () async throws(RedisError) in
            while true {
                do throws(RedisError) {
                    return try await body()
                } catch {
                    guard error.isPassing, clock.now < limit, !Task.isCancelled else { throw error }
                    log.notice("redis does not answer yet", metadata: ["pomelo.reason": "\(error)"])
                    await clock.sleep(for: Self.retryPause)
                }
            }
        }
    }
}

extension RedisError {
    /// Whether the same question may be answered soon: nothing is wrong but time.
    var isPassing: Bool {
        switch self {
        case .timeout, .connection, .overloaded: true
        case .reply(let text):
            ["LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN"].contains { text.contains($0 + " ") }
        case .protocolError, .refused, .closed: false
        }
    }
}
