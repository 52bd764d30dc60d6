// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// What people in a room are told about who is there, while servers die, stand still and lose their data; counted by
/// the people.
@Suite(.serialized) struct PresenceTests {
    static let (one, two) = ("connector-server-1", "connector-server-2")

    @Loop private func crowd() async throws -> Crowd {
        Crowd(try await ServerProcesses.start("Chat", config: "config"), room: "hall")
    }

    /// Has the clean-up after a connector run to its end.
    @Loop private func cleanedUp(_ crowd: Crowd, after connector: String) async throws {
        try await eventually("\(connector) is cleaned up", within: FailureTests.ghostBound + .seconds(4)) {
            try await crowd.chat.redisHolds(["POMELO:CHANNEL:hall:\(connector)": []])
        }
        await SystemClock.shared.sleep(for: .seconds(1))
    }

    @Test @Loop func whoCameBackElsewhereIsNotToldGone() async throws {
        let crowd = try await crowd()
        let survivors = try await crowd.enter(10, "ann", at: Self.one)
        let victims = try await crowd.enter(20, "bob", at: Self.two)
        crowd.chat[Self.two].signal(SIGKILL)
        for victim in victims { _ = try await victim.client.closed() }
        // All but two are back at once.
        try await crowd.move(Array(victims.dropLast(2)), to: Self.one)
        try await cleanedUp(crowd, after: Self.two)
        let gone = victims.suffix(2).map(\.name)
        try await eventually("everybody has everybody in the list") { try await crowd.isInEveryList() }
        for survivor in survivors {
            #expect(survivor.heard("onLeave").map(\.user).sorted() == gone.sorted())
        }
        try await crowd.chat.stop()
    }

    @Test @Loop func aConnectorThatRestartsAtOnceTellsOnlyOfThoseWhoAreNowhere() async throws {
        let crowd = try await crowd()
        let survivors = try await crowd.enter(10, "ann", at: Self.one)
        let victims = try await crowd.enter(10, "bob", at: Self.two)
        crowd.chat[Self.two].signal(SIGKILL)
        _ = try await crowd.chat.awaitExit(Self.two)
        // Before it is up again, which takes a third of a second: who is nowhere by then is told gone, and back.
        try await crowd.move(Array(victims.dropLast(1)), to: Self.one)
        try crowd.chat.launch(Self.two)
        try await crowd.chat.awaitUp(Self.two)
        try await eventually("everybody has everybody in the list", within: FailureTests.ghostBound) {
            try await crowd.isInEveryList()
        }
        for survivor in survivors { #expect(survivor.heard("onLeave").map(\.user) == ["bob10"]) }
        try await crowd.chat.stop()
    }

    /// They leave a connector that stands still: it sees that when it wakes, long after it was cleaned up.
    @Test @Loop func whoLeftAStoppedConnectorIsNotToldGoneWhenItWakes() async throws {
        let crowd = try await crowd()
        let survivors = try await crowd.enter(10, "ann", at: Self.one)
        let movers = try await crowd.enter(10, "bob", at: Self.two)
        let patient = try await crowd.enter("cid", at: Self.two)
        let leaver = try await crowd.enter("dan", at: Self.two)
        try await crowd.chat[Self.two].freeze()
        for person in movers + [leaver] { person.client.close() }
        try await crowd.move(movers, to: Self.one)
        try await cleanedUp(crowd, after: Self.two)
        crowd.chat[Self.two].thaw()
        _ = patient
        try await eventually("everybody has everybody in the list", within: .seconds(20)) {
            try await crowd.isInEveryList()
        }
        await SystemClock.shared.sleep(for: .seconds(2))
        #expect(try await crowd.isInEveryList())
        for survivor in survivors {
            for mover in movers { checkOrder(survivor.heard("onAdd", "onLeave", of: mover.name)) }
            #expect(survivor.heard("onLeave", of: "dan").count == 1)
        }
        try await crowd.chat.stop()
    }

    /// Somebody who moved: gone at most once, and back after that.
    @Loop private func checkOrder(_ words: [(route: String, user: String)]) {
        #expect(words.count { $0.route == "onLeave" } <= 1)
        #expect(words.last?.route == "onAdd")
    }

    @Test @Loop func whoIsOnlineIsNotSaidToBeOfflineAfterALoss() async throws {
        let crowd = try await crowd()
        let ann = try await crowd.enter("ann", at: Self.one)
        let bob = try await crowd.enter("bob", at: Self.two)
        try await eventually("bob is published") {
            try await crowd.chat.redisHolds(["POMELO:STATUS:bob*hall": [Self.two]])
        }
        _ = try await crowd.chat.redisCommand(["FLUSHALL"])
        let end = SystemClock.shared.deadline(after: .seconds(5))
        var said = 0
        while SystemClock.shared.now < end {
            said += 1
            #expect(try await ann.say("w\(said)", to: "bob") == [:])
            let nobody = try await ann.say("x", to: "eve")
            #expect(nobody == ["code": 404] || nobody == ["code": 503, "message": "presence unknown"])
            await SystemClock.shared.sleep(for: .milliseconds(20))
        }
        #expect(bob.texts.count == said)
        try await crowd.chat.stop()
    }

    @Test @Loop func whoseConnectorDiedIsNotSaidToBeOfflineWhenBack() async throws {
        let crowd = try await crowd()
        let ann = try await crowd.enter("ann", at: Self.one)
        let bob = try await crowd.enter("bob", at: Self.two)
        #expect(try await ann.say("before", to: "bob") == [:])
        crowd.chat[Self.two].signal(SIGKILL)
        _ = try await bob.client.closed()
        // Nobody can say where bob is, until he is back.
        #expect(try await ann.say("nowhere", to: "bob") == ["code": 503, "message": "presence unknown"])
        let back = try await crowd.enter("bob", at: Self.one)
        for number in 1...20 { #expect(try await ann.say("w\(number)", to: "bob") == [:]) }
        #expect(back.texts.count == 20)
        try await crowd.chat.stop()
    }

    /// The chat servers start while the registry has lost everybody else.
    @Test @Loop func aChatServerThatStartsAfterALossAcknowledgesNothingThatDidNotReachAll() async throws {
        let crowd = try await crowd()
        _ = try await crowd.enter(15, "ann", at: Self.one)
        _ = try await crowd.enter(15, "bob", at: Self.two)
        for id in ["chat-server-1", "chat-server-2"] {
            crowd.chat[id].signal(SIGKILL)
            _ = try await crowd.chat.awaitExit(id)
        }
        _ = try await crowd.chat.redisCommand(["FLUSHALL"])
        try crowd.chat.launch("chat-server-1")
        let ann = crowd.present()[0]
        let end = SystemClock.shared.deadline(after: .seconds(8))
        var acknowledged: Set<String> = []
        var number = 0
        while SystemClock.shared.now < end {
            number += 1
            if try await ann.say("m\(number)") == [:] { acknowledged.insert("m\(number)") }
            await SystemClock.shared.sleep(for: .milliseconds(10))
        }
        #expect(!acknowledged.isEmpty)
        await SystemClock.shared.sleep(for: .milliseconds(500))
        for person in crowd.present() { #expect(acknowledged.subtracting(person.texts).isEmpty) }
        let eve = try await crowd.enter("eve", at: Self.one)
        #expect(eve.list.count == 31)
        try await crowd.chat.stop()
    }

    @Test(arguments: [2500, 4500]) @Loop func whoMissedPushesInAPauseIsToldSo(milliseconds: Int) async throws {
        let crowd = try await crowd()
        let ann = try await crowd.enter("ann", at: Self.one)
        _ = try await crowd.enter(29, "bob", at: Self.two)
        try await crowd.chat[Self.two].freeze()
        let end = SystemClock.shared.deadline(after: .milliseconds(milliseconds))
        var asked: [UInt32] = []
        var said: Set<String> = []
        while SystemClock.shared.now < end {
            let text = "m\(asked.count)"
            let body = #"{"content":"\#(text)","target":"*"}"#
            asked.append(try ann.client.ask("chat.chatHandler.send", Array(body.utf8)))
            said.insert(text)
            await SystemClock.shared.sleep(for: .milliseconds(100))
        }
        crowd.chat[Self.two].thaw()
        for id in asked { #expect(String(decoding: try await ann.client.answer(to: id), as: UTF8.self) == "{}") }
        try await eventually("all have everything, or know that they have not") {
            crowd.present(at: Self.two).allSatisfy {
                !$0.heard("onGap").isEmpty || said.subtracting($0.texts).isEmpty
            }
        }
        let survivors = crowd.present(at: Self.two)
        if let first = survivors.first {
            let list = try await first.client.request("chat.chatHandler.list")["users"]?.array?.compactMap(\.string)
            #expect(list?.sorted() == crowd.names)
        }
        try await crowd.chat.stop()
    }
}
