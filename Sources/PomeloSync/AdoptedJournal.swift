// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloRedis

/// A journal of a server that is gone, which is ours now: it gets shorter as sinks confirm what is in it.
@Loop final class AdoptedJournal: ReplayOrigin {
    private static let chunk = 1000

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
    var isDone: Bool { isRead && pending == 0 && removed.isEmpty && !isRunning }

    func written(_ origin: Replay.Origin) {
        pending -= 1
        bytes -= origin.bytes
        removed.append(origin.field)
        kick()
    }

    private func kick() {
        if isRunning || isStopped { return }
        isRunning = true
        Loop.spawn {
            await self.work()
            self.isRunning = false
            if !self.removed.isEmpty || self.hasNothing { self.kick() }
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
        while !removed.isEmpty, !isStopped {
            let part = Array(removed.prefix(Self.chunk))
            do throws(RedisError) {
                try await store.remove(part, from: place)
                removed.removeFirst(part.count)
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

    private func end() {
        isStopped = true
        onEnd(self)
    }
}

/// Dead letters that are tried again stay dead letters until a sink has them.
@Loop final class RetriedLetters: ReplayOrigin {
    private let owner: SyncOwner
    private var letters: [Bytes: DeadLetter] = [:]

    init(_ owner: SyncOwner) { self.owner = owner }

    func add(_ letter: DeadLetter) -> Bytes {
        let field = JournalRecord.field(of: letter)
        letters[field] = letter
        return field
    }

    func written(_ origin: Replay.Origin) {
        guard let letter = letters.removeValue(forKey: origin.field) else { return }
        // It may be a dead letter once more.
        if owner.letters.has(letter) { return }
        owner.journal?.drop(letter)
    }
}
