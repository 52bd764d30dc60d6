// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Datagrams that the kernel has no room for, in their order.
///
/// - Guarantee: never more than the bound, except for one datagram alone.
struct DatagramQueue {
    typealias Datagram = (bytes: [UInt8], peer: SocketAddress)

    private let maxBytes: Int
    private let overflow: DatagramOverflow
    private var datagrams: Deque<Datagram> = []
    /// What waits, in bytes.
    private(set) var size = 0
    /// Datagrams dropped so far.
    private(set) var dropped = 0

    init(_ options: DatagramOptions) {
        maxBytes = options.maxQueuedBytes
        overflow = options.overflow
    }

    var isEmpty: Bool { datagrams.isEmpty }

    /// Adds a datagram; false when it was dropped.
    mutating func put(_ datagram: Datagram) -> Bool {
        let count = datagram.bytes.count + DatagramOptions.overhead
        while size + count > maxBytes, !datagrams.isEmpty {
            dropped += 1
            if overflow == .dropNewest { return false }
            _ = take()
        }
        size += count
        datagrams.append(datagram)
        return true
    }

    mutating func take() -> Datagram? {
        guard let first = datagrams.popFirst() else { return nil }
        size -= first.bytes.count + DatagramOptions.overhead
        return first
    }

    /// The kernel had no room after all.
    mutating func putBack(_ datagram: Datagram) {
        size += datagram.bytes.count + DatagramOptions.overhead
        datagrams.prepend(datagram)
    }
}
