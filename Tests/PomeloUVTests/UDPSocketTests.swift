// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloUV

/// What is the kernel's alone; what sockets in memory promise too is tested for both together.
@Suite struct UDPSocketTests {
    private static let peer = SocketAddress(host: "127.0.0.1", port: 9)

    private func queue(_ overflow: DatagramOverflow, room: Int) -> DatagramQueue {
        var options = DatagramOptions()
        options.maxQueuedBytes = room
        options.overflow = overflow
        return DatagramQueue(options)
    }

    @Test(arguments: DatagramOverflow.allCases) func aFullQueueDropsByItsPolicy(_ overflow: DatagramOverflow) {
        let each = 10 + DatagramOptions.overhead
        var queue = queue(overflow, room: 3 * each + 5)
        let taken = (UInt8(0)..<5).map { queue.put(([UInt8](repeating: $0, count: 10), Self.peer)) }
        #expect(
            taken == (overflow == .dropNewest ? [true, true, true, false, false] : .init(repeating: true, count: 5)))
        #expect(queue.dropped == 2 && queue.size == 3 * each)
        var left: [UInt8] = []
        while let next = queue.take() { left.append(next.bytes[0]) }
        #expect(left == (overflow == .dropNewest ? [0, 1, 2] : [2, 3, 4]))
        #expect(queue.size == 0 && queue.isEmpty)
    }

    @Test func emptyDatagramsTakeRoomToo() {
        var queue = queue(.dropNewest, room: 1000)
        for _ in 0..<100_000 { _ = queue.put(([], Self.peer)) }
        #expect(queue.size <= 1000 && queue.dropped > 99_900)
    }

    @Test func whatIsPutBackComesFirst() throws {
        var queue = queue(.dropNewest, room: 1000)
        for number: UInt8 in 1...3 { _ = queue.put(([number], Self.peer)) }
        let taken = queue.take()
        let first = try #require(taken)
        let size = queue.size
        queue.putBack(first)
        #expect(queue.size > size)
        let next = [queue.take()?.bytes, queue.take()?.bytes]
        #expect(next == [[1], [2]])
    }

    @Test @Loop func noNumericAddressIsNone() async throws {
        let socket = try await UVNetwork().bindDatagrams(on: .init(host: "127.0.0.1", port: 0), DatagramOptions())
        #expect(!socket.send([1], to: SocketAddress(host: "no.address", port: 1)))
        #expect(!socket.send([1], to: SocketAddress(host: "127.0.0.1", port: 70_000)))
        #expect(socket.losses.unsendable == 2)
        socket.close()
        let error = await failure { () async throws(NetworkError) in
            _ = try await UVNetwork().bindDatagrams(on: .init(host: "192.0.2.1", port: 0), DatagramOptions())
        }
        #expect(error?.code == "EADDRNOTAVAIL" && error?.description.contains("192.0.2.1") == true)
    }

    @Test @Loop func aClosedSocketLeavesItsPortAtOnce() async throws {
        let address = SocketAddress(host: "127.0.0.1", port: try await TestPorts.next())
        for _ in 0..<50 {
            let socket = try await UVNetwork().bindDatagrams(on: address, DatagramOptions())
            for _ in 0..<10 { socket.send([1, 2, 3], to: address) }
            socket.close()
            socket.close()
            #expect(!socket.send([1], to: address) && socket.queuedBytes == 0)
        }
    }
}
