// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Questions with one key, and how many may wait.
@Suite struct AskOrderTests {
    @Test @Loop func questionsWithOneKeyKeepTheirOrderHoweverSlowTheAnswers() async throws {
        let world = try ExtensionWorld()
        let delays = ["1": 40, "3": 15, "4": 5]
        let implementer = world.implementer("a") { event in
            guard let delay = delays[event.data.string ?? ""] else { return .answer(.ok) }
            return .after(.milliseconds(delay), .ok)
        }
        for name in ["1", "2", "3", "4"] { world.ask(name) }
        await world.pass(.milliseconds(20))
        #expect(implementer.data == ["1"])
        await world.pass(.milliseconds(100))
        #expect(world.names == ["1", "2", "3", "4"])
        #expect(world.times == [40, 40, 55, 60].map { .milliseconds($0) })
    }

    @Test @Loop func keysAndPointsDoNotWaitForOneAnother() async throws {
        let world = try ExtensionWorld()
        for point in [ExtensionPoint.beforeSend, .beforeJoin] {
            _ = world.implementer("a", of: point) { $0.data == "slow" ? .hang : .answer(.ok) }
        }
        world.ask("slow")
        world.ask("attic", key: "attic")
        world.ask("join", .beforeJoin)
        world.ask("behind")
        await world.pass(.milliseconds(5))
        #expect(world.names == ["attic", "join"])
    }

    @Test @Loop func timeThatIsWaitedCounts() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a") { _ in .hang }
        world.ask("1")
        await world.pass(.milliseconds(100))
        world.ask("2")
        await world.pass(.milliseconds(200))
        #expect(world.times == [.milliseconds(150), .milliseconds(250)])
        #expect(implementer.limits == [.milliseconds(150), .milliseconds(100)])
    }

    /// The second has no time left when its turn comes.
    @Test @Loop func whoHasWaitedTheWholeBudgetIsNotAsked() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a") { _ in .hang }
        for name in ["1", "2", "3"] { world.ask(name, onFailure: name == "2" ? .closed : .open) }
        await world.pass(.milliseconds(160))
        #expect(world.names == ["1", "2", "3"] && implementer.data == ["1"])
        #expect(world.verdicts == [.unmoderated("1"), .unanswered(), .unmoderated("3")])
        #expect(world.times.allSatisfy { $0 == .milliseconds(150) })
    }

    /// The second is asked in the turn in which the first is answered, before the first's caller goes on, and its
    /// answer is there already.
    @Test @Loop func whoIsAnsweredAtOnceDoesNotOvertakeWhoWasAnsweredBefore() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a", of: .route) { _ in
            world.ask("2", .route)
            return .answer(.ok)
        }
        world.ask("1", .route)
        await world.cluster.settle()
        #expect(world.names == ["1", "2"] && implementer.events.count == 1)
    }

    // MARK: bounds

    @Test @Loop func beyondSixtyFourCallsAnImplementerIsSkippedUntilOneReallyEnds() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("a") { $0.data == "quick" ? .answer(.ok) : .hang }
        let later = world.implementer("b") { _ in .answer(.ok) }
        for number in 0..<64 { world.ask("\(number)", key: "\(number)") }
        await world.pass(.milliseconds(200))
        #expect(world.names.count == 64 && hung.underWay == 64 && later.events.isEmpty)
        let before = world.now
        world.ask("quick")
        world.ask("quick", key: "attic", onFailure: .closed)
        await world.cluster.settle()
        #expect(world.verdicts.suffix(2).contains(.unanswered()) && world.now == before)
        #expect(world.verdicts.suffix(2).contains(.unmoderated("quick")) && later.data == ["quick"])
        hung.wake()
        await world.cluster.settle()
        #expect(hung.underWay == 0)
        #expect(await world.extensions.ask(.beforeSend, "quick", key: "hall") == .passed("quick"))
        // All of them are free again.
        for number in 0..<65 { world.ask("again \(number)", key: "\(number)") }
        await world.cluster.settle()
        #expect(hung.underWay == 64)
    }

    /// A plugin is one, whatever objects stand for it and wherever it is asked.
    @Test @Loop func theCallsOfAnImplementerCountUnderItsName() async throws {
        let world = try ExtensionWorld()
        let outside = FakeOutside()
        world.extensions.outside = outside
        let make = { @Loop in Scripted("org-mod", world.app.clock) { _ in .hang } }
        for number in 0..<32 {
            outside.asked = [.beforeSend: [make()], .beforeJoin: [make()]]
            world.ask("a\(number)", key: "\(number)")
            world.ask("b\(number)", .beforeJoin, key: "\(number)")
            await world.cluster.settle(turns: 4)
        }
        let more = make()
        outside.asked = [.beforeSend: [more]]
        // One of this process may have the same name.
        let here = world.implementer("org-mod") { _ in .answer(.ok) }
        world.ask("x", key: "x")
        await world.cluster.settle()
        #expect(world.verdicts == [.unmoderated("x")])
        #expect(more.events.isEmpty && here.events.count == 1)
    }

    @Test @Loop func beyondSixtyFourThatWaitWithOneKeyThePolicyDecides() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { _ in .hang }
        for number in 0..<65 { world.ask("\(number)") }
        world.ask("open")
        world.ask("closed", onFailure: .closed)
        world.ask("other", key: "attic")
        await world.cluster.settle()
        #expect(world.names == ["open", "closed"])
        #expect(world.verdicts == [.unmoderated("open"), .unanswered()])
        await world.pass(.milliseconds(150))
        #expect(world.names.filter { Int($0) != nil } == (0..<65).map { "\($0)" })
        // Nothing is left behind.
        world.ask("again")
        await world.cluster.settle()
        #expect(world.names.count == 68)
    }

    @Test @Loop func beyondFourThousandQuestionsThePolicyDecides() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("a") { _ in .hang }
        for number in 0..<4096 { world.ask("\(number)", key: "\(number / 64)") }
        world.ask("more", key: "more")
        await world.cluster.settle()
        #expect(world.names == ["more"])
        await world.pass(.milliseconds(150))
        #expect(world.names.count == 4097)
        hung.wake()
        await world.cluster.settle()
        world.ask("again", key: "again")
        await world.cluster.settle()
        #expect(world.names.count == 4097)
    }

    @Test @Loop func beyondSixteenMebibytesOfDataThePolicyDecides() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { $0.data == "small" ? .answer(.ok) : .hang }
        let most = JSON.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 2))
        for number in 0..<16 { world.ask("\(number)", .beforeSend, most, key: "\(number)") }
        world.ask("more", .beforeSend, "small", key: "more")
        await world.cluster.settle()
        #expect(world.verdicts == [.unmoderated("small")])
        await world.pass(.milliseconds(150))
        #expect(await world.extensions.ask(.beforeSend, "small", key: "more") == .passed("small"))
    }

    // MARK: answers that stand

    @Test @Loop func anAnswerAboutARouteStandsForASecondForItsKey() async throws {
        let world = try ExtensionWorld()
        let chosen = Journal<JSON>()
        chosen.note("one")
        let implementer = world.implementer("a", of: .route) { _ in
            .after(.milliseconds(10), .replace(chosen.entries.last ?? .null))
        }
        world.ask("1", .route)
        world.ask("2", .route)
        world.ask("3", .route, key: "attic")
        await world.pass(.milliseconds(20))
        #expect(world.verdicts == [.passed("one"), .passed("one"), .passed("one")] && implementer.events.count == 2)
        chosen.note("two")
        await world.pass(.milliseconds(980))
        #expect(await world.extensions.ask(.route, "4", key: "hall") == .passed("one"))
        await world.pass(.milliseconds(20))
        world.ask("5", .route)
        await world.pass(.milliseconds(20))
        #expect(world.verdicts.last == .passed("two"))
        // Another one may answer otherwise.
        _ = world.implementer("0", of: .route) { _ in .answer(.ok) }
        #expect(await world.extensions.ask(.route, "6", key: "hall") == .passed("6"))
    }

    @Test @Loop func whatIsNotAnsweredDoesNotStand() async throws {
        let world = try ExtensionWorld()
        var acts: [Scripted.Act] = [.hang, .fail, .answer(.replace("here"))]
        _ = world.implementer("a", of: .route) { _ in acts.removeFirst() }
        world.ask("1", .route)
        await world.pass(.milliseconds(20))
        world.ask("2", .route)
        await world.pass(.milliseconds(20))
        world.ask("3", .route)
        await world.pass(.milliseconds(20))
        #expect(world.verdicts == [.unmoderated("1"), .unmoderated("2"), .passed("here")])
    }

    @Test @Loop func ofAnswersThatStandTheOldestAreForgottenAndLargeOnesNotKept() async throws {
        let world = try ExtensionWorld()
        let large = JSON.string(String(repeating: "x", count: 4096))
        let implementer = world.implementer("a", of: .route) {
            $0.key == "large" ? .answer(.replace(large)) : .answer(.ok)
        }
        for _ in 0..<2 { _ = await world.extensions.ask(.route, "x", key: "large") }
        #expect(implementer.events.count == 2)
        for number in 0...4096 { _ = await world.extensions.ask(.route, "x", key: "\(number)") }
        let asked = implementer.events.count
        _ = await world.extensions.ask(.route, "x", key: "1")
        #expect(implementer.events.count == asked)
        _ = await world.extensions.ask(.route, "x", key: "0")
        #expect(implementer.events.count == asked + 1)
    }
}
