// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

/// What the monitor looks at, and what it can do about it.
@Loop protocol HealthSubject: AnyObject {
    /// Why commands cannot be given now, without having tried.
    var outage: String? { get }
    /// Why messages cannot come now, on the connections that carry channels.
    var messageOutage: String? { get }
    var subscriptions: RedisSubscriptions { get }
    /// Before channels, where the pipeline puts it by itself.
    var channelPrefix: String { get }
    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply]
    /// Makes all connections anew, at whatever place the server is now.
    func resolveAgain(_ reason: String)
}

/// Sends canaries through the ways that users' commands and messages take, and heals what does not deliver.
///
/// A connection that is up proves nothing: a demoted primary answers reads, a frozen proxy takes everything, and a
/// subscription may be gone while its connection is well. So a key is written, and a message published that must come
/// back, unless other messages have come since the last time.
@Loop final class HealthMonitor {
    private static let every = Duration.seconds(10)
    private static let soon = (least: Duration.seconds(4), most: Duration.seconds(5))
    private static let soonest = Duration.milliseconds(500)

    private(set) var findings = HealthFindings(commands: "not connected yet")
    var onChange: (@Loop (RedisHealth) -> Void)?

    weak var subject: (any HealthSubject)?
    private let key: String
    private let channel: String
    private let patience: Duration
    private let random: RandomSource
    private let clock: any LoopClock
    private let logger: Logger
    private var told = RedisHealth.degraded("not connected yet")
    private var timer: TimerID?
    private var isRunning = false
    private var isChecking = false
    private var isListening = false
    /// The user has no right to write the key, or to the channel: what is proved is less.
    private var mayWrite = true
    private var mayListen = true
    private var sent = 0
    private var awaited: (number: Int, end: FirstOutcome<Bool>)?
    private var messagesSeen = 0
    private var failuresInARow = 0

    init(
        name: String, patience: Duration, random: RandomSource, logger: Logger,
        clock: any LoopClock = SystemClock.shared
    ) {
        self.patience = patience
        self.random = random
        self.clock = clock
        self.logger = logger
        key = "pomelo:health:\(name)"
        channel = "pomelo:health:\(name):\(String(random.next(), radix: 36))"
    }

    var health: RedisHealth { told }

    func start() {
        guard !isRunning else { return }
        isRunning = true
        connectionChanged()
    }

    func stop() {
        isRunning = false
        disarm()
        awaited?.end.end(with: false)
        findings = HealthFindings(commands: "stopped")
        tell()
    }

    /// A connection has come or gone: what is known by that is told at once, the rest is tried soon.
    ///
    /// Where one has come its handshake has seen a primary that answers.
    func connectionChanged() {
        guard isRunning, let subject else { return }
        findings.commands = subject.outage
        findings.messageOutage = subject.messageOutage
        tell()
        if !isChecking { arm(within: Self.soon) }
    }

    // MARK: checking

    private func arm(within limits: (least: Duration, most: Duration)) {
        disarm()
        guard isRunning else { return }
        timer = clock.schedule(from: clock.deadline(after: limits.least), to: clock.deadline(after: limits.most)) {
            [weak self] in Loop.spawn { await self?.check() }
        }
    }

    private func armNext() {
        guard failuresInARow > 0 else {
            return arm(within: (Self.every * 0.8, random.jittered(Self.every, by: 0.2)))
        }
        let pause = min(Self.soonest * (1 << failuresInARow), Self.every)
        arm(within: (pause, pause))
    }

    private func disarm() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    func check() async {
        guard isRunning, !isChecking, let subject else { return }
        isChecking = true
        disarm()
        if subject.outage == nil { await tryBoth(subject) }
        isChecking = false
        guard isRunning else { return }
        if let outage = subject.outage { findings.commands = outage }
        findings.messageOutage = subject.messageOutage
        failuresInARow = findings.health == .ready ? 0 : min(failuresInARow + 1, 5)
        tell()
        armNext()
    }

    private func tryBoth(_ subject: any HealthSubject) async {
        await listen(subject)
        let links = subject.subscriptions.carriers.links
        let seen = links.reduce(0) { $0 + $1.messages }
        let isProved = seen != messagesSeen
        let end = FirstOutcome<Bool>()
        sent += 1
        // No key is left, and nobody sees one; what refuses writes refuses it.
        let write = [RedisCommand("SET", key, sent), RedisCommand("DEL", key)]
        var steps: [RedisStep] = [mayWrite ? .transaction(write) : .command(RedisCommand("PING"))]
        let publishes = isListening && !isProved && subject.messageOutage == nil
        if publishes {
            awaited = (sent, end)
            steps.append(.command(RedisCommand("PUBLISH", channel, sent)))
        }
        guard await give(steps, to: subject) else { return }
        if publishes {
            await hear(end, subject)
        } else if isListening, subject.messageOutage == nil {
            findings.messagesCame()
        }
        messagesSeen = links.reduce(0) { $0 + $1.messages }
    }

    /// False when nothing can be said of messages.
    private func give(_ steps: [RedisStep], to subject: any HealthSubject) async -> Bool {
        do throws(RedisError) {
            let replies = try await subject.execute(steps)
            findings.commands = nil
            if let reply = replies.first, let text = reply.errorText {
                if reply.errorCode == "NOPERM", mayWrite {
                    mayWrite = false
                    logger.notice("health is judged without writing", metadata: ["redis.reason": "\(text)"])
                } else {
                    findings.commands = text
                }
            }
            guard let published = replies.dropFirst().first, let text = published.errorText else { return true }
            isListening = false
            mayListen = published.errorCode != "NOPERM" && mayListen
            if mayListen { findings.messagesAreRefused(text) }
            return false
        } catch {
            findings.commands = "\(error)"
            return false
        }
    }

    /// As long as there are other channels to be heard.
    private func listen(_ subject: any HealthSubject) async {
        guard !isListening, mayListen, subject.subscriptions.isUsed else { return }
        let channel = subject.channelPrefix + channel
        do throws(RedisError) {
            try await subject.subscriptions.subscribe(channel, isInternal: true) { [weak self] in self?.heard($0) }
            isListening = true
        } catch {
            if case .reply(let text) = error, RedisError.code(of: text) == "NOPERM" {
                mayListen = false
                logger.notice("health is judged without messages", metadata: ["redis.reason": "\(text)"])
            } else {
                findings.messagesAreRefused("\(error)")
            }
        }
    }

    private func heard(_ payload: [UInt8]) {
        guard let awaited, String(decoding: payload, as: UTF8.self) == "\(awaited.number)" else { return }
        awaited.end.end(with: true)
    }

    private func hear(_ end: FirstOutcome<Bool>, _ subject: any HealthSubject) async {
        let timer = clock.schedule(after: patience) { end.end(with: false) }
        let came = await end.wait()
        clock.cancel(timer)
        awaited = nil
        guard isRunning else { return }
        if came { return findings.messagesCame() }
        let reason = "a message did not come back within \(patience.clampedMilliseconds) ms"
        let remedy = findings.messagesDidNotCome(reason)
        logger.warning("redis does not deliver messages", metadata: ["redis.remedy": "\(remedy)"])
        switch remedy {
        case .resubscribe:
            for link in subject.subscriptions.carriers.links { link.resubscribe() }
        case .reconnect:
            for link in subject.subscriptions.carriers.links { link.connection.reset(reason) }
        case .resolve:
            subject.resolveAgain(reason)
        }
    }

    private func tell() {
        let health = findings.health
        guard health != told else { return }
        told = health
        switch health {
        case .ready: logger.notice("redis is ready")
        case .degraded(let reason) where isRunning:
            logger.warning("redis is degraded", metadata: ["redis.reason": "\(reason)"])
        // Stopped, as somebody wished.
        case .degraded: break
        }
        onChange?(health)
    }
}
