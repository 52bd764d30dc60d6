// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

/// The places that a journal has left, and those it has tried to move to.
@Loop final class FormerJournals {
    private let store: JournalStore
    private let log: Logger
    /// They may have what waits.
    private var left: [JournalPlace] = []
    /// Nothing in them is needed any more.
    private var outlived: [JournalPlace] = []
    private var dropping: Task<Void, Never>?

    init(_ store: JournalStore, _ log: Logger) {
        self.store = store
        self.log = log
    }

    func add(_ place: JournalPlace) { left.append(place) }

    /// Drops them, because all that waits is where the journal is now.
    func drop() {
        outlived += left
        left = []
        if outlived.isEmpty || dropping != nil { return }
        dropping = Loop.spawn {
            await self.dropOutlived()
            self.dropping = nil
        }
    }

    /// Returns when each was dropped, or one could not be.
    func dropped() async { await dropping?.value }

    /// What is not dropped is replayed once more by whoever claims it, unless a later round drops it.
    private func dropOutlived() async {
        while let place = outlived.first {
            do {
                try await store.drop(place)
                outlived.removeFirst()
            } catch {
                return log.debug("a former journal is not dropped: \(error)")
            }
        }
    }
}
