// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Who is asked, in which order, and what becomes of it.
@Suite struct AskTests {
    @Test @Loop func withNobodyThereTheQuestionPassesInItsTurnAndDrawsNothing() async throws {
        let world = try ExtensionWorld()
        let twin = try ExtensionWorld()
        // In a task of the loop's own: one of a test may be suspended on its way into any function.
        let order = Journal<String>()
        Loop.spawn {
            Loop.enqueueSynchronous { order.note("others") }
            let verdict = await world.extensions.ask(.beforeSend, "hi", key: "hall")
            order.note("\(verdict == .passed("hi"))")
        }
        await world.cluster.settle()
        #expect(order.entries == ["true", "others"])
        world.extensions.tell(.afterSend, "hi", key: "hall")
        #expect(world.app.random.next() == twin.app.random.next())
        #expect(world.extensions.count(of: .asked, at: .beforeSend) == 0)
        #expect(world.extensions.count(of: .told, at: .afterSend) == 0)
        #expect(!world.extensions.isImplemented(.beforeSend))
    }

    @Test @Loop func aChainHandsItsDataOnInTheOrderOfPriorityAndName() async throws {
        let world = try ExtensionWorld()
        let append: @Loop (String) -> @Loop (ExtensionEvent) -> Scripted.Act = { name in
            { .answer(.replace(.string(($0.data.string ?? "") + name))) }
        }
        let last = world.implementer("z", priority: 200, append("z"))
        let first = world.implementer("m", priority: 1, append("m"))
        let silent = world.implementer("a") { _ in .answer(.ok) }
        _ = world.implementer("b", append("b"))
        let outside = FakeOutside()
        let there = Scripted("0", world.app.clock, priority: 0, append("0"))
        outside.asked[.beforeSend] = [there]
        world.extensions.outside = outside
        #expect(await world.extensions.ask(.beforeSend, "-", key: "hall") == .passed("-mbz0"))
        #expect([first, silent, last, there].map(\.data) == [["-"], ["-m"], ["-mb"], ["-mbz"]])
        #expect(Set([first, silent, last, there].flatMap { $0.events.map(\.id) }).count == 1)
    }

    @Test(arguments: [
        (ExtensionAnswer.drop, ExtensionVerdict.drop), (.refuse("no"), .refuse("no", ret: -1)),
        (ExtensionAnswer(ret: -7), .refuse("", ret: -7)),
        (ExtensionAnswer(ret: 1, msg: "x", data: "other"), .drop),
    ])
    @Loop func whoDropsOrRefusesIsTheLastToBeAsked(_ answer: ExtensionAnswer, _ verdict: ExtensionVerdict)
        async throws
    {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { _ in .answer(answer) }
        let later = world.implementer("b") { _ in .answer(.ok) }
        #expect(await world.extensions.ask(.beforeSend, "hi", key: "hall", onFailure: .closed) == verdict)
        #expect(later.events.isEmpty)
        let isDrop = verdict == .drop
        #expect(world.extensions.count(of: .dropped, at: .beforeSend) == (isDrop ? 1 : 0))
        #expect(world.extensions.count(of: .refused, at: .beforeSend) == (isDrop ? 0 : 1))
    }

    @Test @Loop func aLongRefusalIsCutAtAScalar() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { _ in .answer(.refuse("x" + String(repeating: "é", count: 10_000))) }
        guard case .refuse(let why, _) = await world.extensions.ask(.beforeSend, "hi", key: "hall") else {
            Issue.record("it was not refused")
            return
        }
        #expect(why == "x" + String(repeating: "é", count: 511))
    }

    @Test @Loop func ofASinglePointTheFirstAloneIsAsked() async throws {
        let world = try ExtensionWorld()
        let first = world.implementer("a", of: .route) { _ in .answer(.replace("one")) }
        let second = world.implementer("b", of: .route) { _ in .answer(.replace("two")) }
        #expect(await world.extensions.ask(.route, "-", key: "k") == .passed("one"))
        #expect(first.events.count == 1 && second.events.isEmpty)
    }

    @Test @Loop func inARaceTheFirstAnswerCounts() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("slow", of: .race) { _ in .after(.milliseconds(60), .replace("slow")) }
        _ = world.implementer("quick", of: .race) { _ in .after(.milliseconds(20), .replace("quick")) }
        _ = world.implementer("broken", of: .race) { _ in .fail }
        for policy in FailurePolicy.allCases { world.ask("\(policy)", .race, onFailure: policy) }
        await world.pass(.milliseconds(100))
        #expect(world.verdicts == [.passed("quick"), .passed("quick")])
        #expect(world.times == [.milliseconds(20), .milliseconds(40)])
    }

    @Test(arguments: FailurePolicy.allCases)
    @Loop func aRaceThatNobodyEndsIsLeftToThePolicy(_ policy: FailurePolicy) async throws {
        let world = try ExtensionWorld()
        for name in ["a", "b"] { _ = world.implementer(name, of: .race) { _ in .fail } }
        world.ask("x", .race, onFailure: policy)
        await world.pass(.milliseconds(5))
        #expect(world.verdicts == [policy == .open ? .unmoderated("x") : .unanswered(.race)])
        _ = world.implementer("b", of: .race) { _ in .hang }
        world.ask("y", .race, onFailure: policy)
        await world.pass(.milliseconds(150))
        #expect(world.verdicts.last == (policy == .open ? .unmoderated("y") : .unanswered(.race)))
    }

    // MARK: failures

    @Test(arguments: [
        Scripted.Act.fail, .answer(ExtensionAnswer(ret: 2)), .answer(ExtensionAnswer(ret: .max)),
        .answer(.replace(.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 1)))),
    ])
    @Loop func whatIsNoAnswerIsLeftToThePolicy(_ act: Scripted.Act) async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { _ in act }
        let later = world.implementer("b") { _ in .answer(.replace("from b")) }
        let open = await world.extensions.ask(.beforeSend, "hi", key: "hall")
        #expect(open == .unmoderated("from b") && later.data == ["hi"])
        let closed = await world.extensions.ask(.beforeSend, "hi", key: "hall", onFailure: .closed)
        #expect(closed == .unanswered() && later.events.count == 1)
        #expect(world.extensions.count(of: .failed, at: .beforeSend) == 2)
        #expect(world.extensions.count(of: .refused, at: .beforeSend) == 1)
    }

    @Test @Loop func aReplacementOfOneMebibytePasses() async throws {
        let world = try ExtensionWorld()
        let most = JSON.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 2))
        _ = world.implementer("a") { _ in .answer(.replace(most)) }
        #expect(await world.extensions.ask(.beforeSend, "hi", key: "hall") == .passed(most))
    }

    @Test @Loop func aHungImplementerCostsTheBudgetAndNoMore() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("a") { _ in .hang }
        let later = world.implementer("b") { _ in .answer(.ok) }
        world.ask("open")
        world.ask("closed", key: "attic", onFailure: .closed)
        world.ask("bind", .beforeBind)
        await world.pass(.milliseconds(145))
        #expect(world.names == ["bind"])
        await world.pass(.milliseconds(5))
        #expect(world.verdicts == [.passed("bind"), .unmoderated("open"), .unanswered()])
        #expect(world.times == [.zero, .milliseconds(150), .milliseconds(150)])
        #expect(later.events.isEmpty && hung.limits == [.milliseconds(150), .milliseconds(150)])
    }

    @Test @Loop func theBudgetIsThatOfTheWholeChainFromTheQuestionOn() async throws {
        let world = try ExtensionWorld()
        _ = world.implementer("a") { _ in .after(.milliseconds(100), .replace("from a")) }
        let second = world.implementer("b") { _ in .hang }
        world.ask("x")
        await world.pass(.milliseconds(200))
        // What the first one made of it stays.
        #expect(world.verdicts == [.unmoderated("from a")] && world.times == [.milliseconds(150)])
        #expect(second.limits == [.milliseconds(50)])
    }

    @Test @Loop func aLateAnswerHasNoEffect() async throws {
        let world = try ExtensionWorld()
        let hung = world.implementer("a") { $0.data == "x" ? .hang : .answer(.ok) }
        world.ask("x")
        await world.pass(.milliseconds(150))
        world.ask("y")
        await world.pass(.milliseconds(5))
        hung.wake(.refuse("too late"))
        await world.pass(.milliseconds(200))
        #expect(world.names == ["x", "y"])
        #expect(world.verdicts == [.unmoderated("x"), .passed("y")])
        #expect(world.extensions.count(of: .refused, at: .beforeSend) == 0)
    }

    @Test @Loop func whoIsNotWaitedForAnyMoreIsCancelled() async throws {
        let world = try ExtensionWorld()
        let ended = Journal<Bool>()
        world.extensions.implement(.beforeSend, as: "a") { _ in
            await world.app.clock.sleep(for: .seconds(60))
            ended.note(Task.isCancelled)
            return .ok
        }
        world.ask("x")
        await world.pass(.milliseconds(145))
        #expect(ended.entries.isEmpty)
        await world.pass(.milliseconds(5))
        #expect(ended.entries == [true])
    }

    @Test @Loop func dataThatIsTooLargeIsLeftToThePolicy() async throws {
        let world = try ExtensionWorld()
        let implementer = world.implementer("a") { _ in .answer(.ok) }
        let most = JSON.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 2))
        let more = JSON.string(String(repeating: "x", count: ExtensionPoint.dataLimit - 1))
        #expect(await world.extensions.ask(.beforeSend, most, key: "hall") == .passed(most))
        #expect(await world.extensions.ask(.beforeSend, more, key: "hall") == .unmoderated(more))
        #expect(await world.extensions.ask(.beforeSend, more, key: "hall", onFailure: .closed) == .unanswered())
        #expect(implementer.events.count == 1)
    }

    // MARK: what is left

    /// Keys come and go without end.
    @Test @Loop func nothingIsLeftOfAKeyWhoseQuestionsAreAnswered() async throws {
        let world = try ExtensionWorld()
        let outside = FakeOutside()
        world.extensions.outside = outside
        outside.asked[.beforeSend] = [Scripted("a", world.app.clock) { _ in .answer(.ok) }]
        for _ in 0..<2 { world.ask("x") }
        await world.cluster.settle()
        world.extensions.outside = nil
        // Where questions are under way one more is counted, and waits.
        #expect(await world.extensions.ask(.beforeSend, "y", key: "hall") == .passed("y"))
        #expect(world.names.count == 2 && world.extensions.count(of: .asked, at: .beforeSend) == 2)
    }

    @Test @Loop func pointsBeyondSixtyFourShareTheirCounters() async throws {
        let world = try ExtensionWorld()
        let points = (0...64).map {
            ExtensionPoint(owner: "test", name: PointName("\($0)"), mode: .chain, budget: .seconds(1))
        }
        for point in points {
            _ = world.implementer("a", of: point) { _ in .answer(.ok) }
            _ = await world.extensions.ask(point, "x", key: "k")
        }
        #expect(points.map { world.extensions.count(of: .asked, at: $0) } == Array(repeating: 1, count: 64) + [0])
    }
}
