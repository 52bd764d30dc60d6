// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Members who leave one after the other, in any order.
@Suite struct LeavingTests {
    /// All orders of three.
    static let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]

    @Test(arguments: orders) @Loop func whoStaysIsReachedWhoeverLeft(_ order: [Int]) async throws {
        let world = try await World()
        let users = ["ann", "bob", "cid"] as [UserID]
        var sockets: [TestSocket] = []
        for uid in users {
            sockets.append(try await world.client("connector-1", uid))
            try await world.chat.add("room", uid, "connector-1")
        }
        var left: Set<Int> = []
        for index in order {
            try await world.chat.leave("room", users[index], "connector-1")
            left.insert(index)
            #expect(try await world.push("after \(index)").queued == 3 - left.count)
        }
        for (index, socket) in sockets.enumerated() {
            #expect(socket.texts == order.prefix { $0 != index }.map { "after \($0)" })
        }
    }

    @Test @Loop func aDeviceThatIsAMemberBringsNoOther() async throws {
        let world = try await World()
        let phone = try await world.client("connector-1", "ann")
        try await world.chat.add("room", session: try await world.copy(of: phone))
        let desk = try await world.client("connector-1", "ann")
        #expect(try await world.push("phone").queued == 1)
        #expect(phone.texts == ["phone"] && desk.texts == [])
    }
}
