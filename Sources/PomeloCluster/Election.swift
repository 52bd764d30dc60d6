// SPDX-License-Identifier: MIT
public import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// An office that one process of a cluster holds at a time: who probes, who runs a job, who is master.
///
/// ```swift
/// let probing = try app.election("probing")
/// probing.onElected = { token in … }
/// probing.onEnded = { … }
/// probing.stand()
/// ```
///
/// Who holds it has a token. What it does to others carries that, and they refuse what carries a lower one than they
/// have met (`FencingTokens`): so a holder that stood still, and does not know yet that its term is over, does no harm.
///
/// - Guarantee: `token` is nil from the end of the term on, by this process's own monotonic clock, counted from when
///   the renewal was sent; another one is elected at most `term` and a second after a holder has died.
@Loop public final class Election {
    /// Candidates ask so often whether the office is free.
    private static let look = Duration.seconds(1)

    /// The office.
    public let office: String
    /// How this candidate is called in the store: another name each time it stands, or what it sent to resign, and was
    /// late, would end a later term.
    public private(set) var candidate: String
    /// Called when this candidate holds the office, with its token.
    public var onElected: (@Loop (_ token: UInt64) -> Void)?
    /// Called when it holds it no more.
    public var onEnded: (@Loop () -> Void)?
    /// Who holds the office, as far as was heard last; nil before, and when it was given back here.
    public private(set) var holder: String?
    /// How long the office is held without a word to the store.
    public let term: Duration

    private let store: any ElectionStore
    private let name: String
    private let clock: any LoopClock
    private let random: RandomSource
    private let warnings: LimitedLog
    private var held: (token: UInt64, end: UInt64)?
    private var expiry: TimerID?
    private var campaign: Task<Void, Never>?
    private var highest: UInt64 = 0

    /// A candidate that does not stand yet; a random word is added to its name.
    public init(
        _ office: String, _ store: any ElectionStore, as name: String, term: Duration = .seconds(10),
        clock: any LoopClock, random: RandomSource, logger: Logger
    ) {
        self.office = office
        self.store = store
        self.term = term
        self.clock = clock
        self.random = random
        self.name = name
        candidate = name
        warnings = LimitedLog(logger, clock, "an election does not go on", lines: 1, per: .seconds(30))
    }

    /// The token of this candidate while it holds the office; to be asked before each act, and to be sent with it.
    public var token: UInt64? { held.flatMap { clock.now < $0.end ? $0.token : nil } }

    /// Stands for the office from now on, and holds it as long as it can.
    public func stand() {
        guard campaign == nil else { return }
        candidate = "\(name)/\(random.instanceID())"
        campaign = Loop.spawn {
            while !Task.isCancelled {
                let pause = await self.round()
                await self.clock.sleep(for: pause)
            }
        }
    }

    /// Stands no more, and gives the office back; another one has it within a second.
    public func resign() async {
        guard let campaign else { return }
        let candidate = candidate
        campaign.cancel()
        end()
        // What was sent may still elect it.
        await campaign.value
        // REENTRANCY: somebody else may have resigned too, and it may stand again.
        guard self.campaign == campaign else { return }
        self.campaign = nil
        holder = nil
        do {
            _ = try await clock.within(term / 3) { try await self.store.resign(self.office, candidate) }
        } catch {
            // It ends by itself.
            warnings.write(["election.office": "\(office)", "election.reason": "\(error)"])
        }
    }

    /// Takes note that somebody has met a token: below it a term ends, and the next one is above it.
    ///
    /// A higher one than the candidate's own is there only when the store has lost a term; one above
    /// `FencingTokens.limit` is nobody's, and without effect.
    public func met(_ token: UInt64) {
        guard token <= FencingTokens.limit else { return }
        highest = max(highest, token)
        if let held, held.token < token { end() }
    }

    // MARK: rounds

    /// Asks once; how long to wait comes back.
    private func round() async -> Duration {
        let (sent, store, above) = (clock.now, store, highest)
        do {
            let answer = try await clock.within(term / 3) {
                try await store.stand(for: self.office, self.candidate, term: self.term, above: above)
            }
            // REENTRANCY: it may have resigned, or met a higher token.
            if Task.isCancelled { return .zero }
            switch answer {
            case .elected(let token):
                holder = candidate
                if hold(token, from: sent) { return random.jittered(term / 3) }
            case .held(let other, _):
                holder = other
                end()
            case nil:
                warnings.write(["election.office": "\(office)", "election.reason": "the store does not answer"])
            }
        } catch {
            warnings.write(["election.office": "\(office)", "election.reason": "\(error)"])
        }
        return random.jittered(Self.look)
    }

    /// False when the answer is too old to count, or the token.
    private func hold(_ token: UInt64, from sent: UInt64) -> Bool {
        // Clocks drift; and a timer may be late.
        let end = sent + (term - max(term / 100, .milliseconds(50))).clampedNanoseconds
        guard clock.now < end, token >= highest else { return false }
        if let held, held.token != token { self.end() }
        let isNew = held == nil
        held = (token, end)
        highest = token
        if let expiry { clock.cancel(expiry) }
        expiry = clock.schedule(at: end) { [weak self] in self?.end() }
        if isNew { onElected?(token) }
        return true
    }

    private func end() {
        if let expiry { clock.cancel(expiry) }
        expiry = nil
        guard held != nil else { return }
        held = nil
        onEnded?()
    }
}

extension Application {
    /// This server's candidate for an office of its cluster; it does not stand by itself, and resigns when the server
    /// stops.
    ///
    /// - Throws: `PomeloError` `.configuration` when the office has no name or one with a colon, the term is shorter
    ///   than a second or another one than at first, or the plugin `Cluster` is not used.
    public func election(_ office: String, term: Duration = .seconds(10)) throws -> Election {
        guard !office.isEmpty, !office.utf8.contains(UInt8(ascii: ":")) else {
            throw PomeloError(.configuration, "\"\(office.forLog)\" is no name of an office: empty, or with a colon")
        }
        guard term >= .seconds(1) else {
            throw PomeloError(.configuration, "the term of \(office.forLog) must be at least a second")
        }
        guard let membership = membership as? ClusterMembership else {
            throw PomeloError(.configuration, "an election needs app.use(Cluster(…)) before it")
        }
        let election = membership.election(office, term: term)
        guard election.term == term else {
            throw PomeloError(.configuration, "the term of \(office.forLog) is \(election.term), not \(term)")
        }
        return election
    }
}
