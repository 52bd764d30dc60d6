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
    private var adopted: [JournalPlace: AdoptedJournal] = [:]
    /// Claims under way, and what is left to others.
    private var known: Set<JournalPlace> = []
    private var doubted: Set<JournalPlace> = []
    private var timer: TimerID?
    private var isLooking = false
    private var isStopped = false

    init(
        _ store: JournalStore, _ journal: Journal, _ owner: SyncOwner, _ context: ServiceContext,
        _ line: @escaping @Loop (Text, Bool) -> SyncLane?
    ) {
        self.store = store
        self.journal = journal
        self.owner = owner
        self.context = context
        self.line = line
        log = context.log
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
        if let own = journal.place, !places.contains(own) { try await store.register(own) }
        doubted.formIntersection(places)
        for place in places.sorted(by: { $0.text < $1.text }) where !isOurs(place) {
            if isStopped { return }
            if try await isOwned(place) {
                doubted.remove(place)
            } else if place.owner == context.serverID || !doubted.insert(place).inserted {
                doubted.remove(place)
                await claim(place)
            }
        }
    }

    private func isOurs(_ place: JournalPlace) -> Bool {
        if known.contains(place) || adopted[place] != nil { return true }
        return place.owner == context.serverID && place.instance == context.instance
            && journal.places.contains(place.number)
    }

    /// False for what an interrupted claim of our own has left, too.
    private func isOwned(_ place: JournalPlace) async throws -> Bool {
        if place.owner == context.serverID, place.instance == context.instance { return false }
        if context.servers[place.owner]?.instance == place.instance, place.owner != context.serverID { return true }
        return try await context.membership?.isAlive(place.owner, place.instance) ?? true
    }

    // MARK: claiming

    private func claim(_ place: JournalPlace) async {
        let new = journal.makePlace(of: place.server)
        known.formUnion([place, new])
        defer { known.subtract([place, new]) }
        do {
            try await store.register(new)
            let found = try await store.claim(place, as: new)
            if found == .journal { try await adopt(new) } else { try await store.unregister(new) }
            try await store.unregister(place)
        } catch {
            log.debug("a journal is not claimed: \(error)", metadata: ["sync.journal": "\(place.text)"])
        }
    }

    private func adopt(_ place: JournalPlace) async throws {
        let found = try await store.entries(of: place)
        let journal = AdoptedJournal(place, store, owner.clock) { [weak self] in self?.adopted[$0.place] = nil }
        var content = Content()
        for (field, value) in found { content.add(field, value) { self.line($0, $1) != nil } }
        for entry in content.entries { owner.versions.see(entry.entry.version.number) }
        adopted[place] = journal
        journal.begin(pending: content.entries.count, left: found.count - content.entries.count)
        tell(content, place)
        hand(content, journal)
        if place.server != context.serverID { try await adoptLetters(of: place.server) }
    }

    private func hand(_ content: Content, _ journal: AdoptedJournal) {
        let now = owner.clock.now
        for (kind, entries) in content.byLine {
            guard let lane = line(kind.key, kind.hasIDs) else { continue }
            let replays = entries.map {
                Replay(entry: $0.entry, since: now, origins: [Replay.Origin(origin: journal, field: $0.field)])
            }
            // What is here already is in our own journal as soon as that is written.
            for (entry, isTaken) in zip(entries, lane.line.adopt(replays)) where !isTaken {
                self.journal.afterNextRound { journal.written(entry.field) }
            }
            lane.writer.wake()
        }
        journal.kick()
    }

    private func tell(_ content: Content, _ place: JournalPlace) {
        log.notice(
            "replaying the journal of a server that is gone",
            metadata: ["sync.server": "\(place.server)", "sync.count": "\(content.entries.count)"])
        guard let why = content.misfits else { return }
        log.error(
            "entries of a journal are left in it",
            metadata: ["sync.journal": "\(store.keys.journal(place))", "sync.reason": "\(why)"])
    }

    /// Dead letters of a server that may not come back are ours from now on.
    private func adoptLetters(of server: ServerID) async throws {
        let found = JournalRecord.letters(in: try await store.letters(of: server), log)
        if found.isEmpty { return }
        owner.letters.load(found.map(\.letter))
        for (_, letter) in found { journal.keep(letter) {} }
        journal.afterNextRound { [store, log] in
            Loop.spawn {
                do {
                    try await store.removeLetters(found.map(\.field), of: server)
                } catch {
                    log.debug("dead letters are in two places: \(error)")
                }
            }
        }
    }

    /// What is in a journal.
    private struct Content {
        struct Kind: Hashable {
            let key: Text
            let hasIDs: Bool
        }

        private(set) var entries: [(field: Bytes, entry: SyncEntry)] = []
        private var newer: Set<UInt8> = []
        private var strangers: Set<Text> = []
        private var damaged = 0

        mutating func add(_ field: Bytes, _ value: Bytes, _ isKnown: (Text, Bool) -> Bool) {
            do throws(JournalMisfit) {
                let entry = try JournalRecord.entry(field: field, value: value)
                if isKnown(entry.key, entry.id != nil) {
                    entries.append((field, entry))
                } else {
                    strangers.insert(entry.key)
                }
            } catch {
                switch error {
                case .newer(let format): newer.insert(format)
                case .damaged: damaged += 1
                }
            }
        }

        /// The entries of each line, the earlier first.
        var byLine: [(Kind, [(field: Bytes, entry: SyncEntry)])] {
            Dictionary(grouping: entries) { Kind(key: $0.entry.key, hasIDs: $0.entry.id != nil) }
                .map { ($0.key, $0.value.sorted { $0.entry.version < $1.entry.version }) }
                .sorted { ($0.0.key, $0.0.hasIDs ? 1 : 0) < ($1.0.key, $1.0.hasIDs ? 1 : 0) }
        }

        /// Why some are left; nil when none is.
        var misfits: String? {
            var reasons: [String] = []
            if !newer.isEmpty {
                let formats = newer.sorted().map { "\($0)" }.joined(separator: ", ")
                reasons.append("written by a newer version (format \(formats))")
            }
            if !strangers.isEmpty {
                let keys = strangers.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
                reasons.append("no sink here has the keys \(keys)")
            }
            if damaged > 0 { reasons.append("\(damaged) are no entries") }
            return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
        }
    }
}
