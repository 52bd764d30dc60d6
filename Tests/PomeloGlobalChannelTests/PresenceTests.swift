// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Who is told gone, when, and in which order with those who come.
@Suite struct PresenceTests {
    static let onAdd = Push<String>("onAdd")
    static let onLeave = Push<String>("onLeave")

    /// Tells everybody who comes and goes, as a chat does.
    @Loop private func world(connectors: Int = 3) async throws -> World {
        try await World(connectors: connectors, chats: 2, tells: true) { $0.goneServerType = "chat" }
    }

    /// Enters the room as a chat lets people in: first a member, then told.
    @Loop private func enter(_ world: World, _ uid: UserID, _ frontend: ServerID) async throws -> TestSocket {
        let socket = try await world.client(frontend, uid)
        try await world.chat.add("room", uid, frontend)
        _ = try await world.chat.pushMessage("connector", Self.onAdd, uid.rawValue, "room", except: [uid], arrival: uid)
        return socket
    }

    @Loop private func crashAndCleanUp(_ id: ServerID, _ world: World) async throws {
        world.cluster.crash(id)
        try await world.cluster.endLease(of: id)
        await world.cluster.settle(turns: 200)
    }

    @Test @Loop func aMemberElsewhereIsNotToldGone() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        _ = try await enter(world, "bob", "connector-3")
        bob.disconnect()
        await world.cluster.settle()
        #expect(ann.words == ["+bob", "+bob"])
        try await crashAndCleanUp("connector-3", world)
        #expect(ann.words == ["+bob", "+bob", "-bob"])
    }

    @Test @Loop func whoIsBackBeforeTheCleanUpIsNotToldGone() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        _ = try await enter(world, "bob", "connector-2")
        _ = try await enter(world, "cid", "connector-2")
        world.cluster.crash("connector-2")
        _ = try await enter(world, "bob", "connector-3")
        try await world.cluster.endLease(of: "connector-2")
        await world.cluster.settle(turns: 200)
        #expect(ann.words == ["+bob", "+cid", "+bob", "-cid"])
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["ann", "bob"])
    }

    /// A cleaner that dies half way is followed by another, and a stopped frontend sees the end of its clients late.
    @Test @Loop func oneAbsenceIsToldOnce() async throws {
        let world = try await world()
        let instance = world.cluster["connector-2"].instance
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        await world.cluster.settle()
        world.cluster.pause("connector-2")
        for _ in 1...2 {
            // As two cleaners do, one after the other.
            try await world["chat-1"].cleanUp("connector-2", instance: instance) {}
            await world.publish(again: "bob", at: "connector-2")
            await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        }
        #expect(ann.words == ["+bob", "-bob"])
        world.cluster.resume("connector-2")
        bob.disconnect()
        await world.cluster.advance(by: .seconds(12), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"])
    }

    /// Members who wait for a stopped frontend to wake are told gone, and come back with it.
    @Test @Loop func whoWasToldGoneAndIsHereIsToldBack() async throws {
        let world = try await world()
        let instance = world.cluster["connector-2"].instance
        let ann = try await enter(world, "ann", "connector-1")
        _ = try await enter(world, "bob", "connector-2")
        await world.cluster.settle()
        world.cluster.pause("connector-2")
        try await world["chat-1"].cleanUp("connector-2", instance: instance) {}
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"])
        world.cluster.resume("connector-2")
        await world.cluster.advance(by: .seconds(12), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob", "+bob"])
    }

    @Test @Loop func nothingIsToldWhileALiveFrontendDoesNotAnswer() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.network.freeze("connector-3")
        bob.disconnect()
        await world.cluster.advance(by: .seconds(9), step: .milliseconds(100))
        #expect(ann.words == ["+bob"])
        // Its end decides as well as its answer.
        try await crashAndCleanUp("connector-3", world)
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"])
    }

    @Test @Loop func nothingIsToldWhileServersMayBeMissingFromTheView() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.isViewComplete = false
        bob.disconnect()
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(ann.words == ["+bob"])
        world.cluster.isViewComplete = true
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"])
    }

    /// Every time the word that somebody is gone may be overtaken: a new coming is never followed by the older end.
    @Test(arguments: 0..<40) @Loop func theOlderWordNeverFollowsTheNewer(milliseconds: Int) async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.network.delay = .milliseconds(1) ... .milliseconds(9)
        bob.disconnect()
        await world.cluster.advance(by: .milliseconds(milliseconds), step: .milliseconds(1))
        let journal = Journal<String>()
        Loop.spawn {
            do { _ = try await self.enter(world, "bob", "connector-3") } catch { journal.note("\(error)") }
        }
        await world.cluster.advance(by: .seconds(1), step: .milliseconds(1))
        #expect(journal.entries == [] && ann.words.last == "+bob", "\(ann.words)")
    }

    /// Whenever it stops to answer, a frontend that has the user is not passed over.
    @Test(arguments: Array(stride(from: 0, to: 90, by: 3)))
    @Loop func whoIsAtASilentFrontendIsNotToldGone(milliseconds: Int) async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        _ = try await enter(world, "bob", "connector-3")
        world.cluster.network.delay = .milliseconds(10) ... .milliseconds(10)
        bob.disconnect()
        await world.cluster.advance(by: .milliseconds(milliseconds), step: .milliseconds(1))
        world.cluster.network.freeze("connector-3")
        await world.cluster.advance(by: .seconds(6), step: .milliseconds(100))
        world.cluster.network.thaw("connector-3")
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "+bob"])
    }

    /// A frontend that answers the second question and not the first is asked once more: without its fence it would not
    /// be told.
    @Test @Loop func aFrontendThatAnswersInTheMiddleIsTold() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.network.freeze("connector-1")
        bob.disconnect()
        let limit = world.cluster["chat-1"].limits.pushCall
        await world.cluster.advance(by: limit + .milliseconds(100), step: .milliseconds(20))
        world.cluster.network.thaw("connector-1")
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"])
    }

    /// Somebody comes and goes while the word about the coming is on its way: it does not have the last word.
    @Test(arguments: 0..<40) @Loop func aWordAboutAComingThatComesLateIsJudgedAgain(seed: Int) async throws {
        let world = try await World(connectors: 3, chats: 2, seed: UInt64(seed), tells: true) {
            $0.goneServerType = "chat"
        }
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await world.client("connector-2", "bob")
        try await world.chat.add("room", "bob", "connector-2")
        world.cluster.network.delay = .milliseconds(1) ... .milliseconds(60)
        Loop.spawn {
            _ = try? await world.chat.pushMessage(
                "connector", Self.onAdd, "bob", "room", except: ["bob"], arrival: "bob")
        }
        await world.cluster.settle(turns: 3)
        bob.disconnect()
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(1))
        #expect(ann.words.last != "+bob", "\(ann.words)")
    }

    /// The word about a coming may be slow: the sender stood still, or the way to one frontend did.
    @Test(arguments: [false, true]) @Loop func aComingThatIsToldAfterTheEndIsToldGoneAgain(isBack: Bool) async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await world.client("connector-2", "bob")
        try await world.chat.add("room", "bob", "connector-2")
        bob.disconnect()
        await world.cluster.settle()
        #expect(ann.words == ["-bob"])
        if isBack {
            _ = try await world.client("connector-3", "bob")
            try await world.chat.add("room", "bob", "connector-3")
        }
        _ = try await world.chat.pushMessage("connector", Self.onAdd, "bob", "room", except: ["bob"], arrival: "bob")
        await world.cluster.settle()
        #expect(ann.words == (isBack ? ["-bob", "+bob"] : ["-bob", "+bob", "-bob"]))
    }

    /// Who was told gone came back unseen, as the gap said: the next end is told as well.
    @Test @Loop func whoCameDuringAGapIsToldGoneAgain() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        bob.disconnect()
        await world.cluster.advance(by: .seconds(1), step: .milliseconds(10))
        #expect(ann.words == ["+bob", "-bob"])
        world.cluster.network.partition("chat-1", "connector-1")
        let journal = Journal<String>()
        Loop.spawn {
            do { journal.note("\(try await self.enter(world, "bob", "connector-2").isClosed)") } catch {
                journal.note("\(error)")
            }
        }
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        world.cluster.network.heal("chat-1", "connector-1")
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob"] && ann.pushes.contains { $0.route == "onGap" })
        #expect(journal.entries == ["false"])
        for session in world.cluster["connector-2"].sessionService.get(byUid: "bob") {
            world.cluster["connector-2"].sessionService.kick(session.id, reason: "test")
        }
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(ann.words == ["+bob", "-bob", "-bob"])
    }

    /// Nobody was a member where the word was missed, and who comes later has the user from a list.
    @Test @Loop func whoCameDuringAGapWhereNobodyWasIsToldGone() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        try await enter(world, "bob", "connector-2").disconnect()
        await world.cluster.advance(by: .seconds(1), step: .milliseconds(10))
        #expect(ann.words == ["+bob", "-bob"])
        ann.disconnect()
        world.cluster.network.partition("chat-1", "connector-1")
        var bob: TestSocket?
        Loop.spawn { bob = try? await self.enter(world, "bob", "connector-2") }
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        world.cluster.network.heal("chat-1", "connector-1")
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        let dan = try await enter(world, "dan", "connector-1")
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["bob", "dan"])
        try #require(bob).disconnect()
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(dan.words == ["-bob"])
    }

    /// Who let it in died half way, so nobody was told; a list that was asked for meanwhile has it.
    @Test(arguments: [(isListed: true, crashes: false), (true, true), (false, false)])
    @Loop func whoIsListedAndWasNotToldIsToldGone(isListed: Bool, crashes: Bool) async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        try await enter(world, "bob", "connector-2").disconnect()
        await world.cluster.settle()
        let bob = try await world.client("connector-3", "bob")
        try await world.chat.add("room", "bob", "connector-3")
        await world.cluster.advance(by: .seconds(1), step: .milliseconds(10))
        if isListed {
            #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["ann", "bob"])
        }
        if crashes {
            try await crashAndCleanUp("connector-3", world)
        } else {
            bob.disconnect()
        }
        await world.cluster.advance(by: .seconds(1), step: .milliseconds(10))
        #expect(ann.words == (isListed ? ["+bob", "-bob", "-bob"] : ["+bob", "-bob"]))
    }

    /// Redis may have lost the members of a frontend that is gone before it has published them again.
    @Test(arguments: [true, false]) @Loop func aFrontendGoneSoonAfterAnOutageIsAGap(wasAway: Bool) async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        _ = try await enter(world, "bob", "connector-2")
        await world.cluster.advance(by: .seconds(1))
        world.cluster.crash("connector-2")
        if wasAway {
            world.entries.removeAll()
            world.cluster.redisReturned()
        }
        try await world.cluster.endLease(of: "connector-2")
        await world.cluster.advance(by: .seconds(2), step: .milliseconds(100))
        #expect(ann.words == (wasAway ? ["+bob"] : ["+bob", "-bob"]))
        #expect(ann.pushes.count { $0.route == "onGap" } == (wasAway ? 1 : 0))
    }

    /// For applications that know more of a closed session than its user id.
    @Test @Loop func anAbsenceCanBeAskedFor() async throws {
        let world = try await world()
        let bob = try await world.client("connector-1", "bob")
        _ = try await world.client("connector-2", "bob")
        for frontend: ServerID in ["connector-1", "connector-2"] { try await world.chat.add("hall", "bob", frontend) }
        bob.disconnect()
        #expect(await world["connector-1"].absence(of: "bob", from: "hall")?.uids == nil)
        try await world.chat.leave("hall", "bob", "connector-2")
        let gone = await world["connector-1"].absence(of: "bob", from: "hall")
        #expect(gone?.uids == ["bob"] && gone?.channel == "hall" && gone?.server == "connector-1")
    }

    @Test @Loop func aServerThatStopsTellsOfItsClientsBeforeItEnds() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        _ = try await enter(world, "bob", "connector-2")
        await world.cluster.stop("connector-2")
        await world.cluster.settle()
        #expect(ann.words == ["+bob", "-bob"])
    }

    @Test @Loop func theListOfThePublishedCopyLacksThoseWhoWereToldGone() async throws {
        let world = try await world()
        let instance = world.cluster["connector-2"].instance
        _ = try await enter(world, "ann", "connector-1")
        _ = try await enter(world, "bob", "connector-2")
        await world.cluster.settle()
        world.cluster.crash("connector-2")
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["ann", "bob"])
        try await world["chat-1"].cleanUp("connector-2", instance: instance) {}
        await world.cluster.settle(turns: 200)
        await world.publish(again: "bob", at: "connector-2")
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["ann"])
    }

    // MARK: what is not complete, and gaps

    @Test @Loop func anIncompleteViewIsSaid() async throws {
        let world = try await world()
        _ = try await enter(world, "ann", "connector-1")
        let whole = try await world.push("hello")
        #expect(whole.isComplete && !whole.isIncomplete)
        world.cluster.isViewComplete = false
        let report = try await world.push("hello")
        #expect(report.queued == 1 && report.isIncomplete && !report.isComplete)
        #expect(await world.chat.getMembersByChannelName("connector", "room").isIncomplete)
        let news = try await world.cluster["chat-1"].channelService.broadcast(to: "connector", World.say, "news")
        #expect(news.isIncomplete)
    }

    @Test(arguments: [1500, 2500, 6000]) @Loop func aPauseIsAGapForTheChannelsThere(milliseconds: Int) async throws {
        let world = try await world()
        _ = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.pause("connector-2")
        await world.cluster.advance(by: .milliseconds(milliseconds))
        #expect(!bob.pushes.contains { $0.route == "onGap" })
        world.cluster.resume("connector-2")
        await world.cluster.advance(by: .seconds(1))
        #expect(bob.pushes.count { $0.route == "onGap" } == 1)
    }

    /// It ran all the time, and knows of nothing: who got no confirmation says so.
    @Test @Loop func whatWasNotConfirmedIsAGap() async throws {
        let world = try await world()
        let ann = try await enter(world, "ann", "connector-1")
        let bob = try await enter(world, "bob", "connector-2")
        world.cluster.network.freeze("connector-2")
        let journal = Journal<String>()
        Loop.spawn {
            do {
                journal.note("\(try await world.push("hello").failed.keys.sorted())")
            } catch { journal.note("\(error)") }
        }
        // Long enough for the word about it to fail as well.
        await world.cluster.advance(by: .milliseconds(7500))
        world.cluster.network.thaw("connector-2")
        await world.cluster.advance(by: .seconds(6))
        #expect(journal.entries == ["[connector-2]"])
        #expect(bob.texts.contains("hello") == false)
        #expect(bob.pushes.count { $0.route == "onGap" } == 1 && !ann.pushes.contains { $0.route == "onGap" })
    }
}

extension TestSocket {
    /// Who came (+) and went (-), as this client was told.
    var words: [String] {
        pushes.compactMap { push in
            let name = push.text.dropFirst().dropLast()
            return switch push.route {
            case "onAdd": "+\(name)"
            case "onLeave": "-\(name)"
            default: nil
            }
        }
    }
}
