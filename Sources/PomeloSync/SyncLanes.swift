// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop

/// The values of one key that wait, and who brings them away.
@Loop struct SyncLane {
    let line: any SyncLine
    let writer: SyncWriter
}

/// The lanes of all keys, made when they are needed first.
@Loop final class SyncLanes {
    private let byKey: [Text: SinkEntry]
    private let owner: SyncOwner
    private let log: Logger
    private var tables: [Text: SyncLane] = [:]
    private var queues: [Text: SyncLane] = [:]

    init(_ sinks: [Text: SinkEntry], _ owner: SyncOwner, _ log: Logger) {
        byKey = sinks
        self.owner = owner
        self.log = log
    }

    var all: [SyncLane] { Array(tables.values) + Array(queues.values) }

    /// Each once.
    var sinks: [any SyncSink] {
        var seen: Set<ObjectIdentifier> = []
        return byKey.sorted { $0.key < $1.key }.map(\.value.sink)
            .filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    func sink(of key: Text) -> (any SyncSink)? { byKey[key]?.sink }

    func table<Value>(
        _ key: SyncKey<Value>
    ) throws(SyncError) -> (line: SyncTable, values: ValueSlots<Value>, writer: SyncWriter) {
        if let known = key.place.table, known.line.owner === owner, !owner.isClosed { return known }
        let lane = try lane(&tables, key.name) { SyncTable(key.name, ValueSlots(key), owner) }
        guard let table = lane.line as? SyncTable, let values = table.values as? ValueSlots<Value> else {
            throw .otherType(key.name.string)
        }
        key.place.table = (table, values, lane.writer)
        return (table, values, lane.writer)
    }

    func queue<Value>(_ key: SyncKey<Value>) throws(SyncError) -> (SyncQueue<Value>, SyncWriter) {
        if let known = key.place.queue, known.line.owner === owner, !owner.isClosed { return known }
        let lane = try lane(&queues, key.name) { SyncQueue(key, owner) }
        guard let queue = lane.line as? SyncQueue<Value> else { throw .otherType(key.name.string) }
        key.place.queue = (queue, lane.writer)
        return (queue, lane.writer)
    }

    private func lane(
        _ lanes: inout [Text: SyncLane], _ name: Text, _ make: () -> any SyncLine
    ) throws(SyncError) -> SyncLane {
        if owner.isClosed { throw .stopped }
        if let lane = lanes[name] { return lane }
        guard let entry = byKey[name] else { throw .unknownKey(name.string) }
        let lane = makeLane(make(), entry)
        lanes[name] = lane
        return lane
    }

    private func makeLane(_ line: any SyncLine, _ entry: SinkEntry) -> SyncLane {
        SyncLane(line: line, writer: SyncWriter(line, entry.sink, owner, log))
    }

    /// The lane of a key by its name alone, for values that come back as bytes; nil when it has no sink.
    func mapped(_ key: Text, _ hasIDs: Bool) -> SyncLane? {
        guard let entry = byKey[key] else { return nil }
        if let lane = hasIDs ? tables[key] : queues[key] { return lane }
        let lane = makeLane(hasIDs ? entry.makeTable(owner) : entry.makeQueue(owner), entry)
        if hasIDs { tables[key] = lane } else { queues[key] = lane }
        return lane
    }
}
