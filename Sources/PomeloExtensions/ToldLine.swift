// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// What one implementer of this process is told at one point: in order per key, several keys at a time.
@Loop final class ToldLine {
    /// Events with one key that wait behind the one under way.
    static let keyLimit = 64
    /// Events that wait, of all keys.
    static let limit = 1024
    /// Bytes of their data.
    static let bytesLimit = 16 << 20
    /// Keys whose events are told at the same time.
    static let keysAtOnce = 64

    private struct Told {
        var event: ExtensionEvent
        var size: Int
    }

    let implementer: any Implementer
    private let meters: ExtensionMeters
    /// What waits, of the keys that are being told or wait for their turn.
    private var waiting: [Text: [Told]] = [:]
    private var ready: [Text] = []
    private var running = 0
    private var count = 0
    private var bytes = 0

    init(_ implementer: any Implementer, _ meters: ExtensionMeters) {
        self.implementer = implementer
        self.meters = meters
    }

    /// Queues an event; false when too much waits.
    func tell(_ event: ExtensionEvent, _ size: Int) -> Bool {
        let key = Text(event.key)
        if event.point.isCoalesced, let last = waiting[key]?.last {
            bytes += size - last.size
            waiting[key] = [Told(event: event, size: size)]
            return true
        }
        guard count < Self.limit, bytes + size <= Self.bytesLimit, (waiting[key]?.count ?? 0) < Self.keyLimit
        else { return false }
        count += 1
        bytes += size
        if waiting[key] == nil { ready.append(key) }
        waiting[key, default: []].append(Told(event: event, size: size))
        begin()
        return true
    }

    private func begin() {
        while running < Self.keysAtOnce, !ready.isEmpty {
            running += 1
            let key = ready.removeFirst()
            Loop.spawn { await self.run(key) }
        }
    }

    /// Tells what waits with a key; other keys that wait have their turn after each event.
    private func run(_ key: Text) async {
        while let told = waiting[key]?.first {
            waiting[key]?.removeFirst()
            count -= 1
            bytes -= told.size
            do {
                _ = try await implementer.answer(told.event, within: told.event.point.budget)
            } catch {
                meters.failed(told.event.point, error, implementer.name)
            }
            // REENTRANCY: more may wait now, with this key or another.
            if !ready.isEmpty { break }
        }
        if waiting[key]?.isEmpty == true { waiting[key] = nil } else { ready.append(key) }
        running -= 1
        begin()
    }
}
