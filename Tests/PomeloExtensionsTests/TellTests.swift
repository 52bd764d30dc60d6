// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Who is told what happens, in which order, and how much may wait.
@Suite struct TellTests {
    @Test @Loop func eventsWithOneKeyAreToldInOrder() async throws {
        let world = try ExtensionWorld()
        let slow = world.implementer("slow", of: .seen) { event in
            event.data == 1 ? .after(.milliseconds(50), .ok) : .answer(.ok)
        }
        let quick = world.implementer("quick", of: .seen) { _ in .answer(.ok) }
        for number in 1...3 { world.extensions.tell(.seen, .init(number), key: "a") }
        world.extensions.tell(.seen, 9, key: "b")
        await world.pass(.milliseconds(5))
        #expect(slow.data == [1, 9])
        #expect(quick.events.filter { $0.key == "a" }.map(\.data) == [1, 2, 3])
        await world.pass(.milliseconds(60))
        #expect(slow.data == [1, 9, 2, 3])
        #expect(world.extensions.count(of: .told, at: .seen) == 4)
    }

    @Test @Loop func whoThrowsIsToldTheNextOneToo() async throws {
        _ = CapturedLogs.installed
        let world = try ExtensionWorld()
        let name = "thrower \(UInt64.random(in: 0 ... .max))"
        let seen = Journal<JSON>()
        world.extensions.follow(.seen, as: name) { event in
            seen.note(event.data)
            throw Scripted.Failure()
        }
        for number in 1...3 { world.extensions.tell(.seen, .init(number), key: "a") }
        await world.cluster.settle()
        #expect(seen.entries == [1, 2, 3])
        #expect(world.extensions.count(of: .failed, at: .seen) == 3)
        let lines = CapturedLogs.installed.lines("pomelo", where: "pomelo.implementer", is: "\"\(name)\"")
        #expect(lines.count == 3 && lines.allSatisfy { $0["pomelo.point"] == "test/seen" && $0.level == .warning })
    }

    /// A line for each of them could hold up everybody else.
    @Test @Loop func linesAboutFailuresAreLimited() async throws {
        _ = CapturedLogs.installed
        let world = try ExtensionWorld()
        let name = "thrower-\(UInt64.random(in: 0 ... .max))"
        world.extensions.follow(.seen, as: name) { _ in throw Scripted.Failure() }
        for number in 1...50 { world.extensions.tell(.seen, .init(number), key: "a") }
        await world.cluster.settle(turns: 200)
        #expect(world.extensions.count(of: .failed, at: .seen) == 50)
        #expect(CapturedLogs.installed.lines("pomelo", where: "pomelo.implementer", is: name).count == 10)
    }

    @Test @Loop func ofCoalescedEventsThatWaitTheLatestIsTold() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a", of: .addServers) { _ in .after(.milliseconds(50), .ok) }
        for number in 1...5 { world.extensions.tell(.addServers, .init(number), key: "a") }
        world.extensions.tell(.addServers, 10, key: "b")
        await world.pass(.milliseconds(5))
        #expect(implementer.data == [5, 10])
        for number in 6...200 { world.extensions.tell(.addServers, .init(number), key: "a") }
        await world.pass(.milliseconds(200))
        #expect(implementer.data == [5, 10, 200])
        #expect(world.extensions.count(of: .lost, at: .addServers) == 0)
    }

    @Test @Loop func otherProcessesAreToldEverythingInOrder() async throws {
        let world = try ExtensionWorld()
        let outside = FakeOutside()
        world.extensions.outside = outside
        _ = world.implementer("hung", of: .seen) { _ in .hang }
        for number in 1...3 { world.extensions.tell(.seen, .init(number), key: "a") }
        world.extensions.tell(.drain, [:], key: "chat-1")
        #expect(outside.delivered.map(\.event.data) == [1, 2, 3, [:]])
        #expect(outside.delivered.map(\.isCoalesced) == [false, false, false, true])
        world.extensions.outside = nil
        world.extensions.tell(.drain, [:], key: "chat-1")
        #expect(outside.delivered.count == 4 && world.extensions.count(of: .told, at: .drain) == 1)
    }

    @Test @Loop func whoIsReplacedIsToldNothingMore() async throws {
        let world = try ExtensionWorld()
        let former = world.implementer("a", of: .seen) { _ in .answer(.ok) }
        let kept = world.implementer("b", of: .seen) { _ in .answer(.ok) }
        world.extensions.tell(.seen, 1, key: "a")
        await world.cluster.settle()
        let next = world.implementer("a", of: .seen) { _ in .answer(.ok) }
        world.extensions.tell(.seen, 2, key: "a")
        await world.cluster.settle()
        #expect([former, kept, next].map(\.data) == [[1], [1, 2], [2]])
    }

    // MARK: bounds

    @Test @Loop func eventsThatAreTooLargeAreLost() async throws {
        let world = try ExtensionWorld()
        let outside = FakeOutside()
        world.extensions.outside = outside
        let implementer = world.implementer("a", of: .seen) { _ in .answer(.ok) }
        for length in [ExtensionPoint.dataLimit - 2, ExtensionPoint.dataLimit - 1] {
            world.extensions.tell(.seen, .string(String(repeating: "x", count: length)), key: "a")
        }
        await world.cluster.settle()
        #expect(implementer.events.count == 1 && outside.delivered.count == 1)
        #expect(world.extensions.count(of: .lost, at: .seen) == 1)
    }

    @Test @Loop func sixtyFourEventsWaitWithOneKeyForEachImplementer() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("hung", of: .seen) { _ in .hang }
        let well = world.implementer("well", of: .seen) { _ in .answer(.ok) }
        world.extensions.tell(.seen, 0, key: "a")
        await world.cluster.settle()
        for number in 1...66 {
            world.extensions.tell(.seen, .init(number), key: "a")
            await world.cluster.settle(turns: 3)
        }
        world.extensions.tell(.seen, 99, key: "b")
        await world.cluster.settle()
        #expect(world.extensions.count(of: .lost, at: .seen) == 2)
        #expect(hung.data == [0, 99] && well.events.count == 68)
        for _ in 0..<66 {
            hung.wake()
            await world.cluster.settle(turns: 3)
        }
        #expect(hung.data == [0, 99] + (1...64).map { JSON($0) })
    }

    @Test @Loop func whatIsSupersededTakesNoRoom() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("hung", of: .addServers) { _ in .hang }
        world.extensions.tell(.addServers, 0, key: "a")
        await world.cluster.settle()
        let large = JSON.string(String(repeating: "x", count: 1 << 19))
        for _ in 0..<40 { world.extensions.tell(.addServers, large, key: "a") }
        world.extensions.tell(.addServers, large, key: "b")
        await world.cluster.settle()
        #expect(world.extensions.count(of: .lost, at: .addServers) == 0 && hung.events.map(\.key) == ["a", "b"])
    }

    /// 64 keys are told at a time; of those that wait there are 1024.
    @Test @Loop func aThousandEventsWaitForEachImplementer() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("hung", of: .seen) { $0.key == "more" ? .answer(.ok) : .hang }
        for number in 0..<64 { world.extensions.tell(.seen, .init(number), key: "\(number)") }
        await world.cluster.settle()
        #expect(hung.underWay == 64)
        for number in 0...1024 { world.extensions.tell(.seen, .init(number), key: "key \(number)") }
        await world.cluster.settle()
        #expect(world.extensions.count(of: .lost, at: .seen) == 1 && hung.underWay == 64)
        // Those that waited for a turn get theirs.
        for _ in 0..<20 {
            hung.wake()
            await world.cluster.settle(turns: 6)
        }
        #expect(hung.events.count == 64 + 1024 && hung.underWay == 0)
        world.extensions.tell(.seen, "more", key: "more")
        await world.cluster.settle()
        #expect(hung.events.last?.key == "more")
    }

    /// Who has much to be told does not keep the others waiting.
    @Test @Loop func keysThatWaitHaveTheirTurnAfterEachEvent() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a", of: .seen) { _ in .hang }
        for number in 0..<64 {
            for part in 0..<2 { world.extensions.tell(.seen, .init(part), key: "\(number)") }
        }
        world.extensions.tell(.seen, 0, key: "late")
        await world.cluster.settle()
        implementer.wake()
        await world.cluster.settle()
        #expect(implementer.events.dropFirst(64).contains { $0.key == "late" } && implementer.underWay == 64)
    }

    @Test @Loop func sixteenMebibytesWaitForEachImplementer() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("hung", of: .seen) { _ in .hang }
        world.extensions.tell(.seen, "first", key: "a")
        await world.cluster.settle()
        let most = JSON.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 2))
        for _ in 0..<16 { world.extensions.tell(.seen, most, key: "a") }
        #expect(world.extensions.count(of: .lost, at: .seen) == 0)
        world.extensions.tell(.seen, "small", key: "b")
        #expect(world.extensions.count(of: .lost, at: .seen) == 1)
    }
}
