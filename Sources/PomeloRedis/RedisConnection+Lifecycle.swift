// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloUV

// connect ─► shake hands ─► up ─► lost ─► wait, longer each time ─► connect …; stop ends it from anywhere.

extension RedisConnection {
    private static let firstWait = Duration.milliseconds(50)
    private static let longestWait = Duration.seconds(2)
    /// A connection that lasted this long makes the next wait short again.
    private static let settled = Duration.seconds(2)

    /// Connects, and waits for the first success at most the connect timeout.
    ///
    /// - Throws: the reason of the last failure, naming host and port; a refused password, user or database at once,
    ///   naming its key. The connection is stopped then.
    public func start() async throws(RedisError) {
        do throws(RedisError) {
            try await startAndWait(within: configuration.connectTimeout)
        } catch {
            await stop()
            throw error
        }
    }

    /// The same, but after a failure it goes on trying.
    func startAndWait(within limit: Duration) async throws(RedisError) {
        startInBackground()
        var timer: TimerID?
        let failure = await withCheckedContinuation { (starter: CheckedContinuation<RedisError?, Never>) in
            if isUp { return starter.resume(returning: nil) }
            guard phase == .running else { return starter.resume(returning: .closed) }
            starters.append(starter)
            timer = clock.schedule(after: limit) { [weak self] in self?.startTimedOut(limit) }
        }
        if let timer { clock.cancel(timer) }
        if let failure { throw failure }
    }

    /// Connects without waiting.
    func startInBackground() {
        guard phase == .idle else { return }
        phase = .running
        life = Loop.spawn { await self.live() }
    }

    /// Ends the connection; commands without a reply fail, later ones throw `.closed`.
    public func stop() async {
        switch phase {
        case .idle:
            phase = .stopped
        case .running:
            phase = .stopping
            isUp = false
            life?.cancel()
            reset("the client was stopped")
            tellStarters(.closed)
            await life?.value
            phase = .stopped
        case .stopping, .stopped:
            await life?.value
        }
    }

    /// Whoever waits longest waits in vain with whoever waits shortest: there is one connection.
    private func startTimedOut(_ limit: Duration) {
        let milliseconds = limit.clampedMilliseconds
        tellStarters(lastFailure ?? .connection("cannot connect to \(place) within \(milliseconds) ms"))
    }

    private func tellStarters(_ failure: RedisError?) {
        let waiting = starters
        starters = []
        for starter in waiting { starter.resume(returning: failure) }
    }

    private func live() async {
        var attempt = 0
        var wasUp = false
        while phase == .running {
            let since = clock.now
            do throws(RedisError) {
                try await connect()
                if end == nil, phase == .running {
                    came(reconnected: wasUp)
                    wasUp = true
                    await untilLost()
                    went()
                }
            } catch {
                failed(error, silent: lastFailure != nil)
            }
            socket?.close()
            socket = nil
            guard phase == .running else { return }
            if wasUp, clock.now - since >= Self.settled.clampedNanoseconds { attempt = 0 }
            await clock.sleep(for: wait(attempt))
            attempt += 1
        }
    }

    /// Anything up to a limit that doubles, so that a thousand clients do not return together.
    private func wait(_ attempt: Int) -> Duration {
        let limit = min(Self.firstWait * (1 << min(attempt, 10)), Self.longestWait)
        return random.jittered(limit / 2, by: 1)
    }

    private func came(reconnected: Bool) {
        lastFailure = nil
        logger.notice("redis is connected", metadata: ["redis.place": "\(place)", "redis.run": "\(runID)"])
        becameUp(reconnected: reconnected)
        tellStarters(nil)
    }

    private func went() {
        let text = "\(place): connection lost: \(end?.text ?? "closed")"
        lastFailure = .connection(text)
        if phase == .running { logger.warning("redis is away", metadata: ["redis.reason": "\(text)"]) }
        becameDown(text)
    }

    private func failed(_ error: RedisError, silent: Bool) {
        lastFailure = error
        guard phase == .running else { return }
        let level: Logger.Level = silent ? .debug : .warning
        logger.log(level: level, "redis cannot be reached", metadata: ["redis.reason": "\(error)"])
        if case .reply = error { tellStarters(error) }
    }

    private func untilLost() async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            if end != nil { waiter.resume() } else { losing = waiter }
        }
    }

    // MARK: one attempt

    private func connect() async throws(RedisError) {
        end = nil
        isOpen = false
        let address = SocketAddress(host: configuration.host, port: configuration.port)
        do throws(NetworkError) {
            let numeric = try await resolver.resolve(address)
            guard phase == .running else { throw NetworkError(code: "ECANCELED", description: "stopped") }
            socket = try RedisSocket(numeric, owner: self)
        } catch {
            throw .connection("cannot connect to \(place): \(error.description)")
        }
        if let failure = await untilOpen() {
            throw .connection("cannot connect to \(place): \(failure.text)")
        }
        try await shakeHands()
    }

    private func untilOpen() async -> SocketEnd? {
        let milliseconds = configuration.connectTimeout.clampedMilliseconds
        let limit = clock.schedule(after: configuration.connectTimeout) { [weak self] in
            self?.reset("no connection within \(milliseconds) ms")
        }
        defer { clock.cancel(limit) }
        return await withCheckedContinuation { waiter in
            if isOpen || end != nil { waiter.resume(returning: end) } else { opening = waiter }
        }
    }

    private func shakeHands() async throws(RedisError) {
        let handshake = RedisHandshake(configuration, name: name)
        let replies: [RedisReply]
        do throws(RedisError) {
            replies = try await exchange(handshake.commands, shakingHands: true)
        } catch {
            reset("handshake failed")
            if case .timeout = error { throw .connection("\(place) does not answer: \(error)") }
            throw error
        }
        switch handshake.verdict(replies) {
        case .ready(let id):
            runID = id
        case .misconfigured(let text):
            reset(text)
            throw .reply(text)
        case .unready(let text):
            reset(text)
            throw .connection(text)
        }
    }
}
