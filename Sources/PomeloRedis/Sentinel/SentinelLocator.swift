// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloTLS
import PomeloUV

/// Asks sentinels where the primary is: one question for all connections of a client that want to know.
///
/// What they say is believed until a connection has seen the server: who is no primary is left, and another sentinel
/// is asked first. See `SentinelWatch` for the news that come unasked.
///
/// - Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/.
@Loop final class SentinelLocator: RedisLocator {
    /// A sentinel that says nothing costs no more than this.
    private static let longestShare = Duration.milliseconds(500)
    private static let maxSentinels = 32
    /// Connections are sent from place to place no more often, whoever names others.
    private static let betweenMoves = Duration.milliseconds(500)

    let description: String
    let role = RedisRole.primary
    /// A successor is named within seconds, to all who ask: nobody should sleep through it, nor ask all the time.
    let longestPause = Duration.seconds(1)
    let hasSuccessors = true
    /// Told another place than before, whoever found it.
    var onMove: (@Loop (SocketAddress) -> Void)?
    /// What the sentinels said last.
    private(set) var primary: SocketAddress?
    /// In the order in which they are asked; those that others have told of are among them.
    private(set) var places: [SocketAddress]

    let address: RedisSentinelAddress
    private let tls: TLSClientOptions?
    private let patience: Duration
    private let resolver: Resolver
    private let clock: any LoopClock
    private let logger: Logger
    private var namedBy: SocketAddress?
    private var lastMove: UInt64?
    private var moveTimer: TimerID?
    private var refusing: Set<SocketAddress> = []
    private var question: SentinelQuestion?
    private var isAsking = false
    private var isStopped = false
    private var waiters: [FirstOutcome<Result<SocketAddress, RedisError>>] = []

    init(
        _ address: RedisSentinelAddress, within patience: Duration, resolver: Resolver, logger: Logger,
        clock: any LoopClock = SystemClock.shared, tls: TLSClientOptions? = nil
    ) {
        self.address = address
        self.tls = tls
        self.patience = patience
        self.resolver = resolver
        self.logger = logger
        self.clock = clock
        places = address.places
        description = "redis \"\(address.primary)\""
    }

    func locate() async throws(RedisError) -> SocketAddress {
        let waiter = FirstOutcome<Result<SocketAddress, RedisError>>()
        guard !isStopped else { throw .closed }
        waiters.append(waiter)
        if !isAsking {
            isAsking = true
            Loop.spawn { await self.ask() }
        }
        let outcome = await withTaskCancellationHandler {
            await waiter.wait()
        } onCancel: {
            Loop.spawn { waiter.end(with: .failure(.closed)) }
        }
        return try outcome.get()
    }

    func wasWrong(about place: SocketAddress) {
        guard place == primary, let namedBy else { return }
        // Its knowledge may be old.
        places.removeAll { $0 == namedBy }
        places.append(namedBy)
        self.namedBy = nil
    }

    /// Asks without being asked; a move is told.
    func check() {
        Loop.spawn {
            do throws(RedisError) {
                _ = try await self.locate()
            } catch {
                self.logger.debug("sentinels cannot be asked", metadata: ["redis.reason": "\(error)"])
            }
        }
    }

    /// A sentinel has told of a move; of many in a row connections are told the first and the last.
    func moved(to place: SocketAddress, said sentinel: SocketAddress?) { name(place, by: sentinel) }

    /// Ends all questions.
    func stop() {
        isStopped = true
        if let moveTimer { clock.cancel(moveTimer) }
        question?.cancel()
    }

    // MARK: asking

    private func ask() async {
        let result: Result<SocketAddress, RedisError>
        do throws(RedisError) {
            result = .success(try await askInTurn())
        } catch {
            result = .failure(error)
        }
        question = nil
        isAsking = false
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.end(with: result) }
    }

    private func askInTurn() async throws(RedisError) -> SocketAddress {
        let asked = places
        let share = max(min(patience / max(1, asked.count), Self.longestShare), .milliseconds(100))
        let deadline = clock.deadline(after: patience)
        var unknown = 0
        var refusals = 0
        var reasons: [String] = []
        for place in asked {
            let left = clock.left(until: deadline)
            guard !isStopped else { throw .closed }
            guard left > .zero else { break }
            let question = SentinelQuestion(place, address, resolver, clock, tls)
            self.question = question
            do throws(RedisError) {
                let answer = try await question.answer(within: min(share, left))
                guard let primary = answer.primary else {
                    unknown += 1
                    continue
                }
                refusing.remove(place)
                learn(answer.sentinels, from: place)
                name(primary, by: place)
                return primary
            } catch {
                if case .reply = error {
                    refusals += 1
                    refused(place, error)
                } else if question.isDoubted {
                    refused(place, error)
                }
                reasons.append("\(error)")
            }
        }
        let text = failure(of: asked, unknown: unknown, reasons)
        throw unknown + refusals == asked.count ? .reply(text) : .connection(text)
    }

    private func failure(of asked: [SocketAddress], unknown: Int, _ reasons: [String]) -> String {
        let list = asked.map(\.description).joined(separator: ", ")
        let why = reasons.joined(separator: "; ")
        if unknown == 0 { return "no sentinel says where the primary \"\(address.primary)\" is: \(why)" }
        let rest = why.isEmpty ? "" : " (\(why))"
        return "none of the sentinels \(list) knows the primary \"\(address.primary)\"\(rest)"
    }

    /// One that refuses while others answer would not be noticed before these are gone.
    private func refused(_ place: SocketAddress, _ error: RedisError) {
        guard refusing.insert(place).inserted else { return }
        logger.warning("a sentinel cannot be asked", metadata: ["redis.reason": "\(error)"])
    }

    private func name(_ place: SocketAddress, by sentinel: SocketAddress?) {
        if let sentinel {
            places.removeAll { $0 == sentinel }
            places.insert(sentinel, at: 0)
        }
        namedBy = sentinel
        guard primary != place else { return }
        let isMove = primary != nil
        primary = place
        if isMove, moveTimer == nil { tellMove() }
    }

    /// At once, but for the next ones that come too soon; of these the last counts.
    private func tellMove() {
        guard let place = primary, !isStopped else { return }
        let earliest = lastMove.map { clock.deadline(after: Self.betweenMoves, from: $0) } ?? 0
        guard earliest <= clock.now else {
            moveTimer = clock.schedule(at: earliest) { [weak self] in
                self?.moveTimer = nil
                self?.tellMove()
            }
            return
        }
        lastMove = clock.now
        logger.notice(
            "the redis primary has moved",
            metadata: ["redis.primary": "\(address.primary)", "redis.place": "\(place)"])
        onMove?(place)
    }

    /// Those of the configuration stay; those that nobody tells of any more go.
    private func learn(_ others: [SocketAddress], from place: SocketAddress) {
        places.removeAll { !address.places.contains($0) && $0 != place && !others.contains($0) }
        places += others.filter { !places.contains($0) }.prefix(max(0, Self.maxSentinels - places.count))
    }
}
