// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloRedis

/// A journal of a server that is gone, which is ours now: it gets shorter as sinks confirm what is in it.
@Loop final class AdoptedJournal: ReplayOrigin {
    private static let chunk = 1000
    /// Of values that are written at once, unless one has more.
    private static let maxBytes = 1 << 20

    let place: JournalPlace
    private let store: JournalStore
    private let clock: any LoopClock
    /// Entries that are not replayed here: of keys that have no sink, or written by a later program.
    private var left = 0
    private var isRead = false
    private var pending = 0
    /// Of the values that are here and that no sink has.
    private(set) var bytes = 0
    private var removed: [Bytes] = []
    /// What Redis has lost.
    private var lost: [Bytes: Bytes] = [:]
    private var isRunning = false
    private var backoff = Backoff(first: .milliseconds(200), limit: .seconds(5))
    /// Nothing is in it any more, or another server has it.
    private let onEnd: @Loop (AdoptedJournal) -> Void
    private(set) var isStopped = false

    init(
        _ place: JournalPlace, _ store: JournalStore, _ clock: any LoopClock,
        onEnd: @escaping @Loop (AdoptedJournal) -> Void
    ) {
        self.place = place
        self.store = store
        self.clock = clock
        self.onEnd = onEnd
    }

    /// Where a value of so many bytes is from.
    func origin(_ field: Bytes, _ count: Int) -> Replay.Origin {
        pending += 1
        bytes += count
        return Replay.Origin(origin: self, field: field, bytes: count)
    }

    /// One that has nothing to replay ends at once.
    func endReading(left: Int) {
        self.left = left
        isRead = true
        kick()
    }

    /// Whether sinks have all of it that is replayed, and Redis knows.
    var isDone: Bool { isRead && pending == 0 && removed.isEmpty && lost.isEmpty && !isRunning }

    func written(_ origin: Replay.Origin) {
        pending -= 1
        bytes -= origin.bytes
        removed.append(origin.field)
        lost[origin.field] = nil
        kick()
    }

    /// Redis has lost an entry that no sink has.
    func writeAnew(_ field: Bytes, _ entry: SyncEntry) {
        lost[field] = JournalRecord.value(entry.value, entry.version)
        kick()
    }

    private func kick() {
        if isRunning || isStopped { return }
        isRunning = true
        Loop.spawn {
            await self.work()
            self.isRunning = false
            if !self.removed.isEmpty || !self.lost.isEmpty || self.hasNothing { self.kick() }
        }
    }

    private var hasNothing: Bool { isRead && pending == 0 && left == 0 }

    func stop() { isStopped = true }

    /// Whether an answer says that another server has it, because we were taken for gone; nothing is done with it then.
    func isLost(_ error: RedisError) -> Bool {
        guard case .reply(let text) = error, text.hasPrefix("WRONGTYPE") else { return false }
        end()
        return true
    }

    private func work() async {
        while !removed.isEmpty || !lost.isEmpty, !isStopped {
            do throws(RedisError) {
                if removed.isEmpty { try await writeSome() } else { try await removeSome() }
                backoff.succeeded()
            } catch {
                if isLost(error) { return }
                await clock.sleep(for: backoff.failed())
            }
        }
        guard hasNothing, !isStopped else { return }
        do throws(RedisError) {
            try await store.drop(place)
            end()
        } catch {
            // It is empty: whoever claims it finds nothing.
            end()
        }
    }

    private func removeSome() async throws(RedisError) {
        let part = Array(removed.prefix(Self.chunk))
        try await store.remove(part, from: place)
        removed.removeFirst(part.count)
    }

    private func writeSome() async throws(RedisError) {
        try await store.register(place)
        var bytes = 0
        let part = lost.prefix(Self.chunk).prefix { entry in
            defer { bytes += entry.value.count }
            return bytes == 0 || bytes + entry.value.count <= Self.maxBytes
        }
        try await store.add(part.map { ($0.key, $0.value) }, to: place)
        for entry in part { lost[entry.key] = nil }
    }

    private func end() {
        isStopped = true
        onEnd(self)
    }
}
