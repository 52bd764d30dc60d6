// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import Testing

@testable import PomeloSync

/// The numbers that stand for ids.
@Suite @Loop struct SyncItemsTests {
    private let items = SyncItems()

    @Test func anIDHasOneNumberAsLongAsSomethingIsKnownOfIt() {
        let (one, two) = (items.add("one"), items.add("two"))
        #expect(one != two)
        items.change(one) { $0.isNoted = true }
        items.release(one)
        #expect(items.number(of: "one") == one)
        #expect(items.add("one") == one)
        items.change(one) { $0.isNoted = false }
        items.release(one)
        #expect(items.number(of: "one") == nil)
        #expect(items.number(of: "two") == two)
    }

    @Test(arguments: 0..<6) func eachThingKnownOfAnIDKeepsIt(thing: Int) {
        let item = items.add("one")
        items.change(item) {
            $0.waits = thing == 0
            $0.goes = thing == 1
            $0.isNoted = thing == 2
            $0.isInPart = thing == 3
            $0.isScheduled = thing == 4
            $0.isUrgent = thing == 5
        }
        items.release(item)
        #expect(items.number(of: "one") == item)
    }

    @Test func aNumberIsGivenToAnotherIDWithNothingOfTheFormerOne() {
        let kept = items.add("kept")
        let former = items.add("former")
        items.change(former) { $0.waiting = HeldValue(slot: 7, bytes: 8, number: 9, since: 10, attempts: 11) }
        items.release(former)
        #expect(items.add("other") == former)
        #expect(items.id(of: former) == "other")
        #expect(items[former].waiting.bytes == 0)
        #expect(items.id(of: kept) == "kept")
    }

    @Test func ofManyThatComeAndGoThereAreNoMoreThanAtOnce() {
        for round in 0..<3 {
            let numbers = (0..<1000).map { items.add(Text("player-\(round)-\($0)")) }
            #expect(Set(numbers).count == 1000)
            for number in numbers { items.release(number) }
        }
        #expect(items.indices.count == 1000)
    }
}
