// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop
import PomeloRedis

/// Values that the journal alone has: of ids whose later value is given up and could not be written there.
///
/// They were acknowledged, so they are brought to their sink: a journal of their own gets them, which is read back as
/// that of a server that is gone. Where they were, the next value of their id would be written over them.
@Loop final class EarlierValues {
    private static let maxBytes = 1 << 20

    private let store: JournalStore
    private let clock: any LoopClock
    private var fields: Deque<(field: Bytes, bytes: Int)> = []
    private var known: Set<Bytes> = []
    /// Where they go; whatever happens, that is not used for others.
    private var place: JournalPlace?
    /// Has a place read back.
    var onMoved: @Loop (JournalPlace) -> Void = { _ in }

    init(_ store: JournalStore, _ clock: any LoopClock) {
        self.store = store
        self.clock = clock
    }

    var isEmpty: Bool { fields.isEmpty }

    /// Whether nothing may be written over a field yet.
    func has(_ field: Bytes) -> Bool { known.contains(field) }

    func add(_ field: Bytes, _ bytes: Int) {
        if known.insert(field).inserted { fields.append((field, bytes)) }
    }

    /// Moves all of them; `moved` is told each field that is free then.
    ///
    /// - Throws: `RedisError`; what has not moved is tried again.
    func move(
        from journal: JournalPlace, _ makePlace: () -> JournalPlace, moved: (Bytes) -> Void
    ) async throws {
        let new = place ?? makePlace()
        place = new
        do {
            try await clock.inTime { [store] in try await store.register(new) }
            while !fields.isEmpty {
                let part = nextPart()
                let entries = try await clock.inTime { [store] in try await store.entries(of: journal, part) }
                if !entries.isEmpty { try await clock.inTime { [store] in try await store.add(entries, to: new) } }
                fields.removeFirst(part.count)
                known.subtract(part)
                part.forEach(moved)
            }
        } catch RedisError.reply(let text) {
            // What was fenced once stays so.
            readBack()
            throw RedisError.reply(text)
        }
        readBack()
    }

    /// The journal has lost them, or another server has it.
    func forget() {
        (fields, known) = ([], [])
        readBack()
    }

    private func readBack() {
        guard let place else { return }
        self.place = nil
        onMoved(place)
    }

    private func nextPart() -> [Bytes] {
        var bytes = 0
        return fields.prefix { field in
            defer { bytes += field.bytes }
            return bytes == 0 || bytes + field.bytes <= Self.maxBytes
        }.map(\.field)
    }
}
