// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloRedis

/// What is in a journal, page by page: the values of ids in no order, then those without in the order they came.
@Loop final class JournalPages {
    typealias Page = [(field: Bytes, value: Bytes)]

    private let store: JournalStore
    private let place: JournalPlace
    /// Nil when all has been seen.
    private var cursor: String? = "0"
    /// Fields of values without ids, whose order is known when all has been seen.
    private var ordered: [Bytes] = []
    /// Fewer when a page is more than Redis answers with in time, or a reply may have bytes.
    private var count = JournalStore.page

    init(_ store: JournalStore, _ place: JournalPlace) {
        self.store = store
        self.place = place
    }

    /// The next ones, which may be none; nil behind the last.
    ///
    /// A value of an id may come twice.
    func next() async throws(RedisError) -> Page? {
        do throws(RedisError) {
            guard let cursor else { return ordered.isEmpty ? nil : try await nextOrdered() }
            let (page, next) = try await store.page(of: place, from: cursor, count)
            ordered += page.map(\.field).filter(JournalRecord.isOrdered)
            self.cursor = next
            if next == nil { order() }
            return page.filter { !JournalRecord.isOrdered($0.field) }
        } catch {
            count = max(1, count / 4)
            throw error
        }
    }

    /// The last first, to be taken from the end.
    private func order() {
        let sorted = Set(ordered).map { (number: JournalRecord.number(of: $0), field: $0) }
        ordered = sorted.sorted { $0.number > $1.number }.map(\.field)
    }

    private func nextOrdered() async throws(RedisError) -> Page {
        let fields = Array(ordered.suffix(count).reversed())
        let page = try await store.entries(of: place, fields)
        ordered.removeLast(fields.count)
        return page
    }
}

/// What was found in a journal so far.
struct JournalContent {
    struct Kind: Hashable {
        let key: Text
        let hasIDs: Bool
    }

    /// Entries of one line, the earlier first.
    struct Lot {
        let kind: Kind
        let entries: [(field: Bytes, entry: SyncEntry)]
    }

    /// Entries that are replayed.
    private(set) var count = 0
    /// Fields that are not.
    private(set) var left = 0
    private var newer: Set<UInt8> = []
    private var strangers: Set<Text> = []
    private var damaged = 0

    /// Sorts a page into what is replayed, and what is left.
    mutating func add(_ page: JournalPages.Page, _ isKnown: (Text, Bool) -> Bool) -> [Lot] {
        var entries: [(field: Bytes, entry: SyncEntry)] = []
        for (field, value) in page {
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
        count += entries.count
        left += page.count - entries.count
        return Dictionary(grouping: entries) { Kind(key: $0.entry.key, hasIDs: $0.entry.id != nil) }
            .map { Lot(kind: $0.key, entries: $0.value.sorted { $0.entry.version < $1.entry.version }) }
            .sorted { ($0.kind.key, $0.kind.hasIDs ? 1 : 0) < ($1.kind.key, $1.kind.hasIDs ? 1 : 0) }
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
