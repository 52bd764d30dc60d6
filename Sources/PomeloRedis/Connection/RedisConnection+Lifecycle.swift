// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloTLS
import PomeloUV

// connect ─► shake hands ─► up ─► lost ─► wait, longer each time ─► connect …; stop ends it from anywhere.

/// Somebody who waits for a connection.
@Loop final class RedisStarter {
    /// No longer than this, whatever happens.
    let deadline: UInt64
    var timer: TimerID?
    /// Nil when the connection is up.
    let outcome = FirstOutcome<RedisError?>()

    init(deadline: UInt64) { self.deadline = deadline }
}

extension RedisConnection {
    /// Connects, and waits for the first success: at most the connect timeout where nobody answers, at most `patience`
    /// for a server that is there but is slow, or loads its data; without one, `startTimeoutSeconds`.
    ///
    /// - Throws: the reason of the last failure, naming host and port; a refused password, user or database at once,
    ///   naming its key, and so a server that is too old, and a value of the configuration that cannot be; `.closed`
    ///   when the task is cancelled. The connection is stopped then.
    public func start(within patience: Duration? = nil) async throws(RedisError) {
        let patience = patience ?? configuration.startTimeout
        do throws(RedisError) {
            try await startAndWait(within: min(configuration.connectTimeout, patience), patience: patience)
        } catch {
            await stop()
            throw error
        }
    }

    /// The same, but after a failure it goes on trying.
    func startAndWait(within limit: Duration, patience: Duration = .zero) async throws(RedisError) {
        if let objection { throw objection }
        startInBackground()
        let starter = RedisStarter(deadline: clock.deadline(after: max(limit, patience)))
        let failure = await withTaskCancellationHandler {
            begin(starter, within: limit)
            return await starter.outcome.wait()
        } onCancel: {
            Loop.spawn { self.tell(starter, .closed) }
        }
        if let failure { throw failure }
    }

    /// Gives up at the instant, unless a server has been there within the last `limit`.
    private func begin(_ starter: RedisStarter, within limit: Duration) {
        if isUp { return tell(starter, nil) }
        guard phase == .running, !Task.isCancelled else { return tell(starter, .closed) }
        starters.append(starter)
        watch(starter, until: clock.deadline(after: limit), limit)
    }

    private func watch(_ starter: RedisStarter, until instant: UInt64, _ limit: Duration) {
        starter.timer = clock.schedule(at: instant) { [self] in
            let sign = isShakingHands ? clock.now : lastSign ?? 0
            let later = min(starter.deadline, sign &+ limit.clampedNanoseconds)
            if later > clock.now { return watch(starter, until: later, limit) }
            let milliseconds = limit.clampedMilliseconds
            tell(starter, lastFailure ?? .connection("cannot connect to \(place) within \(milliseconds) ms"))
        }
    }

    /// Connects without waiting.
    func startInBackground() {
        guard phase == .idle, objection == nil else { return }
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
            serves = false
            life?.cancel()
            dial?.cancel()
            resting?.cancel()
            reset("the client was stopped")
            tellStarters(.closed)
            await life?.value
            phase = .stopped
        case .stopping, .stopped:
            await life?.value
        }
    }

    private func tellStarters(_ failure: RedisError?) {
        for starter in starters { tell(starter, failure) }
    }

    private func tell(_ starter: RedisStarter, _ failure: RedisError?) {
        starters.removeAll { $0 === starter }
        if let timer = starter.timer { clock.cancel(timer) }
        starter.outcome.end(with: failure)
    }

    private func live() async {
        // A connection that is lost again at once makes no pause short.
        var backoff = Backoff(first: .milliseconds(50), limit: locator.longestPause, settled: .seconds(2))
        var wasUp = false
        while phase == .running {
            var since: UInt64?
            let begun = clock.now
            do throws(RedisError) {
                try await connect()
                if end == nil, phase == .running {
                    since = clock.now
                    becameReady(reconnected: wasUp)
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
            if let since { backoff.ended(after: clock.elapsed(since: since)) }
            let limit = backoff.failed()
            // Anything up to the limit, so that a thousand clients do not return together.
            let pause = random.jittered(limit / 2, by: 1)
            // Nobody can show himself while nobody asks.
            if let sign = lastSign, sign >= begun { lastSign = clock.deadline(after: pause) }
            let rest = Loop.spawn { [clock] in await clock.sleep(for: pause) }
            resting = rest
            await rest.value
        }
    }

    /// The server is at another place now: whatever goes on with the former one ends, and the next attempt is at once.
    func leave(for place: SocketAddress) {
        guard located != place else { return }
        dial?.cancel()
        resting?.cancel()
        reset("the primary has moved to \(place)")
    }

    /// A server that has become a replica, or has lost its data, is left: only a new one can reach its successor.
    ///
    /// A script may have said so of itself, so the server is asked.
    func doubt(_ error: String) {
        guard !isInDoubt else { return }
        isInDoubt = true
        let questioned = socket
        Loop.spawn {
            let commands = [RedisCommand("PING"), RedisCommand("ROLE")]
            var isFine = false
            do throws(RedisError) {
                let replies = try await self.exchange(commands, CommandLoad(commands[...]), as: .part)
                isFine = !replies.contains(where: \.isError) && replies[1].array?.first?.string != "slave"
            } catch {
                self.logger.debug("the role of redis is not known", metadata: ["redis.reason": "\(error)"])
            }
            self.isInDoubt = false
            if !isFine, self.socket === questioned { self.reset(error) }
        }
    }

    private func becameReady(reconnected: Bool) {
        lastFailure = nil
        logger.log(
            level: reconnected || tellsOfStart ? .notice : .debug, "redis is connected",
            metadata: ["redis.place": "\(place)", "redis.run": "\(runID)"])
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
        let address = try await locator.locate()
        located = address
        if locator.hasSuccessors { lastSign = clock.now }
        do throws(RedisError) {
            let reached = try await reach(address)
            do throws(RedisError) {
                // A stop that came after the connection had been made found no socket to close.
                guard phase == .running else { throw .closed }
                try await shakeHands(at: address)
            } catch {
                resolver.note(address.host, reached.host, isGood: false)
                throw error
            }
            resolver.note(address.host, reached.host, isGood: true)
        } catch {
            locator.wasWrong(about: address)
            throw error
        }
    }

    private func reach(_ address: SocketAddress) async throws(RedisError) -> SocketAddress {
        let dial = Dial(resolver, to: address)
        self.dial = dial
        defer { self.dial = nil }
        do throws(NetworkError) {
            let engine = try await TLSEngine.load(configuration.tls, to: address)
            let connected = try await dial.run(within: configuration.connectTimeout)
            socket = try RedisSocket(
                connected, maxReplyBytes: configuration.maxReplyBytes, tls: engine, owner: self)
            return connected.address
        } catch {
            throw .connection("cannot connect to \(place): \(error.reason)")
        }
    }

    private func shakeHands(at address: SocketAddress) async throws(RedisError) {
        let handshake = RedisHandshake(
            configuration, at: address, name: name, role: locator.role)
        let replies: [RedisReply]
        isShakingHands = true
        defer { isShakingHands = false }
        do throws(RedisError) {
            let commands = handshake.commands
            replies = try await exchange(commands, CommandLoad(commands[...]), as: .handshake)
        } catch {
            reset("handshake failed")
            // Nobody's command was among these.
            if case .connection(let text, _) = error { throw .connection(text) }
            guard case .timeout = error else { throw error }
            lastSign = clock.now
            throw .connection("\(place) does not answer: \(error)")
        }
        switch handshake.verdict(replies) {
        case .ready(let id, let refused):
            runID = id
            if !refused.isEmpty {
                logger.warning(
                    "a redis user without rights to these: another server, or one too old, is not noticed",
                    metadata: ["redis.commands": "\(refused)"])
            }
        case .misconfigured(let text):
            reset(text)
            throw .reply(text)
        case .unready(let text):
            lastSign = clock.now
            reset(text)
            throw .connection(text)
        }
    }
}
