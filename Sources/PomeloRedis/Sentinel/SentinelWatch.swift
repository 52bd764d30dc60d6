// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop
import PomeloUV

/// Listens to one sentinel for the news that the primary has moved.
///
/// Only an accelerator: whoever connects asks anyway. After the connection to the sentinel was lost it asks, since
/// the news may have come meanwhile.
@Loop final class SentinelWatch {
    private static let channel = "+switch-master"
    private static let beatEvery = (least: Duration.seconds(4), most: Duration.seconds(5))

    /// Called with each sign of life that is asked for, for what is to be looked at as often.
    var onBeat: (@Loop () -> Void)?

    private let locator: SentinelLocator
    private let connection: RedisConnection
    private var beatTimer: TimerID?

    init(
        _ locator: SentinelLocator, _ configuration: RedisConfiguration, name: String, resolver: Resolver,
        random: RandomSource, logger: Logger, clock: any LoopClock = SystemClock.shared
    ) {
        self.locator = locator
        var own = configuration
        own.username = locator.address.username
        own.password = locator.address.password
        own.db = 0
        // The sentinel that answered last, or the next one after a failure.
        let places = RotatingLocator("a sentinel of \(locator.description)", .sentinel) { locator.places }
        connection = RedisConnection(
            own, locator: places, name: name, resolver: resolver, random: random, logger: logger,
            clock: clock)
        connection.tellsOfStart = false
        connection.onPush = { [weak self] push in
            guard case .message(let channel, let payload, _) = push else { return false }
            self?.heard(channel, payload)
            return true
        }
        connection.observe { [weak self] event in
            switch event {
            case .up(_, let reconnected): self?.cameUp(reconnected)
            case .down: self?.wentDown()
            }
        }
    }

    func start() { connection.startInBackground() }

    func stop() async {
        wentDown()
        await connection.stop()
    }

    private func cameUp(_ reconnected: Bool) {
        Loop.spawn { [locator] in
            guard await self.ask(RedisCommand("SUBSCRIBE", Self.channel)) else { return }
            // Whoever was moved to while nobody listened.
            if reconnected { locator.check() }
        }
        beat()
    }

    private func wentDown() {
        if let beatTimer { connection.clock.cancel(beatTimer) }
        beatTimer = nil
    }

    /// A connection that only listens would not notice that the sentinel has gone.
    private func beat() {
        let clock = connection.clock
        let earliest = clock.deadline(after: Self.beatEvery.least)
        let latest = clock.deadline(after: Self.beatEvery.most)
        beatTimer = clock.schedule(from: earliest, to: latest) { [weak self] in
            guard let self else { return }
            Loop.spawn { _ = await self.ask(RedisCommand("PING")) }
            onBeat?()
            beat()
        }
    }

    /// False, and a new connection, when the sentinel refuses; one that is silent is left by the connection itself.
    private func ask(_ command: RedisCommand) async -> Bool {
        do throws(RedisError) {
            _ = try await connection.send(command)
            return true
        } catch {
            if case .reply = error { connection.reset("\(error)") }
            return false
        }
    }

    private func heard(_ channel: String, _ payload: [UInt8]) {
        guard let place = Self.move(of: locator.address.primary, channel, payload) else { return }
        let sentinel = connection.located
        // Not within the callback from C.
        Loop.enqueueSynchronous { [locator] in locator.moved(to: place, said: sentinel) }
    }

    /// Where the primary of this name is now; nil when the message is about something else.
    ///
    /// ```
    /// <name> <old host> <old port> <new host> <new port>
    /// ```
    static func move(of primary: String, _ channel: String, _ payload: [UInt8]) -> SocketAddress? {
        let words = String(decoding: payload, as: UTF8.self).split(separator: " ").map(String.init)
        guard channel == Self.channel, words.count == 5, Text(words[0]) == Text(primary), let port = Int(words[4]),
            (1...65_535).contains(port)
        else { return nil }
        return SocketAddress(host: words[3], port: port)
    }
}
