// SPDX-License-Identifier: MIT
import DequeModule
public import PomeloLoop

/// Pushes on their way to many sessions of this server, one after the other, so much of each per turn.
///
/// - Guarantee: they are served in call order; the first slice of one that has to wait for nobody in the call itself.
@Loop public final class DeliveryQueue {
    /// Sessions served before their bytes leave and other work gets its turn: as many as leave in one turn.
    ///
    /// Their memory is still in the processor's cache when it is needed again.
    public static let sliceLength = 256
    /// What the deliveries under way may hold, in bytes, before further ones are refused.
    public nonisolated static let byteLimit = 16 << 20
    /// What each of them costs beside its body and its list, at most.
    private static let overheadBytes = 256

    /// Serves the next part, adding to the report; returns whether it was the last.
    public typealias Slice = @Loop (inout PushReport) -> Bool

    private struct Delivery {
        let bytes: Int
        let slice: Slice
        let done: @Loop @Sendable (PushReport) -> Void
        var report = PushReport()
    }

    private var deliveries: Deque<Delivery> = []
    private var heldBytes = 0
    /// Deliveries that found the queue full.
    public private(set) var refused = 0

    /// A queue that holds nothing.
    public init() {}

    /// Sends a message to the sessions of a list that are open when their turn comes, or to those of them that are
    /// served.
    ///
    /// - Throws: `PomeloError` `.overloaded` when what waits holds as much as it may; then nobody is served.
    public func push(
        _ message: PushMessage, to sessions: [ClientSession], where serves: (@Loop (ClientSession) -> Bool)? = nil,
        done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws(PomeloError) {
        var next = 0
        let bytes = message.body.count + sessions.count * MemoryLayout<ClientSession>.stride
        try run(holding: bytes, done: done) { report in
            let end = min(sessions.count, next + Self.sliceLength)
            let slice = sessions[next..<end]
            next = end
            for session in slice where session.isOpen && serves?(session) ?? true { report.send(message, to: session) }
            return next == sessions.count
        }
    }

    /// Runs a delivery slice by slice.
    ///
    /// - Throws: as `push`.
    func run(
        holding bytes: Int, done: @escaping @Loop @Sendable (PushReport) -> Void, _ slice: @escaping Slice
    ) throws(PomeloError) {
        let bytes = bytes + Self.overheadBytes
        // One alone may be of any size: it was let in as a message.
        guard deliveries.isEmpty || heldBytes + bytes <= Self.byteLimit else {
            refused += 1
            throw PomeloError(.overloaded, "\(deliveries.count) pushes wait already: \(heldBytes) bytes")
        }
        heldBytes += bytes
        deliveries.append(Delivery(bytes: bytes, slice: slice, done: done))
        if deliveries.count == 1 { runSlice() }
    }

    private func runSlice() {
        guard var first = deliveries.first else { return }
        // Whoever is served may push in turn: the queue is not held meanwhile.
        let isLast = first.slice(&first.report)
        deliveries[0].report = first.report
        if isLast {
            deliveries.removeFirst()
            heldBytes -= first.bytes
            first.done(first.report)
        }
        if !deliveries.isEmpty { EventLoop.shared.flushList.append(self) }
    }
}

extension DeliveryQueue: Flushable {
    /// What the slice before has written is on its way; the next one has a turn of its own.
    public func flushTurn() { Loop.spawn { self.runSlice() } }
}

extension PushReport {
    @Loop mutating func send(_ message: PushMessage, to session: ClientSession) {
        if session.send(message) { queued += 1 } else { slow += 1 }
    }
}
