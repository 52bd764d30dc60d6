// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

/// Pushes to many sessions of one server: in slices, in order, and not without bound.
@Suite struct DeliveryQueueTests {
    static let news = Push<String>("onNews")

    @Loop private func crowd(_ count: Int) async throws -> (world: ChannelWorld, sockets: [TestSocket]) {
        let world = try await ChannelWorld { _ in }
        var sockets: [TestSocket] = []
        for number in 0..<count { sockets.append(try await world.user(UserID("user-\(number)"), "connector-1")) }
        return (world, sockets)
    }

    /// How many have got something when other work, begun at the same time, has its turn.
    @Loop private func servedBeforeOthers(
        _ sockets: [TestSocket], _ push: @escaping @Loop @Sendable () async throws -> Void
    ) async -> Int {
        let served = Box(-1)
        Loop.spawn { do { try await push() } catch { Issue.record(error) } }
        Loop.spawn { self.whenFirstIsServed(sockets) { served.value = sockets.count { !$0.pushes.isEmpty } } }
        for _ in 0..<400 where served.value < 0 { await Loop.yield() }
        return served.value
    }

    @Loop private func whenFirstIsServed(_ sockets: [TestSocket], _ body: @escaping @Loop @Sendable () -> Void) {
        Loop.spawn {
            if sockets.allSatisfy({ $0.pushes.isEmpty }) { self.whenFirstIsServed(sockets, body) } else { body() }
        }
    }

    @Test(arguments: ["broadcast", "filtered", "to users"])
    @Loop func longPushesGoInSlices(_ how: String) async throws {
        let (world, sockets) = try await crowd(3000)
        let app = world.cluster["connector-1"]
        app.channelService.broadcastFilters["all"] = { _, _ in true }
        let uids = (0..<3000).map { UserID("user-\($0)") }
        let served = await servedBeforeOthers(sockets) {
            switch how {
            case "broadcast":
                _ = try await app.channelService.broadcast(to: "connector", Self.news, "hello")
            case "filtered":
                _ = try await app.channelService.broadcast(
                    to: "connector", Self.news, "hello", filter: ("all", .null))
            default:
                _ = await app.fanout.push(try PushMessage(Self.news, "hello"), to: ["connector-1": uids])
            }
        }
        #expect(served == DeliveryQueue.sliceLength)
        await world.cluster.settle(turns: 200)
        #expect(sockets.allSatisfy { $0.pushes.count == 1 })
    }

    /// A short push behind a long one waits, so that nobody gets them in the other order.
    @Test @Loop func pushesKeepTheirOrder() async throws {
        let (world, sockets) = try await crowd(1000)
        let app = world.cluster["connector-1"]
        let uids = (0..<1000).map { UserID("user-\($0)") }
        Loop.spawn {
            do {
                _ = await app.fanout.push(try PushMessage(Self.news, "one"), to: ["connector-1": uids])
            } catch { Issue.record(error) }
        }
        Loop.spawn {
            do {
                _ = await app.fanout.push(try PushMessage(Self.news, "two"), to: ["connector-1": [uids[999]]])
            } catch { Issue.record(error) }
        }
        await world.cluster.settle(turns: 100)
        #expect(sockets[999].pushes.map(\.text) == ["\"one\"", "\"two\""])
    }

    /// What waits is bounded in bytes; a push beyond it is refused, counted, and in the report.
    @Test @Loop func whatWaitsIsBounded() async throws {
        let (world, sockets) = try await crowd(300)
        let sessions = sockets.compactMap(\.session)
        let queue = DeliveryQueue()
        let large = try PushMessage(route: "onLarge", body: Bytes(repeating: 32, count: DeliveryQueue.byteLimit / 4))
        let done = Box(0)
        for _ in 1...3 { try queue.push(large, to: sessions) { done.value += $0.queued } }
        #expect(throws: PomeloError.self) { try queue.push(large, to: sessions) { _ in done.value += 10_000 } }
        #expect(queue.refused == 1)
        await world.cluster.settle(turns: 100)
        #expect(done.value == 900)
        // One alone may be of any size.
        let huge = try PushMessage(route: "onHuge", body: Bytes(repeating: 32, count: DeliveryQueue.byteLimit - 64))
        try queue.push(huge, to: sessions) { done.value += $0.queued }
        await world.cluster.settle(turns: 100)
        #expect(done.value == 1200 && queue.refused == 1)
    }
}

@Loop private final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}
