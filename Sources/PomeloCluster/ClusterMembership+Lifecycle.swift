// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloRedis

extension ClusterMembership {
    /// How many running servers are asked to accept our secret before the start goes on without an answer.
    private static let secretAttempts = 3
    /// How often the id is tried again when its holder changes meanwhile.
    private static let joinAttempts = 5
    private static let tokenPoll = Duration.milliseconds(100)
    private static let tokenPatience = Duration.seconds(30)

    // MARK: start

    /// Connects, proves the secret and joins.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable` naming host and port, or `.configuration`: the secret is refused, or
    ///   the id is running elsewhere.
    public func start() async throws {
        try await orUnavailable { () async throws(RedisError) in
            try await ports.client?.start()
            try await view.load()
        }
        try await proveSecret()
        // A port that the configuration leaves open is known only now.
        if keeper.info.record.port == 0 { keeper.info.record.port = ports.transport.localAddress?.port ?? 0 }
        keeper.info.services = reaper.cleaners.map(\.name).sorted()
        try await join()
        isJoined = true
        phase = .joining
        view.setOwn(keeper.info)
        observe(ports.redis)
        if ports.control !== ports.redis { observe(ports.control) }
        startTickers()
    }

    /// Cleans up what a former instance has left, now that every service is ready to, and follows the cluster.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func afterStart() async throws {
        try await cleanUpFormerInstance()
        phase = .member
        await subscribe()
        await view.follow()
    }

    /// Tells everybody that this server serves.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func didStart() async throws { try await move(to: .up) }

    private func proveSecret() async throws {
        let running = servers.all.filter { $0.state == .up && $0.id != id }
        for server in running.prefix(Self.secretAttempts) {
            do {
                try await ports.transport.proveSecret(to: server)
                return
            } catch let error as PomeloError where error.code == .unreachable {
                log.notice("cannot prove the cluster secret to \(server.id): \(error)")
            }
        }
    }

    private func join() async throws {
        let record = keeper.info.record
        var replacing: InstanceID?
        for _ in 0..<Self.joinAttempts {
            let holder = try await orUnavailable { () async throws(RedisError) in
                try await keeper.join(replacing: replacing)
            }
            guard let holder else { return }
            replacing = RegistryEntry.instance(holder)
            guard let other = RegistryEntry.decode(holder, of: id) else { continue }
            // We listen where it did, so it cannot be alive.
            if other.record.host == record.host, other.record.port == record.port { continue }
            if await ports.transport.ping(other, within: options.pingDeadline) {
                throw PomeloError(
                    .configuration,
                    "server id \(id) is already running at \(other.record.host):\(other.record.port)")
            }
        }
        throw PomeloError(.configuration, "server id \(id) is being started by several processes")
    }

    private func startTickers() {
        tickers = [
            Ticker(every: options.renewEvery, clock, random) { [weak self] in await self?.renew() },
            Ticker(every: options.scanEvery, clock, random) { [weak self] in await self?.scan() },
            Ticker(every: options.reloadEvery, clock, random) { [weak self] in self?.view.reload() },
        ]
        for ticker in tickers { ticker.start() }
    }

    /// Nothing is published before what a former instance left is gone.
    private func cleanUpFormerInstance() async throws {
        let patience = clock.deadline(after: Self.tokenPatience)
        while clock.now < patience {
            do {
                if try await cleanUpOnce() { return }
            } catch let error as RedisError {
                throw PomeloError(.redisUnavailable, "\(error)", cause: error)
            } catch is Reaper.TokenLost {
                log.notice("the clean-up of the former instance took too long: once more")
            }
            await clock.sleep(for: Self.tokenPoll)
        }
        throw PomeloError(.redisUnavailable, "the clean-up after the former instance of \(id) does not end")
    }

    /// False while another server cleans up after the former instance.
    private func cleanUpOnce() async throws -> Bool {
        let token = reaper.makeToken()
        guard try await registry.takeToken(id, token, for: options.reapToken) else { return false }
        try await reaper.runCleaners(for: id, instance, token)
        guard try await registry.finish(id, token) else { throw Reaper.TokenLost() }
        // Makes the lease hash anew.
        await stand(try await confirm())
        return true
    }

    // MARK: stop

    /// Tells everybody that this server takes no new work.
    public func willStop() async {
        guard isJoined else { return }
        do {
            try await move(to: .draining)
        } catch {
            log.warning(
                "cannot tell the cluster that this server stops", metadata: ["pomelo.reason": "\(error)"])
        }
    }

    /// Leaves the registry, and closes the connections last.
    public func stop() async {
        phase = .stopped
        leaseHealth.stop()
        for ticker in tickers { ticker.stop() }
        reaper.stop()
        for (port, observation) in observations { port.unobserve(observation) }
        ports.messages?.unsubscribe(registry.keys.hint)
        view.close()
        if isJoined {
            isJoined = false
            do throws(RedisError) {
                try await keeper.leave()
            } catch {
                log.warning("cannot leave the registry", metadata: ["pomelo.reason": "\(error)"])
            }
        }
        await ports.client?.stop()
    }

    // MARK: helpers

    /// Here first, then in the registry.
    private func move(to state: ServerState) async throws {
        keeper.state = state
        view.setOwn(keeper.info)
        let standing = try await orUnavailable { () async throws(RedisError) in
            try await keeper.announce()
        }
        await stand(standing)
        await view.follow()
    }

    private func orUnavailable<Value>(
        _ body: () async throws(RedisError) -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw PomeloError(.redisUnavailable, "\(error)", cause: error)
        }
    }
}
