// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis

/// This server's own journal: a copy in Redis of all that waits, so that another process can go on with it.
///
/// The lines are the truth. What changed in them is written in rounds, one after the other: so each id is written once
/// a round, whatever its value was meanwhile, and one reply acknowledges all callers of the round.
///
/// One process writes to a journal, one command after the other. When that may not be so any more, because an answer
/// did not come, another one has claimed it, or Redis has lost data, the journal moves: it gets a name that was never
/// used, and the former name is fenced. What a slow connection still brings there is refused.
@Loop final class Journal {
    private let store: JournalStore
    private let owner: SyncOwner
    private let own: ServerID
    private let log: Logger
    private let warnings: LimitedLog
    /// All lines there are.
    var lines: @Loop () -> [any SyncLine] = { [] }

    private(set) var place: JournalPlace?
    let names: JournalNames
    /// The next one, whose name is not known to be in the set of journals yet.
    private var next: JournalPlace?
    private let former: FormerJournals
    /// When the last round began.
    private var lastRound: Int64 = 0
    private var mustMove = false
    /// Redis has come back as another process: what is in the journal is not to be relied on.
    private var isOutdated = false
    private var redisRun = ""

    private var changedLines: [any SyncLine] = []
    private var changes = JournalChanges()
    /// Redis has lost what it had.
    var onLoss: @Loop () -> Void = {}
    private var afterRound: [@Loop () -> Void] = []
    private var waiters: [Waiter<SyncError?>] = []

    /// Refusals in a row because another one has claimed the journal.
    private var fences = 0
    private var observation: RedisObservation?
    private var isRunning = false
    private var ends: [FirstOutcome<Void>] = []
    private var pause: Task<Void, Never>?
    private var backoff = Backoff(first: .milliseconds(100), limit: .seconds(2))
    private(set) var isStopped = false
    /// Why Redis takes nothing now; nil when it does.
    private(set) var away: String?

    init(_ store: JournalStore, _ owner: SyncOwner, _ own: ServerID, _ instance: InstanceID, _ log: Logger) {
        self.store = store
        self.owner = owner
        self.own = own
        self.log = log
        names = JournalNames(own, instance)
        former = FormerJournals(store, log)
        warnings = LimitedLog(log, owner.clock, "the journal is not written", lines: 1, per: .seconds(30))
    }

    /// Reads what earlier starts have left beside their journals.
    ///
    /// - Throws: `RedisError`.
    func start() async throws {
        redisRun = store.redis.runID
        for number in try await store.clocks(of: [own]) { owner.versions.see(number) }
        let found = JournalRecord.letters(in: try await store.letters(of: own), log)
        owner.letters.load(found.map(\.letter))
        for (field, letter) in found where field != JournalRecord.field(of: letter) {
            keep(letter) { [self] in changes.drop(field) }
        }
        // Strong until the end: a weak one makes every reference to this slower.
        observation = store.redis.observe { [self] event in
            guard case .up = event else { return }
            lookAtRun()
            if isOutdated { kick() }
            pause?.cancel()
        }
    }

    private func lookAtRun() {
        let run = store.redis.runID
        if run != redisRun { isOutdated = true }
        redisRun = run
    }

    // MARK: what is to be written

    func changed(_ line: any SyncLine) {
        if changedLines.last === line { return }
        if !changedLines.contains(where: { $0 === line }) { changedLines.append(line) }
        kick()
    }

    func remove(_ field: Bytes) {
        changes.remove(field)
        kick()
    }

    /// Keeps a dead letter where it survives; `then` is called when it is there.
    func keep(_ letter: DeadLetter, then: (@Loop () -> Void)? = nil) {
        changes.keep(JournalRecord.field(of: letter), JournalRecord.value(of: letter), then: then)
        kick()
    }

    func drop(_ letter: DeadLetter) {
        changes.drop(JournalRecord.field(of: letter))
        kick()
    }

    /// Calls back when all that is here now is in the journal.
    func afterNextRound(_ body: @escaping @Loop () -> Void) {
        afterRound.append(body)
        kick()
    }

    /// Calls back when all callers have been told that wait for what is here now.
    func afterTwoRounds(_ body: @escaping @Loop () -> Void) {
        afterNextRound { [self] in afterNextRound(body) }
    }

    /// Returns when what has changed until now is in the journal.
    ///
    /// - Throws: `SyncError` `.notJournaled`, as the options say; `.stopped`.
    @inline(__always)
    func written() async throws(SyncError) {
        let error = await Waiter<SyncError?>.wait { waiter in
            if isStopped { return waiter.resume(.stopped) }
            if away != nil, owner.options.redisAway == .memory { return waiter.resume(nil) }
            waiters.append(waiter)
            kick()
        }
        if let error { throw error }
    }

    /// Who waits for the next rounds.
    var waiting: Int { waiters.count }

    /// Why nothing is acknowledged now; nil when something may be.
    var refusal: String? {
        guard owner.options.redisAway == .fail else { return nil }
        return away ?? (store.redis.isUp ? nil : "redis is not connected")
    }

    // MARK: rounds

    private var hasWork: Bool {
        !changedLines.isEmpty || !changes.isEmpty || !waiters.isEmpty || !afterRound.isEmpty
            || mustMove || isOutdated || away != nil
    }

    private func kick() {
        if isRunning || isStopped || !hasWork { return }
        isRunning = true
        Loop.spawn { await self.work() }
    }

    private func work() async {
        while hasWork, !isStopped {
            let ready = waiters
            waiters = []
            do {
                try await round()
                away = nil
                fences = 0
                backoff.succeeded()
                for waiter in ready { waiter.resume(nil) }
            } catch RedisError.reply(let text) where text.hasPrefix(Self.fence) && fences < Self.maxFences {
                // It is no outage: callers wait for the same in the next journal.
                fences += 1
                waiters = ready + waiters
            } catch {
                failed("\(error)", ready)
                if !isStopped { await rest() }
            }
        }
        isRunning = false
        if isStopped { tellStopped() }
        let ended = ends
        ends = []
        for end in ended { end.end() }
    }

    private func failed(_ reason: String, _ ready: [Waiter<SyncError?>]) {
        warnings.write(["sync.reason": "\(reason)"])
        away = reason
        let all = ready + waiters
        waiters = isStopped ? all : []
        if isStopped { return }
        switch owner.options.redisAway {
        case .wait: waiters = all
        case .fail: all.forEach { $0.resume(.notJournaled(reason)) }
        case .memory: all.forEach { $0.resume(nil) }
        }
    }

    private func rest() async {
        let duration = backoff.failed()
        let pause = Loop.spawn { await self.owner.clock.sleep(for: duration) }
        self.pause = pause
        await pause.value
        self.pause = nil
    }

    private func round() async throws {
        lookAtRun()
        lookAtTime()
        if place == nil || mustMove || isOutdated { try await move() }
        guard let place else { return }
        let told = afterRound.count
        let lines = changedLines
        changedLines = []
        for line in lines { line.beginRound() }
        var filled: [any SyncLine] = []
        var isFull = false
        do {
            var rest = lines[...]
            repeat {
                var part = nextPart(of: place)
                filled = []
                while let line = rest.first, !part.isFull {
                    line.fill(&part)
                    filled.append(line)
                    // A line that did not fill the part has nothing more.
                    if !part.isFull { rest = rest.dropFirst() }
                }
                try await send(part, to: place)
                for line in filled { line.endPart(isWritten: true) }
                isFull = part.isFull
            } while !rest.isEmpty || isFull && !changes.isEmpty
        } catch {
            for line in filled { line.endPart(isWritten: false) }
            for line in lines {
                line.abandonRound()
                if !changedLines.contains(where: { $0 === line }) { changedLines.append(line) }
            }
            throw error
        }
        let done = afterRound.prefix(told)
        afterRound.removeFirst(told)
        for body in done { body() }
        former.drop()
        // Values may take less now, and dead letters nothing.
        owner.tellRoom()
    }

    /// A fence does not last for ever: who stood still for longer does not know whether there was one.
    private func lookAtTime() {
        let now = owner.clock.wallMilliseconds
        if now - lastRound > Int64(JournalStore.fenceSeconds) * 500, place != nil { mustMove = true }
        lastRound = now
    }

    private func nextPart(of place: JournalPlace) -> JournalPart {
        var part = store.part(of: place)
        changes.move(into: &part)
        return part
    }

    private func send(_ part: JournalPart, to place: JournalPlace) async throws {
        do {
            let clock = owner.versions.last
            try await owner.clock.inTime { [store] in try await store.write(part, to: place, clock: clock) }
            for letter in part.letters { for then in letter.kept { then() } }
        } catch {
            changes.putBack(part)
            // An error that was answered in words leaves no doubt of what comes later; a fence says whose it is.
            switch error as? RedisError {
            case .reply(let text)?: mustMove = mustMove || text.hasPrefix(Self.fence)
            case let error?: mustMove = mustMove || error.maybeExecuted
            case nil: mustMove = true
            }
            throw error
        }
    }

    /// What a write to a fenced name is answered.
    private static let fence = "WRONGTYPE"
    private static let maxFences = 3

    // MARK: moving

    private func move() async throws {
        let new = try await nextPlace()
        let isLost = isOutdated
        do {
            let found = try await claim(as: new)
            if let place { former.add(place) }
            // A name that the claim has given to a fence is used up, as one is of a Redis that has lost data since.
            let isUsed = found == .claimed || isOutdated && !isLost
            if isUsed { former.add(new) }
            place = isUsed ? nil : new
            mustMove = isUsed
            if isLost {
                isOutdated = false
                onLoss()
            }
            if found != .journal { writeAllAnew() }
        } catch {
            // It may be there, and have all of the former one.
            former.add(new)
            throw error
        }
        if mustMove { try await move() }
    }

    /// A place that was never used, and is in the set of journals; tries to name one place until that is known, however
    /// long Redis is away.
    private func nextPlace() async throws -> JournalPlace {
        let new = next ?? names.makeOwn()
        next = new
        try await owner.clock.inTime { [store] in try await store.register(new) }
        next = nil
        return new
    }

    /// Nothing is found by a journal that has no former place, or one that is not to be relied on.
    private func claim(as new: JournalPlace) async throws -> JournalStore.Found {
        guard let old = isOutdated ? nil : place else { return .nothing }
        return try await owner.clock.inTime { [store] in try await store.claim(old, as: new) }
    }

    private func writeAllAnew() {
        changes.forgetRemoved()
        for line in lines() { line.forgetJournal() }
        for letter in owner.letters.all { keep(letter) }
    }

    // MARK: the end

    /// Writes what is left, once; returns whether the journal has all there is.
    func stop(within limit: Duration) async -> Bool {
        var isWhole = false
        do {
            isWhole = try await owner.clock.within(limit) { await self.finish() } ?? false
        } catch {
            warnings.write(["sync.reason": "\(error)"])
        }
        isStopped = true
        if let observation { store.redis.unobserve(observation) }
        lines = { [] }
        pause?.cancel()
        tellStopped()
        return isWhole
    }

    private func tellStopped() {
        let all = waiters
        waiters = []
        for waiter in all { waiter.resume(.stopped) }
    }

    private func finish() async -> Bool {
        pause?.cancel()
        kick()
        if isRunning {
            let end = FirstOutcome<Void>()
            ends.append(end)
            await end.wait()
        }
        return !hasWork
    }

    /// Its names go, when nothing is in it.
    func unregister() async {
        await former.dropped()
        for place in [place, next].compactMap(\.self) {
            do {
                try await store.unregister(place)
            } catch {
                log.debug("the name of an empty journal is left: \(error)")
            }
        }
    }
}
