// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Looks for journals of servers that are gone, and has what is in them written.
///
/// Every server looks after those of its type; the claim is one transaction, so one of them gets it. A claim that was
/// interrupted, and a journal whose second owner dies too, is found by the next look of anybody.
@Loop final class JournalClaims {
    private static let lookEvery = Duration.seconds(5)
    /// Whoever is not in the registry twice in a row is gone.
    private static let doubt = Duration.seconds(1)

    private let store: JournalStore
    private let journal: Journal
    private let owner: SyncOwner
    private let context: ServiceContext
    private let log: Logger
    /// Where a key's values wait; nil for a key that has no sink.
    private let line: @Loop (_ key: Text, _ hasIDs: Bool) -> SyncLane?
    private let lines: @Loop () -> [any SyncLine]
    private var adopted: [JournalPlace: AdoptedJournal] = [:]
    /// Claims under way, and what is left to others.
    private var known: Set<JournalPlace> = []
    private var doubted: Set<JournalPlace> = []
    private var timer: TimerID?
    private var isLooking = false
    private var isStopped = false

    init(
        _ store: JournalStore, _ journal: Journal, _ owner: SyncOwner, _ context: ServiceContext,
        _ line: @escaping @Loop (Text, Bool) -> SyncLane?, _ lines: @escaping @Loop () -> [any SyncLine]
    ) {
        self.store = store
        self.journal = journal
        self.owner = owner
        self.context = context
        self.line = line
        self.lines = lines
        log = context.log
        journal.onLoss = { [weak self] in self?.writeAnew() }
    }

    /// Claims what an earlier start of this server has left, and goes on looking.
    ///
    /// - Throws: `RedisError`, `PomeloError` when nothing is known of what there is.
    func start() async throws {
        try await examine()
        context.servers.observe { [weak self] change in
            if case .removed = change { self?.lookSoon() }
        }
        schedule(after: Self.lookEvery)
    }

    func stop() {
        isStopped = true
        if let timer { owner.clock.cancel(timer) }
        for journal in adopted.values { journal.stop() }
    }

    /// Whether all that was claimed is written.
    var isDone: Bool { adopted.values.allSatisfy(\.isDone) }

    // MARK: looking

    private func lookSoon() {
        if let timer { owner.clock.cancel(timer) }
        schedule(after: .zero)
    }

    private func schedule(after pause: Duration) {
        if isStopped { return }
        timer = owner.clock.schedule(after: context.random.jittered(pause)) { [weak self] in
            guard let self else { return }
            timer = nil
            Loop.spawn { await self.look() }
        }
    }

    private func look() async {
        guard !isLooking, !isStopped else { return }
        isLooking = true
        do {
            try await examine()
        } catch {
            log.debug("journals were not looked at: \(error)")
        }
        isLooking = false
        if timer == nil { schedule(after: doubted.isEmpty ? Self.lookEvery : Self.doubt) }
    }

    private func examine() async throws {
        let places = try await store.places()
        // A server whose clock is behind gives later versions than the others, from now on.
        let servers = Set(places.map(\.server) + places.map(\.owner))
        for number in try await store.clocks(of: Array(servers)) { owner.versions.see(number) }
        if let own = journal.place, !places.contains(own) { try await store.register(own) }
        doubted.formIntersection(places)
        for place in places.sorted(by: { $0.text < $1.text }) where !isOurs(place) {
            // What there is no room for is another one's, or a later look's.
            if isStopped || !hasRoom { return }
            if try await isOwned(place) {
                doubted.remove(place)
            } else if place.owner == context.serverID || !doubted.insert(place).inserted {
                doubted.remove(place)
                await claim(place)
            }
        }
    }

    private func isOurs(_ place: JournalPlace) -> Bool {
        known.contains(place) || adopted[place] != nil || journal.names.isOwn(place)
    }

    /// False for what an interrupted claim of our own has left, too.
    private func isOwned(_ place: JournalPlace) async throws -> Bool {
        if place.owner == context.serverID, place.instance == context.instance { return false }
        if context.servers[place.owner]?.instance == place.instance, place.owner != context.serverID { return true }
        return try await context.membership?.isAlive(place.owner, place.instance) ?? true
    }

    // MARK: claiming

    private func claim(_ place: JournalPlace) async {
        let new = journal.names.make(of: place.server)
        known.formUnion([place, new])
        defer { known.subtract([place, new]) }
        do {
            try await store.register(new)
            let found = try await store.claim(place, as: new)
            if found == .journal { await adopt(new) } else { try await store.unregister(new) }
            try await store.unregister(place)
        } catch {
            log.debug("a journal is not claimed: \(error)", metadata: ["sync.journal": "\(place.text)"])
        }
    }

    /// Returns when all of it has been read, or the rest has to wait: for sinks, or for Redis.
    private func adopt(_ place: JournalPlace) async {
        let journal = AdoptedJournal(place, store, owner.clock) { [weak self] in self?.adopted[$0.place] = nil }
        adopted[place] = journal
        let settled = FirstOutcome<Void>()
        Loop.spawn {
            await self.read(journal, settled)
            settled.end()
        }
        await settled.wait()
    }

    private func read(_ journal: AdoptedJournal, _ settled: FirstOutcome<Void>) async {
        let pages = JournalPages(store, journal.place)
        var content = JournalContent()
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(5))
        while !isStopped, !journal.isStopped {
            do throws(RedisError) {
                guard let page = try await pages.next() else {
                    if journal.place.server != context.serverID { try await adoptLetters(of: journal.place.server) }
                    tell(content, journal.place)
                    return journal.endReading(left: content.left)
                }
                hand(content.add(page) { self.line($0, $1) != nil }, journal)
            } catch {
                if journal.isLost(error) { return }
                settled.end()
                await owner.clock.sleep(for: backoff.failed())
            }
            while !hasRoom, !isStopped {
                settled.end()
                await owner.clock.sleep(for: .milliseconds(100))
            }
        }
    }

    /// As many bytes as of our own may be here.
    private var hasRoom: Bool {
        adopted.values.reduce(0) { $0 + $1.bytes } < owner.options.maxPendingBytes
    }

    private func hand(_ found: [JournalContent.Lot], _ journal: AdoptedJournal) {
        let now = owner.clock.now
        for lot in found {
            guard let lane = line(lot.kind.key, lot.kind.hasIDs) else { continue }
            for found in lot.entries { owner.versions.see(found.entry.version.number) }
            let replays = lot.entries.map { field, entry in
                Replay(entry: entry, since: now, origins: [journal.origin(field, field.count + entry.value.count)])
            }
            // What is here already is in our own journal as soon as that is written.
            for (replay, isTaken) in zip(replays, lane.line.adopt(replays)) where !isTaken {
                self.journal.afterNextRound { replay.written() }
            }
            lane.writer.wake()
        }
    }

    /// What came back from journals is written there again.
    private func writeAnew() {
        for replay in lines().flatMap(\.replayed) {
            for origin in replay.origins { (origin.origin as? AdoptedJournal)?.writeAnew(origin.field, replay.entry) }
        }
    }

    private func tell(_ content: JournalContent, _ place: JournalPlace) {
        log.notice(
            "replaying the journal of a server that is gone",
            metadata: ["sync.server": "\(place.server)", "sync.count": "\(content.count)"])
        guard let why = content.misfits else { return }
        log.error(
            "entries of a journal are left in it",
            metadata: ["sync.journal": "\(store.keys.journal(place))", "sync.reason": "\(why)"])
    }

    private func isThere(_ server: ServerID) async throws(RedisError) -> Bool {
        guard let other = context.servers[server], let membership = context.membership else { return false }
        do {
            return try await membership.isAlive(server, other.instance)
        } catch {
            throw .connection("\(error)")
        }
    }

    /// Dead letters of a server that may not come back are ours from now on.
    private func adoptLetters(of server: ServerID) async throws(RedisError) {
        // A former start's journal does not make those of a server that is there ours.
        if try await isThere(server) { return }
        let found = JournalRecord.letters(in: try await store.letters(of: server), log)
        if found.isEmpty { return }
        guard owner.letters.hasRoom else {
            return log.warning("dead letters are left to the next start of \(server): there are as many as may be")
        }
        owner.letters.load(found.map(\.letter))
        for (_, letter) in found { journal.keep(letter) }
        journal.afterNextRound { [store, log] in
            Loop.spawn {
                do {
                    var rest = found.map(\.field)[...]
                    while !rest.isEmpty {
                        try await store.removeLetters(Array(rest.prefix(JournalStore.page)), of: server)
                        rest = rest.dropFirst(JournalStore.page)
                    }
                } catch {
                    log.debug("dead letters are in two places: \(error)")
                }
            }
        }
    }
}
