// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Keeps the server directory in step with the registry.
///
/// One task at a time reads; wishes that come meanwhile are one more round of it. While Redis is away nothing is
/// read, so the directory stays as it is.
@Loop final class ClusterView {
    private enum Need: Int, Comparable {
        case nothing, changes, everything

        static func < (a: Need, b: Need) -> Bool { a.rawValue < b.rawValue }
    }

    private let registry: ClusterRegistry
    private let servers: ServerDirectory
    private let clock: any LoopClock
    private let lease: Duration
    private let log: Logger
    private var feed: ClusterFeed?
    private var awaited = 0
    private var need = Need.nothing
    private var isWorking = false
    private var isClosed = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private var bad: [ServerID: String] = [:]
    private var isFirstList = true
    private let badEntries = Counter(label: "pomelo.cluster.badEntries")
    private var graceEnd: UInt64?
    private var graceTimer: TimerID?
    /// This server, listed whatever the registry says; nil while it has not joined.
    private(set) var own: ServerInfo?
    /// The registry has lost what this view knew of it: this server's entry too, perhaps.
    var onLoss: (@Loop () -> Void)?
    /// Whether an instance answers.
    var answers: @Loop (ServerInfo) async -> Bool = { _ in false }

    init(
        _ registry: ClusterRegistry, _ servers: ServerDirectory, clock: any LoopClock, lease: Duration,
        log: Logger
    ) {
        self.registry = registry
        self.servers = servers
        self.clock = clock
        self.lease = lease
        self.log = log
    }

    /// Whether the registry may lack servers that live: one lease after Redis came back or lost its memory.
    var isInGrace: Bool { graceEnd.map { clock.now < $0 } ?? false }

    /// Reads everything for the first time.
    func load() async throws(RedisError) {
        isWorking = true
        defer { isWorking = false }
        try await readEverything()
    }

    /// Lists this server as it is now, before the registry tells.
    func setOwn(_ info: ServerInfo?) {
        own = info
        if let info { apply(.put(info)) }
    }

    /// Follows the stream; returns when that is done or has failed.
    func follow() async {
        wake(.changes)
        await untilIdle()
    }

    /// The stream has grown.
    func hinted() { wake(.changes) }

    /// Which registry this view follows, and how far.
    struct Mark: Equatable {
        var epoch: Int
        /// Empty when nobody had joined it yet.
        var born: String
    }

    /// Where this view is.
    var mark: Mark { Mark(epoch: feed?.epoch ?? 0, born: feed?.born ?? "") }

    /// The registry is there; `known` is where this view was when the question was sent.
    func noticed(_ there: Mark, known: Mark) {
        let isOther = !known.born.isEmpty && there.born != known.born
        if isOther || there.epoch < known.epoch {
            // It was read anew while the answer was on its way.
            guard mark.born == known.born else { return }
            log.notice("the registry has gone back in time")
            lostContinuity()
            return
        }
        if known.born.isEmpty { feed?.born = there.born }
        if there.epoch > mark.epoch || need != .nothing {
            awaited = max(awaited, there.epoch)
            wake(.changes)
        }
    }

    /// Reads everything again, in case the stream has not told all.
    func reload() { wake(.everything) }

    /// Reads everything; returns when that is done or has failed.
    func reloaded() async {
        wake(.everything)
        await untilIdle()
    }

    /// What Redis says now may be old or empty.
    func lostContinuity() {
        beginGrace()
        wake(.everything)
        onLoss?()
    }

    /// Reads nothing more.
    func close() {
        isClosed = true
        if let graceTimer { clock.cancel(graceTimer) }
    }

    // MARK: reading

    private func untilIdle() async {
        await withCheckedContinuation { waiter in
            if isWorking { waiters.append(waiter) } else { waiter.resume() }
        }
    }

    private func wake(_ wish: Need) {
        need = max(wish, need)
        guard !isWorking, !isClosed, need != .nothing else { return }
        isWorking = true
        Loop.spawn { await self.work() }
    }

    private func work() async {
        while need != .nothing, !isClosed {
            let wish = need
            need = .nothing
            do throws(RedisError) {
                if wish == .everything { try await readEverything() } else { try await readChanges() }
            } catch {
                // Stays wished for; the next look wakes again.
                need = max(wish, need)
                log.debug("the registry cannot be read", metadata: ["pomelo.reason": "\(error)"])
                break
            }
        }
        isWorking = false
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.resume() }
    }

    private func readChanges() async throws(RedisError) {
        var count = ClusterRegistry.readLimit
        while count == ClusterRegistry.readLimit {
            guard var feed else { return try await readEverything() }
            let entries = try await registry.events(from: feed.position)
            count = entries.count
            // REENTRANCY: only the one working task touches the feed.
            guard case .changes(let changes) = feed.take(entries) else {
                log.notice("the stream of changes has a gap: reading the whole registry")
                beginGrace()
                onLoss?()
                return try await readEverything()
            }
            self.feed = feed
            for change in changes { apply(change) }
        }
        // Changes that were counted are not in the stream.
        if mark.epoch < awaited { try await readEverything() }
    }

    private func readEverything() async throws(RedisError) {
        let snapshot = try await registry.snapshot(lease: lease)
        if let feed, snapshot.epoch < feed.epoch || (!feed.born.isEmpty && snapshot.born != feed.born) {
            beginGrace()
            onLoss?()
        }
        note(snapshot.unreadable)
        feed = ClusterFeed(epoch: snapshot.epoch, position: snapshot.position, born: snapshot.born)
        awaited = 0
        let listed = isInGrace ? try await withKnown(snapshot.servers) : snapshot.servers
        // REENTRANCY: only this server's own state may have changed meanwhile.
        list(listed)
    }

    /// Adds those that the registry lacks, and puts back those that answer where it has another instance.
    ///
    /// A Redis of yesterday lists instances that are long gone, until their successors have renewed. What it lacks it
    /// gets back from whoever knew it: a server that dies before its own renewal could not be cleaned up after, since
    /// nobody would know that it ever was.
    private func withKnown(_ listed: [ServerInfo]) async throws(RedisError) -> [ServerInfo] {
        var byID = Dictionary(listed.map { ($0.id, $0) }) { first, _ in first }
        let differing = servers.all.filter { known in
            known.id != own?.id && byID[known.id].map { $0.instance != known.instance } ?? true
        }
        let doubted = differing.filter { byID[$0.id] != nil }
        for known in differing where byID[known.id] == nil {
            byID[known.id] = known
            if own != nil { _ = try await registry.put(known, replacing: nil, lease: lease, ifMissing: true) }
        }
        for known in await answering(doubted) { byID[known.id] = known }
        return Array(byID.values)
    }

    private func answering(_ doubted: [ServerInfo]) async -> [ServerInfo] {
        var found: [ServerInfo] = []
        let questions = doubted.map { known in
            Loop.spawn { if await self.answers(known) { found.append(known) } }
        }
        for question in questions { await question.value }
        return found
    }

    private func list(_ servers: [ServerInfo]) {
        var listed = servers
        if let own {
            listed.removeAll { $0.id == own.id && $0.instance == own.instance }
            if !listed.contains(where: { $0.id == own.id }) { listed.append(own) }
        }
        listed.sort { $0.id < $1.id }
        guard listed != self.servers.all else { return }
        removeReplaced(by: listed)
        // The first view is of servers that are added, as in pomelo: nothing takes the place of anything.
        if isFirstList { self.servers.add(listed) } else { self.servers.replace(listed) }
        isFirstList = false
    }

    /// Tells of entries that cannot be read when they change: they count for nothing, and are read again and again.
    private func note(_ unreadable: [ServerID: String]) {
        defer { bad = unreadable }
        let new = unreadable.filter { bad[$0.key] != $0.value }
        guard !new.isEmpty else { return }
        badEntries.increment(by: new.count)
        let named = new.sorted { $0.key < $1.key }.prefix(8).map { "\($0.key): \($0.value)" }
        log.warning(
            "registry entries that cannot be read are ignored",
            metadata: ["pomelo.count": "\(new.count)", "pomelo.servers": "\(named.joined(separator: "; "))"])
    }

    // MARK: the directory

    private func apply(_ change: ClusterFeed.Change) {
        switch change {
        case .put(let info):
            // Our own state is known here first.
            if let own, info.id == own.id, info.instance == own.instance, info != own { return }
            removeReplaced(by: [info])
            servers.add([info])
        case .removed(let id, let instance):
            // We are alive: the next renewal puts the entry back.
            if let own, id == own.id, instance == own.instance { return }
            guard let known = servers[id], known.instance == instance || instance.rawValue.isEmpty else {
                return
            }
            servers.remove([id])
        }
    }

    /// Another instance is another server: the one before it leaves first.
    private func removeReplaced(by infos: [ServerInfo]) {
        let replaced = infos.filter { info in servers[info.id].map { $0.instance != info.instance } ?? false }
        if !replaced.isEmpty { servers.remove(replaced.map(\.id)) }
    }

    // MARK: grace

    /// For one lease, servers that the registry lacks stay in the view: they are about to come back to it.
    func beginGrace() {
        graceEnd = clock.deadline(after: lease)
        if let graceTimer { clock.cancel(graceTimer) }
        graceTimer = clock.schedule(at: graceEnd ?? clock.now) { [weak self] in
            self?.graceEnd = nil
            self?.wake(.everything)
        }
    }
}
