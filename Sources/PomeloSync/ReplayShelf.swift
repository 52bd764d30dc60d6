// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// Where a value came back from; it stays there until a sink has confirmed it.
@Loop protocol ReplayOrigin: AnyObject {
    /// A sink has it.
    func written(_ origin: Replay.Origin)
}

/// A value that a journal, or a dead letter, has brought back.
struct Replay {
    struct Origin {
        let origin: any ReplayOrigin
        let field: Bytes
        let bytes: Int
    }

    let entry: SyncEntry
    let since: UInt64
    var origins: [Origin]
    var attempts = 0

    @Loop func written() {
        for origin in origins { origin.origin.written(origin) }
    }
}

/// Values of ids that came back: they are written before those of their ids that came since, the earlier one first.
struct ReplayShelf {
    private var waiting: [Text: [Replay]] = [:]
    private var onTheWay: [Text: Replay] = [:]
    private(set) var count = 0

    var oldest: UInt64? {
        count == 0 ? nil : (waiting.values.joined().map(\.since) + onTheWay.values.map(\.since)).min()
    }

    var all: [Replay] { count == 0 ? [] : waiting.values.joined() + Array(onTheWay.values) }

    func waits(_ id: Text) -> Bool { count > 0 && waiting[id] != nil }
    func isOnTheWay(_ id: Text) -> Bool { count > 0 && onTheWay[id] != nil }

    /// False when it is there already, from another journal: both of them let go of it later.
    mutating func add(_ id: Text, _ replay: Replay) -> Bool {
        if onTheWay[id]?.entry.version == replay.entry.version {
            onTheWay[id]?.origins += replay.origins
            return false
        }
        let there = waiting[id] ?? []
        if let same = there.firstIndex(where: { $0.entry.version == replay.entry.version }) {
            waiting[id]?[same].origins += replay.origins
            return false
        }
        let index = there.firstIndex { $0.entry.version > replay.entry.version } ?? there.count
        waiting[id, default: []].insert(replay, at: index)
        count += 1
        return true
    }

    mutating func take(_ id: Text) -> SyncEntry? {
        guard count > 0, var replays = waiting[id] else { return nil }
        let next = replays.removeFirst()
        waiting[id] = replays.isEmpty ? nil : replays
        onTheWay[id] = next
        return next.entry
    }

    /// The one on its way, which is there no more.
    mutating func arrived(_ id: Text) -> Replay? {
        guard count > 0, let replay = onTheWay.removeValue(forKey: id) else { return nil }
        count -= 1
        return replay
    }

    mutating func putBack(_ id: Text, _ replay: Replay) {
        waiting[id, default: []].insert(replay, at: 0)
        count += 1
    }
}
